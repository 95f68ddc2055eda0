//! Deployments: install, upgrade, rollback, refusal and removal.

use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::host::{Host, read};
use ostree_go_tests::ostree;
use ostree_go_tests::tools;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const GOROOT: &str = "usr/lib/sdk/go-1.99";

#[test]
fn the_complete_life_cycle_as_the_current_user() {
    whole_life(&Host::new());
}

#[test]
fn the_complete_life_cycle_as_an_ordinary_user() {
    whole_life(&Host::of_plain_user());
}

fn whole_life(host: &Host) {
    host.release("1.99.1", 100);
    let out = host.run(["status"]).exits(1);
    assert!(
        out.stderr.contains("nothing is installed under"),
        "{}",
        out.stderr
    );
    let out = host.install("1.99").ok();
    assert_eq!(out.stderr, "go 1.99.1 is installed and active (unsigned)\n");
    host.check();
    let version = host.current(&format!("{GOROOT}/VERSION"));
    assert!(read(&version).starts_with("go1.99.1\n"));
    let go = fs::canonicalize(host.current("usr/bin/go")).unwrap();
    assert!(go.ends_with(format!("{GOROOT}/bin/go")), "{}", go.display());

    // Nothing newer: nothing happens.
    let out = host.run(["upgrade", "--unchanged-exit-77"]).exits(77);
    assert_eq!(out.stderr, "go 1.99.1 is up to date (unsigned)\n");

    host.release("1.99.2", 200);
    let out = host.run(["upgrade"]).ok();
    assert_eq!(out.stderr, "go 1.99.2 is installed and active (unsigned)\n");
    assert!(read(&version).starts_with("go1.99.2\n"));
    shares_inodes(host);

    // Back, forward, back: offline, for the repository is gone.
    fs::rename(host.sandbox.repo(), host.sandbox.path("gone")).unwrap();
    for expected in ["1.99.1", "1.99.2", "1.99.1"] {
        host.run(["rollback"]).ok();
        assert_eq!(host.active().as_deref(), Some(expected));
        assert!(read(&version).starts_with(&format!("go{expected}\n")));
    }
    host.run(["rollback", "--verified"]).ok();
    assert_eq!(host.active().as_deref(), Some("1.99.2"));
    fs::rename(host.sandbox.path("gone"), host.sandbox.repo()).unwrap();

    let out = host.run(["use", "1.99.1"]).ok();
    assert_eq!(out.stderr, "go 1.99.1 is active\n");
    host.install("1.99.2").ok();
    host.run(["use", "1.99.1"]).ok();
    let out = host.run(["uninstall", "1.99.1"]).exits(1);
    assert!(
        out.stderr.contains("go 1.99.1 is the active deployment"),
        "{}",
        out.stderr
    );
    let status = host.run(["status"]).ok().stdout;
    let marks: String = status.lines().map(|line| &line[..1]).collect();
    assert_eq!(marks, " < *", "{status}");

    // Collecting takes nothing that is needed.
    host.run(["gc"]).ok();
    host.check();
    host.run(["uninstall", "1.99.2"]).ok();
    host.run(["uninstall", "go-sdk/x86_64/1.99"])
        .code()
        .expect("an exit code");
    let gc = host.json(["gc"]);
    assert!(gc["objects"].as_u64() > Some(0), "{gc:#}");
    host.check();
    host.run(["status"]).ok();

    let history = host.json(["status"])["history"].clone();
    let actions: Vec<&str> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    let expected = [
        "install", "upgrade", "rollback", "rollback", "rollback", "rollback", "use", "install",
        "use",
    ];
    assert_eq!(actions, expected);
}

fn shares_inodes(host: &Host) {
    let shared = host.current(&format!("{GOROOT}/src/fmt/print.go"));
    let metadata = shared.metadata().unwrap();
    // The object and two deployments; whoever owns it has no write bit.
    assert_eq!(metadata.nlink(), 3);
    assert_eq!(metadata.permissions().mode() & 0o777, 0o444);
    let object = find_inode(&host.root().join("repo/objects"), metadata.ino());
    assert!(object.is_some(), "no object shares the inode");
    let folder = shared.parent().unwrap();
    assert_eq!(
        folder.metadata().unwrap().permissions().mode() & 0o777,
        0o555
    );
    if metadata.uid() != 0 {
        let denied = |script: &str| {
            let mut sh = Command::new("sh");
            sh.args(["-c", script]).current_dir(folder);
            sh.uid(metadata.uid()).gid(metadata.gid());
            !sh.output().unwrap().status.success()
        };
        assert!(denied("echo x >> print.go"), "a write went through");
        assert!(denied("echo x > new.go"), "a file was added");
        assert!(denied("rm -f print.go"), "a file was removed");
    }
}

