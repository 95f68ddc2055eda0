//! Programs to inspect.

use super::{Bad, refused};
use insta::assert_snapshot;
use ostree_go_sdk::fuzzing;
use ostree_go_tests::cli::run;
use std::fs;

#[test]
fn files_and_requirements() {
    let bad = Bad::without_repo();
    let said = |args: &[&str], code| {
        let mut command = bad.sandbox.ostree_go([&["inspect"], args].concat());
        command.env_remove("OSTREE_REPO");
        command.env("OSTREE_GO_ROOT", bad.sandbox.path("root"));
        refused(run(&mut command), code)
    };
    let write = |name: &str, content: &[u8]| fs::write(bad.sandbox.path(name), content).unwrap();
    let toy = fuzzing::toy_program();
    write("toy", &toy);
    write("script", b"#!/bin/sh\n");
    write("short", b"\x7fELF");
    write("cut", &toy[..toy.len() - 100]);
    let mut other = toy.clone();
    // The magic of the build information.
    let at = other.windows(9).position(|part| part == b"\xff Go buil");
    other[at.unwrap()] = 0;
    write("other", &other);
    assert_snapshot!(said(&["missing"], 1), @"
    error: cannot read missing
      No such file or directory (os error 2)
    ");
    assert_snapshot!(said(&["."], 1), @"
    error: . is not a program: it is not a regular file
    hint: name the file that `go build` wrote for a main package
    ");
    assert_snapshot!(said(&["script"], 1), @"
    error: script is not a program: it is not an ELF file
    hint: name the file that `go build` wrote for a main package
    ");
    assert_snapshot!(said(&["short"], 1), @"
    error: short is damaged: the ELF header is truncated
    ");
    assert_snapshot!(said(&["cut"], 1), @"
    error: cut is damaged: the section headers are truncated or damaged
    ");
    assert_snapshot!(said(&["other"], 1), @"
    error: other is not a Go program: it has no build information
    ");
    assert_snapshot!(said(&["toy", "--require=static,small"], 2), @"
    error: invalid value 'small' for '--require <LIST>': `small` is not a requirement, expected static, pie, stripped, no-wx, trimpath, cgo-off, no-pprof, clean-vcs, or sdk=VERSION
    hint: `--help` lists the allowed arguments
    ");
    assert_snapshot!(said(&["toy", "--require="], 2), @"
    error: invalid value '' for '--require <LIST>': `` is not a requirement, expected static, pie, stripped, no-wx, trimpath, cgo-off, no-pprof, clean-vcs, or sdk=VERSION
    hint: `--help` lists the allowed arguments
    ");
}
