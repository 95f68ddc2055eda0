//! Operations on a repository that are killed, or meet errors of the system: afterwards every commit is complete or marked as
//! partial, refs have moved together or not at all, and the next operation repairs what is left.

use ostree_go_sdk::failpoint;
use ostree_go_tests::cli::run;
use ostree_go_tests::inject::{Calls, Effect, Fault, Injector};
use ostree_go_tests::kill;
use ostree_go_tests::ostree::{self, ostree};
use ostree_go_tests::powercut::{Disk, Kind};
use ostree_go_tests::random::Random;
use ostree_go_tests::running::run_within;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::state::State;
use ostree_go_tests::webserver::FaultyServer;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const PRUNE: [&str; 5] = ["prune", "--keep", "1", "--older-than", "0d"];

/// The release that a prune removes.
const OLD: &str = "go-sdk/x86_64/1.99.1";

/// The names in a folder that end with `.commitpartial`, and records of refs.
fn left_in_state(repo: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(repo.join("state")).expect("the folder of marks");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

/// Asserts that the stock fsck, ours and `list` find nothing wrong.
#[track_caller]
fn assert_sound(sandbox: &Sandbox, case: &str) {
    eprintln!("{case}");
    sandbox.fsck();
    sandbox.run(["fsck"]).ok();
    sandbox.run(["list"]).ok();
}

/// A mirror of a publisher with two releases, and a copy of the mirror to start over from.
struct Mirror {
    sandbox: Sandbox,
    /// Lives as long as the server.
    _publisher: Sandbox,
    _server: FaultyServer,
    whole: State,
}

impl Mirror {
    fn new() -> Self {
        let publisher = Sandbox::new();
        for version in ["1.99.1", "1.99.2"] {
            publisher.toys(version);
            let lines = format!("{TOY_SOURCE}\nchannels: [\"go-sdk/${{basearch}}/1.99\"]");
            publisher.treefile(version, &lines);
            publisher.compose([]);
        }
        ostree(&publisher.repo(), ["summary", "-u"]);
        let server = FaultyServer::serving(&publisher.repo());
        let sandbox = Sandbox::new();
        ostree::init(&sandbox.repo(), "archive");
        let add = ["remote", "add", "acme", &server.url(), "--no-gpg-verify"];
        sandbox.run(add).ok();
        sandbox.run(["pull", "--mirror"]).ok();
        // A prune removes this one, too.
        ostree(
            &sandbox.repo(),
            ["static-delta", "generate", "--empty", OLD],
        );
        let copy = Command::new("cp")
            .args(["-a", "repo", "saved"])
            .current_dir(sandbox.path(""))
            .status();
        assert!(copy.expect("cp runs").success());
        Self {
            whole: State::of(&sandbox.repo()),
            sandbox,
            _publisher: publisher,
            _server: server,
        }
    }

    /// Puts the mirror back to what it was.
    fn restore(&self) {
        fs::remove_dir_all(self.sandbox.repo()).expect("the repository goes");
        let copy = Command::new("cp")
            .args(["-a", "saved", "repo"])
            .current_dir(self.sandbox.path(""))
            .status();
        assert!(copy.expect("cp runs").success());
    }

    /// Asserts that a pull brings back all that a prune has deleted.
    #[track_caller]
    fn assert_heals(&self, case: &str) {
        assert_sound(&self.sandbox, case);
        self.sandbox.run(["pull", "--mirror"]).ok();
        assert_sound(&self.sandbox, case);
        let repo = self.sandbox.repo();
        assert_eq!(left_in_state(&repo), [""; 0].map(PathBuf::from), "{case}");
        // What is left of a delta or of a summary goes with the next publish or prune.
        for entry in fs::read_dir(repo.join("tmp"))
            .expect("the folder")
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("delta-") || name.starts_with("ostree-go-summary-") {
                fs::remove_dir_all(entry.path()).expect("a folder");
            }
        }
        State::of(&repo).assert_is(&self.whole);
    }
}

