//! Signatures by ostree-go, verified by the stock `ostree`, and vice versa.

use ostree_go_sdk::glib::prelude::*;
use ostree_go_sdk::sign::{SignatureStatus, SigningKey, TrustedKeys};
use ostree_go_sdk::{ErrorKind, Repo, gio, glib};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::ostree;
use ostree_go_tests::pull_fixture::files;
use ostree_go_tests::sandbox::Sandbox;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn repo_with_commit(sandbox: &Sandbox) -> (Repo, ostree_go_sdk::CommitId) {
    ostree::init(&sandbox.repo(), "archive");
    std::fs::create_dir(sandbox.path("tree")).unwrap();
    let tree = format!("--tree=dir={}", sandbox.path("tree").display());
    ostree::ostree(&sandbox.repo(), ["commit", "-b", "x", tree.as_str()]);
    let repo = Repo::open(sandbox.repo()).unwrap();
    let commit = repo.resolve("x").unwrap();
    (repo, commit)
}

#[test]
fn gpg_keys_are_distinguished() {
    let sandbox = Sandbox::new();
    let (repo, commit) = repo_with_commit(&sandbox);
    let gpg = Gpg::new();
    let good = gpg.key("good");
    let other = gpg.key("other");
    let trusted = TrustedKeys::GpgFile(gpg.export(&good));
    assert!(repo.signatures(commit, &trusted).unwrap().is_empty());
    let error = repo.verify(commit, &trusted).unwrap_err();
    assert_eq!(error.to_string(), format!("commit {commit} is not signed"));

    let key = |id: &str| SigningKey::Gpg {
        id: id.to_owned(),
        homedir: Some(gpg.home().to_owned()),
    };
    assert!(repo.sign(commit, &key(&other)).unwrap());
    let error = repo.verify(commit, &trusted).unwrap_err();
    assert!(
        error.to_string().contains("made by an unknown key"),
        "{error}"
    );

    assert!(repo.sign(commit, &key(&good)).unwrap());
    assert!(
        !repo.sign(commit, &key(&good)).unwrap(),
        "the same key signs once"
    );
    let found = repo.verify(commit, &trusted).unwrap();
    let statuses: Vec<_> = found.iter().map(|s| s.status).collect();
    assert_eq!(
        statuses,
        [SignatureStatus::UnknownKey, SignatureStatus::Valid]
    );
    assert_eq!(found[1].key, good);
    assert_eq!(found[1].user.as_deref(), Some("good <good@example.com>"));
    assert!(found[1].created.is_some() && found[1].key_expires.is_none());

    // The stock tool sees the same two signatures.
    let shown = ostree::try_ostree(&sandbox.repo(), ["show", "x"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("Found 2 signatures"), "{shown}");
}

/// Returns the content of all files of detached metadata, by their paths.
fn detached_files(repo: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = files(&repo.join("objects")).into_iter();
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "commitmeta"));
    files
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn a_key_signs_once_however_it_is_named() {
    let gpg = Gpg::new();
    let [primary, subkey] = gpg.key_with_subkey("acme", "first");
    // Another key with the same address, and another subkey.
    gpg.key_with_subkey("acme", "second");
    let home = gpg.home().to_str().unwrap();
    let exact = format!("{subkey}!");
    let id = format!("0x{}", &subkey[24..]);
    for name in [&primary, &subkey, &exact, &id, "acme@example.com", "acme"] {
        let sandbox = Sandbox::with_toys("channels: [\"go-sdk/${basearch}/1.99\"]");
        let signing = ["--gpg-sign", name, "--gpg-homedir", home];
        let run = |verb: &[&str]| sandbox.run([verb, &signing].concat()).ok();
        run(&["compose", "go.yaml"]);
        run(&["publish"]);
        let read = |file: &str| std::fs::read(sandbox.repo().join(file)).unwrap();
        let (signed, summary) = (detached_files(&sandbox.repo()), read("summary.sig"));
        assert!(signed.len() >= 6, "{}", signed.len());
        let refs = sandbox.refs();
        let refs: Vec<&str> = refs.iter().map(String::as_str).collect();
        run(&["compose", "go.yaml"]);
        run(&["compose", "go.yaml", "--force-nocache"]);
        run(&[&["sign"], &refs[..]].concat());
        run(&["promote", "1.99.1", "1.99"]);
        run(&["publish"]);
        assert!(
            detached_files(&sandbox.repo()) == signed,
            "{name} signed again"
        );
        assert_eq!(read("summary.sig"), summary, "{name}");
        let shown = ostree::try_ostree(&sandbox.repo(), ["show", refs[0]]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("Found 1 signature"), "{name}: {shown}");
    }
}

