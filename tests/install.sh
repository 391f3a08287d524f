#!/bin/bash
# SPDX-License-Identifier: MIT
# Uses Weft as a stranger would: installs it, compiles the README's programs against it with pkg-config, as C11 and as
# C++17 (the first one), dynamically and statically, and as a meson subproject; runs each.
#
# usage: tests/install.sh SOURCE_DIR BUILD_DIR
set -eu

source=$1
build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail()
{
    echo "install.sh: $*" >&2
    exit 1
}

# The program prints 1 to 9 in order of their sleeps, each with a worker's number.
check_output()
{
    sed 's/ on worker [0-9]*$//' "$1" | sort -n | paste -sd' ' | grep -qx '1 2 3 4 5 6 7 8 9' ||
        fail "wrong output of the README's program: $(cat "$1")"
}

meson install -C "$build" --no-rebuild --quiet --destdir "$work/root"
pc=$(find "$work/root" -name weft.pc)
[ -n "$pc" ] || fail "weft.pc is not installed"
export PKG_CONFIG_PATH=${pc%/weft.pc} PKG_CONFIG_SYSROOT_DIR=$work/root
export LD_LIBRARY_PATH=${pc%/pkgconfig/weft.pc}

mkdir "$work/empty"
cd "$work/empty"
# shellcheck disable=SC2016 # the backquotes are Markdown
sed -n '/^```c$/,/^```$/p' "$source/README.md" | awk '/^```c$/ { n++; next } /^```$/ { next } { print > n ".c" }'
{ [ -s 1.c ] && [ -s 2.c ]; } || fail "no two programs in the README"
[ "$(wc -l < 2.c)" -le 25 ] || fail "the README's server has more than 25 lines"
mv 1.c first.c
mv 2.c server.c
cp first.c first.cc

# shellcheck disable=SC2046
{
    ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror first.c $(pkg-config --cflags --libs weft) -o c11
    ${CXX:-c++} -std=c++17 -Wall -Wextra -Wpedantic -Werror first.cc $(pkg-config --cflags --libs weft) -o cxx17
    ${CC:-cc} -std=c11 first.c $(pkg-config --cflags weft) "$LD_LIBRARY_PATH/libweft.a" \
        $(PKG_CONFIG_SYSROOT_DIR='' pkg-config --static --libs-only-l weft | sed 's/-lweft//') -o static
}
for program in c11 cxx17 static; do
    ./$program > out || fail "$program ended with status $?"
    check_output out
done
ldd c11 | grep -q 'libweft\.so\.0' || fail "the soname is not libweft.so.0"
find "$work/root" -name weft-treesum -type f | grep -q . || fail "weft-treesum is not installed"

# The server echoes to two connections at once. Its port may be taken: then it says so, and another one is tried.
served=
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    port=$((20000 + (RANDOM + attempt) % 10000))
    sed "s/7000/$port/g" server.c > server-port.c
    # shellcheck disable=SC2046
    ${CC:-cc} -std=c11 -Wall -Wextra -Wpedantic -Werror server-port.c $(pkg-config --cflags --libs weft) -o server
    ./server 2> err &
    server=$!
    until exec 3<> "/dev/tcp/127.0.0.1/$port"; do
        kill -0 $server || break
        sleep 0.01
    done 2> /dev/null
    if kill -0 $server 2> /dev/null && exec 4<> "/dev/tcp/127.0.0.1/$port"; then
        echo "from the first" >&3
        echo "from the second" >&4
        read -r -t 30 second <&4
        read -r -t 30 first <&3
        [ "$first, $second" = "from the first, from the second" ] || fail "the README's server: $first, $second"
        exec 3>&- 4>&-
        served=yes
        kill $server
        wait $server || true
        break
    fi
    wait $server || true
    grep -q "port $port: Address already in use" err || fail "the README's server: $(cat err)"
done
[ -n "$served" ] || fail "there is no port for the README's server"

# A mistake says what it is.
if WEFT_WORKERS=banana ./c11 2> err > out; then
    fail "WEFT_WORKERS=banana was accepted"
fi
if [ "$(wc -l < err)" != 1 ] || ! grep -q 'WEFT_WORKERS="banana"' err; then
    fail "unclear error: $(cat err)"
fi

# A frame that is larger than stack and guard is caught if it is compiled as advised.
cat > frame.c << 'END'
#include <string.h>
#include <weft/weft.h>

static void *large(void *arg)
{
	volatile char frame[2 << 20];

	frame[0] = 1; /* the lowest byte, far below the guard */
	return frame[0] ? arg : NULL;
}

static void *start(void *arg)
{
	weft_task *task;

	return weft_spawn(large, arg, &task) == 0 && weft_join(task, NULL) == 0 ? NULL : arg;
}

int main(void)
{
	return weft_run(start, NULL, NULL) < 0;
}
END
# shellcheck disable=SC2046
${CC:-cc} frame.c $(pkg-config --variable=stack_cflags weft) $(pkg-config --cflags --libs weft) -o frame 2> err ||
    fail "-fstack-clash-protection: $(cat err)"
grep -q 'frame-larger-than' err || fail "no warning about a frame of 2 MiB"
(ulimit -c 0; ./frame) 2> err && fail "a frame of 2 MiB was not noticed"
grep -q 'weft: .*stack' err || fail "a frame of 2 MiB: $(cat err)"

# As a subproject.
mkdir -p app/subprojects
ln -s "$source" app/subprojects/weft
cp first.c app/
cat > app/meson.build << 'END'
project('app', 'c', default_options: ['c_std=c11'])
weft = subproject('weft', default_options: ['tests=false', 'stress=false', 'examples=false'])
executable('app', 'first.c', dependencies: weft.get_variable('weft_dep'))
END
env -u PKG_CONFIG_SYSROOT_DIR meson setup app/build app > log 2>&1 || { cat log; fail "meson setup of a subproject"; }
ninja -C app/build > log 2>&1 || { cat log; fail "build of a subproject"; }
app/build/app > out
check_output out
echo "installed, compiled as C11, as C++17, statically and as a subproject: all run, and so does the server"
