//! Errors between publisher and host: signing, publishing, remotes, pulls and deployments.

use super::{Bad, refused};
use insta::assert_snapshot;
use ostree_go_tests::cli::run;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::pull_fixture::{PullFixture, REF};
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::webserver::Fault;
use serde_json::Value;

/// Returns the message of a verb, with its exit code and its kind in JSON.
#[track_caller]
fn told(sandbox: &Sandbox, args: &str) -> String {
    let command = |format| {
        let mut command = sandbox.ostree_go(args.split(' ').chain(["--format", format]));
        // A root of the machine's own is nothing to a test.
        command.env("OSTREE_GO_ROOT", sandbox.path("root"));
        if DEPLOYING.contains(&args.split(' ').next().unwrap()) {
            command.env_remove("OSTREE_REPO");
        }
        run(&mut command)
    };
    let json = command("json");
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    let kind = document["error"]["kind"].as_str().unwrap().to_owned();
    let human = command("human");
    let code = human.code().unwrap();
    assert_eq!(json.code(), Some(code), "{args}");
    format!("{code} {kind}\n{}", refused(human, code))
}

/// Verbs that use the root directory by default.
const DEPLOYING: [&str; 8] = [
    "install",
    "upgrade",
    "use",
    "uninstall",
    "rollback",
    "status",
    "gc",
    "env",
];

