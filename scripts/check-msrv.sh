#!/usr/bin/env bash
# Checks that the workspace compiles with the oldest supported version of Rust, `rust-version` in Cargo.toml.
#
# If that toolchain is missing, rustup installs it. Without rustup, the script prints a message and succeeds, or fails if
# CI is set. The build directory is separate, because both compilers would otherwise rebuild each other's artifacts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
if ! command -v rustup >/dev/null; then
    echo "minimum Rust version: NOT CHECKED, Rust $version is installed with rustup, which is missing" >&2
    [[ -z ${CI-} ]]
    exit
fi
# The toolchain is installed explicitly, because RUSTUP_AUTO_INSTALL=0 forbids it to `rustup run`.
rustup toolchain list | grep -q "^$version-" ||
    rustup toolchain install "$version" --profile minimal --no-self-update
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/msrv
rustup run "$version" cargo check --workspace --locked
echo "minimum Rust version: the workspace compiles with Rust $version"
