//! Pulls from a malicious server: only content that the publisher has signed is accepted.

use ostree_go_tests::ostree;
use ostree_go_tests::pull_fixture::{PullFixture, REF};
use ostree_go_tests::webserver::Fault;
use std::fs;

const OTHER_ARCH: &str = "go-sdk/aarch64/1.99";

#[track_caller]
fn refused(fixture: &PullFixture, args: &[&str], says: &str) {
    let before = fixture.host.refs();
    let out = fixture.pull(args).exits(3);
    assert!(
        out.stderr.contains(says),
        "expected `{says}`:\n{}",
        out.stderr
    );
    assert_eq!(fixture.host.refs(), before);
    fixture.host.fsck();
}

#[test]
fn one_flipped_bit_in_any_kind_of_object() {
    let fixture = PullFixture::new();
    for ending in ["commit", "dirtree", "dirmeta", "filez"] {
        fixture.server.reset();
        fixture
            .server
            .fault(&fixture.object(REF, ending), Fault::Flip);
        let out = fixture.pull(&[REF]);
        assert_eq!(out.code(), Some(3), "{ending}: {}", out.stderr);
        fixture.assert_intact(&[]);
    }
    // The signature.
    fixture.server.reset();
    fixture.server.fault(".commitmeta", Fault::Flip);
    let out = fixture.pull(&[REF]);
    assert_ne!(out.code(), Some(0), "{}", out.stderr);
    fixture.assert_intact(&[]);
    // What was refused once harms nothing later.
    fixture.server.reset();
    fixture.pull(&[REF]).ok();
    fixture.assert_intact(&[&format!("acme:{REF}")]);
}

#[test]
fn one_flipped_bit_in_a_delta() {
    let fixture = PullFixture::new();
    let first = fixture.publisher.rev(REF).unwrap();
    fixture.delta(None, &first);
    fixture.server.fault("/0$", Fault::Flip);
    refused(&fixture, &[REF], "it has the checksum");
    // A summary and a superblock only say where things are. What they lead to is checked, or
    // fetched without them.
    for misled in ["/summary", "/superblock"] {
        fixture.server.reset();
        fixture.server.fault(misled, Fault::Flip);
        let out = fixture.pull(&[REF]);
        if out.code() == Some(0) {
            assert_eq!(fixture.pulled(REF).as_deref(), Some(first.as_str()));
        } else {
            assert_eq!(fixture.pulled(REF), None, "{misled}");
        }
        fixture.host.fsck();
        ostree::ostree(&fixture.host.repo(), ["refs", "--delete", "acme"]);
        ostree::ostree(&fixture.host.repo(), ["prune", "--refs-only"]);
    }
}

#[test]
fn swapped_refs() {
    let fixture = PullFixture::new();
    let older = fixture.commit("go-sdk/x86_64/1.22", 1, &[]);
    let other = fixture.commit(
        OTHER_ARCH,
        1,
        &["--add-metadata-string=ostree.architecture=aarch64"],
    );
    fixture.summary();
    // An attacker has no summary's signature to make, and points refs elsewhere.
    fs::remove_file(fixture.publisher.repo().join("summary")).unwrap();
    let at = format!("/refs/heads/{REF}");
    for (commit, bound) in [(&older, "go-sdk/x86_64/1.22"), (&other, OTHER_ARCH)] {
        fixture.server.reset();
        fixture
            .server
            .fault(&at, Fault::Instead(format!("{commit}\n").into_bytes()));
        refused(
            &fixture,
            &[REF],
            &format!("is bound to {bound}, expected {REF}"),
        );
    }
    // A commit that is bound to nothing.
    let unbound = fixture.commit(REF, 5, &["--no-bindings"]);
    fixture.server.reset();
    refused(
        &fixture,
        &[REF],
        &format!("commit {unbound} is bound to no ref"),
    );
    // The wrong machine, honestly named.
    refused(
        &fixture,
        &[OTHER_ARCH, "--arch", "x86_64"],
        "is for aarch64, expected x86_64",
    );
    fixture.pull(&[OTHER_ARCH, "--arch", "aarch64"]).ok();
}

#[test]
fn replay_of_an_old_commit() {
    let fixture = PullFixture::new();
    let old = fixture.publisher.rev(REF).unwrap();
    let old_summary = fs::read(fixture.publisher.repo().join("summary")).unwrap();
    let new = fixture.commit(REF, 9, &[]);
    fixture.summary();
    fixture.pull(&[REF]).ok();
    fixture.server.fault("/summary.sig", Fault::Status(404));
    fixture
        .server
        .fault("/summary", Fault::Instead(old_summary));
    refused(&fixture, &[REF], "older than");
    assert_eq!(fixture.pulled(REF), Some(new));
    fixture.pull(&[REF, "--allow-downgrade"]).ok();
    assert_eq!(fixture.pulled(REF), Some(old));
    fixture.assert_intact(&[&format!("acme:{REF}")]);
}

