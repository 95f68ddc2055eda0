//! Signed static deltas: `openssl` verifies the signature, and the stock `ostree` the format.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ostree_go_sdk::Arch;
use ostree_go_sdk::glib::{Variant, VariantTy};
use ostree_go_tests::cli::run;
use ostree_go_tests::ostree::{self, ostree, try_ostree};
use ostree_go_tests::pull_fixture::files;
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::tools::require;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

const CHANNEL: &str = "go-sdk/x86_64/1.99";
const SIGNED: [&str; 4] = [
    "publish",
    "--sign-from-file",
    "keys/secret.ed25519",
    "--sign-deltas",
];

/// Creates a publisher with an Ed25519 key and one release in a channel, published with signed deltas.
fn publisher() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    let key = [
        "key",
        "generate",
        "--type",
        "ed25519",
        "--output-dir",
        "keys",
    ];
    let key = sandbox.run(key).ok().stdout.trim().to_owned();
    compose(&sandbox, "1.99.1");
    sandbox.run(SIGNED).ok();
    (sandbox, key)
}

fn compose(sandbox: &Sandbox, version: &str) {
    let archive = sandbox.path(&format!("go{version}.tar.gz"));
    let toy = Toy::new(Arch::X86_64).version(version);
    let text = format!("package fmt // {version}\n").repeat(2000);
    toy.with("src/fmt/big.go", text).tar_gz(&archive);
    let channels = "channels: [\"go-sdk/${basearch}/1.99\"]";
    let lines = format!("arches: [x86_64]\n{channels}\n{}", source(&archive));
    sandbox.treefile(version, &lines);
    sandbox.run(["compose", "go.yaml"]).ok();
}

fn superblocks(sandbox: &Sandbox) -> Vec<PathBuf> {
    let all = files(&sandbox.repo().join("deltas")).into_iter();
    all.filter(|path| path.ends_with("superblock")).collect()
}

/// Creates a host that accepts unsigned commits from a server, because only the deltas are tested.
fn host(server: &FaultyServer) -> Sandbox {
    let host = Sandbox::new();
    host.run(["init", "--mode", "bare-user"]).ok();
    let url = server.url();
    host.run(["remote", "add", "acme", &url, "--no-gpg-verify"])
        .ok();
    host
}

fn set(host: &Sandbox, key: &str, value: &str) {
    ostree(&host.repo(), ["config", "set", key, value]);
}

#[test]
fn openssl_accepts_every_signature() {
    let Some(_) = require("openssl") else { return };
    let (sandbox, key) = publisher();
    // RFC 8410: the head of an Ed25519 public key in DER.
    let der = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"
        .iter()
        .copied();
    let der: Vec<u8> = der.chain(STANDARD.decode(&key).unwrap()).collect();
    std::fs::write(sandbox.path("public.der"), der).unwrap();
    let signed = superblocks(&sandbox);
    assert_eq!(signed.len(), 2);
    for path in signed {
        let bytes = std::fs::read(path).unwrap();
        let form = VariantTy::new("(taya{sv})").unwrap();
        let wrapped = Variant::from_data_with_type(bytes, form);
        assert!(wrapped.is_normal_form());
        let signatures = wrapped.child_value(2).child_value(0);
        assert_eq!(signatures.child_value(0).str(), Some("ostree.sign.ed25519"));
        let signatures: Vec<Vec<u8>> = signatures
            .child_value(1)
            .as_variant()
            .unwrap()
            .get()
            .unwrap();
        assert_eq!(signatures.len(), 1);
        std::fs::write(sandbox.path("signature"), &signatures[0]).unwrap();
        let superblock = wrapped.child_value(1).data().to_vec();
        let verify = |superblock: &[u8]| {
            std::fs::write(sandbox.path("superblock"), superblock).unwrap();
            let mut openssl = Command::new("openssl");
            openssl.args(["pkeyutl", "-verify", "-pubin", "-rawin", "-keyform", "DER"]);
            openssl.arg("-inkey").arg(sandbox.path("public.der"));
            openssl.arg("-in").arg(sandbox.path("superblock"));
            openssl.arg("-sigfile").arg(sandbox.path("signature"));
            run(&mut openssl)
        };
        verify(&superblock).ok();
        let mut other = superblock;
        other[9] ^= 1;
        assert_ne!(verify(&other).code(), Some(0));
    }
}

