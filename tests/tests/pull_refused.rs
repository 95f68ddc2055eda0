//! Pulling from a server that lies: nothing that is not what the publisher signed gets in.

use ostree_go_tests::ostree;
use ostree_go_tests::shop::{REF, Shop};
use ostree_go_tests::webserver::Fault;
use std::fs;

const OTHER_ARCH: &str = "go-sdk/aarch64/1.99";

#[track_caller]
fn refused(shop: &Shop, args: &[&str], says: &str) {
    let before = shop.host.refs();
    let out = shop.pull(args).exits(3);
    assert!(
        out.stderr.contains(says),
        "expected `{says}`:\n{}",
        out.stderr
    );
    assert_eq!(shop.host.refs(), before);
    shop.host.fsck();
}

#[test]
fn one_flipped_bit_in_any_kind_of_object() {
    let shop = Shop::new();
    for ending in ["commit", "dirtree", "dirmeta", "filez"] {
        shop.server.behave();
        shop.server.fault(&shop.object(REF, ending), Fault::Flip);
        let out = shop.pull(&[REF]);
        assert_eq!(out.code(), Some(3), "{ending}: {}", out.stderr);
        shop.unharmed(&[]);
    }
    // The signature.
    shop.server.behave();
    shop.server.fault(".commitmeta", Fault::Flip);
    let out = shop.pull(&[REF]);
    assert_ne!(out.code(), Some(0), "{}", out.stderr);
    shop.unharmed(&[]);
    // What was refused once harms nothing later.
    shop.server.behave();
    shop.pull(&[REF]).ok();
    shop.unharmed(&[&format!("acme:{REF}")]);
}

#[test]
fn one_flipped_bit_in_a_delta() {
    let shop = Shop::new();
    let first = shop.publisher.rev(REF).unwrap();
    shop.delta(None, &first);
    shop.server.fault("/0$", Fault::Flip);
    refused(&shop, &[REF], "it has the checksum");
    // A summary and a superblock only say where things are. What they lead to is checked, or
    // fetched without them.
    for misled in ["/summary", "/superblock"] {
        shop.server.behave();
        shop.server.fault(misled, Fault::Flip);
        let out = shop.pull(&[REF]);
        if out.code() == Some(0) {
            assert_eq!(shop.pulled(REF).as_deref(), Some(first.as_str()));
        } else {
            assert_eq!(shop.pulled(REF), None, "{misled}");
        }
        shop.host.fsck();
        ostree::ostree(&shop.host.repo(), ["refs", "--delete", "acme"]);
        ostree::ostree(&shop.host.repo(), ["prune", "--refs-only"]);
    }
}

#[test]
fn refs_that_were_swapped() {
    let shop = Shop::new();
    let older = shop.commit("go-sdk/x86_64/1.22", 1, &[]);
    let other = shop.commit(
        OTHER_ARCH,
        1,
        &["--add-metadata-string=ostree.architecture=aarch64"],
    );
    shop.summary();
    // An attacker has no summary's signature to make, and points refs elsewhere.
    fs::remove_file(shop.publisher.repo().join("summary")).unwrap();
    let at = format!("/refs/heads/{REF}");
    for (commit, bound) in [(&older, "go-sdk/x86_64/1.22"), (&other, OTHER_ARCH)] {
        shop.server.behave();
        shop.server
            .fault(&at, Fault::Instead(format!("{commit}\n").into_bytes()));
        refused(
            &shop,
            &[REF],
            &format!("is bound to {bound}, expected {REF}"),
        );
    }
    // A commit that is bound to nothing.
    let unbound = shop.commit(REF, 5, &["--no-bindings"]);
    shop.server.behave();
    refused(
        &shop,
        &[REF],
        &format!("commit {unbound} is bound to no ref"),
    );
    // The wrong machine, honestly named.
    refused(
        &shop,
        &[OTHER_ARCH, "--arch", "x86_64"],
        "is for aarch64, expected x86_64",
    );
    shop.pull(&[OTHER_ARCH, "--arch", "aarch64"]).ok();
}

#[test]
fn an_old_commit_replayed() {
    let shop = Shop::new();
    let old = shop.publisher.rev(REF).unwrap();
    let old_summary = fs::read(shop.publisher.repo().join("summary")).unwrap();
    let new = shop.commit(REF, 9, &[]);
    shop.summary();
    shop.pull(&[REF]).ok();
    shop.server.fault("/summary.sig", Fault::Status(404));
    shop.server.fault("/summary", Fault::Instead(old_summary));
    refused(&shop, &[REF], "older than");
    assert_eq!(shop.pulled(REF), Some(new));
    shop.pull(&[REF, "--allow-downgrade"]).ok();
    assert_eq!(shop.pulled(REF), Some(old));
    shop.unharmed(&[&format!("acme:{REF}")]);
}

