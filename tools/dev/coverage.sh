# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A part of ./dev: ./dev coverage.

# cover SUITE...: runs these tests in the coverage build. Prints the failures, and the coverage so far.
cover() {
    local suites=() suite

    for suite in "$@"; do
        suites+=(--suite "$suite")
    done
    tools/run_tests.py --note "$*: " --log build/coverage.log build/coverage -- --no-rebuild \
        --num-processes "$jobs" --timeout-multiplier 4 "${suites[@]}" || failed=yes
    tools/coverage.py --brief build/coverage
}

cmd_coverage() {
    local object=$root/build/coverage_dump.o link variable failed=''

    [ $# -eq 0 ] || die "coverage: takes no arguments"
    need_for gcc
    for variable in "${!WEFT_@}"; do
        unset "$variable"
    done
    umask 0 # lets a test that becomes another user write its counts
    mkdir -p build
    gcc -O1 -fPIC -c tools/coverage_dump.c -o "$object.new" || die "tools/coverage_dump.c cannot be compiled"
    # A change of this object alone makes ninja link nothing, so the build then starts again.
    cmp -s "$object.new" "$object" || rm -rf build/coverage
    mv "$object.new" "$object"
    link="--coverage $object -Wl,--wrap=abort -Wl,--wrap=_exit -Wl,--wrap=sigaction"
    if ! build coverage gcc -Dcontext=asm -Dexamples=false -Doptimization=1 -Db_coverage=true \
        -Dc_args=-fprofile-update=atomic -Dcpp_args=-fprofile-update=atomic "-Dc_link_args=$link" \
        "-Dcpp_link_args=$link"; then
        show_log build/coverage.log
        die "the build failed (build/coverage.log)"
    fi
    find build/coverage -name '*.gcda' -delete
    cover unit stress
    cover faults
    tools/coverage.py --minimum 95 build/coverage || failed=yes
    [ -z "$failed" ]
}
