//! Deployments beside slow servers, failing system calls and other processes.

use ostree_go_tests::cli::Output;
use ostree_go_tests::host::{Host, read};
use ostree_go_tests::inject::{Calls, Fault, Injector};
use ostree_go_tests::relay::Relay;
use ostree_go_tests::running::{Running, run_within};
use ostree_go_tests::webserver::FaultyServer;
use std::time::Duration;

/// Guards against hanging.
const LIMIT: Duration = Duration::from_secs(120);

/// The exit code of the dynamic loader when it cannot load a library.
const LOADER: i32 = 127;

/// A host with two deployments, and a remote behind a relay that can hold everything back.
struct Remote {
    host: Host,
    relay: Relay,
    _server: FaultyServer,
}

impl Remote {
    /// The second of two versions is active; the remote has a third.
    fn new() -> Self {
        let host = Host::new();
        for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200)] {
            host.release(version, seconds);
            host.install("1.99").ok();
        }
        host.release("1.99.3", 300);
        let server = FaultyServer::serving(&host.sandbox.repo());
        let relay = Relay::to(server.url().trim_start_matches("http://"));
        let url = format!("http://{}", relay.host());
        let mut add = host.command(["remote", "add", "slow", &url, "--no-gpg-verify"]);
        ostree_go_tests::cli::run(add.env_remove("OSTREE_REPO")).ok();
        Self {
            host,
            relay,
            _server: server,
        }
    }

    /// Starts an upgrade and returns when it waits for the server.
    fn start_upgrade(&self) -> Running {
        self.relay.hold(true);
        // It takes this lock before it fetches.
        let lock = self.host.root().join(".fetch.lock");
        std::fs::remove_file(&lock).expect("the lock of the installs before");
        let mut upgrade = Running::start(&mut self.host.command(["upgrade", "--remote", "slow"]));
        while !lock.exists() {
            let ended = upgrade.ends_within(Duration::from_millis(10));
            assert!(!ended, "it ended: {}", upgrade.kill());
        }
        upgrade
    }

    fn run(&self, args: &[&str]) -> Output {
        run_within(&mut self.host.command(args.iter().copied()), LIMIT)
    }
}

#[test]
fn nothing_but_a_collection_waits_for_a_silent_server() {
    let remote = Remote::new();
    let mut upgrade = remote.start_upgrade();
    remote.run(&["rollback"]).ok();
    assert_eq!(remote.host.active().as_deref(), Some("1.99.1"));
    remote.run(&["use", "1.99.2"]).ok();
    remote.run(&["status", "--verify", "all"]).ok();
    remote.run(&["pin", "1.99.1"]).ok();
    let out = remote.run(&["uninstall", "1.99.1"]).ok();
    assert_eq!(out.stderr, "go 1.99.1 is removed\n");
    remote
        .run(&["install", "1.99.1", "--from-repo", "repo"])
        .ok();
    assert_eq!(remote.host.active().as_deref(), Some("1.99.1"));
    let mut gc = Running::start(&mut remote.host.command(["gc"]));
    assert!(!gc.ends_within(Duration::from_millis(300)), "{}", gc.kill());
    assert!(!upgrade.ends_within(Duration::ZERO), "it waits still");
    // A collection that waits holds nothing that others need.
    remote.run(&["rollback"]).ok();
    upgrade.kill();
    // Whoever is killed protects nothing any more.
    let out = gc.wait(LIMIT).ok();
    assert!(
        out.stderr
            .starts_with("waiting for another process to release"),
        "{}",
        out.stderr
    );
    remote.host.check();
}

#[test]
fn what_was_pulled_is_safe_from_a_collection_until_it_is_deployed() {
    let remote = Remote::new();
    let upgrade = remote.start_upgrade();
    let gc = Running::start(&mut remote.host.command(["gc", "--superseded"]));
    remote.relay.hold(false);
    let out = upgrade.wait(LIMIT).ok();
    assert!(
        out.stderr.contains("go 1.99.3 is installed and active"),
        "{}",
        out.stderr
    );
    gc.wait(LIMIT).ok();
    assert_eq!(remote.host.active().as_deref(), Some("1.99.3"));
    remote.host.check();
}