fn find_inode(folder: &Path, inode: u64) -> Option<PathBuf> {
    fs::read_dir(folder).unwrap().flatten().find_map(|entry| {
        let path = entry.path();
        let metadata = path.symlink_metadata().unwrap();
        match metadata.is_dir() {
            true => find_inode(&path, inode),
            false => (metadata.ino() == inode).then_some(path),
        }
    })
}

/// Asserts that a command is refused and changes nothing.
#[track_caller]
fn refused(host: &Host, args: &[&str], why: &str) {
    let look = || {
        (
            read(&host.root().join("state.json")),
            fs::read_link(host.current("")).ok(),
        )
    };
    let before = look();
    let out = host.run(args.iter().copied()).exits(3);
    assert!(out.stderr.contains(why), "{}", out.stderr);
    let stays = "nothing was deployed; go 1.99.1 stays active";
    assert!(out.stderr.contains(stays), "{}", out.stderr);
    assert_eq!(look(), before);
    host.check();
}

/// Asserts that an install of two SDKs, the second of which is refused, installs neither.
#[track_caller]
fn refused_after_cleaning(host: &Host, args: &[&str]) {
    let count = || {
        host.json(["status"])["deployments"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = count();
    let out = host.run(args.iter().copied()).exits(3);
    let stays = "nothing was deployed; go 1.99.1 stays active";
    assert!(out.stderr.contains(stays), "{}", out.stderr);
    assert_eq!(count(), before);
    host.check();
}

#[test]
fn untrusted_commits_are_refused() {
    let host = Host::new();
    host.release("1.99.1", 100);
    let gpg = Gpg::new();
    let (good, other) = (gpg.key("good"), gpg.key("other"));
    let keys = gpg.export(&good);
    let keys = keys.to_str().unwrap();
    let home = gpg.home().to_str().unwrap().to_owned();
    let home = format!("--gpg-homedir={home}");
    let sign = |name: &str, key: &str| {
        let (key, repo) = (format!("--gpg-sign={key}"), host.sandbox.repo());
        let commit = ostree::ostree(&repo, ["rev-parse", name]);
        let commit = commit.trim();
        let args = [
            "gpg-sign",
            &home,
            commit,
            key.trim_start_matches("--gpg-sign="),
        ];
        ostree::ostree(&repo, args);
    };
    let install = |name| ["install", name, "--from-repo", "repo", "--gpg-keys", keys];
    sign("go-sdk/x86_64/1.99", &good);
    let out = host.run(install("1.99")).ok();
    assert_eq!(out.stderr, "go 1.99.1 is installed and active\n");
    let status = host.json(["status"]);
    assert_eq!(status["deployments"][0]["unsigned"], false);
    assert_eq!(status["history"][0]["signed_by"][0], good.as_str());

    host.release("1.99.2", 200);
    refused(&host, &install("1.99"), "is not signed");
    sign("go-sdk/x86_64/1.99", &other);
    refused(&host, &install("1.99"), "made by an unknown key");
    let unsigned = ["install", "1.99.2", "--from-repo", "repo"];
    let out = host.run(unsigned).ok();
    assert!(out.stderr.contains("(unsigned)"), "{}", out.stderr);

    // The key expires; what was verified once stays good.
    gpg.expire(&good);
    host.run(["rollback"]).ok();
    assert_eq!(host.active().as_deref(), Some("1.99.1"));
    refused(&host, &install("1.99.1"), "is not signed");
}

#[test]
fn unsuitable_commits_are_refused() {
    let host = Host::new();
    host.release("1.99.1", 200);
    host.install("1.99").ok();
    let repo = host.sandbox.repo();
    let from = ["--from-repo", "repo"];

    // A ref that was swapped for another.
    let rev = |name: &str| ostree::ostree(&repo, ["rev-parse", name]).trim().to_owned();
    let create = |name: &str, target: &str| {
        ostree::ostree(
            &repo,
            ["refs", "--force", &format!("--create={name}"), target],
        );
    };
    let channel = rev("go-sdk/x86_64/1.99");
    create("go-sdk/x86_64/1.22", &channel);
    let args = ["install", "1.22", from[0], from[1]];
    refused(&host, &args, "expected on go-sdk/x86_64/1.99");
    let args = ["install", "go-sdk/aarch64/1.99", from[0], from[1]];
    refused(&host, &args, "is for aarch64, expected x86_64");
    let layer = host
        .sandbox
        .refs()
        .into_iter()
        .find(|r| r.contains("/toolchain/"));
    let layer = layer.unwrap();
    let args = ["install", &layer, from[0], from[1]];
    refused(&host, &args, "neither a release nor a channel");

    // All or none.
    let args = ["install", "1.99.1", "1.22", from[0], from[1]];
    refused_after_cleaning(&host, &args);

    // An old commit, replayed.
    host.release("1.99.2", 300);
    host.run(["upgrade"]).ok();
    host.run(["uninstall", "1.99.1"]).ok();
    let newer = rev("go-sdk/x86_64/1.99");
    create("go-sdk/x86_64/1.99", &channel);
    let out = host.run(["upgrade"]).exits(3);
    assert!(
        out.stderr.contains("older than the deployed commit"),
        "{}",
        out.stderr
    );
    assert!(
        out.stderr.contains("go 1.99.2 stays active"),
        "{}",
        out.stderr
    );
    host.run(["upgrade", "--allow-downgrade"]).ok();
    assert_eq!(host.active().as_deref(), Some("1.99.1"));
    create("go-sdk/x86_64/1.99", &newer);
    host.run(["upgrade"]).ok();
    assert_eq!(host.active().as_deref(), Some("1.99.2"));
    host.run(["install", "nothing", from[0], from[1]]).exits(1);
}

#[test]
fn several_sdks_side_by_side_and_for_another_architecture() {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.release("1.99.2", 200);
    host.run(["install", "1.99.1", "1.99.2", "--from-repo", "repo"])
        .ok();
    let out = host
        .run([
            "install",
            "1.99.2",
            "--arch",
            "aarch64",
            "--from-repo",
            "repo",
        ])
        .ok();
    assert_eq!(out.stderr, "go 1.99.2 aarch64 is installed (unsigned)\n");
    assert_eq!(host.active().as_deref(), Some("1.99.2"));
    for (link, version, machine) in [
        ("go-1.99.1", "1.99.1", 62),
        ("go-1.99.2.aarch64", "1.99.2", 183),
    ] {
        let goroot = host.root().join("sdk").join(link).join(GOROOT);
        assert!(read(&goroot.join("VERSION")).starts_with(&format!("go{version}\n")));
        assert_eq!(fs::read(goroot.join("bin/go")).unwrap()[18], machine);
    }
    let bin = host.root().join("current/usr/bin");
    let bin = bin.display();
    let env = |args: &[&str]| host.run(["env"].iter().chain(args).copied()).ok().stdout;
    assert!(env(&[]).starts_with(&format!("_ostree_go='{bin}'\n")));
    assert!(env(&["--shell", "fish"]).starts_with(&format!("set -l _ostree_go '{bin}'\n")));
    let json: serde_json::Value =
        serde_json::from_str(&env(&["--shell", "json", "1.99.1"])).unwrap();
    assert!(
        json["bin"]
            .as_str()
            .unwrap()
            .ends_with("/sdk/go-1.99.1/usr/bin")
    );
    // The last one can go, too.
    for name in ["1.99.1", "1.99.2"] {
        host.run(["uninstall", name, "--active"]).ok();
    }
    assert_eq!(host.active(), None);
    host.run(["env"]).exits(1);
    host.run(["rollback"]).exits(1);
    host.run(["use", "1.99.2"]).exits(3);
    host.run(["uninstall", "1.99.2"]).ok();
    host.run(["gc"]).ok();
    host.check();
    assert!(ostree::ostree(&host.root().join("repo"), ["refs"]).is_empty());
}

/// Changes a deployed file, after making it writable.
fn damage(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, "damaged").unwrap();
}

#[test]
fn damage_is_detected_skipped_and_repaired() {
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200), ("1.99.3", 300)] {
        host.release(version, seconds);
        host.install("1.99").ok();
    }
    let active = fs::canonicalize(host.current(GOROOT)).unwrap();
    // One file of the active one's own, and one of the one before.
    damage(&active.join("src/version.go"));
    host.run(["rollback"]).ok();
    damage(&host.current(&format!("{GOROOT}/src/version.go")));
    host.run(["rollback"]).ok();

    let out = host.run(["status"]).exits(4);
    let says =
        "the active go 1.99.3 no longer verifies: /usr/lib/sdk/go-1.99/src/version.go is changed";
    assert!(out.stderr.contains(says), "{}", out.stderr);
    assert!(out.stdout.contains("damaged"), "{}", out.stdout);
    let out = host.run(["rollback", "--verified"]).ok();
    assert!(
        out.stderr.contains("go 1.99.2 is damaged (1 files)"),
        "{}",
        out.stderr
    );
    assert_eq!(host.active().as_deref(), Some("1.99.1"));
    // What is known to be damaged is not gone back to.
    host.run(["rollback"]).exits(1);
    let out = host.run(["use", "1.99.3"]).exits(3);
    assert!(
        out.stderr.contains("go 1.99.1 stays active"),
        "{}",
        out.stderr
    );

    // Installing it again fetches what was damaged.
    let out = host.install("1.99").ok();
    assert!(
        out.stderr.contains("go 1.99.3 is repaired and active"),
        "{}",
        out.stderr
    );
    host.run(["status"]).ok();
    host.run(["uninstall", "1.99.2"]).ok();
    host.run(["gc"]).ok();
    host.check();

    // Nobody else has what is damaged now: one repair makes everything whole.
    host.run(["uninstall", "1.99.1"]).ok();
    // Missing and added files count, and so does the execute bit.
    let active = fs::canonicalize(host.current(GOROOT)).unwrap();
    fs::set_permissions(&active, fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(active.join("LICENSE")).unwrap();
    fs::write(active.join("extra"), "").unwrap();
    fs::set_permissions(active.join("bin/go"), fs::Permissions::from_mode(0o444)).unwrap();
    let status = host.json(["status"]);
    let damaged: Vec<String> = status["deployments"][0]["damaged"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| format!("{} {}", d["path"], d["problem"]).replace("/usr/lib/sdk/go-1.99", ""))
        .collect();
    assert_eq!(
        damaged,
        [
            "\"/LICENSE\" \"missing\"",
            "\"/bin/go\" \"changed\"",
            "\"/extra\" \"extra\""
        ]
    );
    let out = host.run(["upgrade"]).ok();
    assert!(
        out.stderr
            .contains("warning: the active go 1.99.3 no longer verifies")
    );
    assert!(
        out.stderr.contains("go 1.99.3 is repaired"),
        "{}",
        out.stderr
    );
    host.check();
}

