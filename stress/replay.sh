#!/bin/sh
# SPDX-License-Identifier: MIT
#
# replay.sh ROUNDS PROGRAM
#
# Runs a stress program with virtual time, twice for each of a few seeds of WEFT_CHAOS, and compares what was done and
# the hash of the schedule. The same seed has to give the same, other seeds something else.
set -u
unset WEFT_WORKERS
rounds=$1 program=$2
said=

# What programs for another machine are run with, as Meson says.
wrapper=${MESON_EXE_WRAPPER:-}

# play CHAOS: prints the two lines.
play() {
    # shellcheck disable=SC2086
    output=$(WEFT_STATS=1 WEFT_CHAOS=$1,virtual $wrapper "$program" --rounds "$rounds" --seed 1 2>&1 </dev/null)
    status=$?
    if [ $status != 0 ]; then
        printf '%s\n' "$output" >&2
        return $status
    fi
    printf '%s\n' "$output" | sed -n 's/.*chaos: seed [0-9]*, //p; s/.*: ok, //p'
}

for chaos in 1 2 3; do
    first=$(play $chaos) || exit 1
    second=$(play $chaos) || exit 1
    printf 'WEFT_CHAOS=%s,virtual\n%s\n' "$chaos" "$first"
    case $first in
    *schedule*done*) ;;
    *)
        echo "not what was to be compared"
        exit 1
        ;;
    esac
    if [ "$first" != "$second" ]; then
        printf 'the second time:\n%s\n' "$second"
        exit 1
    fi
    case $said in
    *"|$first|"*)
        echo "the same as with another seed"
        exit 1
        ;;
    esac
    said="$said|$first|"
done