#[test]
fn a_commit_from_the_future_is_not_replaced_by_an_older_one() {
    let shop = Shop::new();
    let future = shop.commit(REF, 3, &["--timestamp=2199-01-01 00:00:00 +0000"]);
    shop.summary();
    // Who may sign decides the time of a commit; a clock of this machine decides nothing.
    shop.pull(&[REF]).ok();
    assert_eq!(shop.pulled(REF), Some(future));
    let now = shop.commit(REF, 4, &[]);
    shop.summary();
    refused(&shop, &[REF], "from 2199-01-01");
    shop.pull(&[REF, "--allow-downgrade"]).ok();
    assert_eq!(shop.pulled(REF), Some(now));
}

#[test]
fn keys_that_are_not_trusted() {
    let shop = Shop::new();
    let gpg = &shop.gpg;
    let (stranger, revoked) = (gpg.key("stranger"), gpg.key("revoked"));
    let expiring = gpg.key("expiring");
    shop.commit_with("by/expiring", 1, &expiring, &[]);
    shop.commit_with("by/stranger", 1, &stranger, &[]);
    shop.commit_with("by/revoked", 1, &revoked, &[]);
    shop.commit_with("by/nobody", 1, "", &[]);
    shop.summary();
    let import = |key: &str| {
        let file = gpg.export(key);
        shop.host
            .run(["remote", "import-key", "acme", file.to_str().unwrap()])
            .ok()
    };
    refused(&shop, &["by/stranger"], "made by an unknown key");
    refused(&shop, &["by/nobody"], "is not signed");
    import(&revoked);
    shop.pull(&["by/revoked", "--dry-run"]).ok();
    gpg.revoke(&revoked);
    import(&revoked);
    refused(&shop, &["by/revoked"], "made by a revoked key");
    gpg.expire(&expiring);
    import(&expiring);
    refused(&shop, &["by/expiring"], "made by an expired key");
    let shown = shop.host.run(["remote", "show-keys", "acme"]).ok().stdout;
    for word in ["revoked", "expired", "valid"] {
        assert!(shown.contains(word), "{shown}");
    }

    // Rotation: the new key is imported beside the old one.
    import(&stranger);
    shop.pull(&["by/stranger", REF]).ok();

    // A signature that is good, over another commit; and one that was stripped.
    let next = shop.commit(REF, 2, &[]);
    let repo = shop.publisher.repo();
    let meta = |commit: &str| repo.join(&shop.object(commit, "commitmeta")[1..]);
    let other = fs::read(meta("by/stranger")).unwrap();
    shop.summary();
    fs::write(meta(&next), other).unwrap();
    refused(&shop, &[REF], "over another content");
    fs::remove_file(meta(&next)).unwrap();
    refused(&shop, &[REF], "is not signed");
}

#[test]
fn unsigned_only_when_asked_for() {
    let shop = Shop::bare();
    shop.commit_with(REF, 1, "", &[]);
    shop.add_remote(&[]).exits(2);
    shop.add_remote(&["--no-gpg-verify"]).ok();
    let listed = shop.host.run(["remote", "list"]).ok().stdout;
    assert!(listed.contains("unsigned"), "{listed}");
    let out = shop.pull(&[REF, "--dry-run"]).ok();
    assert!(out.stdout.contains("unsigned"), "{}", out.stdout);
    shop.pull(&[REF]).ok();
    shop.unharmed(&[&format!("acme:{REF}")]);
    // Its refs go with it.
    shop.host.run(["remote", "delete", "acme"]).ok();
    shop.host.run(["remote", "delete", "acme"]).exits(1);
    shop.unharmed(&[]);
}

#[test]
fn a_remote_is_added_whole_or_not_at_all() {
    let shop = Shop::bare();
    let bad = shop.host.write("bad.asc", "no key at all\n");
    let good = shop.gpg.export(&shop.key);
    let (bad, good) = (bad.to_str().unwrap(), good.to_str().unwrap());
    let config = || fs::read(shop.host.repo().join("config")).unwrap();
    let before = config();
    shop.add_remote(&["--gpg-import", bad]).exits(1);
    shop.add_remote(&["--gpg-import", good, "--gpg-import", bad])
        .exits(1);
    for name in ["../x", "-x", "a b", "a/b", ""] {
        let out = shop
            .host
            .run(["remote", "add", "--no-gpg-verify", "--", name, "http://h/"]);
        assert_ne!(out.code(), Some(0), "{name}");
    }
    let out = shop
        .host
        .run(["remote", "add", "x", "ftp://h/", "--no-gpg-verify"]);
    out.exits(1);
    assert_eq!(config(), before);
    shop.add_remote(&["--gpg-import", good]).ok();
    shop.add_remote(&["--gpg-import", good]).exits(1);
    let shown = shop.host.run(["remote", "show-keys", "acme"]).ok().stdout;
    assert!(
        shown.contains(&shop.key) && shown.contains("never"),
        "{shown}"
    );
    // A remote that lost its keyring does not fall back on the system's.
    fs::remove_file(shop.host.repo().join("acme.trustedkeys.gpg")).unwrap();
    let out = shop.pull(&[REF]).exits(1);
    assert!(out.stderr.contains("has no keys"), "{}", out.stderr);
    let listed = ostree::ostree(&shop.host.repo(), ["refs"]);
    assert_eq!(listed, "");
}
