//! Units of services.

use super::{Bad, refused};
use insta::assert_snapshot;
use ostree_go_tests::cli::run;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes an executable file, and returns its path.
fn program(bad: &Bad, name: &str, content: &[u8]) -> String {
    let path = bad.sandbox.path(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Returns an ELF header of 64 bytes for a machine.
fn elf(machine: u8) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    (header[16], header[18]) = (2, machine);
    header
}

#[test]
fn programs() {
    let bad = Bad::without_repo();
    let said = |program: &str, more: &[&str], code| {
        let all = [
            &["export", "unit", "app", program, "--install-path=/opt/app"],
            more,
        ]
        .concat();
        refused(run(&mut bad.sandbox.ostree_go(all)), code)
    };
    assert_snapshot!(said("missing", &[], 1), @"
    error: cannot read missing
      No such file or directory (os error 2)
    ");
    assert_snapshot!(said(".", &[], 1), @"
    error: . is not a program: it is not a regular file
    hint: name the file that `go build` wrote for a main package
    ");
    let script = program(&bad, "script", b"#!/bin/sh\n");
    assert_snapshot!(said(&script, &[], 1), @"
    error: [dir]/script is not a program: it is a script, whose interpreter could run any code
    hint: name the file that `go build` wrote for a main package
    ");
    let text = program(&bad, "text", b"");
    assert_snapshot!(said(&text, &[], 1), @"
    error: [dir]/text is not a program: it is not an ELF file
    hint: name the file that `go build` wrote for a main package
    ");
    let short = program(&bad, "short", b"\x7fELF");
    assert_snapshot!(said(&short, &[], 1), @"
    error: [dir]/short is not a program: its ELF headers are damaged
    hint: name the file that `go build` wrote for a main package
    ");
    let s390x = program(&bad, "s390x", &elf(22));
    assert_snapshot!(said(&s390x, &[], 1), @"
    error: [dir]/s390x is for the ELF machine 22, expected x86_64 or aarch64
    ");
    let arm64 = program(&bad, "arm64", &elf(183));
    assert_snapshot!(said(&arm64, &["--arch=amd64"], 1), @"
    error: [dir]/arm64 is for aarch64, expected x86_64
    hint: build the program with GOARCH, or name its architecture with --arch
    ");
    fs::set_permissions(Path::new(&arm64), fs::Permissions::from_mode(0o644)).unwrap();
    assert_snapshot!(said(&arm64, &[], 1), @"
    error: [dir]/arm64 is not a program: it is not executable
    hint: name the file that `go build` wrote for a main package
    ");
}

#[test]
fn names_and_paths() {
    let bad = Bad::without_repo();
    let arm64 = program(&bad, "arm64", &elf(183));
    let said = |name: &str, more: &[&str]| {
        let all = [&["export", "unit", name, &*arm64], more].concat();
        refused(run(&mut bad.sandbox.ostree_go(all)), 1)
    };
    let path = ["--install-path=/opt/app"];
    assert_snapshot!(said("a b", &path), @"
    error: `a b` is not a valid name for a service: expected letters, digits, `_`, `.` and `-`, and a letter or digit at the start
    ");
    assert_snapshot!(said("app@.service", &path), @"
    error: `app@.service` is not a valid name for a service: templates are not supported
    hint: write one unit for each instance, with a name like `app-1`
    ");
    assert_snapshot!(said("app.timer", &path), @"
    error: `app.timer` is not a valid name for a service: it has the suffix of another kind of unit
    ");
    assert_snapshot!(said("app", &["--install-path=bin/app"]), @"
    error: the program cannot be started from bin/app: it is a relative path
    hint: name the absolute path of the program on the host with --install-path, for example /usr/local/bin/app
    ");
    assert_snapshot!(said("app", &["--install-path=/home/me/app"]), @"
    error: the program cannot be started from /home/me/app: the unit hides this directory from the service
    hint: name the absolute path of the program on the host with --install-path, for example /usr/local/bin/app
    ");
    assert_snapshot!(said("app", &["--install-path=/opt/my app"]), @"
    error: the program cannot be started from /opt/my app: it has other characters than letters, digits and `/._+-`, or a part `.` or `..`
    hint: name the absolute path of the program on the host with --install-path, for example /usr/local/bin/app
    ");
}

#[test]
fn options() {
    let bad = Bad::without_repo();
    let arm64 = program(&bad, "arm64", &elf(183));
    let said = |more: &[&str], code| {
        let all = [
            &["export", "unit", "app", &*arm64, "--install-path=/opt/app"],
            more,
        ]
        .concat();
        refused(run(&mut bad.sandbox.ostree_go(all)), code)
    };
    assert_snapshot!(said(&["--listen=99999"], 2), @"
    error: invalid value '99999' for '--listen <PORT>': `99999` is not a port, expected the form 8080, tcp:8080 or udp:53
    hint: `--help` lists the allowed arguments
    ");
    assert_snapshot!(said(&["--no-network", "--listen=80"], 1), @"
    error: a service without a network cannot listen on a port, except by socket activation
    ");
    assert_snapshot!(said(&["--listen=80", "--socket-activation"], 2), @"
    error: --socket-activation makes two files, which cannot both be standard output
    hint: use --output app.service
    ");
    assert_snapshot!(said(&["--run-as=root"], 1), @"
    error: the user `root` could change the system despite the other settings
    hint: omit --run-as, so that systemd allocates a user
    ");
    assert_snapshot!(said(&["--env=A"], 2), @"
    error: --env A has no value, expected NAME=VALUE
    ");
    assert_snapshot!(said(&["--env=1A=b"], 1), @"
    error: the variable `1A` is no name of a variable
    ");
    assert_snapshot!(said(&["--allow-address=example.com"], 1), @"
    error: the address `example.com` is not an address, a network like 10.0.0.0/8, or `localhost`, `link-local` or `multicast`
    ");
    assert_snapshot!(said(&["--read-write=data"], 1), @"
    error: the path `data` is no absolute path of letters, digits, `.`, `_`, `+` and `-`
    ");
    assert_snapshot!(said(&["--memory-max=1000"], 1), @"
    error: less than 16 MiB of memory is too little for a Go service
    ");
    assert_snapshot!(said(&["--output=/no/such/app.service"], 1), @"
    error: cannot write /no/such/app.service
      No such file or directory (os error 2)
    ");
}
