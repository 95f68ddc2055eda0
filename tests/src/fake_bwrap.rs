//! A stand-in for `bwrap` with a go command in it, which "compiles" a standard library in no time.
//!
//! It writes entries of a build cache in Go's form: for the first module a package with the text in `$CONTENT`, facts, an empty output and a
//! list of sources; for the second module it marks all of them as used. A program of an SDK is copied from `$BUILT/GOARCH/NAME`. Each start is a
//! line in `$LOG`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = r#"#!/bin/sh
set -eu
[ -z "${LOG-}" ] || echo "$*" >>"$LOG"
previous= gocache= goarch= tmp=
for arg; do
    [ "$arg" != /tmp ] || tmp=${tmp:-$previous}
    [ "$arg" != /gocache ] || gocache=${gocache:-$previous}
    [ "$previous" != GOARCH ] || goarch=$arg
    previous=$arg
done
digest() { printf %s "$1" | sha256sum | cut -c1-64; }
put() {
    action=$(digest "$1 $goarch")
    output=$(digest "$2")
    a=$gocache/$(echo "$action" | cut -c1-2) d=$gocache/$(echo "$output" | cut -c1-2)
    mkdir -p "$a" "$d"
    printf 'v1 %s %s %20d %20d\n' "$action" "$output" "${#2}" 1 >"$a/$action-a"
    printf %s "$2" >"$d/$output-d"
}
case "$*" in
*' list std') printf 'fmt\ninternal/abi\n' ;;
*'--chdir /first '*' build '*)
    put package "!<arch> $goarch ${CONTENT-fmt}"
    put facts "facts of $goarch"
    put stdout ""
    put sources "./print.go
./scan.go"
    ;;
*'--chdir /sdk/src/cmd '*' build '*)
    name=${*##* cmd/}
    cp "$BUILT/$goarch/$name" "$tmp/out/$name"
    ;;
*'--chdir /home/second/module '*) find "$gocache" -name '*-a' -exec touch {} + ;;
esac
"#;

/// Writes the stand-in into a folder, which becomes the first one in the `PATH` of a command.
///
/// # Panics
///
/// Panics if it cannot be written.
pub fn put_before(command: &mut Command, folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    let path = folder.join("bwrap");
    fs::write(&path, SCRIPT).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = vec![folder.to_owned()];
    folders.extend(std::env::split_paths(&rest));
    command.env("PATH", std::env::join_paths(folders).expect("a PATH"));
}
