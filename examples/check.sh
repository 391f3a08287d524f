#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What an example prints, against what other programs say, and its command line.
# Usage: check.sh NAME PROGRAM
set -u -o pipefail
export LC_ALL=C

# In a cross build meson says how to run a program.
read -r -a wrapper <<<"${MESON_EXE_WRAPPER:-}"
name=$1
program=$(realpath "$2")
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99
failures=0

fail() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# run WANTED ARGUMENT...: the program has to end with that status; its output is in out and err.
run() {
    local wanted=$1 got

    shift
    ${wrapper[@]+"${wrapper[@]}"} "$program" "$@" >out 2>err
    got=$?
    [ $got = "$wanted" ] || {
        fail "exit status $got, not $wanted: $name $*"
        head -n 20 err
    }
}

# same WHAT: the file expected is what the program printed.
same() {
    cmp expected out >/dev/null 2>&1 || {
        fail "$1"
        diff expected out | head -n 10
    }
}

run 0 --help
grep -q "^Usage: $name" out || fail "--help prints no usage"
run 2 --no-such-option
[ -s err ] || fail "a wrong option is not reported"

case $name in
matmul)
    for size in 1 65 100; do
        run 0 --size "$size"
        grep -qx 'the product is right' out || fail "--size $size: no result"
    done
    run 2 --size 0
    ;;
philosophers)
    for way in order waiter; do
        run 0 --seats 2 --meals 50 --way $way
        [ "$(grep -c '^philosopher .* 50 meals' out)" = 2 ] || fail "$way: not everybody ate"
        run 0 --seats 7 --meals 10 --think 200 --way $way
    done
    run 2 --way nobody
    run 2 --seats 1
    ;;
sieve)
    seq 2 600 | factor | awk 'NF == 2 { print $2 }' | head -n 100 >expected
    for buffer in 0 1 100; do
        run 0 --buffer $buffer
        same "the first 100 primes, with channels of $buffer"
    done
    run 0 1
    echo 2 >expected
    same "the first prime"
    run 2 0
    run 2 1 2
    ;;
pipeline)
    seq 1 3000 >numbers
    printf 'no newline at the end: 7' >rest
    : >empty
    for lanes in 1 4; do
        for depth in 0 5; do
            grep -Fn 77 numbers >expected
            run 0 --lanes $lanes --depth $depth 77 numbers
            same "all matches, $lanes lanes of $depth"
            head -n 3 expected >first && mv first expected
            run 0 --lanes $lanes --depth $depth --max-count 3 77 numbers
            same "the first matches, $lanes lanes of $depth"
        done
    done
    grep -Fn 7 numbers empty rest >expected
    run 0 7 numbers empty rest
    # grep says it when it has to add a newline by itself; both add one.
    same "several files"
    grep -Fn 99 numbers >expected
    run 0 99 <numbers
    same "standard input"
    # For ever, if the reader were not stopped.
    run 0 --max-count 1 y < <(yes)
    run 1 'not there' numbers
    run 2 77 numbers missing
    [ -s err ] || fail "a missing file is not reported"
    run 2
    ;;
resolver)
    seq 1 300 | awk '{ print "10.0." int($1 / 200) "." $1 % 200 "\talias" $1 " host" $1 " # host" $1 + 1 }' >hosts
    seq 1 300 | sed 's/^/host/' >names
    awk '{ print $3 " " $1 }' hosts >expected
    # The time limits are there for those who wait for ever; a busy machine does not reach them.
    run 0 --hosts hosts --names names --rate 100000 --parallel 20 --timeout 1000000
    same "300 names"
    run 0 --hosts hosts --rate 50 --timeout 1000000 host3 host2 alias1
    printf '%s\n' 'host3 10.0.0.3' 'host2 10.0.0.2' 'alias1 10.0.0.1' >expected
    same "names in the order of the questions"
    run 1 --hosts hosts --timeout 1000000 host1 nobody
    printf '%s\n' 'host1 10.0.0.1' 'nobody: No such file or directory' >expected
    same "a name that nobody has"
    run 1 --hosts missing --timeout 1000000 host1
    # The hanging one is late, or has been stopped; it is not waited for.
    run 1 --hosts hosts --timeout 20 --hanging host1 host1
    echo 'host1: Connection timed out' >expected
    same "a deadline for each name"
    run 1 --hosts hosts --timeout 1000000 --deadline 20 --parallel 1 --hanging host1 host1 host1 host1
    printf 'host1: Operation canceled\n%.0s' 1 2 3 >expected
    same "a deadline for all"
    run 0
    run 2 --names missing
    run 2 --rate 0
    ;;
*)
    fail "no checks for $name"
    ;;
esac
[ $failures = 0 ] && echo "$name prints what it should"
exit $((failures > 0))