#[test]
fn a_prune_that_dies_at_any_point_leaves_no_torn_commit() {
    let mirror = Mirror::new();
    let sandbox = &mirror.sandbox;
    sandbox.run(PRUNE).ok();
    let pruned = State::of(&sandbox.repo());
    assert!(sandbox.rev(OLD).is_none());
    assert_eq!(left_in_state(&sandbox.repo()), [""; 0].map(PathBuf::from));
    let deltas = ostree(&sandbox.repo(), ["static-delta", "list"]);
    assert!(deltas.contains("No static deltas"), "{deltas}");
    let again = [
        "refs.recorded",
        "transaction.ref-moved",
        "transaction.ref-moved@2",
    ];
    let later = [
        "prune.object-deleted@4",
        "prune.object-deleted@9",
        "prune.commit-deleted@2",
    ];
    let names = failpoint::PRUNE_NAMES.iter().copied();
    for point in names.chain(again).chain(later) {
        for pulls in [true, false] {
            mirror.restore();
            let out = run(sandbox.ostree_go(PRUNE).env("OSTREE_GO_FAILPOINT", point));
            assert_eq!(out.status.signal(), Some(9), "{point} is not passed: {out}");
            if pulls {
                mirror.assert_heals(point);
            } else {
                assert_sound(sandbox, point);
                sandbox.run(PRUNE).ok();
                assert_sound(sandbox, point);
                let left = left_in_state(&sandbox.repo());
                assert_eq!(left, [""; 0].map(PathBuf::from), "{point}");
                State::of(&sandbox.repo()).assert_is(&pruned);
            }
        }
    }
}

#[test]
fn a_prune_that_is_killed_at_random_leaves_no_torn_commit() {
    let mirror = Mirror::new();
    let prune = || {
        mirror.restore();
        mirror.sandbox.ostree_go(PRUNE)
    };
    kill::rounds(8, &mut Random::from_environment_or(6), prune, |round| {
        mirror.assert_heals(&format!("{round:?}"));
    });
}

