//! `run --locked`: what runs, and with what.

use super::{Checkout, MODULE};
use insta::assert_snapshot;
use ostree_go_tests::cli::run;
use serde_json::Value;
use std::fs;

#[test]
fn a_locked_run_starts_nothing_if_there_is_drift() {
    let checkout = Checkout::new();
    let locked = |more: &[&str], script: &str| {
        let args = ["run", "--locked", "--sandbox", "none", "--host-tools", "-q"];
        let end = ["--", "sh", "-c", script];
        let mut command = checkout.command(&[&args[..], more, &end].concat());
        command.current_dir(checkout.path("app"));
        command
    };
    let out = run(&mut locked(&[], "echo started")).exits(1);
    assert!(out.stderr.contains("there is no lock file"), "{out}");

    // The lock decides the build settings and the SDK.
    let mut lock = checkout.command(&["workspace", "lock", "src/app"]);
    run(lock.env("GOFLAGS", "-trimpath")).ok();
    checkout.0.release("1.99.2", 1_800_000_100);
    checkout.0.install("1.99.2").ok();
    let script = "echo \"$GOFLAGS\" \"$GOAMD64\"; command -v go";
    let mut command = locked(&[], script);
    let out = run(command.env("GOFLAGS", "-x").env("GOAMD64", "v4")).ok();
    let sdk = fs::read_to_string(checkout.lock()).unwrap();
    let sdk: Value = serde_json::from_str(&sdk).unwrap();
    let commit = &sdk["sdk"]["deployments"][checkout.0.arch().basearch()]["commit"];
    let (settings, go) = out.stdout.split_once('\n').unwrap();
    assert_eq!(settings, "-trimpath ");
    assert!(go.contains(commit.as_str().unwrap()), "{out}");

    checkout.change();
    let mut command = locked(&[], "echo started > started");
    let out = run(&mut command).exits(4);
    assert_eq!(out.stdout, "");
    assert!(!checkout.path("app/started").exists());
    assert_snapshot!(out.stderr, @"
    error: the workspace differs from its lock in one place
    hint: nothing was run; undo the changes, or accept them with `ostree-go workspace lock`
    ");
    let mut command = checkout.command(&["run", "--locked", "--", "go"]);
    let out = run(command.current_dir(checkout.path("app"))).exits(4);
    let drift = out.stderr.lines().nth(1).unwrap();
    assert!(drift.contains("go-line-changed  go.mod:3"), "{out}");
    checkout.write("app/go.mod", MODULE);
    run(&mut locked(&[], "true")).ok();

    // What contradicts the lock is refused.
    let out = run(&mut locked(&["--env", "GOFLAGS=-x"], "true")).exits(2);
    assert_snapshot!(out.stderr, @"
    error: --env GOFLAGS and --locked exclude each other
    hint: the lock decides GOFLAGS; `ostree-go workspace lock` takes over the present value
    ");
    run(&mut locked(&["--env", "OTHER=1"], "true")).ok();
    run(&mut locked(&["--sdk", "1.99.1"], "true")).exits(2);
    // A locked SDK that is not installed any more.
    checkout.0.run(["uninstall", "1.99.1"]).ok();
    run(&mut locked(&[], "echo started > started")).exits(4);
    assert!(!checkout.path("app/started").exists());
    fs::write(checkout.lock(), "not JSON").unwrap();
    run(&mut locked(&[], "echo started > started")).exits(1);
    assert!(!checkout.path("app/started").exists());
}
