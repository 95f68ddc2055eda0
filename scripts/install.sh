#!/usr/bin/env bash
# Installs a built command, its man pages, completions, documents and systemd units, and the shipped treefiles. Builds nothing.
#
#   PREFIX=/usr/local DESTDIR= scripts/install.sh BINARY
#
# `make install` and the packages (packaging/ostree-go.spec, scripts/deb.sh) install with this script.
set -euo pipefail

source=$(dirname "${BASH_SOURCE[0]}")/..
binary=${1:?usage: scripts/install.sh BINARY}
prefix=${DESTDIR-}${PREFIX:-/usr/local}
share=$prefix/share

if [[ ! -x $binary ]]; then
    echo "error: $binary does not exist: run \`make build\` first" >&2
    # sudo does not keep the variable, so that `make build` and `sudo make install` can disagree about the directory.
    echo "hint: if it was built in another directory, name that too: make install CARGO_TARGET_DIR=DIR" >&2
    exit 1
fi

# Every user has to be able to read the files, whatever the umask of root is.
umask 022
install -Dm755 "$binary" "$prefix/bin/ostree-go"
install -dm755 "$share/man/man1" "$share/bash-completion/completions" "$share/zsh/site-functions" \
    "$share/fish/vendor_completions.d"
"$binary" man --output-dir "$share/man/man1"
"$binary" completions bash >"$share/bash-completion/completions/ostree-go"
"$binary" completions zsh >"$share/zsh/site-functions/_ostree-go"
"$binary" completions fish >"$share/fish/vendor_completions.d/ostree-go.fish"
# The units name the command at its place in the packages. They are enabled by the administrator only.
for unit in "$source"/packaging/systemd/*; do
    installed=$prefix/lib/systemd/system/$(basename "$unit")
    install -Dm644 "$unit" "$installed"
    sed -i "s|/usr/bin/ostree-go|${PREFIX:-/usr/local}/bin/ostree-go|" "$installed"
done
install -Dm644 -t "$share/ostree-go/treefiles" "$source"/treefiles/*.yaml
install -Dm644 -t "$share/doc/ostree-go" "$source/README.md" "$source/CHANGELOG.md"
install -Dm644 -t "$share/doc/ostree-go/examples/hooks" "$source"/packaging/hooks/*
install -Dm644 -t "$share/licenses/ostree-go" "$source/LICENSE" "$source/LICENSE-APACHE" "$source/LICENSE-MIT"
