# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A part of ./dev: ./dev test.

# ThreadSanitizer of gcc 12 and clang 14 stops with "unexpected memory mapping" if the kernel randomises addresses by
# more bits than the tool knows. Its programs then run without randomisation.
tsan_wrapper() {
    local bits

    bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
    [ "$bits" -gt 28 ] || return 0
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        echo "setarch $(uname -m) -R"
    else
        die "ThreadSanitizer cannot work with vm.mmap_rnd_bits=$bits, and setarch -R is not permitted here;" \
            "sysctl vm.mmap_rnd_bits=28 helps"
    fi
}

sanitizer_environment() {
    # By default each program sleeps for a second before it ends.
    export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:atexit_sleep_ms=50
    export ASAN_OPTIONS=detect_stack_use_after_return=1
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
}

# add STAGE FILE: adds the counts of tools/run_tests.py to passed, failed and skipped, and the failed tests to failures.
add() {
    local counts=(0 1 0) names=('its tests could not be run') name

    if [ -s "$2" ]; then
        read -r -a counts <"$2"
        mapfile -t names < <(tail -n +2 "$2")
    fi
    passed=$((passed + counts[0]))
    failed=$((failed + counts[1]))
    skipped=$((skipped + counts[2]))
    for name in ${names[@]+"${names[@]}"}; do
        failures+=("$1: $name")
    done
}

# More processes than processors, because many tests sleep for much of their time.
test_processes=$((jobs + jobs / 2))

building= # the process group of the builds that run ahead

# build_ahead NAME...: begins to build the configurations, one after the other, while the tests of earlier ones run. Tests
# wait for much of their time, and the builds use the processors meanwhile. Each build leaves its exit status in a file.
build_ahead() {
    local name

    for name in "$@"; do
        rm -f "build/$name.built"
    done
    set -m # makes it a process group, which can be ended
    (
        renice -n 5 -p "$BASHPID" >/dev/null 2>&1
        for name in "$@"; do
            build_configuration "$name"
            echo $? >"build/$name.built"
        done
    ) &
    building=$!
    set +m
}

# wait_for_build NAME: prints once a minute how far the build is. Returns its exit status.
wait_for_build() {
    local waited=0 step

    # There is nothing else to do now, so the build gets its priority back. Only root may do this.
    renice -n 0 -g "$building" >/dev/null 2>&1
    while [ ! -s "build/$1.built" ] && kill -0 "$building" 2>/dev/null; do
        sleep 1
        waited=$((waited + 1))
        [ $((waited % 60)) = 0 ] || continue
        step=$(grep -oE '^\[[0-9]+/[0-9]+\]' "build/$1.log" 2>/dev/null | tail -n 1 | tr -d '[]')
        say "  after $waited s: ${step:-0} steps of the build"
    done
    renice -n 5 -g "$building" >/dev/null 2>&1
    [ "$(cat "build/$1.built" 2>/dev/null)" = 0 ]
}

# test_one NAME: tests a configuration that build_ahead builds. Adds to passed, failed, skipped and failures.
test_one() {
    local name=$1 dir=build/$1 started=$SECONDS wrapper='' scale='' built status

    wait_for_build "$name"
    status=$?
    built=$((SECONDS - started))
    if [ $status != 0 ]; then
        say "  FAILED: the build (build/$name.log)"
        show_log "build/$name.log"
        failed=$((failed + 1))
        failures+=("$name: the build")
        return
    fi
    look_up "$name"
    case $name in
    *tsan*)
        wrapper=$(tsan_wrapper) || exit 2
        # Each task has a fiber, which takes a third of a millisecond to make (tests/meson.build).
        case $name in *tsan-user*) scale=10 ;; esac
        ;;
    valgrind)
        wrapper='valgrind --quiet --fair-sched=yes --error-exitcode=99 --leak-check=full'
        wrapper+=' --errors-for-leak-kinds=definite'
        scale=20
        ;;
    aarch64*) scale=20 ;;
    esac
    rm -f "$dir/stress/mutants/mutants.txt" "build/$name.counts"
    (
        [ -n "$scale" ] && export WEFT_TEST_SCALE=$scale
        tools/run_tests.py --note "waited $built s for the build; " --counts "build/$name.counts" \
            --log "build/$name.log" "$dir" -- --setup all --no-rebuild --num-processes "$test_processes" \
            --timeout-multiplier "$slow" ${wrapper:+--wrapper="$wrapper"}
    )
    add "$name" "build/$name.counts"
    [ ! -f "$dir/stress/mutants/mutants.txt" ] || sed 's/^/  /' "$dir/stress/mutants/mutants.txt"
}

# test_quick: runs the quick tests in the folder of gcc. Builds only what they need.
test_quick() {
    [ -z "$building" ] || wait "$building" # it may be about to build the same folder
    if ! with_configuration set_up gcc; then
        say "  FAILED: the setup (build/gcc.log)"
        show_log build/gcc.log
        failed=$((failed + 1))
        failures+=("quick: the setup")
        return
    fi
    rm -f build/quick.counts
    tools/run_tests.py --counts build/quick.counts --log build/quick.log build/gcc -- --setup quick \
        --num-processes "$test_processes"
    add quick build/quick.counts
}

cmd_test() {
    local names=() builds=() name i=0 variable passed=0 failed=0 skipped=0 failures=() started=$SECONDS

    if [ "${1:-}" = --list ]; then
        printf '%-30s %s\n' style 'clang-format, shellcheck, pyflakes' quick 'style, and the quick tests of gcc'
        configurations | while IFS='|' read -r name kind slow args; do
            printf '%-30s %s\n' "$name" "${args//$root\//}"
        done
        return
    fi
    for name in "$@"; do
        case $name in
        style) names+=(style) ;;
        quick) names+=(style quick) ;;
        *)
            look_up "$name" || die "test: there is no configuration '$name'. There are: style quick" \
                "$(configurations | cut -d'|' -f1 | paste -sd' ')"
            names+=("$name")
            ;;
        esac
    done
    [ ${#names[@]} -gt 0 ] || mapfile -t names < <(echo style && configurations | cut -d'|' -f1)

    # Tests set the variables that they need. The user's own settings must not change the tests.
    for variable in "${!WEFT_@}"; do
        unset "$variable"
    done
    sanitizer_environment
    for name in "${names[@]}"; do
        if look_up "$name"; then builds+=("$name"); else kind=$name; fi
        need_for "$kind"
    done
    trap '[ -z "$building" ] || kill -- "-$building" 2>/dev/null' EXIT
    for name in "${names[@]}"; do
        i=$((i + 1))
        say "[$i/${#names[@]}] $name"
        case $name in
        style) test_style ;;
        quick) test_quick ;;
        *)
            [ -n "$building" ] || build_ahead "${builds[@]}"
            test_one "$name"
            ;;
        esac
    done
    say "the tests took $((SECONDS - started)) s in all"
    for name in ${failures[@]+"${failures[@]}"}; do
        say "failed: $name"
    done
    say "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
}