#[test]
fn a_pull_finds_what_a_stock_prune_has_left() {
    let mirror = Mirror::new();
    let repo = mirror.sandbox.repo();
    let commit = mirror.sandbox.rev(OLD).expect("the release");
    let listed = ostree(&repo, ["ls", "-RCX", OLD]);
    let checksums = |line: &str| {
        let words = line.split_whitespace();
        let long = words.filter(|word| word.len() == 64);
        long.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut objects: Vec<String> = listed.lines().flat_map(checksums).collect();
    objects.sort();
    objects.dedup();
    assert!(objects.len() > 5, "{listed}");
    // libostree deletes in no order, and removes no ref that it was not told to.
    for (index, checksum) in objects.iter().chain([&commit]).enumerate() {
        mirror.restore();
        for ending in ["filez", "dirtree", "dirmeta", "commit"] {
            let path = format!("objects/{}/{}.{ending}", &checksum[..2], &checksum[2..]);
            let _ = fs::remove_file(repo.join(path));
        }
        if index % 2 == 0 {
            ostree(&repo, ["refs", "--delete", OLD]);
        }
        mirror.sandbox.run(["pull", "--mirror"]).ok();
        assert_sound(&mirror.sandbox, checksum);
        State::of(&repo).assert_is(&mirror.whole);
    }
}

#[test]
fn a_good_compose_removes_the_marks_of_the_stock_fsck() {
    let sandbox = Sandbox::with_toys("channels: [\"go-sdk/${basearch}/1.99\"]");
    let commits = sandbox.compose([]);
    let whole = State::of(&sandbox.repo());
    let listed = ostree(&sandbox.repo(), ["ls", "-RC", OLD]);
    let file = listed.lines().find(|line| line.starts_with("-00644"));
    let mut words = file.expect("a file").split_whitespace();
    let checksum = words.rfind(|word| word.len() == 64).expect("a checksum");
    let path = format!("objects/{}/{}.filez", &checksum[..2], &checksum[2..]);
    let path = sandbox.repo().join(path);
    for damaged in [false, true] {
        match damaged {
            false => fs::remove_file(&path).expect("the object"),
            true => fs::write(&path, "no object").expect("the object"),
        }
        let out = ostree::try_ostree(&sandbox.repo(), ["fsck", "--delete"]);
        assert!(!out.status.success());
        assert!(!left_in_state(&sandbox.repo()).is_empty());
        assert_eq!(sandbox.compose([]), commits);
        assert_eq!(left_in_state(&sandbox.repo()), [""; 0].map(PathBuf::from));
        State::of(&sandbox.repo()).assert_is(&whole);
    }
    sandbox.run(["export", "oci", OLD, "oci:image"]).ok();
}

/// The calls that change a repository.
const CALLS: [&str; 11] = [
    "rename",
    "renameat",
    "renameat2",
    "fsync",
    "fdatasync",
    "syncfs",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "linkat",
];

#[test]
fn a_compose_that_meets_an_error_moves_all_refs_or_none() {
    let Some(injector) = Injector::new() else {
        return;
    };
    let sandbox = Sandbox::with_toys("channels: [\"go-sdk/${basearch}/1.99\"]");
    let compose = || {
        let mut command = sandbox.ostree_go(["compose", "go.yaml"]);
        command.env("SOURCE_DATE_EPOCH", "1767323045");
        command
    };
    run(&mut compose()).ok();
    let before = State::of(&sandbox.repo());
    let saved = |from: &str, to: &str| {
        let _ = fs::remove_dir_all(sandbox.path(to));
        let copy = Command::new("cp")
            .args(["-a", from, to])
            .current_dir(sandbox.path(""))
            .status();
        assert!(copy.expect("cp runs").success());
    };
    saved("repo", "saved");
    sandbox.toys("1.99.2");
    let lines = format!("{TOY_SOURCE}\nchannels: [\"go-sdk/${{basearch}}/1.99\"]");
    sandbox.treefile("1.99.2", &lines);
    let calls = Calls::of(&injector, &CALLS, &compose());
    let after = State::of(&sandbox.repo());
    let mut random = Random::from_environment_or(6);
    let mut failed = 0;
    for (syscall, positions) in calls.iter() {
        let last = u64::try_from(positions.len()).expect("a small number");
        for at in random.sample(last, 5) {
            let when = positions[usize::try_from(at - 1).expect("a small number")];
            let effect = match when % 3 {
                0 => Effect::Error("EIO"),
                1 => Effect::ErrorFromThereOn("ENOSPC"),
                _ => Effect::Kill,
            };
            let syscall = syscall.to_owned();
            let fault = Fault {
                syscall,
                when,
                effect,
            };
            saved("saved", "repo");
            let out = run_within(&mut injector.with(&fault, &compose()), kill::LIMIT);
            let refs = State::refs_of(&sandbox.repo());
            assert_sound(&sandbox, &format!("{fault}: {out}"));
            if out.status.success() {
                assert_eq!(refs, *after.refs(), "{fault}");
            } else if effect != Effect::Kill {
                failed += 1;
                // On a disk that stays full refs cannot move back; the next operation moves them on.
                let recorded = sandbox.repo().join("state/ostree-go.refs").exists();
                let is_whole = refs == *before.refs() || refs == *after.refs();
                assert!(is_whole || recorded, "{fault}: {refs:?}");
            }
            run(&mut compose()).ok();
            assert_sound(&sandbox, "composed again");
            let left = left_in_state(&sandbox.repo());
            assert_eq!(left, [""; 0].map(PathBuf::from), "{fault}");
            State::of(&sandbox.repo()).assert_is(&after);
        }
    }
    assert!(failed > 5, "{failed} of the faults were met");
}

#[test]
fn what_a_command_has_reported_survives_a_power_cut() {
    for kind in Kind::ALL {
        let Some(disk) = Disk::new(kind) else { return };
        let sandbox = Sandbox::with_toys("channels: [\"go-sdk/${basearch}/1.99\"]");
        let repo = disk.path().join("repo");
        let on_disk = |args: &[&str]| {
            let mut command = sandbox.ostree_go(args.iter().copied());
            command.env("OSTREE_REPO", &repo);
            run(&mut command).ok();
            let refs = State::refs_of(&repo);
            disk.cut_power();
            ostree(&repo, ["fsck", "--quiet"]);
            assert_eq!(State::refs_of(&repo), refs, "{kind:?}: {args:?}");
            refs
        };
        let first = on_disk(&["compose", "go.yaml"]);
        assert!(first.len() > 4, "{first:?}");
        on_disk(&["promote", OLD, "go-sdk/x86_64/a/new/channel"]);
        sandbox.toys("1.99.2");
        let lines = format!("{TOY_SOURCE}\nchannels: [\"go-sdk/${{basearch}}/1.99\"]");
        sandbox.treefile("1.99.2", &lines);
        let all = on_disk(&["compose", "go.yaml"]);
        on_disk(&[
            "promote",
            "go-sdk/x86_64/1.99.2",
            "go-sdk/x86_64/a/new/channel",
        ]);
        let pruned = on_disk(&PRUNE);
        assert!(pruned.len() < all.len(), "{pruned:?}");
    }
}