#[test]
fn a_state_file_of_a_newer_version_is_not_changed() {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99").ok();
    let path = host.root().join("state.json");
    fs::write(&path, "{\"schema\": 9}").unwrap();
    for args in [&["status"][..], &["rollback"], &["gc"], &["upgrade"]] {
        let out = host.run(args.iter().copied()).exits(1);
        assert!(
            out.stderr.contains("has schema 9, expected at most 1"),
            "{}",
            out.stderr
        );
    }
    assert_eq!(read(&path), "{\"schema\": 9}");
    assert!(host.current(GOROOT).is_dir());
}

#[test]
fn superseded_deployments_are_collected() {
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200), ("1.99.3", 300)] {
        host.release(version, seconds);
        host.install("1.99").ok();
    }
    let out = host.run(["gc", "--superseded"]).ok();
    assert!(
        out.stderr.starts_with("go 1.99.1 is removed\n"),
        "{}",
        out.stderr
    );
    host.run(["rollback"]).ok();
    assert_eq!(host.active().as_deref(), Some("1.99.2"));
    host.check();
}

#[test]
fn ordinary_users_can_read_root_directories_of_others() {
    if !tools::is_root() {
        tools::skip("only root has a root that a plain user cannot write");
        return;
    }
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99").ok();
    fs::set_permissions(host.sandbox.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let as_user = |args: &[&str]| {
        let mut command = host.command(args.iter().copied());
        ostree_go_tests::cli::run(command.uid(1000).gid(1000))
    };
    as_user(&["status"]).ok();
    as_user(&["env"]).ok();
    let out = as_user(&["rollback"]).exits(1);
    assert!(out.stderr.contains("Permission denied"), "{}", out.stderr);
}
