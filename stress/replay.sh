#!/bin/sh
# SPDX-License-Identifier: MIT
#
# replay.sh ROUNDS PROGRAM
#
# Runs a stress program with virtual time, twice for each of a few seeds of WEFT_CHAOS. Compares the amount of work and
# the hash of the schedule. The same seed must give the same result, and other seeds another one.
set -u
unset WEFT_WORKERS
rounds=$1 program=$2
said=

# The wrapper that Meson uses for programs of another machine.
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
        echo "the output has no schedule and no amount of work to compare"
        exit 1
        ;;
    esac
    if [ "$first" != "$second" ]; then
        printf 'the second run differs:\n%s\n' "$second"
        exit 1
    fi
    case $said in
    *"|$first|"*)
        echo "another seed gave the same result"
        exit 1
        ;;
    esac
    said="$said|$first|"
done