#[test]
fn an_upgrade_does_not_undo_a_switch_that_was_made_meanwhile() {
    let remote = Remote::new();
    let upgrade = remote.start_upgrade();
    remote.run(&["rollback"]).ok();
    remote.run(&["uninstall", "1.99.2"]).ok();
    remote.relay.hold(false);
    let out = upgrade.wait(LIMIT).ok();
    assert!(
        out.stderr.contains("go 1.99.3 is installed (unsigned)"),
        "{}",
        out.stderr
    );
    assert_eq!(remote.host.active().as_deref(), Some("1.99.1"));
    remote.host.check();
}

/// The version that the link leads to, whatever commands say.
fn linked(host: &Host) -> String {
    read(&host.current("usr/lib/sdk/go-1.99/VERSION"))
}

#[test]
fn a_switch_reports_what_is_active_or_fails() {
    let Some(injector) = Injector::new() else {
        return;
    };
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200)] {
        host.release(version, seconds);
        host.install("1.99").ok();
    }
    let calls = Calls::of(
        &injector,
        &[
            "readlink",
            "readlinkat",
            "symlink",
            "symlinkat",
            "rename",
            "renameat",
        ],
        &host.command(["rollback"]),
    );
    let mut failed = 0;
    for (name, positions) in calls.iter() {
        for when in positions {
            let fault = Fault::error(name, "EIO", *when);
            let out = run_within(
                &mut injector.with(&fault, &host.command(["rollback"])),
                LIMIT,
            );
            match out.code() {
                Some(0) => {
                    let active = out.stderr.split(' ').nth(1).unwrap_or_default();
                    let linked = linked(&host);
                    assert!(
                        linked.starts_with(&format!("go{active}\n")),
                        "{fault}: {linked}{out}"
                    );
                }
                code => {
                    assert_eq!(code, Some(1), "{fault}: {out}");
                    failed += 1;
                }
            }
            host.run(["status", "--verify", "all"]).ok();
        }
    }
    assert!(failed > 1, "{calls:?}");
    host.check();
}

#[test]
fn a_failing_system_is_neither_damage_nor_a_refusal() {
    let Some(injector) = Injector::new() else {
        return;
    };
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99").ok();
    let status = || host.command(["status", "--verify", "all"]);
    let names = ["statx", "newfstatat", "readlink", "getdents64", "fstatfs"];
    let calls = Calls::of(&injector, &names, &status());
    let mut failed = 0;
    for (name, positions) in calls.iter() {
        // Every third: they are many, and of few kinds.
        for when in positions.iter().step_by(3) {
            let fault = Fault::error(name, "EIO", *when);
            let out = run_within(&mut injector.with(&fault, &status()), LIMIT);
            let code = out.code();
            assert!(matches!(code, Some(0 | 1 | LOADER)), "{fault}: {out}");
            failed += u32::from(code == Some(1));
        }
    }
    assert!(failed > 3, "{calls:?}");
    let install = || host.command(["install", "1.99", "--from-repo", "repo"]);
    let calls = Calls::of(&injector, &["statx", "newfstatat"], &install());
    for (name, positions) in calls.iter() {
        for when in positions.iter().step_by(positions.len() / 20 + 1) {
            let fault = Fault::error(name, "EIO", *when);
            let out = run_within(&mut injector.with(&fault, &install()), LIMIT);
            assert!(matches!(out.code(), Some(0 | 1 | LOADER)), "{fault}: {out}");
        }
    }
    host.run(["status"]).ok();
    host.check();
}

#[test]
fn a_deployment_that_is_being_removed_is_not_damaged() {
    let host = Host::new();
    let many = |toy: ostree_go_tests::toy::Toy| {
        (0..400).fold(toy, |toy, n| {
            toy.with(&format!("src/many/{n}/a.go"), format!("package a // {n}\n"))
        })
    };
    host.release_of("1.99.1", 100, many);
    host.release_of("1.99.2", 200, many);
    host.install("1.99.1").ok();
    let install = ["install", "1.99.2", "--from-repo", "repo", "--no-activate"];
    std::thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for _ in 0..6 {
                host.run(install).ok();
                host.run(["uninstall", "1.99.2"]).ok();
                host.run(["gc"]).ok();
            }
        });
        while !changes.is_finished() {
            let out = run_within(&mut host.command(["status", "--verify", "all"]), LIMIT).ok();
            assert!(!out.stdout.contains("damaged"), "{out}");
        }
        changes.join().expect("no panic");
    });
    host.check();
}
