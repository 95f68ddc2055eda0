//! What people see on a terminal: totals of progress, the width of tables, and colour.

use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::host::Host;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Columns of the usual terminal.
const WIDTH: usize = 80;

#[test]
fn the_progress_of_a_compose_has_totals() {
    let sandbox = Sandbox::with_toys("arches: [x86_64]");
    let out = sandbox
        .run(["compose", "go.yaml", "--progress", "json"])
        .ok();
    let events = out.stderr.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        event
    });
    let written: Vec<Value> = events.filter(|event| event["phase"] == "write").collect();
    assert!(!written.is_empty(), "{}", out.stderr);
    for event in written {
        let (done, total) = (event["done"].as_u64(), event["total"].as_u64());
        assert!(total.is_some() && done <= total, "{event}");
    }
}

/// Asserts that no line of the output is wider than a terminal, and that there is a table.
#[track_caller]
fn fits(out: &Output, header: &str) {
    let text = format!("{}{}", out.stdout, out.stderr);
    assert!(text.lines().any(|line| line.contains(header)), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "too wide: {line}\n{text}");
    }
}

#[test]
fn tables_fit_a_terminal() {
    let (sandbox, gpg) = (Sandbox::new(), Gpg::new());
    let key = gpg.key("publisher");
    let home = gpg.home().to_str().unwrap().to_owned();
    let sign = ["--gpg-sign", &key, "--gpg-homedir", &home];
    let mut composed = Vec::new();
    for version in ["1.99.10", "1.99.11", "1.99.10"] {
        sandbox.toys(version);
        let channels = "channels: [\"go-sdk/${basearch}/1.99\", \"go-sdk/${basearch}/stable\"]";
        sandbox.treefile(version, &format!("{TOY_SOURCE}\n{channels}"));
        let compose = [&["compose", "go.yaml", "--force-nocache"][..], &sign].concat();
        composed.push(sandbox.run(compose).ok());
    }
    for out in &composed {
        fits(out, "toolchain");
    }
    assert!(composed[2].stderr.contains("not moved"), "{}", composed[2]);
    fits(&sandbox.run(["publish", "--dry-run"]).ok(), "WOULD");
    sandbox.run([&["publish"][..], &sign].concat()).ok();
    fits(&sandbox.run(["list"]).ok(), "COMMIT");
    fits(&sandbox.run(["list", "--all"]).ok(), "COMMIT");
    fits(
        &sandbox.run(["log", "go-sdk/aarch64/stable"]).ok(),
        "SUBJECT",
    );
    let keys = gpg.export(&key).to_str().unwrap().to_owned();
    let verify = ["verify", "go-sdk/aarch64/1.99.11", "--gpg-keys", &keys];
    fits(&sandbox.run(verify).ok(), "EXPIRES");

    let server = FaultyServer::serving(&sandbox.repo());
    let root = sandbox.path("root").to_str().unwrap().to_owned();
    let host = |args: &[&str]| {
        let mut command = sandbox.ostree_go(args.iter().copied());
        command
            .env_remove("OSTREE_REPO")
            .env("OSTREE_GO_ROOT", &root);
        run(&mut command).ok()
    };
    host(&[
        "remote",
        "add",
        "acme",
        &server.url(),
        "--gpg-import",
        &keys,
    ]);
    fits(&host(&["remote", "list"]), "URL");
    fits(&host(&["remote", "show-keys", "acme"]), "EXPIRES");
    let arch = ostree_go_sdk::Arch::host().expect("a machine that Go SDKs are composed for");
    let channel = format!("go-sdk/{arch}/stable");
    fits(&host(&["pull", "acme", &channel, "--dry-run"]), "DOWNLOAD");
    host(&["install", "stable"]);
    fits(&host(&["status", "--history"]), "ACTION");
    fits(
        &sandbox.run(["prune", "--keep", "1", "--dry-run"]).ok(),
        "COMMIT",
    );
}

#[test]
fn colour_marks_the_active_sdk_and_damage() {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99.1").ok();
    host.release("1.99.2", 200);
    host.install("1.99.2").ok();
    let lines = |args: &[&str], code: i32| {
        let out = host.run([&["status"], args].concat()).exits(code);
        out.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let coloured = lines(&["--color", "always"], 0);
    assert!(coloured[1].starts_with("\x1b[1;32m*"), "{coloured:?}");
    assert!(coloured[2].starts_with('<'), "{coloured:?}");
    // Neither a pipe nor a program gets colour.
    assert!(lines(&[], 0).iter().all(|line| !line.contains('\x1b')));
    let json = lines(&["--color", "always", "--format", "json"], 0);
    assert!(json.iter().all(|line| !line.contains('\x1b')), "{json:?}");

    let version = host.current("usr/lib/sdk/go-1.99/VERSION");
    fs::set_permissions(&version, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&version, "damaged").unwrap();
    let out = host.run(["status", "--color", "always"]).exits(4);
    assert!(out.stdout.contains("\x1b[1;31m*"), "{}", out.stdout);
    assert!(
        out.stderr.starts_with("\x1b[1;33mwarning:\x1b[0m"),
        "{}",
        out.stderr
    );
}
