#!/bin/sh
# SPDX-License-Identifier: MIT
#
# expect_failure.sh STATUSES REAL MUTANT... -- COMMAND...
#
# Runs COMMAND for REAL and for each MUTANT, in the place of its word {}, and prints what came of it. REAL has to exit
# with 0, and at least one MUTANT with one of STATUSES (words, separated by blanks; "any" is any failure of a program
# that ran: what it reports, a crash, an abort, or no end). Exits with 0 only then: a mutant that none of its builds
# shows has survived.
set -u
ulimit -c 0
limit=600 # seconds: only for what hangs
statuses=$1 real=$2
shift 2
mutants=
while [ "$1" != -- ]; do
    mutants="$mutants $1"
    shift
done
shift

# What programs for another machine are run with, as Meson says; other commands are this machine's.
wrapper=
[ "$1" = '{}' ] && wrapper=${MESON_EXE_WRAPPER:-}

# run PROGRAM COMMAND...: sets `status`. The output's first lines are printed, which is where the first failure is.
run() {
    program=$1
    shift
    for word in "$@"; do
        shift
        [ "$word" = '{}' ] && word=$program
        set -- "$@" "$word"
    done
    # shellcheck disable=SC2086
    output=$(timeout -k 5 "$limit" $wrapper "$@" 2>&1 </dev/null)
    status=$?
    printf '%s\n' "${output:-(no output)}" | sed -n '1,6s/^/    | /p'
}

# What a shell, timeout or a program says when there was nothing to see: bad options, or no such program.
ran() {
    case $1 in
    2 | 125 | 126 | 127) return 1 ;;
    esac
}

expected() {
    [ "$statuses" = any ] && [ "$1" -ne 0 ] && ran "$1" && return 0
    case " $statuses " in
    *" $1 "*) return 0 ;;
    esac
    return 1
}

echo "$real: has to pass"
run "$real" "$@"
if [ "$status" != 0 ]; then
    echo "  exit status $status: a failure without the bug"
    exit 1
fi
caught=0 survived=0
for mutant in $mutants; do
    echo "$mutant: has to fail"
    run "$mutant" "$@"
    if expected "$status"; then
        echo "  caught, exit status $status"
        caught=$((caught + 1))
    elif [ "$status" = 0 ]; then
        echo "  survived"
        survived=$((survived + 1))
    else
        echo "  exit status $status, which says nothing"
        exit 1
    fi
done
echo "$caught of $((caught + survived)) builds of the mutant were caught"
[ "$caught" -gt 0 ]
