# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A part of ./dev: ./dev fmt, and the checks of the style, with which ./dev test begins.

sources=(bench docs examples stress tests tools) # beside the library's own

cmd_fmt() {
    local how=(-i)

    case ${1:-} in
    --check) how=(--dry-run -Werror) ;;
    '') ;;
    *) die "fmt: unknown option '$1'" ;;
    esac
    need clang-format
    find include src sched "${sources[@]}" \( -name '*.c' -o -name '*.h' \) -print0 |
        xargs -0 -r -n 50 -P "$jobs" clang-format --style=file "${how[@]}" || return 1
}

# style NAME COMMAND...: runs one check of the style. A check that cannot run exits with 77 and says why.
style() {
    local name=$1 output

    shift
    output=$("$@" 2>&1 </dev/null)
    case $? in
    0)
        passed=$((passed + 1))
        ;;
    77)
        skipped=$((skipped + 1))
        say "  skipped: $name: $output"
        ;;
    *)
        failed=$((failed + 1))
        failures+=("style: $name")
        say "  FAILED: $name"
        head -n 100 <<<"$output" | sed 's/^/    | /'
        ;;
    esac
}

# Only one version decides, because each version of clang-format lays some lines out in its own way.
style_c() {
    local version

    version=$(clang-format --version 2>/dev/null | grep -oE 'version [0-9]+' | cut -d' ' -f2)
    if [ "$version" != 14 ]; then
        say "needs clang-format 14; here is ${version:-none}"
        return 77
    fi
    cmd_fmt --check || return 1
}

style_shell() {
    if ! command -v shellcheck >/dev/null; then
        say "there is no shellcheck"
        return 77
    fi
    # The parts of dev are checked with dev, because each uses what others define.
    find dev .ci/run "${sources[@]}" \( -name '*.sh' -not -path 'tools/dev/*' -o -path dev -o -path .ci/run \) -print0 |
        xargs -0 shellcheck -x -a
}

style_python() {
    local checker

    if ! checker=$(command -v pyflakes3 || command -v pyflakes); then
        say "there is no pyflakes"
        return 77
    fi
    find bench/run "${sources[@]}" \( -name '*.py' -o -path bench/run \) -print0 | sort -zu | xargs -0 "$checker"
}

test_style() {
    local before=("$passed" "$failed" "$skipped") started=$SECONDS

    style 'format of C (./dev fmt mends it)' style_c
    style 'shellcheck' style_shell
    style 'pyflakes' style_python
    say "  $((passed - before[0])) passed, $((failed - before[1])) failed, $((skipped - before[2])) skipped" \
        "in $((SECONDS - started)) s"
}
