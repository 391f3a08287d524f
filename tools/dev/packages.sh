# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A part of ./dev: the Debian packages that a command needs, and their installation.

packages_build='build-essential meson ninja-build pkg-config liburcu-dev libssl-dev'
packages_test='abigail-tools libcmocka-dev mandoc python3 spin tcc'
packages_style='clang-format pyflakes3 shellcheck'
packages_clang='clang lld llvm'
packages_valgrind='valgrind'
packages_aarch64='gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
    liburcu-dev:arm64 libcmocka-dev:arm64 libssl-dev:arm64'

# installed PACKAGE[:ARCHITECTURE]: whether the package is installed. The default architecture is the machine's.
installed() {
    local arch=${1##*:}

    [ "$arch" != "$1" ] || arch=$(dpkg --print-architecture)
    dpkg-query -W -f '${db:Status-Status} ${Architecture}\n' "${1%%:*}" 2>/dev/null |
        grep -qxE "installed ($arch|all)"
}

# need PACKAGE...: installs the packages that are missing, and only those.
need() {
    local package missing=() as_root=()

    if ! command -v dpkg-query >/dev/null; then
        say "This is not a Debian system, so nothing is installed. These packages are needed, by their Debian names: $*"
        return
    fi
    for package in "$@"; do
        installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || die "packages are missing, and there is no apt-get to install them: ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            die "packages are missing, and without sudo only root can install them: ${missing[*]}"
        as_root=(sudo)
    fi
    say "Installing with apt: ${missing[*]}"
    if [[ "${missing[*]}" == *:arm64* ]] && ! dpkg --print-foreign-architectures | grep -qx arm64; then
        say "Adding the architecture arm64 to dpkg"
        "${as_root[@]}" dpkg --add-architecture arm64 || die "dpkg --add-architecture arm64 failed"
        apt_updated=
    fi
    mkdir -p build
    if [ -z "${apt_updated:-}" ]; then
        "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update >build/apt.log 2>&1 ||
            say "apt-get update failed (build/apt.log); trying with the existing package lists"
        apt_updated=yes
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
        install -y --no-install-recommends "${missing[@]}" >>build/apt.log 2>&1 </dev/null || {
        tail -n 20 build/apt.log >&2
        die "apt-get could not install: ${missing[*]}"
    }
}

# clang's sanitizer run-time library is a separate package, named after clang's version.
need_clang() {
    # shellcheck disable=SC2086
    need $packages_clang
    if command -v dpkg-query >/dev/null; then
        need "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
    fi
}
