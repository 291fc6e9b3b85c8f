# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# chroot.sh: distributions to build and test in, kept from run to run
#
# Sourced after common.sh. Needs root and mmdebstrap. The chroots lie in the cache of
# common.sh: delete one to have it made anew.

# shellcheck disable=SC2154 # of common.sh
chroot_cache=$cache/chroots

# shellcheck disable=SC2034 # for those who source this
# What building needs, without a database's client library, and what the tests run
chroot_build_packages=(
    gcc libc6-dev make pkg-config libsystemd-dev libjson-c-dev libinih-dev libcmocka-dev scdoc
)
# shellcheck disable=SC2034
chroot_test_packages=(
    qemu-guest-agent python3 python3-pytest python3-pytest-xdist python3-pymysql
    e2fsprogs util-linux mount procps passwd openssl
)

# chroot_make NAME SUITE PACKAGE...: makes the chroot NAME of the Debian SUITE unless it
# is there with just these packages
chroot_make() {
    local suite=$2 root=$chroot_cache/$1 wanted
    shift 2
    wanted="$suite $*"
    if [ -e "$root.packages" ] && [ "$(cat "$root.packages")" = "$wanted" ]; then
        return
    fi
    if ! command -v mmdebstrap >/dev/null; then
        echo "install the package mmdebstrap" >&2
        return 1
    fi
    mkdir -p "$chroot_cache"
    rm -rf --one-file-system "$root" "$root.packages"
    echo "making $root"
    # a mirror may lag behind, or the machine's clock; what comes is signed all the same
    mmdebstrap --quiet --mode=root --variant=minbase --include="$(IFS=,; echo "$*")" \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "4"' \
        --aptopt='Acquire::Check-Valid-Until "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        "$suite" "$root" "${QUIESCED_DEBIAN_MIRROR:-http://deb.debian.org/debian}" \
        >"$root.log" 2>&1 || {
        tail -n 20 "$root.log" >&2
        return 1
    }
    echo "$wanted" >"$root.packages"
}

# chroot_run NAME SOURCE WORK COMMAND...: runs the command in NAME, in namespaces that
# end with it. SOURCE is /src there, read-only, and the directory WORK is /work.
chroot_run() {
    local root=$chroot_cache/$1 source=$2 work=$3
    shift 3
    mkdir -p "$root/src" "$root/work"
    # mariadb-install-db looks itself up
    echo "127.0.0.1 localhost $(hostname)" >"$root/etc/hosts"
    # shellcheck disable=SC2016 # expanded by the inner shell
    unshare --mount --pid --fork --kill-child --propagation private -- sh -euc '
        root=$1 source=$2 work=$3
        shift 3
        # a mount of its own: the tests make theirs private, which takes one
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --rbind /sys "$root/sys"
        mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
        mount --bind "$source" "$root/src"
        mount -o remount,bind,ro "$root/src"
        mount --bind "$work" "$root/work"
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
            QUIESCED_TEST_JOBS="${QUIESCED_TEST_JOBS-}" "$@"' \
        sh "$root" "$source" "$work" "$@"
}
