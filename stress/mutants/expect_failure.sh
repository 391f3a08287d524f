#!/bin/sh
# SPDX-License-Identifier: MIT
#
# expect_failure.sh STATUSES REAL MUTANT... -- COMMAND...
#
# Runs COMMAND for REAL and for each MUTANT, which take the place of the word {}, and prints the results. REAL must exit
# with 0. At least one MUTANT must exit with one of STATUSES, which are words separated by blanks. The word "any" means
# any failure of a program that ran: a report, a crash, an abort, or a hang. Exits with 0 only if all of this is so.
# Otherwise the mutant has survived.
set -u
# shellcheck disable=SC3045 # dash and bash both have this option
ulimit -c 0
limit=600 # seconds; only a hang reaches it
statuses=$1 real=$2
shift 2
mutants=
while [ "$1" != -- ]; do
    mutants="$mutants $1"
    shift
done
shift

# The wrapper that Meson uses for programs of another machine. Other commands are this machine's.
wrapper=
[ "$1" = '{}' ] && wrapper=${MESON_EXE_WRAPPER:-}

# run PROGRAM COMMAND...: sets `status`. Prints the output's first lines, which contain the first failure.
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

# ran STATUS: false for a status that means bad options or a missing program.
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

echo "$real: must pass"
run "$real" "$@"
if [ "$status" != 0 ]; then
    echo "  exit status $status: a failure without the bug"
    exit 1
fi
caught=0 survived=0
for mutant in $mutants; do
    echo "$mutant: must fail"
    run "$mutant" "$@"
    if expected "$status"; then
        echo "  caught, exit status $status"
        caught=$((caught + 1))
    elif [ "$status" = 0 ]; then
        echo "  survived"
        survived=$((survived + 1))
    else
        echo "  exit status $status, which decides nothing"
        exit 1
    fi
done
echo "$caught of $((caught + survived)) builds of the mutant were caught"
[ "$caught" -gt 0 ]
