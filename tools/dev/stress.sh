# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A part of ./dev: ./dev stress.

is_number() {
    [[ $1 =~ ^[0-9]{1,18}$ ]]
}

# Each function below gets its share of the seconds. It counts its runs in `ran`. For each failed run it adds a line to
# `failures` that says how to repeat the run.

# stress_programs SECONDS SEED BUILD...: runs every stress program of these builds with 2, 8 and 32 workers. Every other run
# uses WEFT_CHAOS, and every fourth run has a hop at each resume. A run with chaos in one build has none in the next.
stress_programs() {
    local seconds=$1 seed=$2 programs=() runs=() name program n each wrapper run status how i=0

    shift 2
    wrapper=$(tsan_wrapper) || exit 2
    for name in "$@"; do
        say "building $name"
        if ! build_configuration "$name"; then
            show_log "build/$name.log"
            die "the build of $name failed"
        fi
        mapfile -t programs < <(find "build/$name/stress" -maxdepth 1 -type f -perm -u+x -name 'stress-*' | sort)
        [ ${#programs[@]} -gt 0 ] || die "there are no stress programs in build/$name/stress"
        for program in "${programs[@]}"; do
            for n in 2 8 32; do
                runs+=("$n $program")
            done
        done
    done
    each=$((seconds / ${#runs[@]}))
    [ "$each" -ge 1 ] || each=1
    say "seed $seed: ${#runs[@]} runs of $each s"
    for run in "${runs[@]}"; do
        read -r n program <<<"$run"
        how="WEFT_WORKERS=$n"
        [ $((i % 2)) = 0 ] || how+=" WEFT_CHAOS=$(((seed + i) % 1000000007))"
        [ $((i % 4)) != 3 ] || how+=,hop
        i=$((i + 1))
        name=
        case $program in
        *tsan*) name=$wrapper ;;
        esac
        printf '%s %s' "$how" "$program"
        # A run without progress must not hang the whole command.
        # shellcheck disable=SC2086
        env $how timeout -k 10 $((each * 10 + 120)) $name "$program" --seconds "$each" --seed "$seed" \
            >build/stress.log 2>&1 </dev/null
        status=$?
        ran=$((ran + 1))
        case $status in
        0) say ": ok" ;;
        77) say ": skipped: $(tail -n 1 build/stress.log)" ;;
        *)
            say ": FAILED, exit status $status"
            tail -n 200 build/stress.log | sed 's/^/    | /'
            failures+=("$how${name:+ $name} $program --seconds $each --seed $seed")
            ;;
        esac
    done
}

# long_form COMMAND...: runs a command that has no time limit here.
long_form() {
    local started=$SECONDS

    printf '%s' "$*"
    ran=$((ran + 1))
    if "$@" >build/stress.log 2>&1 </dev/null; then
        say ": ok, $((SECONDS - started)) s"
    else
        say ": FAILED"
        tail -n 200 build/stress.log | sed 's/^/    | /'
        failures+=("$*")
    fi
}

# stress_faults SECONDS SEED: makes every n-th call of every fault fail, in one workload after the other. The numbers of
# workers are not those of the short form. The seed decides which workload is first. The workload that runs when the time
# is up is the last.
stress_faults() {
    local until=$((SECONDS + $1)) i=$2 workers=(1 2 4 8) count=0
    local workloads=(tasks forks stacks runtime sync chan start blocking outside)

    # Nine workloads with four numbers of workers.
    while [ $count = 0 ] || { [ $SECONDS -lt $until ] && [ $count -lt 36 ]; }; do
        long_form tests/faults/run.py --preload build/gcc/tests/faults/libweft-faults.so \
            --program build/gcc/tests/faults/faults-workload --long --workers "${workers[i % 4]}" \
            "${workloads[i % 9]}"
        i=$(((i + 1) % 36))
        count=$((count + 1))
    done
}

stress_models() {
    local model

    for model in $(tests/models/run.py --list); do
        long_form tests/models/run.py --long "$model"
    done
}

cmd_stress() {
    local seconds=60 seed all='' ran=0 failures=() run variable builds=(gcc-tsan-user gcc-tsan-user-ucontext
        gcc-tsan-scheduler clang-tsan-user clang-tsan-scheduler clang-tsan-scheduler-ucontext)

    seed=$(($(od -An -N4 -tu4 /dev/urandom)))
    while [ $# -gt 0 ]; do
        case $1 in
        --all)
            all=yes
            shift
            continue
            ;;
        esac
        is_number "${2:-}" || die "stress: $1 needs a number"
        case $1 in
        --seconds) seconds=$((10#$2)) ;;
        --seed) seed=$((10#$2)) ;;
        *) die "stress: unknown option '$1'" ;;
        esac
        shift 2
    done
    [ "$seconds" -lt 300 ] || all=yes
    for variable in "${!WEFT_@}"; do
        unset "$variable"
    done
    need_for clang
    sanitizer_environment
    if [ -z "$all" ]; then
        stress_programs "$seconds" "$seed" "${builds[@]}"
    else
        stress_programs $((seconds / 2)) "$seed" gcc clang "${builds[@]}"
        stress_faults $((seconds / 4)) "$((seed % 36))"
        stress_models
    fi
    for run in ${failures[@]+"${failures[@]}"}; do
        say "failed: $run"
    done
    say "seed $seed: $((ran - ${#failures[@]})) of $ran runs without a failure"
    [ ${#failures[@]} = 0 ]
}
