//! Paths that are not UTF-8, and paths that `PATH` cannot contain.

use ostree_go_tests::host::Host;
use ostree_go_tests::sandbox::Sandbox;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;

/// Returns a path in a sandbox whose last component is not UTF-8.
fn path(sandbox: &Sandbox, name: &str) -> PathBuf {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0xff);
    sandbox.path("").join(OsStr::from_bytes(&bytes))
}

/// Runs a command with and without JSON output. In arguments, `NAME*` is a path that is not UTF-8.
#[track_caller]
fn check(host: &Host, args: &[&str]) {
    let sandbox = &host.sandbox;
    let argument = |arg: &&str| match arg.strip_suffix('*') {
        Some(name) => path(sandbox, name).into_os_string(),
        None => OsString::from(arg),
    };
    for json in [false, true] {
        let mut command = host.command([]);
        command.env("OSTREE_REPO", path(sandbox, "repo"));
        command.env("OSTREE_GO_ROOT", path(sandbox, "root"));
        command.args(args.iter().map(argument));
        if json {
            command.args(["--format", "json"]);
        }
        let out = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{args:?}: {} {stderr}", out.status);
        if json {
            let document: Value = serde_json::from_slice(&out.stdout).unwrap();
            assert_eq!(document["schema"], 1);
        }
        // Both runs create it.
        let _ = fs::remove_dir_all(path(sandbox, "tree"));
    }
}

#[test]
fn every_command_accepts_paths_that_are_not_utf8() {
    let host = Host::new();
    host.release("1.99.1", 100);
    let name = format!("go-sdk/{}/1.99.1", host.arch());
    for args in [
        &["init"][..],
        &["compose", "go.yaml", "--dry-run"],
        &["compose", "go.yaml", "--write-commitid-to", "id*"],
        &["compose", "go.yaml"],
        &["list"],
        &["log", &name],
        &["fsck"],
        &["publish", "--dry-run"],
        &["publish"],
        &["checkout", &name, "tree*"],
        &["checkout", &name, "tree*", "--copy"],
        &["export", "tar", &name, "tar*"],
        &["export", "sysext", &name, "go.raw"],
        &["export", "containerfile", &name, "file*", "--image", "a:b"],
        &["export", "treefile", "1.99.1", "--output-dir", "treefile*"],
        &["install", "1.99.1", "--from-repo", "repo*"],
        &["upgrade"],
        &["use", "1.99.1"],
        &["status"],
        &["pin", "1.99.1"],
        &["env"],
        &["gc"],
    ] {
        check(&host, args);
    }
}

#[test]
fn a_shell_gets_the_bytes_of_a_path() {
    let host = Host::new();
    host.release("1.99.1", 100);
    let root = path(&host.sandbox, "it's a root");
    let mut install = host.command(["install", "1.99.1", "--from-repo", "repo"]);
    assert!(
        install
            .env("OSTREE_GO_ROOT", &root)
            .status()
            .unwrap()
            .success()
    );
    let mut env = host.command(["env"]);
    let out = env.env("OSTREE_GO_ROOT", &root).output().unwrap();
    assert!(out.status.success());
    let mut script = out.stdout;
    script.extend_from_slice(b"command -v go\n");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(OsStr::from_bytes(&script));
    let found = shell.output().unwrap();
    let mut expected = root.join("current/usr/bin/go").into_os_string();
    expected.push("\n");
    assert_eq!(found.stdout, expected.as_bytes());
}

#[test]
fn a_root_with_a_colon_is_refused() {
    let host = Host::new();
    host.release("1.99.1", 100);
    let root = host.sandbox.path("a:b").display().to_string();
    for args in [
        &["install", "1.99.1", "--from-repo", "repo"][..],
        &["status"],
        &["env"],
    ] {
        let args = [args, &["--root", &root]].concat();
        let out = host.run(args).exits(1);
        let message = format!("the path {root} contains `:`, which PATH cannot contain");
        assert!(out.stderr.contains(&message), "{out}");
        assert!(out.stderr.contains("--root or OSTREE_GO_ROOT"), "{out}");
    }
    assert!(!host.sandbox.path("a:b").exists());
}
