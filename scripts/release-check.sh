#!/usr/bin/env bash
# Checks what a release consists of: the packages of both crates, the RPM and the .deb. `make release-check` builds the RPM
# and the .deb first; this script builds the packages of the crates.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
crates=(ostree-go-sdk ostree-go-cli)
# Files that both the RPM and the .deb have to contain.
installed=(
    usr/bin/ostree-go
    usr/lib/systemd/system/ostree-go-proxy.service
    usr/lib/systemd/system/ostree-go-proxy.socket
    usr/share/bash-completion/completions/ostree-go
    usr/share/doc/ostree-go/README.md
    usr/share/doc/ostree-go/examples/hooks/50-gomod-sync
    usr/share/fish/vendor_completions.d/ostree-go.fish
    usr/share/man/man1/ostree-go-compose.1
    usr/share/man/man1/ostree-go.1
    usr/share/ostree-go/treefiles/base.yaml
)

fail() {
    echo "error: $*" >&2
    exit 1
}

# contains WHAT LIST FILE…: fails if a file is missing in the list
contains() {
    local what=$1 list=$2 file
    for file in "${@:3}"; do
        grep -qxF "$file" <<<"$list" || fail "$what does not contain $file"
    done
}

# is WHAT FOUND EXPECTED
is() { [[ $2 == "$3" ]] || fail "$1 is $2, expected $3"; }

# one_file PATTERN…: prints the path of the only file that matches
one_file() {
    [[ $# == 1 && -e $1 ]] || fail "expected one file, found $*"
    echo "$1"
}

grep -qF "## [$version]" CHANGELOG.md || fail "CHANGELOG.md has no section for $version"

# Each crate is compiled from its package. The packages are made together, because the command needs the library, which is
# on no registry yet.
cargo package --locked "${crates[@]/#/--package=}"
for crate in "${crates[@]}"; do
    package=${CARGO_TARGET_DIR:-target}/package/$crate-$version.crate
    list=$(tar -tzf "$package" | sed "s|^$crate-$version/||")
    contains "$package" "$list" Cargo.toml Cargo.lock README.md LICENSE LICENSE-APACHE LICENSE-MIT src/lib.rs
done

rpm=$(one_file build/rpm/"$(uname -m)"/ostree-go-"$version"-*.rpm)
is "the name and version of $rpm" "$(rpm -qp --qf '%{NAME} %{VERSION}' "$rpm")" "ostree-go $version"
# Fedora's rpmbuild compresses man pages, and Debian's does not.
contains "$rpm" "$(rpm -qpl "$rpm" | sed 's|^/||; s|\.1\.gz$|.1|')" "${installed[@]}" \
    usr/share/licenses/ostree-go/LICENSE{,-APACHE,-MIT} usr/share/zsh/site-functions/_ostree-go

deb=$(one_file build/deb/ostree-go_"$version"-*_"$(dpkg --print-architecture)".deb)
is "the name of $deb" "$(dpkg-deb -f "$deb" Package)" ostree-go
is "the version of $deb" "$(dpkg-deb -f "$deb" Version | sed 's/-[^-]*$//')" "$version"
contains "$deb" "$(dpkg-deb --fsys-tarfile "$deb" | tar -t | sed 's|^\./||; s|\.1\.gz$|.1|')" "${installed[@]}" \
    usr/share/doc/ostree-go/copyright usr/share/zsh/vendor-completions/_ostree-go
if command -v lintian >/dev/null; then
    # The package is not in Debian, so there is no bug that its first upload would close.
    lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$deb"
fi

echo "ostree-go $version: the crates, $rpm and $deb are complete"
