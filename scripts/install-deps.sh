#!/usr/bin/env bash
# Installs the system packages that are needed to build, test and demonstrate ostree-go.
#
#   scripts/install-deps.sh [build|test|demo|bench|docs|fuzz|lint|rpm|deb]…      (default: build)
#
# Only missing packages are installed, so a second run needs neither root nor a network.
set -euo pipefail

export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:${CARGO_HOME:-$HOME/.cargo}/bin"

deb=() rpm=()

# want DEB RPM: adds a package, given by its names in Debian and Fedora
want() {
    deb+=("$1")
    rpm+=("$2")
}
# command_of NAME DEB RPM, library_of PKG-CONFIG-NAME DEB RPM: add the package if the command or library is missing
command_of() { command -v "$1" >/dev/null || want "$2" "$3"; }
library_of() { pkg-config --exists "$1" 2>/dev/null || want "$2" "$3"; }

need_rust() {
    command -v cargo >/dev/null && return
    cat >&2 <<'EOF'
error: no cargo found
ostree-go needs a newer Rust than distributions ship. Install it with rustup, https://rustup.rs:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
EOF
    exit 1
}

build() {
    need_rust
    command_of cc gcc gcc
    command_of pkg-config pkg-config pkgconf-pkg-config
    library_of ostree-1 libostree-dev ostree-devel
    library_of gio-2.0 libglib2.0-dev glib2-devel
}

# Packages for both the tests and the demo.
parts() {
    command_of ostree ostree ostree
    command_of bwrap bubblewrap bubblewrap
    command_of nginx nginx-light nginx
    command_of gpg gnupg gnupg2
    command_of qemu-aarch64-static qemu-user-static qemu-user-static-aarch64
    command_of curl curl curl
    command_of python3 python3 python3
    [[ -e /etc/ssl/certs/ca-certificates.crt || -e /etc/pki/tls/certs/ca-bundle.crt ]] ||
        want ca-certificates ca-certificates
}

demo() { parts; }

bench() {
    parts
    command_of openssl openssl openssl
    command_of xz xz-utils xz
    command_of buildah buildah buildah
}

tests() {
    parts
    python3 -c 'import yaml' 2>/dev/null || want python3-yaml python3-pyyaml
    lint
    rpm_tools
    # On other distributions, a .deb cannot be built, and its test is skipped.
    [[ ! -e /etc/debian_version ]] || deb_tools
    command_of bindfs bindfs bindfs
    command_of faketime faketime libfaketime
    command_of fish fish fish
    command_of groff groff-base groff-base
    command_of script bsdutils util-linux-script
    command_of zsh zsh zsh
    command_of zip zip zip
    command_of unzip unzip unzip
    command_of mount mount util-linux
    command_of unshare util-linux util-linux
    command_of xz xz-utils xz
    command_of openssl openssl openssl
    command_of pkcs11-tool opensc opensc
    command_of softhsm2-util softhsm2 softhsm
    command_of chromium chromium chromium
    command_of strace strace strace
    command_of losetup mount util-linux
    command_of mkfs.ext4 e2fsprogs e2fsprogs
    command_of mkfs.xfs xfsprogs xfsprogs
    command_of mksquashfs squashfs-tools squashfs-tools
    command_of mkfs.erofs erofs-utils erofs-utils
    command_of systemd-sysext systemd systemd
    command_of systemd-nspawn systemd-container systemd-container
    command_of debootstrap debootstrap debootstrap
    command_of nsenter util-linux util-linux
    command_of ignition-validate ignition ignition-validate
    [[ -e /usr/lib/dracut/modules.d/30ignition/ignition ]] || want ignition ignition
    command_of podman podman podman
    command_of buildah buildah buildah
    command_of skopeo skopeo skopeo
    command_of runc runc runc
    command -v docker-registry >/dev/null || command_of registry docker-registry docker-distribution
    command_of squid squid squid
    command_of tinyproxy tinyproxy-bin tinyproxy
    command_of zstd zstd zstd
    # Libraries for tests/ostree-container, in addition to libostree.
    library_of libzstd libzstd-dev libzstd-devel
    library_of openssl libssl-dev openssl-devel
}

docs() { need_rust; }

# libFuzzer is written in C++.
fuzz() { command_of c++ g++ gcc-c++; }

# On Fedora, rpmsign and rpmkeys are in separate packages.
rpm_tools() {
    command_of rpmbuild rpm rpm-build
    command_of rpmsign rpm rpm-sign
    command_of rpm2archive rpm rpm
}

deb_tools() { command_of dpkg-shlibdeps dpkg-dev dpkg-dev; }

# scripts/lint-workflows.sh downloads actionlint and zizmor.
lint() {
    command_of python3 python3 python3
    command_of shellcheck shellcheck ShellCheck
    python3 -c 'import ensurepip, venv' 2>/dev/null || want python3-venv python3
}

(($#)) || set -- build
for group; do
    case $group in
    build | demo | bench | docs | fuzz | lint) "$group" ;;
    test) tests ;;
    rpm) rpm_tools ;;
    deb) deb_tools ;;
    *)
        echo "error: no such group: $group (known: build, test, demo, bench, docs, fuzz, lint, rpm, deb)" >&2
        exit 2
        ;;
    esac
done
((${#deb[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
    command -v sudo >/dev/null || {
        echo "error: not root and no sudo; missing packages: ${deb[*]}" >&2
        exit 1
    }
    as_root=(sudo)
fi

if command -v apt-get >/dev/null; then
    mapfile -t packages < <(printf '%s\n' "${deb[@]}" | sort -u)
    echo "installing: ${packages[*]}" >&2
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${packages[@]}"
elif command -v dnf >/dev/null; then
    mapfile -t packages < <(printf '%s\n' "${rpm[@]}" | sort -u)
    echo "installing: ${packages[*]}" >&2
    "${as_root[@]}" dnf install -y -q --setopt=install_weak_deps=False "${packages[@]}"
else
    cat >&2 <<EOF
error: packages can only be installed with apt (Debian, Ubuntu) or dnf (Fedora)
Missing packages, with their names in Debian: ${deb[*]}
Missing packages, with their names in Fedora: ${rpm[*]}
EOF
    exit 1
fi
