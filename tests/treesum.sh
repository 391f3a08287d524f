#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# weft-treesum against find and sha256sum, on a tree made of everything that is odd about file names and files.
# Usage: treesum.sh WEFT_TREESUM
set -u -o pipefail
export LC_ALL=C

# In a cross build meson says how to run a program.
read -r -a wrapper <<<"${MESON_EXE_WRAPPER:-}"
program=$(realpath "$1")
work=$(mktemp -d) || exit 99
trap 'chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 99
failures=0

treesum() {
    ${wrapper[@]+"${wrapper[@]}"} "$program" "$@"
}

fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# status WANTED COMMAND...: runs it, with its output in out and err.
status() {
    local wanted=$1 got

    shift
    "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ $got = "$wanted" ] || { fail "exit status $got, not $wanted: $*" && head -n 5 "$work/err"; }
}

same() {
    cmp "$1" "$2" >cmp.out 2>&1 || { fail "$3" && cat cmp.out && diff -a "$1" "$2" | head -n 10; }
}

empty() {
    [ ! -s "$1" ] || { fail "$2" && head -n 5 "$1"; }
}

# expected PATH...: what find and sha256sum make of it.
expected() {
    find "$@" -type f -print0 | sort -z | xargs -0 -r sha256sum --
}

# --- the tree --------------------------------------------------------------------------------------------------

mkdir tree
(
    cd tree || exit 1
    mkdir -p a/b/c/d/e 'with blank' $'new\nline' 'back\slash' empty -- -dash 'a-' 'a.d' 'ab'
    echo one >a/one
    echo two >a/b/two
    echo deep >a/b/c/d/e/deep
    # On both sides of the slash in the order of bytes: - . / 0
    echo 1 >a-/x
    echo 2 >a.d/x
    echo 3 >ab/x
    echo 4 >a0
    echo blank >'with blank/  two  blanks  '
    echo newline >$'new\nline/also\n\nhere'
    echo backslash >'back\slash/\\n\x'
    echo return >$'carriage\rreturn'
    echo odd >$'tab\there'
    echo latin >$'not utf-8 \xff\xfe'
    echo dash >-- -dash/-n
    # shellcheck disable=SC2016
    echo star >'*?[x]"$HOME"'\''`id`'
    echo dot >.hidden
    : >nothing
    printf 'no newline at the end' >unfinished
    ln -s a link-to-directory
    ln -s a/one link-to-file
    ln -s nowhere link-to-nothing
    mkfifo pipe
    for size in 1 4095 4096 131071 131072 131073 262144 1000000; do
        head -c $size /dev/zero >size-$size
    done
    # More than 64 MiB, and not only zeros.
    truncate -s 70M large
    printf 'end' >>large
    mkdir many
    for i in $(seq 300); do
        echo "$i" >many/file-"$i"
    done
    for i in $(seq 40); do
        mkdir "many/directory-$i"
        echo "$i" >"many/directory-$i/file"
    done
) || exit 99

status 0 treesum tree
mv out sums
empty err 'something on stderr, which is not a terminal'
expected tree >wanted
same sums wanted 'the output differs from that of find | sort | sha256sum'
sha256sum -c --quiet sums >check 2>&1 || { fail 'sha256sum -c does not accept the output' && head -n 5 check; }
[ "$(wc -l <sums)" -gt 320 ] || fail 'too few lines'

for workers in 1 2 5; do
    WEFT_WORKERS=$workers status 0 treesum tree
    same out wanted "the output differs with WEFT_WORKERS=$workers"
done

# From the disk, where the file system has one behind it and lets go of what it keeps: by the threads that may block.
find tree -type f -exec sync -d {} + -exec dd if={} iflag=nocache count=0 status=none \; 2>/dev/null
WEFT_BLOCKING_THREADS=3 status 0 treesum --stats tree
same out wanted 'the output differs for files that are not in the cache'
grep -q '^from disk: files ' err || fail 'the statistics do not say what came from the disk'

# --- arguments -------------------------------------------------------------------------------------------------

status 0 treesum tree/
same out wanted 'a slash behind the argument shows'
status 0 treesum tree//
same out wanted 'two slashes behind the argument show'

cd tree || exit 99
expected . >../wanted-dot
status 0 treesum
cd .. || exit 99
same out wanted-dot 'without an argument it is not the current directory'

expected tree/a tree/a0 tree/a- >wanted
status 0 treesum tree/a0 tree/a tree/a-
same out wanted 'several arguments'

# One within the other, and one twice: the order is that of all paths.
{
    expected tree/a tree/a- && expected tree/a/b && expected tree/a
} | sort -k 2 >wanted
status 0 treesum tree/a tree/a/b tree/a tree/a-
sort -k 2 -c out 2>check || { fail 'overlapping arguments are not sorted' && cat check; }
same out wanted 'overlapping arguments'

cp tree/a/one -- -file
echo minus >-
expected ./- >wanted
sha256sum -- -file >>wanted
status 0 treesum -- -file -
sort out >out.sorted
sort wanted >wanted.sorted
same out.sorted wanted.sorted 'names with a dash in front'

status 0 treesum tree/empty
empty out 'lines for an empty directory'

status 1 treesum tree/link-to-directory
empty out 'a symbolic link was followed'
grep -q 'tree/link-to-directory: .*symbolic link' err || fail 'no word about the symbolic link'
expected tree/link-to-directory/ >wanted
status 0 treesum tree/link-to-directory/
same out wanted 'a link with a slash behind it'

