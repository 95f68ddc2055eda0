//! Deployments that are killed, that run concurrently, and on a full disk.

use ostree_go_tests::cli::run;
use ostree_go_tests::host::{Host, read};
use ostree_go_tests::kill::at_failpoint;
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::{cli, ostree};
use std::path::Path;

const VERSION: &str = "usr/lib/sdk/go-1.99/VERSION";

/// The failpoints that an upgrade, an uninstall of the active SDK, and a `gc` pass.
const UPGRADE: &[&str] = &[
    "deploy.locked",
    "deploy.checked-out",
    "deploy.sealed",
    "deploy.synced",
    "deploy.placed",
    "deploy.kept",
    "deploy.recorded",
    "switch.recorded",
    "switch.done",
];
const UNINSTALL: &[&str] = &[
    "uninstall.deactivated",
    "uninstall.recorded",
    "clean.renamed",
];
const GC: &[&str] = &["gc.refs-removed", "gc.pruned"];

#[track_caller]
fn kill(host: &Host, args: &[&str], point: &str) {
    at_failpoint(&mut host.command(args.iter().copied()), point);
}

#[test]
fn a_kill_at_any_point_leaves_one_sdk_or_the_other() {
    let host = Host::new();
    host.release("1.99.1", 100);
    for point in ["repo.created", "deploy.placed", "switch.recorded"] {
        kill(&host, &["install", "1.99", "--from-repo", "repo"], point);
        assert!(!host.current("").exists(), "{point}");
    }
    host.install("1.99").ok();
    host.release("1.99.2", 200);
    for point in UPGRADE {
        kill(&host, &["upgrade"], point);
        let expected = if *point == "switch.done" {
            "1.99.2"
        } else {
            "1.99.1"
        };
        // What status says is what the link leads to, before and after cleaning up.
        assert!(
            read(&host.current(VERSION)).starts_with(&format!("go{expected}\n")),
            "{point}"
        );
        assert_eq!(host.active().as_deref(), Some(expected), "{point}");
        host.run(["status", "--verify", "all"]).ok();
        host.run(["gc"]).ok();
        host.check();
        if *point != "switch.done" {
            let history = host.json(["status"])["history"].as_array().unwrap().len();
            assert_eq!(history, 1, "{point}");
            continue;
        }
        host.run(["rollback"]).ok();
        host.run(["uninstall", "1.99.2"]).ok();
        let state = read(&host.root().join("state.json"));
        // Back to how it was, for the next point.
        assert_eq!(state.matches("\"action\"").count(), 3, "{state}");
    }
    host.run(["upgrade"]).ok();
    for point in UNINSTALL {
        host.install("1.99").ok();
        kill(&host, &["uninstall", "1.99.2", "--active"], point);
        host.run(["status", "--verify", "all"]).ok();
        host.run(["gc"]).ok();
        host.check();
        assert_eq!(host.active(), None, "{point}");
    }
    for point in GC {
        host.install("1.99").ok();
        ostree_garbage(&host);
        kill(&host, &["gc"], point);
        host.check();
        host.run(["gc"]).ok();
        host.check();
        assert_eq!(host.active().as_deref(), Some("1.99.2"), "{point}");
    }
}

/// Adds a commit to the root directory's repository that no deployment needs.
fn ostree_garbage(host: &Host) {
    let source = host.sandbox.repo();
    let source = source.to_str().unwrap();
    let repo = host.root().join("repo");
    ostree::ostree(&repo, ["pull-local", source, "go-sdk/aarch64/1.99.1"]);
}

#[test]
fn a_kill_while_rolling_back() {
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200)] {
        host.release(version, seconds);
        host.install("1.99").ok();
    }
    kill(&host, &["rollback"], "switch.recorded");
    assert_eq!(host.active().as_deref(), Some("1.99.2"));
    kill(&host, &["rollback"], "switch.done");
    assert_eq!(host.active().as_deref(), Some("1.99.1"));
    for expected in ["1.99.2", "1.99.1"] {
        host.run(["rollback"]).ok();
        assert_eq!(host.active().as_deref(), Some(expected));
    }
    host.check();
}

#[test]
fn ten_processes_at_once() {
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200)] {
        host.release(version, seconds);
    }
    // The root does not exist yet: they make it together, too.
    let jobs: Vec<Vec<&str>> = (0..10)
        .map(|n| match n % 5 {
            0 | 1 => vec!["install", "1.99.1", "--from-repo", "repo"],
            2 | 3 => vec!["install", "1.99.2", "--from-repo", "repo"],
            _ => vec!["gc"],
        })
        .collect();
    host.install("1.99.1").ok();
    for _ in 0..3 {
        let children: Vec<_> = jobs
            .iter()
            .map(|args| {
                let mut command = host.command(args.iter().copied());
                let output = move || run(&mut command);
                std::thread::spawn(output)
            })
            .collect();
        for child in children {
            child.join().unwrap().ok();
        }
        host.check();
        assert!(host.active().is_some());
    }
    let names = host.json(["status"])["deployments"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(names, 2);
}

#[test]
fn a_root_directory_created_by_several_processes() {
    let host = Host::new();
    host.release("1.99.1", 100);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| host.install("1.99.1").ok());
        }
    });
    host.check();
}

#[test]
fn a_full_disk_changes_nothing() {
    let Some(tmpfs) = Tmpfs::mount(24 << 20) else {
        return;
    };
    let host = Host::new();
    let blob = |byte: u8, version: &str| {
        // What compresses badly, so that both disk and repository feel it.
        let mut state = u32::from(byte) + 1;
        let bytes = (0..6 << 20).map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        });
        let bytes: Vec<u8> = bytes.collect();
        let seconds = 100 * (u64::from(byte) + 1);
        host.release_of(version, seconds, |toy| toy.with("lib/blob", bytes.clone()));
    };
    let root = tmpfs.path().join("root");
    let at = |args: &[&str]| {
        let mut command = host.command(args.iter().copied());
        run(command.env("OSTREE_GO_ROOT", &root))
    };
    blob(0, "1.99.1");
    at(&["install", "1.99", "--from-repo", "repo"]).ok();
    blob(1, "1.99.2");
    let filler = tmpfs.fill();
    let out = at(&["upgrade"]);
    assert!(out.code() == Some(75), "{}", out.stderr);
    whole(&at(&["status"]), "1.99.1");
    // A little room is not enough, either.
    let file = std::fs::File::options().write(true).open(&filler).unwrap();
    let size = file.metadata().unwrap().len();
    file.set_len(size - (2 << 20)).unwrap();
    let out = at(&["upgrade"]);
    assert!(out.code() == Some(75), "{}", out.stderr);
    let stays = "nothing was deployed; go 1.99.1 stays active";
    assert!(out.stderr.contains(stays), "{}", out.stderr);
    whole(&at(&["status"]), "1.99.1");
    ostree::ostree(&root.join("repo"), ["fsck", "--quiet"]);
    drop(file);
    std::fs::remove_file(filler).unwrap();
    at(&["upgrade"]).ok();
    whole(&at(&["status"]), "1.99.2");
    assert_eq!(leftovers(&root), 2);
}

#[track_caller]
fn whole(status: &cli::Output, active: &str) {
    assert_eq!(status.code(), Some(0), "{}", status.stderr);
    let line = status.stdout.lines().find(|line| line.starts_with('*'));
    assert!(
        line.is_some_and(|line| line.contains(active)),
        "{}",
        status.stdout
    );
}

fn leftovers(root: &Path) -> usize {
    root.join("deployments").read_dir().unwrap().count()
}
