# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A part of ./dev: the configurations, and their builds below build/.

# name | kind | factor for the timeouts, as much as it is slower than native | arguments of meson setup
configurations() {
    local release='-Dwerror=true'
    # Line numbers are enough for a report, and -g1 compiles a quarter faster.
    local debug='-Dbuildtype=debugoptimized -Dc_args=-g1 -Dcpp_args=-g1'
    local sanitize="$debug -Db_lundef=false"
    local tsan="$sanitize -Db_sanitize=thread"
    local asan="$sanitize -Db_sanitize=address,undefined"
    # Without the examples and the guide, which find little more with each further backend.
    local library='-Dexamples=false'

    cat <<END
gcc|gcc|1|$release -Dcontext=asm -Dmutants=true
gcc-ucontext|gcc|1|$release -Dcontext=ucontext $library
clang|clang|1|$release -Dcontext=asm
clang-ucontext|clang|1|$release -Dcontext=ucontext $library
gcc-lto|gcc|1|-Db_lto=true -Dcontext=asm -Dmutants=true -Dtests=false $library
gcc-fortify-ucontext|gcc|1|-Dcontext=ucontext -Dc_args=-D_FORTIFY_SOURCE=2 $library -Dstress=false
gcc-asan|gcc|4|$asan -Dcontext=asm -Dlockcheck=true
clang-asan-ucontext|clang|4|$asan -Dcontext=ucontext $library
gcc-tsan-user|gcc|4|$tsan -Dtsan=user -Dcontext=asm
gcc-tsan-user-ucontext|gcc|4|$tsan -Dtsan=user -Dcontext=ucontext $library
gcc-tsan-scheduler|gcc|4|$tsan -Dtsan=scheduler -Dcontext=asm $library
clang-tsan-user|clang|4|$tsan -Dtsan=user -Dcontext=asm
clang-tsan-scheduler|clang|4|$tsan -Dtsan=scheduler -Dcontext=asm $library
clang-tsan-scheduler-ucontext|clang|4|$tsan -Dtsan=scheduler -Dcontext=ucontext $library
valgrind|valgrind|10|$debug -Dcontext=asm $library
END
    # On an aarch64 machine the configurations above are native, so these two are only for x86_64.
    if [ "$(uname -m)" = x86_64 ]; then
        cat <<END
aarch64|aarch64|6|$release -Dcontext=asm -Dmutants=true --cross-file=$root/tools/aarch64.ini
aarch64-ucontext|aarch64|6|$release -Dcontext=ucontext $library --cross-file=$root/tools/aarch64.ini
END
    fi
}

# look_up NAME: sets kind, slow and args.
look_up() {
    local found

    while IFS='|' read -r found kind slow args; do
        [ "$found" != "$1" ] || return 0
    done < <(configurations)
    return 1
}

need_for() {
    # shellcheck disable=SC2086
    case $1 in
    # The tests run without these. A check whose program is not there is skipped.
    style) (need $packages_style) || : ;;
    clang) need $packages_build $packages_test && need_clang ;;
    valgrind) need $packages_build $packages_test $packages_valgrind ;;
    aarch64) need $packages_build $packages_test $packages_aarch64 ;;
    *) need $packages_build $packages_test ;;
    esac
}

# set_up DIR COMPILER ARGUMENT...: sets the build folder up if it is new or has other arguments.
set_up() {
    local dir=build/$1 compiler=$2 log=build/$1.log key

    shift 2
    key="$compiler $*"
    mkdir -p build
    if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.dev-arguments" 2>/dev/null)" != "$key" ]; then
        rm -rf "$dir"
        CC=$compiler CFLAGS='' LDFLAGS='' meson setup "$dir" "$@" >"$log" 2>&1 </dev/null || return 1
        printf '%s\n' "$key" >"$dir/.dev-arguments"
    fi
}

# build DIR COMPILER ARGUMENT...: sets the folder up if necessary, and builds it.
build() {
    set_up "$@" && ninja -C "build/$1" -j "$jobs" >"build/$1.log" 2>&1
}

# with_configuration COMMAND NAME: runs set_up or build for a configuration.
with_configuration() {
    local compiler=gcc

    look_up "$2"
    [ "$kind" = clang ] && compiler=clang
    # shellcheck disable=SC2086
    "$1" "$2" "$compiler" $args
}

build_configuration() {
    with_configuration build "$1"
}
