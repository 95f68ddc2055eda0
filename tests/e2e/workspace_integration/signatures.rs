//! Signatures of locks, which GnuPG verifies.

use super::{Checkout, MODULE};
use insta::assert_snapshot;
use ostree_go_tests::cli::run;
use ostree_go_tests::gpg::Gpg;
use std::fs;
use std::process::Command;

/// A key pair of RFC 8032, 7.1, test 1, in the format of libostree, and another public key.
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const SECRET: &str =
    "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
const STRANGER: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

#[test]
fn gpg_verifies_the_signature_of_a_lock() {
    let (checkout, gpg) = (Checkout::new(), Gpg::new());
    let (key, other) = (gpg.key("release"), gpg.key("other"));
    let home = gpg.home().to_str().unwrap();
    let lock = ["workspace", "lock", "src/app"];
    let secret = checkout.0.sandbox.write("secret", SECRET);
    let secret = secret.to_str().unwrap();
    let signing = ["--gpg-sign", &key, "--gpg-homedir", home];
    let both = [&signing[..], &["--sign-from-file", secret]].concat();
    checkout.run(&[&lock[..], &both].concat()).ok();
    let verify = || {
        let mut command = Command::new("gpg");
        command.args(["--homedir", home, "--verify"]);
        run(command.args([checkout.signature(), checkout.lock()]))
    };
    assert!(verify().ok().stderr.contains("Good signature"));

    let write = |name: &str, text: &str| {
        let path = checkout.0.sandbox.write(name, text);
        path.to_str().unwrap().to_owned()
    };
    let (public, stranger) = (write("public", PUBLIC), write("stranger", STRANGER));
    let exported = |key: &str| gpg.export(key).to_str().unwrap().to_owned();
    let (trusted, untrusted) = (exported(&key), exported(&other));
    checkout.check(&["--gpg-keys", &trusted]).ok();
    checkout.check(&["--ed25519-keys", &public]).ok();
    let refused = |args: &[&str]| {
        let out = checkout.check(args).exits(3);
        let error = out.stderr.lines().next().unwrap();
        checkout
            .shown(error)
            .replace(&other, "OTHER")
            .replace(&key, "KEY")
    };
    assert_snapshot!(refused(&["--gpg-keys", &untrusted]), @"error: [dir]/src/app/ostree-go.lock has no valid signature by a trusted key: gpg KEY made by an unknown key");
    assert_snapshot!(refused(&["--ed25519-keys", &stranger]), @"error: [dir]/src/app/ostree-go.lock has no valid signature by a trusted key: ed25519 made by an unknown key");

    // A signature is verified before anything is compared.
    let text = fs::read_to_string(checkout.lock()).unwrap();
    fs::write(checkout.lock(), text.clone() + "\n").unwrap();
    checkout.change();
    assert_snapshot!(refused(&["--gpg-keys", &trusted]), @"error: [dir]/src/app/ostree-go.lock has no valid signature by a trusted key: gpg KEY made for other content");
    fs::write(checkout.lock(), text).unwrap();
    checkout.check(&["--gpg-keys", &trusted]).exits(4);
    checkout.write("app/go.mod", MODULE);

    // One that GnuPG has made is as good.
    let mut command = Command::new("gpg");
    command.args([
        "--homedir",
        home,
        "--batch",
        "--yes",
        "--local-user",
        &other,
    ]);
    command.arg("--output").arg(checkout.signature());
    run(command.arg("--detach-sign").arg(checkout.lock())).ok();
    checkout.check(&["--gpg-keys", &untrusted]).ok();
    for (damaged, expected) in [
        (&b"text\n"[..], "has no GPG signature"),
        (b"\x88\x01", "malformed"),
        (b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n", "malformed"),
    ] {
        fs::write(checkout.signature(), damaged).unwrap();
        let error = refused(&["--gpg-keys", &trusted]);
        assert!(error.contains(expected), "{error}");
    }
    fs::remove_file(checkout.signature()).unwrap();
    let out = checkout.check(&["--gpg-keys", &trusted]).exits(3);
    assert_snapshot!(checkout.shown(&out.stderr), @"
    error: [dir]/src/app/ostree-go.lock has no GPG signature
    hint: the signatures belong into [dir]/src/app/ostree-go.lock.sig; `ostree-go workspace lock` writes them with --gpg-sign or --sign-from-file
    ");
    // Without a key, no signature is required.
    checkout.check(&[]).ok();
}

#[test]
fn a_signature_does_not_outlive_its_lock() {
    let checkout = Checkout::new();
    let secret = checkout.0.sandbox.write("secret", SECRET);
    let lock = ["workspace", "lock", "src/app"];
    let signing = ["--sign-from-file", secret.to_str().unwrap()];
    checkout.run(&[&lock[..], &signing].concat()).ok();
    let signed = fs::read(checkout.signature()).unwrap();
    checkout.run(&lock).ok();
    assert_eq!(
        fs::read(checkout.signature()).unwrap(),
        signed,
        "the same lock"
    );
    checkout.change();
    let out = checkout.run(&lock).ok();
    assert!(!checkout.signature().exists());
    assert!(out.stderr.contains("removed"), "{out}");
    checkout.run(&[&lock[..], &signing].concat()).ok();
    assert_ne!(fs::read(checkout.signature()).unwrap(), signed);
    // A key that cannot be used changes nothing.
    let before = (
        fs::read(checkout.lock()).unwrap(),
        fs::read(checkout.signature()).unwrap(),
    );
    checkout.write("app/go.mod", MODULE);
    let bad = checkout.0.sandbox.write("bad", "AAAA");
    let signing = ["--sign-from-file", bad.to_str().unwrap()];
    checkout.run(&[&lock[..], &signing].concat()).exits(1);
    let after = (
        fs::read(checkout.lock()).unwrap(),
        fs::read(checkout.signature()).unwrap(),
    );
    assert_eq!(after, before);
}