#[test]
fn revoked_and_expired_keys_are_invalid() {
    let sandbox = Sandbox::new();
    let (repo, commit) = repo_with_commit(&sandbox);
    let gpg = Gpg::new();
    let revoked = gpg.key("revoked");
    let expiring = gpg.key("expiring");
    for id in [&revoked, &expiring] {
        let key = SigningKey::Gpg {
            id: id.clone(),
            homedir: Some(gpg.home().to_owned()),
        };
        repo.sign(commit, &key).unwrap();
    }
    gpg.revoke(&revoked);
    gpg.expire(&expiring);
    let status = |id: &str| {
        let found = repo
            .signatures(commit, &TrustedKeys::GpgFile(gpg.export(id)))
            .unwrap();
        found.iter().find(|s| s.key == id).map(|s| s.status)
    };
    assert_eq!(status(&revoked), Some(SignatureStatus::KeyRevoked));
    assert_eq!(status(&expiring), Some(SignatureStatus::KeyExpired));
}

#[test]
fn a_commit_can_have_ed25519_and_gpg_signatures() {
    let sandbox = Sandbox::new();
    let (repo, commit) = repo_with_commit(&sandbox);
    // A key pair of RFC 8032, 7.1, test 1; libostree's secret key is seed and public key.
    let public = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let secret =
        "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
    let key = SigningKey::Ed25519 {
        secret: secret.to_owned(),
    };
    assert!(repo.sign(commit, &key).unwrap());
    let trusted = TrustedKeys::Ed25519(vec![public.to_owned()]);
    assert_eq!(
        repo.verify(commit, &trusted).unwrap()[0].status,
        SignatureStatus::Valid
    );
    // The same key signs once. What is made is what `ostree sign` makes: RFC 8032 leaves no choice.
    assert!(!repo.sign(commit, &key).unwrap());
    if ostree::has_feature("sign-ed25519") {
        let id = commit.to_string();
        let args = ["sign", "--sign-type=ed25519", "--verify", &id, public];
        ostree::ostree(&sandbox.repo(), args);
    }
    let stranger = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";
    let unknown = TrustedKeys::Ed25519(vec![stranger.to_owned()]);
    let error = repo.verify(commit, &unknown).unwrap_err();
    assert!(error.to_string().contains("no valid signature"), "{error}");
}

/// Replaces the GPG signatures of a commit.
fn set_signatures(repo: &Repo, commit: ostree_go_sdk::CommitId, packets: Vec<Vec<u8>>) {
    let metadata = glib::VariantDict::new(None);
    metadata.insert_value("ostree.gpgsigs", &packets.to_variant());
    let ostree = repo.as_ostree();
    let id = commit.to_string();
    let written =
        ostree.write_commit_detached_metadata(&id, Some(&metadata.end()), gio::Cancellable::NONE);
    written.unwrap();
}

#[test]
fn signatures_that_a_server_has_multiplied_are_checked_once_or_refused() {
    let sandbox = Sandbox::new();
    let (repo, commit) = repo_with_commit(&sandbox);
    let gpg = Gpg::new();
    let good = gpg.key("good");
    let key = SigningKey::Gpg {
        id: good.clone(),
        homedir: Some(gpg.home().to_owned()),
    };
    repo.sign(commit, &key).unwrap();
    let trusted = TrustedKeys::GpgFile(gpg.export(&good));
    let detached = repo
        .as_ostree()
        .read_commit_detached_metadata(&commit.to_string(), gio::Cancellable::NONE);
    let detached = glib::VariantDict::new(detached.unwrap().as_ref());
    let packets: Vec<Vec<u8>> = detached.lookup("ostree.gpgsigs").unwrap().unwrap();

    set_signatures(&repo, commit, vec![packets[0].clone(); 100_000]);
    assert_eq!(repo.verify(commit, &trusted).unwrap().len(), 1);
    set_signatures(&repo, commit, vec![packets[0].repeat(5_000)]);
    assert_eq!(repo.verify(commit, &trusted).unwrap().len(), 1);

    // Each differs in its last byte or two, and is well-formed.
    let mut many = vec![packets[0].clone(); 65];
    for (index, packet) in many.iter_mut().enumerate() {
        let last = packet.len() - 1;
        packet[last] ^= u8::try_from(index).unwrap();
    }
    set_signatures(&repo, commit, many);
    let error = repo.verify(commit, &trusted).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert_eq!(
        error.to_string(),
        "there are 65 different signatures, at most 64 are checked"
    );
}

#[test]
fn garbage_for_a_signature_is_a_failed_verification() {
    let sandbox = Sandbox::new();
    let (repo, commit) = repo_with_commit(&sandbox);
    let gpg = Gpg::new();
    let trusted = TrustedKeys::GpgFile(gpg.export(&gpg.key("good")));
    for garbage in [
        &b"garbage"[..],
        b"",
        &[0xC2, 4, 4, 0, 22, 8],
        &[0xCB, 3, b'b', 0, 0],
    ] {
        set_signatures(&repo, commit, vec![garbage.to_vec()]);
        let error = repo.verify(commit, &trusted).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{garbage:?}: {error}");
        assert!(
            error.to_string().ends_with("gpg malformed"),
            "{garbage:?}: {error}"
        );
    }
}
