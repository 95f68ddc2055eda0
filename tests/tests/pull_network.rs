//! Pulling over a network that fails, onto a disk that is full.

use ostree_go_tests::shop::{REF, Shop};
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::webserver::Fault;
use std::time::Duration;

#[test]
fn a_server_in_trouble() {
    let shop = Shop::new();
    let file = shop.object(REF, "filez");
    let faults = [
        (Fault::Status(404), 1),
        (Fault::Status(403), 1),
        (Fault::Status(500), 75),
        (Fault::Reset, 75),
        (Fault::Truncate, 75),
        (Fault::LengthTooLong, 75),
        (Fault::LengthTooShort, 3),
    ];
    for (fault, code) in faults {
        shop.server.behave();
        shop.server.fault(&file, fault.clone());
        let out = shop.pull(&[REF]);
        assert_eq!(out.code(), Some(code), "{fault:?}: {}", out.stderr);
        shop.unharmed(&[]);
    }
    // Trouble that passes is none.
    for fault in [Fault::Reset, Fault::Status(500), Fault::Truncate] {
        shop.server.behave();
        shop.server.fault_times(&file, fault, 3);
        shop.host
            .run(["pull", "--retries", "3", REF, "--dry-run"])
            .ok();
    }
    shop.server.behave();
    shop.server.fault_times(&file, Fault::Reset, 3);
    shop.host.run(["pull", "--retries", "3", REF]).ok();
    shop.unharmed(&[&format!("acme:{REF}")]);
}

#[test]
fn a_server_that_falls_silent() {
    let shop = Shop::new();
    shop.delta(None, &shop.publisher.rev(REF).unwrap());
    let commit = shop.object(REF, "commit");
    for path in ["/summary", commit.as_str(), "/superblock", "/0$"] {
        for fault in [Fault::Stall, Fault::StallHalfway] {
            shop.server.behave();
            shop.server.fault(path, fault.clone());
            let out = shop.host.run([
                "pull",
                "--retries",
                "0",
                "--stall-timeout",
                "1",
                "acme",
                REF,
            ]);
            assert_eq!(out.code(), Some(75), "{path} {fault:?}: {}", out.stderr);
            assert!(
                out.stderr.contains("has sent nothing for 1 seconds"),
                "{path} {fault:?}: {}",
                out.stderr
            );
            shop.unharmed(&[]);
        }
    }
    // A stop is heard at once, however long the server may be silent.
    shop.server.behave();
    shop.server.fault("/0$", Fault::StallHalfway);
    let mut command = shop
        .host
        .ostree_go(["pull", "--stall-timeout", "3600", REF]);
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !shop.server.requests().iter().any(|p| p.ends_with("/0")) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{out:?}");
    shop.unharmed(&[]);
    shop.server.behave();
    shop.pull(&[REF]).ok();
    shop.unharmed(&[&format!("acme:{REF}")]);
}

#[test]
fn a_pull_that_failed_goes_on_where_it_was() {
    let shop = Shop::new();
    let file = shop.object(REF, "filez");
    shop.server.fault(&file, Fault::Status(503));
    shop.server.delay(Duration::from_millis(10));
    shop.pull(&[REF]).exits(75);
    let first = shop.server.requests();
    shop.server.behave();
    shop.pull(&[REF]).ok();
    let again = shop.server.requests();
    let files = |asked: &[String]| asked.iter().filter(|p| p.ends_with(".filez")).count();
    let (before, after) = (files(&first), files(&again));
    assert!(after < 20 && before + after < 40, "{before}, then {after}");
    shop.unharmed(&[&format!("acme:{REF}")]);
}

#[test]
fn a_delta_that_goes_away_during_the_pull() {
    let shop = Shop::new();
    shop.delta(None, &shop.publisher.rev(REF).unwrap());
    shop.server.fault("/0$", Fault::Status(404));
    let out = shop.pull(&[REF, "--format", "json"]).ok();
    // What comes object by object has not come by delta.
    assert!(
        out.stdout.contains("\"used_delta\": false"),
        "{}",
        out.stdout
    );
    assert!(!out.stderr.contains("by delta"), "{}", out.stderr);
    let asked = shop.server.requests();
    assert!(asked.iter().any(|p| p.ends_with(".filez")), "{asked:?}");
    shop.unharmed(&[&format!("acme:{REF}")]);
}

#[test]
fn nobody_there_and_nothing_on_it() {
    let shop = Shop::new();
    let out = shop.pull(&["go-sdk/x86_64/9.9"]).exits(1);
    assert!(
        out.stderr.contains("no ref `go-sdk/x86_64/9.9` at http"),
        "{}",
        out.stderr
    );
    shop.server.fault("/", Fault::Reset);
    shop.pull(&[REF]).exits(75);
    shop.unharmed(&[]);
}