status 0 treesum --help
grep -q '^Usage: weft-treesum' out || fail '--help'
status 0 treesum --version
grep -Eq '^weft-treesum .*[0-9]+\.[0-9]+\.[0-9]+$' out || fail '--version'
status 2 treesum --no-such-option

# --- what cannot be read ---------------------------------------------------------------------------------------

expected tree/a >wanted
status 1 treesum no/such tree/a tree/pipe
same out wanted 'the rest did not go on'
grep -qx 'weft-treesum: no/such: No such file or directory' err || fail 'no reason for what is not there'
grep -q '^weft-treesum: tree/pipe: ' err || fail 'no reason for a pipe'
[ "$(wc -l <err)" = 2 ] || fail 'other than two lines on stderr'

# Permissions do not stop root, who therefore becomes nobody here.
unprivileged=()
[ "$(id -u)" != 0 ] || unprivileged=(setpriv --reuid 65534 --regid 65534 --clear-groups)
mkdir denied denied/directory
echo 1 >denied/directory/file
echo 2 >denied/file
echo 3 >$'denied/odd\nfile'
echo 4 >denied/fine
chmod 0 denied/directory denied/file denied/odd*
chmod a+x .
if ${unprivileged[@]+"${unprivileged[@]}"} test -x "$program" 2>err; then
    status 1 ${unprivileged[@]+"${unprivileged[@]}"} ${wrapper[@]+"${wrapper[@]}"} "$program" denied
    sha256sum denied/fine >wanted
    same out wanted 'the rest did not go on'
    sort err >err.sorted
    printf 'weft-treesum: denied/%s: Permission denied\n' directory/ file 'odd\nfile' >wanted
    same err.sorted wanted 'unreadable files are not reported as they should be'
else
    echo 'files without permission are not tried: nobody else than root may run the program'
fi
# Some files of the kernel can be opened, but not read. Root meets these, too.
if [ -f /proc/self/mem ] && ! cat /proc/self/mem >/dev/null 2>&1; then
    status 1 treesum tree/a /proc/self/mem
    grep -q '^weft-treesum: /proc/self/mem: Input/output error$' err || fail 'a read error is not reported'
fi
# And files that say that they are empty, but are not.
if [ -f /proc/version ]; then
    sha256sum /proc/version >wanted
    status 0 treesum /proc/version
    same out wanted 'a file of /proc'
fi

# --- output ----------------------------------------------------------------------------------------------------

treesum tree >/dev/full 2>err
[ $? = 2 ] || fail 'a full disk: wrong exit status'
grep -qx 'weft-treesum: standard output: No space left on device' err || fail 'a full disk: no reason'
treesum --help >/dev/full 2>err
[ $? = 2 ] || fail 'a full disk and --help: wrong exit status'
treesum tree >&- 2>err
[ $? = 2 ] || fail 'a closed output: wrong exit status'
# A reader that has gone: the pipe is opened for reading and writing, then the reading end is closed.
mkfifo gone
# shellcheck disable=SC2094
(
    exec 3<>gone 4>gone 3<&-
    treesum tree >&4 2>err
    echo $? >gone.status
)
[ "$(cat gone.status)" = 2 ] || fail 'a closed pipe: wrong exit status'
grep -qx 'weft-treesum: standard output: Broken pipe' err || fail 'a closed pipe: no reason'

# --- statistics and settings -----------------------------------------------------------------------------------

WEFT_WORKERS=3 status 0 treesum --stats tree
same out sums 'the output differs with --stats'
for name in tasks steals hops; do
    [ "$(grep -Ecx "$name [0-9]+" err)" = 1 ] || fail "--stats: no line '$name N'"
done
[ "$(grep -Ec '^worker [012]: files [0-9]+, ' err)" = 3 ] || fail '--stats: not one line for each worker'
directories=$(find tree -type d | wc -l)
[ "$(sed -n 's/^tasks //p' err)" -ge $((directories + $(wc -l <sums))) ] ||
    fail '--stats: fewer tasks than directories and files'
[ "$(sed -nE 's/^(worker .|from disk): files ([0-9]*),.*/\2/p' err | awk '{ n += $1 } END { print n }')" = "$(wc -l <sums)" ] ||
    fail '--stats: the files of the workers do not add up'

WEFT_WORKERS=banana status 2 treesum tree
empty out 'output in spite of WEFT_WORKERS=banana'
[ "$(cat err)" = 'weft: WEFT_WORKERS="banana": expected a number from 1 to 1024' ] ||
    { fail 'WEFT_WORKERS=banana: other than the one line' && cat err; }

# Files stay closed: with a handful of descriptors left it works all the same.
(ulimit -n 24 && WEFT_WORKERS=4 status 0 treesum tree && exit $failures) || failures=$((failures + 1))
same out sums 'the output differs with few file descriptors'

# A terminal shows a progress bar, which a pipe does not (the first check of all).
if [ ${#wrapper[@]} = 0 ] && command -v script >/dev/null; then
    script -qec "'$program' tree >out" /dev/null >terminal </dev/null
    grep -qE '\[#* *\] [0-9]+ of [0-9]+ files, ' terminal || fail 'no progress bar on a terminal'
    same out sums 'the output differs on a terminal'
fi

[ $failures = 0 ] && echo 'all as expected'
exit $((failures > 0))
