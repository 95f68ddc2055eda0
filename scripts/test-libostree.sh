#!/usr/bin/env bash
# Runs end-to-end tests with the libostree and the tools of another Debian release.
#
#   scripts/test-libostree.sh [FILTER]…      (default: the core workflow; a filter is part of a test's name)
#
# The tests are compiled here, against the oldest supported libostree, and executed in a chroot with a newer one, as a
# binary package is. The chroot is created once, in OSTREE_GO_CHROOT. Needs root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

suite=${OSTREE_GO_SUITE:-sid}
chroot=$(realpath -m "${OSTREE_GO_CHROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/ostree-go-tests/debian-$suite}")
mirror=${OSTREE_GO_MIRROR:-http://deb.debian.org/debian}
packages=(
    bubblewrap ca-certificates composefs curl erofs-utils faketime gnupg mount nginx-light openssl ostree procps python3
    python3-yaml qemu-user strace unzip util-linux xz-utils zip zstd
)
filters=(
    checkout:: compose_flags:: composefs:: delta:: delta_signed:: deploy:: deploy_root:: journey:: publish:: publish_atomic:: pull::
    pull_mirror:: real_sdk:: sign::
)

# cargo calls this script again to execute the tests.
if [[ ${1:-} == --inside ]]; then
    shift
    # The mounts exist only in the mount namespace of this process.
    for path in /proc /sys /dev /tmp "$PWD" "${CARGO_TARGET_DIR:-$PWD}" "$HOME"; do
        path=$(realpath "$path")
        mkdir -p "$chroot$path"
        mount --rbind "$path" "$chroot$path"
    done
    exec chroot "$chroot" /usr/bin/env -C "$OLDPWD" PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
fi

if [[ $(id -u) != 0 ]]; then
    echo "error: this script creates a chroot and mounts, which only root can do" >&2
    exit 1
fi
if [[ ! -e $chroot/created ]]; then
    command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap
    rm -rf "$chroot"
    mkdir -p "$chroot"
    debootstrap --variant=minbase "$suite" "$chroot" "$mirror"
    chroot "$chroot" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
    # In Debian 12, the statically linked programs have names of their own.
    ln -s qemu-aarch64 "$chroot/usr/bin/qemu-aarch64-static"
    touch "$chroot/created"
fi
chroot "$chroot" ostree --version | sed -n "s/^ *Version: '\(.*\)'/libostree \1 in $suite/p"

script=$PWD/scripts/test-libostree.sh
target=$(rustc -vV | sed -n 's/^host: //p')
variable=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$target")_RUNNER
export CI=${CI:-true} OSTREE_GO_CHROOT=$chroot
[[ $# -gt 0 ]] || set -- "${filters[@]}"
exec env "$variable=unshare --mount --propagation private $script --inside" \
    cargo test --workspace --lib --test e2e --locked -- "$@"