#[test]
fn a_killed_pull_goes_on_where_it_was() {
    let shop = Shop::new();
    shop.server.delay(Duration::from_millis(60));
    let mut child = shop.host.ostree_go(["pull", "-q", REF]).spawn().unwrap();
    while shop.server.bytes() < 30_000 {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let first = shop.server.bytes();
    shop.unharmed(&[]);
    shop.server.behave();
    shop.pull(&[REF]).ok();
    let second = shop.server.bytes();
    assert!(second < 45_000, "{first} bytes, and then {second}");
    shop.unharmed(&[&format!("acme:{REF}")]);
}

#[test]
fn a_pull_that_dies_at_a_checkpoint() {
    let shop = Shop::new();
    for point in ["pull.fetched", "pull.locked", "pull.committed"] {
        let mut command = shop.host.ostree_go(["pull", "-q", REF]);
        let out = ostree_go_tests::cli::run(command.env("OSTREE_GO_FAILPOINT", point));
        assert_ne!(out.code(), Some(0), "{point}: {}", out.stderr);
        shop.host.fsck();
    }
    shop.pull(&[REF]).ok();
    shop.unharmed(&[&format!("acme:{REF}")]);
    shop.host.checkout(&format!("acme:{REF}"), "tree");
}

#[test]
fn no_more_bytes_than_allowed() {
    let shop = Shop::new();
    let out = shop.pull(&[REF, "--max-bytes", "20000"]).exits(1);
    assert!(
        out.stderr.contains("at most 20000 are allowed"),
        "{}",
        out.stderr
    );
    shop.unharmed(&[]);
    // A delta says it before it starts.
    shop.delta(None, &shop.publisher.rev(REF).unwrap());
    shop.server.behave();
    shop.pull(&[REF, "--max-bytes", "20000"]).exits(1);
    shop.pull(&[REF, "--max-bytes", "20000", "--dry-run"])
        .exits(1);
    let asked = shop.server.requests();
    assert!(!asked.iter().any(|p| p.ends_with("/0")), "{asked:?}");
    shop.pull(&[REF, "--max-bytes", "1000000"]).ok();
    shop.unharmed(&[&format!("acme:{REF}")]);
}

#[test]
fn what_two_refs_share_counts_once() {
    let shop = Shop::new();
    // The same tree under another name, as a release and its channel are.
    let release = "go-sdk/x86_64/1.99.1";
    let commit = shop.commit(release, 1, &["--add-metadata-string=version=1.99.1"]);
    shop.delta(None, &shop.publisher.rev(REF).unwrap());
    shop.delta(None, &commit);
    let out = shop.pull(&[REF, release, "--dry-run", "--format", "json"]);
    let said: serde_json::Value = serde_json::from_str(&out.ok().stdout).unwrap();
    let bytes = said["commits"][0]["download"]["bytes"].as_u64().unwrap();
    assert_eq!(said["commits"][1]["download"]["bytes"], bytes);
    // The commits and their signatures come beside the delta.
    let limit = (bytes + 20_000).to_string();
    assert!(bytes + 20_000 < 2 * bytes, "{bytes}");
    shop.server.behave();
    let out = shop.pull(&[REF, release, "--max-bytes", &limit]).ok();
    assert!(out.stderr.contains("by delta"), "{}", out.stderr);
    let asked = shop.server.requests();
    let parts = asked.iter().filter(|p| p.ends_with("/0")).count();
    assert_eq!(parts, 1, "{asked:?}");
    shop.unharmed(&[&format!("acme:{REF}"), &format!("acme:{release}")]);
}

#[test]
fn no_room_on_the_disk() {
    let shop = Shop::new();
    shop.delta(None, &shop.publisher.rev(REF).unwrap());
    let Some(disk) = Tmpfs::mount(1 << 20) else {
        return;
    };
    let repo = disk.path().join("repo");
    let keys = shop.gpg.export(&shop.key);
    let run = |args: &[&str]| {
        let mut command = shop.host.ostree_go(args.iter().copied());
        ostree_go_tests::cli::run(command.env("OSTREE_REPO", &repo))
    };
    run(&["init", "--mode", "bare-user-only"]).ok();
    let (url, keys) = (shop.server.url(), keys.display().to_string());
    run(&["remote", "add", "acme", &url, "--gpg-import", &keys]).ok();
    let room = disk.fill();
    // Room for the commit, not for what it is made of.
    let length = std::fs::metadata(&room).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&room).unwrap();
    file.set_len(length - 40_000).unwrap();
    drop(file);
    shop.server.behave();
    let out = run(&["pull", REF]).exits(75);
    assert!(out.stderr.contains("bytes free"), "{}", out.stderr);
    let asked = shop.server.requests();
    assert!(!asked.iter().any(|p| p.ends_with("/0")), "{asked:?}");
    std::fs::remove_file(&room).unwrap();
    run(&["pull", REF]).ok();
}
