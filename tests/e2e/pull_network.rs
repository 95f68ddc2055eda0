//! Pulls over a failing network, and onto a full disk.

use ostree_go_tests::pull_fixture::{PullFixture, REF};
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::webserver::Fault;
use std::time::Duration;

#[test]
fn a_server_with_faults() {
    let fixture = PullFixture::new();
    let file = fixture.object(REF, "filez");
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
        fixture.server.reset();
        fixture.server.fault(&file, fault.clone());
        let out = fixture.pull(&[REF]);
        assert_eq!(out.code(), Some(code), "{fault:?}: {}", out.stderr);
        fixture.assert_intact(&[]);
    }
    // Trouble that passes is none.
    for fault in [Fault::Reset, Fault::Status(500), Fault::Truncate] {
        fixture.server.reset();
        fixture.server.fault_times(&file, fault, 3);
        fixture
            .host
            .run(["pull", "--retries", "3", REF, "--dry-run"])
            .ok();
    }
    fixture.server.reset();
    fixture.server.fault_times(&file, Fault::Reset, 3);
    fixture.host.run(["pull", "--retries", "3", REF]).ok();
    fixture.assert_intact(&[&format!("acme:{REF}")]);
}

#[test]
fn a_server_that_stops_responding() {
    let fixture = PullFixture::new();
    fixture.delta(None, &fixture.publisher.rev(REF).unwrap());
    let commit = fixture.object(REF, "commit");
    for path in ["/summary", commit.as_str(), "/superblock", "/0$"] {
        for fault in [Fault::Stall, Fault::StallHalfway] {
            fixture.server.reset();
            fixture.server.fault(path, fault.clone());
            let out = fixture.host.run([
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
            fixture.assert_intact(&[]);
        }
    }
    // A stop is heard at once, however long the server may be silent.
    fixture.server.reset();
    fixture.server.fault("/0$", Fault::StallHalfway);
    let mut command = fixture
        .host
        .ostree_go(["pull", "--stall-timeout", "3600", REF]);
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !fixture.server.requests().iter().any(|p| p.ends_with("/0")) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(130), "{out:?}");
    fixture.assert_intact(&[]);
    fixture.server.reset();
    fixture.pull(&[REF]).ok();
    fixture.assert_intact(&[&format!("acme:{REF}")]);
}

#[test]
fn a_failed_pull_is_resumed() {
    let fixture = PullFixture::new();
    let file = fixture.object(REF, "filez");
    fixture.server.fault(&file, Fault::Status(503));
    fixture.server.delay(Duration::from_millis(10));
    fixture.pull(&[REF]).exits(75);
    let first = fixture.server.requests();
    fixture.server.reset();
    fixture.pull(&[REF]).ok();
    let again = fixture.server.requests();
    let files = |asked: &[String]| asked.iter().filter(|p| p.ends_with(".filez")).count();
    let (before, after) = (files(&first), files(&again));
    assert!(after < 20 && before + after < 40, "{before}, then {after}");
    fixture.assert_intact(&[&format!("acme:{REF}")]);
}

#[test]
fn a_delta_that_goes_away_during_the_pull() {
    for status in [404, 403] {
        let fixture = PullFixture::new();
        fixture.delta(None, &fixture.publisher.rev(REF).unwrap());
        fixture.server.fault("/0$", Fault::Status(status));
        let out = fixture.pull(&[REF, "--format", "json"]).ok();
        // What comes object by object has not come by delta.
        assert!(
            out.stdout.contains("\"used_delta\": false"),
            "{}",
            out.stdout
        );
        assert!(!out.stderr.contains("by delta"), "{}", out.stderr);
        let asked = fixture.server.requests();
        assert!(asked.iter().any(|p| p.ends_with(".filez")), "{asked:?}");
        fixture.assert_intact(&[&format!("acme:{REF}")]);
    }
}

#[test]
fn missing_refs_and_unreachable_servers() {
    let fixture = PullFixture::new();
    let out = fixture.pull(&["go-sdk/x86_64/9.9"]).exits(1);
    assert!(
        out.stderr.contains("no ref `go-sdk/x86_64/9.9` at http"),
        "{}",
        out.stderr
    );
    fixture.server.fault("/", Fault::Reset);
    fixture.pull(&[REF]).exits(75);
    fixture.assert_intact(&[]);
}

#[test]
fn a_killed_pull_is_resumed() {
    let fixture = PullFixture::new();
    fixture.server.delay(Duration::from_millis(60));
    let mut child = fixture.host.ostree_go(["pull", "-q", REF]).spawn().unwrap();
    while fixture.server.bytes() < 30_000 {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let first = fixture.server.bytes();
    fixture.assert_intact(&[]);
    fixture.server.reset();
    fixture.pull(&[REF]).ok();
    let second = fixture.server.bytes();
    assert!(second < 45_000, "{first} bytes, and then {second}");
    fixture.assert_intact(&[&format!("acme:{REF}")]);
}

#[test]
fn a_pull_that_is_killed_at_a_checkpoint() {
    let fixture = PullFixture::new();
    for point in ["pull.fetched", "pull.locked", "pull.committed"] {
        let mut command = fixture.host.ostree_go(["pull", "-q", REF]);
        let out = ostree_go_tests::cli::run(command.env("OSTREE_GO_FAILPOINT", point));
        assert_ne!(out.code(), Some(0), "{point}: {}", out.stderr);
        fixture.host.fsck();
    }
    fixture.pull(&[REF]).ok();
    fixture.assert_intact(&[&format!("acme:{REF}")]);
    fixture.host.checkout(&format!("acme:{REF}"), "tree");
}

#[test]
fn a_pull_stays_within_max_bytes() {
    let fixture = PullFixture::new();
    let out = fixture.pull(&[REF, "--max-bytes", "20000"]).exits(1);
    assert!(
        out.stderr.contains("at most 20000 are allowed"),
        "{}",
        out.stderr
    );
    fixture.assert_intact(&[]);
    // A delta says it before it starts.
    fixture.delta(None, &fixture.publisher.rev(REF).unwrap());
    fixture.server.reset();
    fixture.pull(&[REF, "--max-bytes", "20000"]).exits(1);
    fixture
        .pull(&[REF, "--max-bytes", "20000", "--dry-run"])
        .exits(1);
    let asked = fixture.server.requests();
    assert!(!asked.iter().any(|p| p.ends_with("/0")), "{asked:?}");
    fixture.pull(&[REF, "--max-bytes", "1000000"]).ok();
    fixture.assert_intact(&[&format!("acme:{REF}")]);
}

#[test]
fn objects_shared_by_two_refs_count_once() {
    let fixture = PullFixture::new();
    // The same tree under another name, as a release and its channel are.
    let release = "go-sdk/x86_64/1.99.1";
    let commit = fixture.commit(release, 1, &["--add-metadata-string=version=1.99.1"]);
    fixture.delta(None, &fixture.publisher.rev(REF).unwrap());
    fixture.delta(None, &commit);
    let out = fixture.pull(&[REF, release, "--dry-run", "--format", "json"]);
    let said: serde_json::Value = serde_json::from_str(&out.ok().stdout).unwrap();
    let bytes = said["commits"][0]["download"]["bytes"].as_u64().unwrap();
    assert_eq!(said["commits"][1]["download"]["bytes"], bytes);
    // The commits and their signatures come beside the delta.
    let limit = (bytes + 20_000).to_string();
    assert!(bytes + 20_000 < 2 * bytes, "{bytes}");
    fixture.server.reset();
    let out = fixture.pull(&[REF, release, "--max-bytes", &limit]).ok();
    assert!(out.stderr.contains("by delta"), "{}", out.stderr);
    let asked = fixture.server.requests();
    let parts = asked.iter().filter(|p| p.ends_with("/0")).count();
    assert_eq!(parts, 1, "{asked:?}");
    fixture.assert_intact(&[&format!("acme:{REF}"), &format!("acme:{release}")]);
}

#[test]
fn a_full_disk_during_a_pull() {
    let fixture = PullFixture::new();
    fixture.delta(None, &fixture.publisher.rev(REF).unwrap());
    let Some(disk) = Tmpfs::mount(1 << 20) else {
        return;
    };
    let repo = disk.path().join("repo");
    let keys = fixture.gpg.export(&fixture.key);
    let run = |args: &[&str]| {
        let mut command = fixture.host.ostree_go(args.iter().copied());
        ostree_go_tests::cli::run(command.env("OSTREE_REPO", &repo))
    };
    run(&["init", "--mode", "bare-user-only"]).ok();
    let (url, keys) = (fixture.server.url(), keys.display().to_string());
    run(&["remote", "add", "acme", &url, "--gpg-import", &keys]).ok();
    let room = disk.fill();
    // Room for the commit, not for what it is made of.
    let length = std::fs::metadata(&room).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&room).unwrap();
    file.set_len(length - 40_000).unwrap();
    drop(file);
    fixture.server.reset();
    let out = run(&["pull", REF]).exits(75);
    assert!(out.stderr.contains("free, pulling needs"), "{}", out.stderr);
    let asked = fixture.server.requests();
    assert!(!asked.iter().any(|p| p.ends_with("/0")), "{asked:?}");
    std::fs::remove_file(&room).unwrap();
    run(&["pull", REF]).ok();
}