#[test]
fn the_stock_ostree_applies_signed_deltas_offline_but_cannot_pull_them() {
    let (sandbox, _) = publisher();
    let to = sandbox.rev(CHANNEL).unwrap();
    let shown = ostree(&sandbox.repo(), ["static-delta", "show", &to]);
    assert!(shown.contains("Number of parts: 1"), "{shown}");
    for (at, superblock) in superblocks(&sandbox).iter().enumerate() {
        let client = sandbox.path(&format!("client{at}"));
        ostree::init(&client, "bare-user");
        let folder = superblock.parent().unwrap().to_str().unwrap();
        ostree(&client, ["static-delta", "apply-offline", folder]);
        ostree(&client, ["fsck", "--quiet"]);
    }
    // Why this is on request alone.
    let server = FaultyServer::serving(&sandbox.repo());
    let client = sandbox.path("client");
    ostree::init(&client, "bare-user");
    ostree(
        &client,
        ["remote", "add", "--no-gpg-verify", "acme", &server.url()],
    );
    let out = try_ostree(&client, ["pull", "acme", CHANNEL]);
    assert!(
        !out.status.success(),
        "libostree reads signed deltas now: the guide says otherwise"
    );
    ostree(
        &client,
        ["pull", "--disable-static-deltas", "acme", CHANNEL],
    );

    // Without the option the signatures go, and it pulls.
    sandbox.run(["publish"]).ok();
    ostree(&client, ["refs", "--delete", &format!("acme:{CHANNEL}")]);
    ostree(&client, ["prune", "--refs-only"]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    ostree(
        &client,
        ["pull", "--require-static-deltas", "acme", CHANNEL],
    );
    ostree(&client, ["fsck", "--quiet"]);
}

#[test]
fn a_pull_verifies_the_signature_of_a_delta() {
    let (sandbox, key) = publisher();
    let server = FaultyServer::serving(&sandbox.repo());
    let other = [
        "key",
        "generate",
        "--type",
        "ed25519",
        "--output-dir",
        "other",
    ];
    let other = sandbox.run(other).ok().stdout.trim().to_owned();
    let pull = |host: &Sandbox, more: &[&str]| {
        let args = ["pull", "acme", CHANNEL, "--format", "json"];
        host.run(args.into_iter().chain(more.iter().copied()))
    };
    let used_delta = |text: &str| {
        let said: Value = serde_json::from_str(text).unwrap();
        said["used_delta"] == true
    };
    let inline = "remote \"acme\".verification-ed25519-key";
    let file = "remote \"acme\".verification-ed25519-file";

    // Nobody asks; the right key, in the configuration and in a file; demanded.
    let taken = host(&server);
    assert!(used_delta(&pull(&taken, &[]).ok().stdout));
    taken.fsck();
    for (option, value) in [
        (inline, key.clone()),
        (
            file,
            sandbox.path("keys/public.ed25519").display().to_string(),
        ),
    ] {
        let taken = host(&server);
        set(&taken, option, &value);
        set(&taken, "core.sign-verify-deltas", "true");
        assert!(used_delta(&pull(&taken, &[]).ok().stdout));
    }

    // A stranger's, and none where one is demanded.
    let refused = host(&server);
    set(&refused, inline, &other);
    let out = refused.run(["pull", "acme", CHANNEL]).exits(3);
    let to = sandbox.rev(CHANNEL).unwrap();
    insta::assert_snapshot!(out.stderr.replace(&to, "COMMIT"), @"
    error: remote `acme` is refused
      static delta COMMIT has no valid signature by a trusted key: ed25519 made by an unknown key
    hint: use `pull --no-deltas` to pull without deltas; every object is verified either way
    ");
    assert!(!used_delta(&pull(&refused, &["--no-deltas"]).ok().stdout));
    sandbox.run(["publish"]).ok();
    let refused = host(&server);
    set(&refused, inline, &key);
    assert!(used_delta(&pull(&refused, &[]).ok().stdout));
    let refused = host(&server);
    set(&refused, "core.sign-verify-deltas", "true");
    let out = refused.run(["pull", "acme", CHANNEL]).exits(3);
    insta::assert_snapshot!(out.stderr.replace(&to, "COMMIT"), @"
    error: remote `acme` is refused
      static delta COMMIT is not signed
    hint: use `pull --no-deltas` to pull without deltas; every object is verified either way
    ");
    assert!(refused.refs().is_empty());

    // A signature over another superblock.
    sandbox.run(SIGNED).ok();
    for path in superblocks(&sandbox) {
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    let refused = host(&server);
    set(&refused, inline, &key);
    assert_eq!(pull(&refused, &[]).code(), Some(3));
    assert!(refused.refs().is_empty());
}

#[test]
fn show_prints_the_signers() {
    let (sandbox, key) = publisher();
    let show = |more: &[&str]| {
        let args = ["delta", "show", CHANNEL];
        sandbox.run(args.into_iter().chain(more.iter().copied()))
    };
    let text = show(&[]).ok().stdout;
    assert!(text.contains("signed with ed25519"), "{text}");
    let text = show(&["--ed25519-keys", "keys/public.ed25519"]).ok().stdout;
    assert!(text.contains(&format!("valid ed25519 {key}\n")), "{text}");
    let json = show(&["--ed25519-keys", "keys/public.ed25519", "--format", "json"])
        .ok()
        .stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["signatures"][0]["status"], "valid");

    let other = [
        "key",
        "generate",
        "--type",
        "ed25519",
        "--output-dir",
        "other",
    ];
    sandbox.run(other).ok();
    let to = sandbox.rev(CHANNEL).unwrap();
    let out = show(&["--ed25519-keys", "other/public.ed25519"]).exits(3);
    insta::assert_snapshot!(out.stderr.replace(&to, "COMMIT"), @"error: static delta COMMIT has no valid signature by a trusted key: ed25519 made by an unknown key");
    sandbox.run(["publish"]).ok();
    let out = show(&["--ed25519-keys", "keys/public.ed25519"]).exits(3);
    insta::assert_snapshot!(out.stderr.replace(&to, "COMMIT"), @"error: static delta COMMIT is not signed");
    // Signing takes an Ed25519 key.
    sandbox.run(["publish", "--sign-deltas"]).exits(2);
}
