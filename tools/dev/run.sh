# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A part of ./dev: ./dev run, the example weft-treesum on real files.

TIMEFORMAT=%R

median() {
    printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"
}

cmd_run() {
    local treesum=$root/build/run/examples/weft-treesum out status lines confirmed workers i weft peer ours=() theirs=()

    [ "${1:-}" != -- ] || shift
    [ $# -gt 0 ] || set -- /usr/include /usr/share/doc
    # shellcheck disable=SC2086
    need $packages_build
    if ! build run "${CC:-gcc}" -Dtests=false -Dstress=false; then
        show_log build/run.log >&2
        die "the build failed (build/run.log)"
    fi
    cd "$called_from" || exit 2
    for i in "$@"; do
        [ -e "$i" ] || die "run: there is no '$i'"
    done
    out=$(mktemp -d) || exit 2
    # shellcheck disable=SC2064
    trap "rm -rf '$out'" EXIT

    # This first run warms the cache for the other runs.
    "$treesum" --stats -- "$@" >"$out/sums" 2>"$out/messages"
    status=$?
    if [ $status -gt 1 ]; then
        cat "$out/messages" >&2
        return $status
    fi
    find "$@" -type f -printf '%s\n' 2>/dev/null |
        awk -v dirs="$*" '{ bytes += $1 } END { printf "%s: %d files, %.1f MB\n", dirs, NR, bytes / 1e6 }'
    cat "$out/messages"
    LC_ALL=C sha256sum -c "$out/sums" >"$out/check" 2>&1
    [ $? -le 1 ] || status=1
    lines=$(wc -l <"$out/sums")
    confirmed=$(grep -c ': OK$' "$out/check")
    say "sha256sum -c confirmed $confirmed of $lines lines"
    if [ "$confirmed" != "$lines" ]; then
        grep -v ': OK$' "$out/check" | head -n 20
        status=1
    fi

    workers=$(grep -c '^worker ' "$out/messages")
    for i in 1 2 3; do
        weft=$({ time "$treesum" -- "$@" >"$out/sums" 2>/dev/null; } 2>&1)
        peer=$({ time find "$@" -type f -print0 2>/dev/null |
            xargs -0 -r -P "$workers" sha256sum >"$out/check" 2>/dev/null; } 2>&1)
        ours+=("$weft")
        theirs+=("$peer")
    done
    weft=$(median "${ours[@]}")
    peer=$(median "${theirs[@]}")
    awk -v weft="$weft" -v peer="$peer" -v n="$workers" 'BEGIN {
        printf "weft-treesum, %d worker%s: %.3f s; find | xargs -P %d sha256sum: %.3f s; ratio %.2f\n",
            n, n == 1 ? "" : "s", weft, n, peer, weft ? peer / weft : 0
        print "The cache was warm. The times are medians of 3 interleaved runs. Above 1, weft-treesum is faster."
    }'
    return $status
}