#[test]
fn a_commit_from_the_future_is_not_replaced_by_an_older_one() {
    let fixture = PullFixture::new();
    let future = fixture.commit(REF, 3, &["--timestamp=2199-01-01 00:00:00 +0000"]);
    fixture.summary();
    // Who may sign decides the time of a commit; a clock of this machine decides nothing.
    fixture.pull(&[REF]).ok();
    assert_eq!(fixture.pulled(REF), Some(future));
    let now = fixture.commit(REF, 4, &[]);
    fixture.summary();
    refused(&fixture, &[REF], "from 2199-01-01");
    fixture.pull(&[REF, "--allow-downgrade"]).ok();
    assert_eq!(fixture.pulled(REF), Some(now));
}

#[test]
fn untrusted_keys() {
    let fixture = PullFixture::new();
    let gpg = &fixture.gpg;
    let (stranger, revoked) = (gpg.key("stranger"), gpg.key("revoked"));
    let expiring = gpg.key("expiring");
    fixture.commit_with("by/expiring", 1, &expiring, &[]);
    fixture.commit_with("by/stranger", 1, &stranger, &[]);
    fixture.commit_with("by/revoked", 1, &revoked, &[]);
    fixture.commit_with("by/nobody", 1, "", &[]);
    fixture.summary();
    let import = |key: &str| {
        let file = gpg.export(key);
        fixture
            .host
            .run(["remote", "import-key", "acme", file.to_str().unwrap()])
            .ok()
    };
    refused(&fixture, &["by/stranger"], "made by an unknown key");
    refused(&fixture, &["by/nobody"], "is not signed");
    import(&revoked);
    fixture.pull(&["by/revoked", "--dry-run"]).ok();
    gpg.revoke(&revoked);
    import(&revoked);
    refused(&fixture, &["by/revoked"], "made by a revoked key");
    gpg.expire(&expiring);
    import(&expiring);
    refused(&fixture, &["by/expiring"], "made by an expired key");
    let shown = fixture
        .host
        .run(["remote", "show-keys", "acme"])
        .ok()
        .stdout;
    for word in ["revoked", "expired", "valid"] {
        assert!(shown.contains(word), "{shown}");
    }

    // Rotation: the new key is imported beside the old one.
    import(&stranger);
    fixture.pull(&["by/stranger", REF]).ok();

    // A signature that is good, over another commit; and one that was stripped.
    let next = fixture.commit(REF, 2, &[]);
    let repo = fixture.publisher.repo();
    let meta = |commit: &str| repo.join(&fixture.object(commit, "commitmeta")[1..]);
    let other = fs::read(meta("by/stranger")).unwrap();
    fixture.summary();
    fs::write(meta(&next), other).unwrap();
    refused(&fixture, &[REF], "made for other content");
    fs::remove_file(meta(&next)).unwrap();
    refused(&fixture, &[REF], "is not signed");
}

#[test]
fn unsigned_commits_only_on_request() {
    let fixture = PullFixture::unpublished();
    fixture.commit_with(REF, 1, "", &[]);
    fixture.add_remote(&[]).exits(2);
    fixture.add_remote(&["--no-gpg-verify"]).ok();
    let listed = fixture.host.run(["remote", "list"]).ok().stdout;
    assert!(listed.contains("unsigned"), "{listed}");
    let out = fixture.pull(&[REF, "--dry-run"]).ok();
    assert!(out.stdout.contains("unsigned"), "{}", out.stdout);
    fixture.pull(&[REF]).ok();
    fixture.assert_intact(&[&format!("acme:{REF}")]);
    // Its refs go with it.
    fixture.host.run(["remote", "delete", "acme"]).ok();
    fixture.host.run(["remote", "delete", "acme"]).exits(1);
    fixture.assert_intact(&[]);
}

#[test]
fn a_remote_is_added_atomically() {
    let fixture = PullFixture::unpublished();
    let bad = fixture.host.write("bad.asc", "no key at all\n");
    let good = fixture.gpg.export(&fixture.key);
    let (bad, good) = (bad.to_str().unwrap(), good.to_str().unwrap());
    let config = || fs::read(fixture.host.repo().join("config")).unwrap();
    let before = config();
    fixture.add_remote(&["--gpg-import", bad]).exits(1);
    fixture
        .add_remote(&["--gpg-import", good, "--gpg-import", bad])
        .exits(1);
    for name in ["../x", "-x", "a b", "a/b", ""] {
        let out = fixture
            .host
            .run(["remote", "add", "--no-gpg-verify", "--", name, "http://h/"]);
        assert_ne!(out.code(), Some(0), "{name}");
    }
    let out = fixture
        .host
        .run(["remote", "add", "x", "ftp://h/", "--no-gpg-verify"]);
    out.exits(1);
    assert_eq!(config(), before);
    fixture.add_remote(&["--gpg-import", good]).ok();
    fixture.add_remote(&["--gpg-import", good]).exits(1);
    let shown = fixture
        .host
        .run(["remote", "show-keys", "acme"])
        .ok()
        .stdout;
    assert!(
        shown.contains(&fixture.key) && shown.contains("never"),
        "{shown}"
    );
    // A remote that lost its keyring does not fall back on the system's.
    fs::remove_file(fixture.host.repo().join("acme.trustedkeys.gpg")).unwrap();
    let out = fixture.pull(&[REF]).exits(1);
    assert!(out.stderr.contains("has no keys"), "{}", out.stderr);
    let listed = ostree::ostree(&fixture.host.repo(), ["refs"]);
    assert_eq!(listed, "");
}