#[test]
fn signing_and_verifying() {
    let bad = Bad::new();
    bad.sandbox.write("junk", "not a key\n");
    let said = |args: &str| told(&bad.sandbox, args);
    assert_snapshot!(said("sign 1.99.1"), @"
    2 invalid-input
    error: no key to sign with
    hint: name one with --gpg-sign, --sign-from-file, --sign-command or --sign-pkcs11
    ");
    assert_snapshot!(said("sign 1.99.9 --gpg-sign 0123456789ABCDEF"), @"
    1 not-found
    error: no ref or commit `1.99.9` in repository [dir]/repo
    hint: did you mean `go-sdk/x86_64/1.99.1`?
    ");
    assert_snapshot!(said("sign go-sdk/x86_64/1.99.1 --gpg-sign 0123456789ABCDEF --gpg-homedir gnupg"), @"
    1 invalid-input
    error: cannot sign commit [sha256] with GPG key 0123456789ABCDEF
      cannot use GnuPG: `gpg` failed: gpg: Fatal: [dir]/gnupg: directory does not exist!
    ");
    assert_snapshot!(said("sign go-sdk/x86_64/1.99.1 --sign-from-file junk"), @"
    1 invalid-input
    error: the Ed25519 secret key is not well-formed, expected 64 bytes in base64
    ");
    assert_snapshot!(said("sign go-sdk/x86_64/1.99.1 --sign-from-file missing"), @"
    1 not-found
    error: cannot read the secret key missing
      No such file or directory (os error 2)
    ");
    assert_snapshot!(said("verify go-sdk/x86_64/1.99.1 --gpg-keys missing"), @"
    1 not-found
    error: cannot read public keys from missing
      No such file or directory (os error 2)
    ");
    assert_snapshot!(said("verify go-sdk/x86_64/1.99.1 --ed25519-keys missing"), @"
    1 not-found
    error: cannot read public keys from missing
      No such file or directory (os error 2)
    ");
    assert_snapshot!(said("verify go-sdk/x86_64/1.99.1 --ed25519-keys junk"), @"
    1 invalid-input
    error: `not a key` is not an Ed25519 public key, expected 32 bytes in base64
    ");
    let gpg = Gpg::new();
    let (key, other) = (gpg.key("publisher"), gpg.key("other"));
    let sign = format!("--gpg-sign {key} --gpg-homedir {}", gpg.home().display());
    let args = format!("sign go-sdk/x86_64/1.99.1 {sign}");
    bad.sandbox.run(args.split(' ')).ok();
    assert_snapshot!(said("verify go-sdk/x86_64/1.99.1 --gpg-keys junk").replace(&key, "[key]"), @"
    1 invalid-input
    error: there are no public GPG keys in junk
    ");
    let other = gpg.export(&other).display().to_string();
    let args = format!("verify go-sdk/x86_64/1.99.1 --gpg-keys {other}");
    assert_snapshot!(said(&args).replace(&key, "[key]"), @"
    3 mismatch
    error: commit [sha256] has no valid signature by a trusted key: gpg [key] made by an unknown key
    ");
    assert_snapshot!(said("verify go-sdk/x86_64/1.99.1 --remote acme"), @"
    1 not-found
    error: no remote `acme` in repository [dir]/repo
    hint: add one with `ostree-go remote add`
    ");
}

#[test]
fn publishing_promoting_and_pruning() {
    let bad = Bad::new();
    let said = |args: &str| told(&bad.sandbox, args);
    assert_snapshot!(said("publish --public-key missing.asc"), @"
    1 not-found
    error: cannot read public keys from missing.asc
      No such file or directory (os error 2)
    ");
    assert_snapshot!(said("publish --gpg-sign 0123456789ABCDEF --gpg-homedir gnupg"), @"
    1 invalid-input
    error: cannot sign commit [sha256] with GPG key 0123456789ABCDEF
      cannot use GnuPG: `gpg` failed: gpg: Fatal: [dir]/gnupg: directory does not exist!
    ");
    assert_snapshot!(said("promote go-sdk/x86_64/1.99.9 stable"), @"
    1 not-found
    error: no ref or commit `go-sdk/x86_64/1.99.9` in repository [dir]/repo
    hint: did you mean `go-sdk/x86_64/1.99.1`?
    ");
    assert_snapshot!(said("promote go-sdk/x86_64/1.99.1 a//b"), @"
    2 invalid-input
    error: `a//b` is not a valid ref, expected components of letters, digits, `.`, `_` and `-` joined by `/`
    ");
    assert_snapshot!(said("prune --keep 1 --older-than soon"), @"
    2 invalid-input
    error: invalid value 'soon' for '--older-than <DURATION>': expected a number and one of s, m, h, d, w, for example 90d
    hint: `--help` lists the allowed arguments
    ");
    assert_snapshot!(said("prune --keep 1 --repo missing"), @"
    1 not-found
    error: no repository at missing
    hint: create one with `ostree-go compose` or `ostree-go init --repo missing`
    ");
}

#[test]
fn remotes() {
    let bad = Bad::new();
    bad.sandbox.write("junk", "not a key\n");
    let said = |args: &str| told(&bad.sandbox, args);
    assert_snapshot!(said("remote add a/b http://127.0.0.1:1 --no-gpg-verify"), @"
    1 invalid-input
    error: `a/b` is not a name for a remote, expected letters, digits, `.`, `_` and `-`
    ");
    assert_snapshot!(said("remote add acme sdk.example --no-gpg-verify"), @"
    1 invalid-input
    error: remote `acme` cannot be added
      `sdk.example` is not a URL to download from, expected http://, https:// or file:///
    ");
    assert_snapshot!(said("remote add acme http://127.0.0.1:1"), @"
    2 invalid-input
    error: the following required arguments were not provided: --gpg-import <FILE>
    hint: usage: ostree-go remote add --format <FORMAT> --repo <PATH> --root <PATH> --gpg-import <FILE> <NAME> <URL>
    ");
    assert_snapshot!(said("remote add acme http://127.0.0.1:1 --gpg-import missing"), @"
    1 not-found
    error: cannot read missing
      No such file or directory (os error 2)
    ");
    assert_snapshot!(said("remote add acme http://127.0.0.1:1 --gpg-import junk"), @"
    1 invalid-input
    error: there are no public GPG keys in the input for remote `acme`
    ");
    assert_snapshot!(said("remote delete acme"), @"
    1 not-found
    error: no remote `acme` in repository [dir]/repo
    hint: add one with `ostree-go remote add`
    ");
    let add = "remote add acme http://127.0.0.1:1 --no-gpg-verify";
    bad.sandbox.run(add.split(' ')).ok();
    assert_snapshot!(said(add), @"
    1 invalid-input
    error: remote `acme` already exists, with URL http://127.0.0.1:1
    hint: delete it with `ostree-go remote delete`, or add keys to it with `ostree-go remote import-key`
    ");
    assert_snapshot!(said("remote show-keys acne"), @"
    1 not-found
    error: no remote `acne` in repository [dir]/repo
    hint: existing remotes: acme
    ");
    assert_snapshot!(said("remote import-key acme junk"), @"
    1 invalid-input
    error: remote `acme` does not verify signatures, so keys would have no effect
    hint: delete it, and add it again with --gpg-import instead of --no-gpg-verify
    ");
}

#[test]
fn pulls() {
    let bad = Bad::without_repo();
    let fixture = PullFixture::new();
    let same = |text: String| {
        let repo = fixture.host.repo().display().to_string();
        let text = text.replace(&fixture.server.url(), "[url]");
        text.replace(&repo, "[repo]").replace(&fixture.key, "[key]")
    };
    let said = |args: &str| {
        let said = same(told(&fixture.host, args));
        fixture.server.reset();
        said
    };
    assert_snapshot!(said("pull acme"), @"
    2 invalid-input
    error: no ref to pull from remote `acme`
    hint: name a ref, for example `1.26`, or use --mirror to pull all refs
    ");
    fixture.server.fault("/summary", Fault::Status(404));
    assert_snapshot!(said("pull --mirror acme"), @"
    1 not-found
    error: remote `acme` at [url] has no summary, which is needed to find all refs
    hint: name the refs, or ask the publisher to run `ostree-go publish`
    ");
    assert_snapshot!(said("pull acme a..b"), @"
    1 not-found
    error: no ref `go-sdk/x86_64/a..b` at [url]
    hint: did you mean `go-sdk/x86_64/1.99`?
    ");
    assert_snapshot!(said(&format!("pull acme {REF}9")), @"
    1 not-found
    error: no ref `go-sdk/x86_64/1.999` at [url]
    hint: did you mean `go-sdk/x86_64/1.99`?
    ");
    assert_snapshot!(said(&format!("pull acme {REF} --arch aarch64")), @"
    3 mismatch
    error: ref go-sdk/x86_64/1.99 of remote `acme` is refused: commit [sha256] is for no architecture, expected aarch64
    ");
    assert_snapshot!(said(&format!("pull acme {REF} --max-bytes 10")), @"
    1 unsafe-content
    error: pulling from remote `acme` takes [n] bytes or more, at most 10 are allowed
    hint: use a larger value for --max-bytes
    ");
    let quick = format!("pull acme {REF} --retries 0 --stall-timeout 1");
    fixture.server.fault("/objects/", Fault::Status(503));
    assert_snapshot!(said(&quick), @"
    75 network
    error: cannot pull from remote `acme`
      cannot download [url]/objects/[object].commit: the server answered with status 503
    hint: check the connection and run the command again
    ");
    fixture.server.fault("/objects/", Fault::Stall);
    assert_snapshot!(said(&quick), @"
    75 network
    error: remote `acme` at [url] has sent nothing for 1 seconds
    hint: check the connection and run the command again
    ");
    fixture.server.fault("commitmeta", Fault::Status(404));
    assert_snapshot!(said(&quick), @"
    3 mismatch
    error: ref go-sdk/x86_64/1.99 of remote `acme` is refused
      commit [sha256] is not signed
    hint: `ostree-go remote show-keys acme` shows the keys that are trusted
    ");
    let object = fixture.object(REF, "filez");
    fixture.server.fault(&object, Fault::Status(404));
    assert_snapshot!(said(&quick), @"
    1 not-found
    error: remote `acme` does not have object [sha256].file, which go-sdk/x86_64/1.99 (commit [sha256]) needs: [url]/objects/[object].filez does not exist; the commit was deleted in the meantime, or is incomplete
    hint: try again later; the publisher can update the summary with `ostree-go publish`
    ");
    fixture.server.fault(&object, Fault::Flip);
    assert_snapshot!(said(&quick), @"
    3 mismatch
    error: remote `acme` is refused: [url]/objects/[object].filez: it has the checksum [sha256], expected [sha256]
    ");
    fixture.host.run(quick.split(' ')).ok();
    let first = fixture.pulled(REF).unwrap();
    let older = fixture.commit(REF, 1, &["--timestamp=2025-01-01 00:00:00 +0000"]);
    assert_ne!(first, older);
    fixture.summary();
    assert_snapshot!(said(&quick), @"
    3 mismatch
    error: ref go-sdk/x86_64/1.99 is refused: commit [sha256] from 2025-01-01T00:00:00Z is older than the current commit [sha256] from 2026-01-01T00:00:00Z
    hint: use --allow-downgrade to accept it
    ");
    drop(bad);
    fixture
        .host
        .run([
            "remote",
            "add",
            "images",
            "oci+http://localhost:1/go-sdk",
            "--no-gpg-verify",
        ])
        .ok();
    assert_snapshot!(said("pull --mirror images"), @"
    1 invalid-input
    error: remote `images` is an image source, which has no summary
    hint: name the refs
    ");
    assert_snapshot!(said("pull --mirror"), @"
    2 invalid-input
    error: there are several remotes
    hint: name one of acme, images
    ");
}

#[test]
fn deployments() {
    let bad = Bad::new();
    let said = |args: &str| told(&bad.sandbox, args);
    for verb in [
        "status",
        "upgrade",
        "rollback",
        "gc",
        "env",
        "use 1.99.1",
        "uninstall 1.99.1",
    ] {
        insta::allow_duplicates! {
            assert_snapshot!(said(verb), @"
            1 not-found
            error: nothing is installed under [dir]/root
            hint: `ostree-go remote add` and `ostree-go install` create the root directory
            ");
        }
    }
    let from = format!("--from-repo {}", bad.sandbox.repo().display());
    assert_snapshot!(said(&format!("install {from} 1.99.9")), @"
    1 not-found
    error: no ref or commit `go-sdk/x86_64/1.99.9` in repository [dir]/repo
    hint: nothing was deployed; did you mean `go-sdk/x86_64/1.99.1`?
    ");
    assert_snapshot!(said(&format!("install {from} go-sdk/aarch64/1.99.1")), @"
    3 mismatch
    error: go-sdk/aarch64/1.99.1 is for aarch64, expected x86_64
    hint: nothing was deployed; `install --arch aarch64` installs it without activating it
    ");
    assert_snapshot!(said("install --from-repo missing 1.99.1"), @"
    1 not-found
    error: no repository at missing
    hint: nothing was deployed; create one with `ostree-go compose` or `ostree-go init --repo missing`
    ");
    assert_snapshot!(said(&format!("install {from} 1.99.1 --gpg-keys missing")), @"
    1 not-found
    error: cannot read public keys from missing
      No such file or directory (os error 2)
    hint: nothing was deployed
    ");
    assert_snapshot!(said("install 1.99.1"), @"
    1 not-found
    error: there is no remote to install go-sdk/x86_64/1.99.1 from, and repository [dir]/root/repo does not have it
    hint: nothing was deployed; add a remote with `ostree-go remote add NAME URL --gpg-import KEY-FILE`, or copy from a repository on this machine with --from-repo
    ");
    let args = format!("install {from} go-sdk/x86_64/1.99.1");
    let mut install = bad.sandbox.ostree_go(args.split(' '));
    let install = install.env_remove("OSTREE_REPO");
    run(install.env("OSTREE_GO_ROOT", bad.sandbox.path("root"))).ok();
    assert_snapshot!(said("use 1.98"), @"
    1 not-found
    error: no deployment `1.98` under [dir]/root
    hint: `ostree-go status` shows the installed SDKs
    ");
    assert_snapshot!(said("uninstall 1.99.1"), @"
    1 invalid-input
    error: go 1.99.1 is the active deployment
    hint: activate another SDK first with `ostree-go use`, or give --active
    ");
    assert_snapshot!(said("rollback"), @"
    1 not-found
    error: no deployment to roll back to under [dir]/root
    hint: `ostree-go use VERSION` activates any installed SDK
    ");
    assert_snapshot!(said("env 1.98"), @"
    1 not-found
    error: no deployment `1.98` under [dir]/root
    hint: `ostree-go status` shows the installed SDKs
    ");
    bad.sandbox.write("root/state.json", "{");
    assert_snapshot!(said("status"), @"
    1 invalid-repo
    error: cannot read the state in [dir]/root/state.json
      EOF while parsing an object at line 1 column 1
    hint: restore a backup, or move the file away: installed SDKs are then found again and count as unsigned
    ");
    bad.sandbox.write("root/state.json", "{\"schema\": 99}");
    assert_snapshot!(said("status"), @"
    1 invalid-repo
    error: the state in [dir]/root/state.json has schema 99, expected at most 1
    hint: use the version of ostree-go that wrote it, or a newer one
    ");
}
