//! Std caches that cannot be built.

use super::{Bad, TOY};
use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::run;
use ostree_go_tests::fake_bwrap;
use ostree_go_tests::sandbox::source;
use ostree_go_tests::tools;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A repository with a toy release, and a treefile that also names std caches.
fn with_std_caches() -> Bad {
    let bad = Bad::new();
    let lines = format!(
        "{}\nstdcache: {{}}",
        source(&bad.sandbox.path("${basearch}.tar.gz"))
    );
    bad.sandbox.treefile(TOY, &lines);
    bad
}

/// Returns a compose that finds only this program for sandboxes.
fn with_bwrap(bad: &Bad, script: Option<&str>) -> Command {
    let bin = bad.sandbox.path("bin");
    fs::create_dir_all(&bin).unwrap();
    if let Some(script) = script {
        let path = bin.join("bwrap");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = bad.sandbox.ostree_go(["compose", "go.yaml"]);
    command.env("PATH", bin);
    command
}

#[test]
fn no_bubblewrap() {
    let bad = with_std_caches();
    assert_snapshot!(bad.refuse(&mut with_bwrap(&bad, None), 1), @"
    error: cannot compile the standard library in a sandbox: there is no program `bwrap` in PATH
    hint: install bubblewrap, or leave out the compiled standard library with --no-stdcache
    ");
}

#[test]
fn no_namespaces() {
    let bad = with_std_caches();
    let script = "echo 'bwrap: No permissions to create new namespace, likely because the kernel does not allow \
        non-privileged user namespaces.' >&2; exit 1";
    assert_snapshot!(bad.refuse(&mut with_bwrap(&bad, Some(script)), 1), @"
    error: cannot compile the standard library in a sandbox: `bwrap` failed: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces.
    hint: allow user namespaces: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone (Debian) or kernel.apparmor_restrict_unprivileged_userns (Ubuntu), in a container also its seccomp profile; or leave out the compiled standard library with --no-stdcache
    ");
}

#[test]
fn a_go_command_that_is_not_a_program() {
    if tools::require("bwrap").is_none() {
        return;
    }
    let Some(host) = Arch::host() else {
        return tools::skip("there is no SDK for this machine");
    };
    let bad = with_std_caches();
    assert_snapshot!(bad.compose([], 1).replace(host.basearch(), "ARCH"), @"
    error: cannot build std caches: `bin/go` of Go 1.99.1 for ARCH cannot be executed
    hint: the releases were composed; --no-stdcache leaves out the compiled standard library
    ");
}

#[test]
fn a_go_command_that_fails() {
    let bad = with_std_caches();
    // The check before the compose, then the first command.
    let script = "case \"$*\" in *' list std') echo 'go: cannot list' >&2; exit 1;; esac";
    assert_snapshot!(bad.refuse(&mut with_bwrap(&bad, Some(script)), 1), @"
    error: cannot build std cache x86_64-trimpath: `go list std` failed: go: cannot list
    hint: the releases were composed; --no-stdcache leaves out the compiled standard library
    ");
    let script =
        "case \"$*\" in *' list std') echo 'write: no space left on device' >&2; exit 1;; esac";
    let said = bad.refuse(&mut with_bwrap(&bad, Some(script)), 75);
    assert!(said.contains("no space left on device"), "{said}");
    assert!(!said.contains("--no-stdcache"), "{said}");
    // It wrote no build cache.
    let script = "case \"$*\" in *' list std') echo fmt;; esac";
    assert_snapshot!(bad.refuse(&mut with_bwrap(&bad, Some(script)), 1), @"error: cannot build std cache x86_64-trimpath: a build with the SDK in another directory uses nothing of it");
}

#[test]
fn a_std_cache_that_exists_with_other_content() {
    let bad = with_std_caches();
    let compose = |args: &[&str], content: &str| {
        let args = ["compose", "go.yaml"]
            .into_iter()
            .chain(args.iter().copied());
        let mut command = bad.sandbox.ostree_go(args);
        fake_bwrap::put_before(&mut command, &bad.sandbox.path("bin"));
        command.env("CONTENT", content);
        command
    };
    run(&mut compose(&[], "one")).ok();
    assert_snapshot!(bad.refuse(&mut compose(&["--force-nocache"], "two"), 1), @"
    error: std cache go-sdk/stdcache/1.99.1/x86_64-trimpath exists with other content: found commit [sha256], expected [sha256]
    hint: the ref of a std cache never moves; use --replace if it has not been published
    ");
    run(&mut compose(&["--force-nocache", "--replace"], "two")).ok();
    let out = run(&mut compose(&["--force-nocache"], "two")).ok();
    assert!(out.stderr.ends_with("nothing changed\n"), "{out}");
}
