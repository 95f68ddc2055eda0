//! Key transitions: a publisher introduces a new key with the old one, and hosts follow.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use ostree_go_tests::cli::run;
use ostree_go_tests::kill;
use ostree_go_tests::ostree;
use ostree_go_tests::rotation::{FILE, Rotation, sequence, utf8};
use ostree_go_tests::webserver::Fault;
use serde_json::Value;

#[test]
fn hosts_follow_the_new_key_and_drop_the_old_one() {
    let rotation = Rotation::new();
    let (old, new) = (&rotation.old, &rotation.new);
    rotation.join("follower", &["--follow-keys"]);
    rotation.join("other", &[]);
    for root in ["follower", "other"] {
        rotation.on(root, &["install", "1.99"]).ok();
    }
    let out = rotation.introduce();
    assert!(
        out.stderr.contains(&format!("key {old} introduces {new}")),
        "{out}"
    );
    // Signed with both keys: every host upgrades, and one follows.
    rotation.release("1.99.2", 200, &[old, new]);
    let out = rotation.on("follower", &["upgrade"]).ok();
    let trusts =
        format!("remote acme trusts key {new} from now on, because key {old} introduced it");
    assert!(out.stderr.contains(&trusts), "{out}");
    let out = rotation.on("other", &["upgrade"]).ok();
    assert!(!out.stderr.contains(new), "{out}");
    assert_eq!(rotation.keys("follower"), [old.as_str(), new]);
    assert_eq!(rotation.keys("other"), [old.as_str()]);
    // Signed with the new key: a host that does not follow needs the new key first.
    rotation.release("1.99.3", 300, &[new]);
    let out = rotation.on("follower", &["upgrade"]).ok();
    assert!(
        !out.stderr.contains("remote acme"),
        "nothing is repeated: {out}"
    );
    let out = rotation.on("other", &["upgrade"]).exits(3);
    assert!(out.stderr.contains("made by an unknown key"), "{out}");
    let file = utf8(&rotation.file());
    let out = rotation
        .on(
            "other",
            &["remote", "import-key", "acme", "--transition", &file],
        )
        .ok();
    assert!(out.stderr.contains(&trusts), "{out}");
    rotation.on("other", &["upgrade"]).ok();
    // The new key withdraws the old one.
    let public = utf8(&rotation.public(new));
    let out = rotation
        .transition(&[&public, "--remove", old], &[new], None)
        .ok();
    assert!(
        out.stderr.contains(&format!("key {new} withdraws {old}")),
        "{out}"
    );
    let out = rotation
        .on(
            "follower",
            &["pull", "acme", "1.99", "--repo", "follower/repo"],
        )
        .ok();
    let withdrawn =
        format!("remote acme does not trust key {old} any more, because key {new} withdrew it");
    assert!(out.stderr.contains(&withdrawn), "{out}");
    assert_eq!(rotation.keys("follower"), [new.as_str()]);
    let stock = ostree::ostree(
        &rotation.host.sandbox.path("follower/repo"),
        ["remote", "gpg-list-keys", "acme"],
    );
    assert!(stock.contains("new") && !stock.contains("old"), "{stock}");
    rotation.release("1.99.4", 400, &[old]);
    rotation.on("follower", &["upgrade"]).exits(3);
    // A host that was installed later with the new key has no use for the statements.
    let add = [
        "remote",
        "add",
        "acme",
        &rotation.server.url(),
        "--gpg-import",
        &public,
        "--follow-keys",
    ];
    rotation.on("late", &add).ok();
    let out = rotation.on("late", &["install", "1.99.3"]).ok();
    assert!(!out.stderr.contains("warning"), "{out}");
    // A remote that is added again starts from the beginning.
    rotation.on("follower", &["remote", "delete", "acme"]).ok();
    assert!(
        !rotation
            .host
            .sandbox
            .path("follower/repo/acme.transitions.json")
            .exists()
    );
}

#[test]
fn following_can_be_switched() {
    let rotation = Rotation::new();
    rotation.join("root", &[]);
    rotation.introduce();
    let out = rotation.on("root", &["remote", "follow-keys", "acme"]).ok();
    assert_eq!(
        out.stderr,
        "remote acme trusts keys that a trusted key introduces\n"
    );
    let out = rotation
        .on("root", &["remote", "follow-keys", "acme", "--off"])
        .ok();
    assert_eq!(
        out.stderr,
        "remote acme trusts only keys that are imported\n"
    );
    rotation.on("root", &["install", "1.99"]).ok();
    assert_eq!(rotation.keys("root").len(), 1);
    rotation.on("root", &["remote", "follow-keys", "acme"]).ok();
    // A dry run changes nothing.
    rotation.on("root", &["upgrade", "--dry-run"]).ok();
    rotation
        .on(
            "root",
            &["pull", "acme", "1.99", "--dry-run", "--repo", "root/repo"],
        )
        .ok();
    assert_eq!(rotation.keys("root").len(), 1);
    rotation.on("root", &["upgrade"]).ok();
    assert_eq!(rotation.keys("root").len(), 2);
    let add = [
        "remote",
        "add",
        "images",
        "oci:/images",
        "--gpg-import",
        &utf8(&rotation.public(&rotation.old)),
    ];
    rotation.on("root", &add).ok();
    let out = rotation
        .on("root", &["remote", "follow-keys", "images"])
        .exits(1);
    assert!(
        out.stderr.contains("the keys of remote `images` cannot be followed, expected a repository on a web server or in a directory"),
        "{out}"
    );
    rotation
        .on(
            "root",
            &[
                "remote",
                "add",
                "open",
                &rotation.server.url(),
                "--no-gpg-verify",
            ],
        )
        .ok();
    let out = rotation
        .on("root", &["remote", "follow-keys", "open"])
        .exits(1);
    assert!(
        out.stderr
            .contains("remote `open` does not verify signatures"),
        "{out}"
    );
}

/// Signs a text with keys of the publisher, as an armoured block.
fn signed_by_gpg(rotation: &Rotation, text: &str, keys: &[&str]) -> String {
    let file = rotation.host.sandbox.write("statement", text);
    let mut command = Command::new("gpg");
    command.arg("--homedir").arg(rotation.gpg.home());
    for key in keys {
        command.args(["--local-user", key]);
    }
    command.args(["--batch", "--armor", "--output", "-", "--detach-sign"]);
    run(command.arg(file)).ok().stdout
}

#[test]
fn statements_that_prove_nothing_are_ignored() {
    let rotation = Rotation::new();
    let (old, new) = (&rotation.old, &rotation.new);
    let [foreign, next] = ["foreign", "next"].map(|name| rotation.gpg.key(name));
    let files = [old, new, &foreign, &next].map(|key| utf8(&rotation.public(key)));
    let [old_file, new_file, foreign_file, next_file] = &files;
    rotation.join("root", &["--follow-keys"]);
    rotation.on("root", &["install", "1.99"]).ok();
    // Returns what a host says to the statements that are served.
    let said = |statements: &[Value]| {
        rotation.write(statements);
        let out = rotation.on("root", &["upgrade"]).ok();
        out.stderr
    };
    let ignored = |statement: &Value, reason: &str| {
        let out = said(std::slice::from_ref(statement));
        let sequence = sequence(statement);
        let line =
            format!("warning: key transition {sequence} of remote acme was ignored: {reason}\n");
        assert!(out.contains(&line), "{line}{out}");
        assert_eq!(rotation.keys("root"), [old.as_str()]);
    };
    let make = |args: &[&str], keys: &[&str], time: Option<u64>| {
        let _ = fs::remove_file(rotation.file());
        rotation.transition(args, keys, time).ok();
        rotation.statements().pop().unwrap()
    };
    // Signed by a key that the host does not trust.
    let statement = make(&[foreign_file, new_file], &[&foreign, new], None);
    ignored(
        &statement,
        &format!("it was made by key {foreign}, which the remote does not trust"),
    );
    // With the name of a trusted key, but not its signature.
    // It is older than those that are made later in this test, so that their sequence numbers are higher.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let earlier = Some(now.as_secs() - 1000);
    let valid = make(&[old_file, new_file], &[old, new], earlier);
    let mut forged = valid.clone();
    forged["signatures"] = statement["signatures"].clone();
    ignored(&forged, &format!("it has no valid signature by key {old}"));
    // Changed after it was signed.
    let mut changed = valid.clone();
    let text = valid["statement"].as_str().unwrap();
    changed["statement"] = text.replace("\"expires\":\"2", "\"expires\":\"3").into();
    ignored(&changed, &format!("it has no valid signature by key {old}"));
    // The new key did not sign.
    let mut lines = valid.clone();
    let by_old = make(&[old_file, "--remove", &foreign], &[old], None);
    lines["signatures"] = by_old["signatures"].clone();
    ignored(&lines, &format!("it has no valid signature by key {old}"));
    // With another public key than it says.
    let mut other = valid.clone();
    let text = text.replacen(new.as_str(), &next, 1);
    other["signatures"] = signed_by_gpg(&rotation, &text, &[old, new]).into();
    other["statement"] = text.into();
    ignored(&other, &format!("its public key is not key {next}"));
    // Expired, and of the future.
    let expired = make(
        &[old_file, new_file, "--valid-days", "1"],
        &[old, new],
        Some(1_700_000_000),
    );
    ignored(&expired, "it expired at 2023-11-15T22:13:20Z");
    let future = make(&[old_file, new_file], &[old, new], Some(9_000_000_000));
    rotation.write(&[future]);
    let out = rotation.on("root", &["upgrade"]).ok();
    assert!(
        out.stderr.contains(
            "was ignored: it was made at 2255-03-14T16:00:00Z, the clock of this machine says "
        ),
        "{out}"
    );
    // For another repository.
    let mut command = rotation.publisher(
        &[
            "key",
            "transition",
            old_file,
            new_file,
            "--url",
            "https://other.example.com/repo/",
        ],
        &[old, new],
    );
    let _ = fs::remove_file(rotation.file());
    run(&mut command).ok();
    let url = rotation.server.url();
    ignored(
        &rotation.statements()[0],
        &format!(
            "it is for https://other.example.com/repo, not for {}",
            url.trim_end_matches('/')
        ),
    );
    // Truncated, and not what was expected at all. The upgrade goes on with the keys that are trusted.
    for text in [
        &valid.to_string()[..40],
        "<html>",
        "",
        "{\"transitions\": 1}",
    ] {
        fs::write(rotation.file(), text).unwrap();
        let out = rotation.on("root", &["upgrade"]).ok();
        assert!(
            out.stderr
                .contains("warning: the keys of remote acme stay as they are: "),
            "{text}: {out}"
        );
    }
    rotation.write(std::slice::from_ref(&valid));
    rotation.server.fault(FILE, Fault::Status(500));
    let out = rotation.on("root", &["upgrade", "--retries", "0"]);
    assert!(
        out.stderr
            .contains("stay as they are: cannot fetch the key transitions of remote `acme`: "),
        "{out}"
    );
    rotation.server.reset();
    // Some servers answer with 403 for files that do not exist.
    rotation.server.fault(FILE, Fault::Status(403));
    let out = rotation.on("root", &["upgrade"]).ok();
    assert!(!out.stderr.contains("warning"), "{out}");
    rotation.server.reset();
    // The valid one is followed. A thief of the old key can then neither introduce a key nor withdraw the new one.
    let out = said(std::slice::from_ref(&valid));
    assert!(
        out.contains(&format!("remote acme trusts key {new} from now on")),
        "{out}"
    );
    for args in [
        &[old_file.as_str(), next_file][..],
        &[old_file, "--remove", new],
    ] {
        let statement = make(args, &[old, &next], None);
        let out = said(std::slice::from_ref(&statement));
        let refused =
            format!("was ignored: it was made by key {old}, which has a successor already");
        assert!(out.contains(&refused), "{out}");
        assert_eq!(rotation.keys("root"), [old.as_str(), new]);
    }
    // The same in one file with the valid statement, on a host that has seen neither.
    let theft = make(&[old_file, next_file], &[old, &next], None);
    rotation.write(&[theft.clone(), valid.clone()]);
    rotation.join("second", &["--follow-keys"]);
    let out = rotation.on("second", &["install", "1.99"]).ok();
    assert!(
        out.stderr.contains("which has a successor already"),
        "{out}"
    );
    assert_eq!(rotation.keys("second"), [old.as_str(), new]);
    // Replayed: after the new key has withdrawn the old one, the first statement does not bring it back, nor anything else.
    rotation.release("1.99.2", 200, &[old, new]);
    rotation.write(std::slice::from_ref(&valid));
    rotation
        .transition(&[new_file, "--remove", old], &[new], None)
        .ok();
    let both = rotation.statements();
    assert_eq!(both.len(), 2);
    let out = said(&both);
    assert!(
        out.contains(&format!("does not trust key {old} any more")),
        "{out}"
    );
    let out = said(&both[..1]);
    assert!(!out.contains("remote acme"), "{out}");
    assert_eq!(rotation.keys("root"), [new.as_str()]);
    // The same file by hand: nothing is left to do, and a foreign one is refused.
    let file = utf8(&rotation.file());
    rotation
        .on(
            "root",
            &["remote", "import-key", "acme", "--transition", &file],
        )
        .ok();
    make(
        &[foreign_file, next_file],
        &[&foreign, &next],
        Some(now.as_secs() + 1000),
    );
    let out = rotation
        .on(
            "root",
            &["remote", "import-key", "acme", "--transition", &file],
        )
        .exits(3);
    assert!(out.stderr.contains("was ignored: "), "{out}");
    fs::write(rotation.file(), "{").unwrap();
    let out = rotation
        .on(
            "root",
            &["remote", "import-key", "acme", "--transition", &file],
        )
        .exits(1);
    assert!(
        out.stderr.contains("has no usable key transitions"),
        "{out}"
    );
}

#[test]
fn a_statement_that_hosts_would_not_accept_is_not_published() {
    let rotation = Rotation::new();
    let (old, new) = (&rotation.old, &rotation.new);
    let (old_file, new_file) = (utf8(&rotation.public(old)), utf8(&rotation.public(new)));
    let said = |args: &[&str], keys: &[&str]| {
        let out = rotation.transition(args, keys, None);
        assert_ne!(out.code(), Some(0), "{out}");
        assert!(!rotation.file().exists());
        out.stderr
    };
    for (missing, keys) in [(new, [old]), (old, [new])] {
        let out = said(&[&old_file, &new_file], &keys.map(String::as_str));
        let expected = format!(
            "the key transition is not signed by key {missing}, expected signatures of the old and of the new key"
        );
        assert!(out.contains(&expected), "{out}");
    }
    let out = said(&[&old_file, &old_file], &[old]);
    assert!(
        out.contains("the key transition is not valid: it adds or removes the key that makes it"),
        "{out}"
    );
    let out = said(&[&old_file, "--remove", "0D"], &[old]);
    assert!(
        out.contains("the key transition is not valid: `0D` is not a gpg key"),
        "{out}"
    );
    rotation
        .host
        .run(["key", "generate", "--output-dir", "ed", "--type", "ed25519"])
        .ok();
    let out = said(&[&old_file, "ed/public.ed25519"], &[old]);
    assert!(
        out.contains("a gpg key cannot introduce a ed25519 key, expected one of the same kind"),
        "{out}"
    );
    let out = said(
        &[
            &old_file,
            &new_file,
            "--url",
            "https://user:secret@example.com/repo",
        ],
        &[old, new],
    );
    assert!(
        out.contains("a URL contains a user name or a password"),
        "{out}"
    );
    let url = rotation.server.url();
    let out = rotation
        .host
        .run(["key", "transition", &old_file, &new_file, "--url", &url])
        .exits(2);
    assert!(out.stderr.contains("no key to sign with"), "{out}");
    let out = rotation
        .transition(&[&old_file, &new_file, "--dry-run"], &[old, new], None)
        .ok();
    assert!(
        out.stderr
            .contains(&format!("key {old} would introduce {new}")),
        "{out}"
    );
    assert!(!rotation.file().exists());
    fs::write(rotation.file(), "{").unwrap();
    let out = rotation
        .transition(&[&old_file, &new_file], &[old, new], None)
        .exits(1);
    assert!(
        out.stderr.contains("has no usable key transitions"),
        "{out}"
    );
}

/// A kill between the change of the keys and the note of it leaves a host that trusts both keys; the next upgrade repeats the step.
#[test]
fn a_host_that_is_killed_while_it_follows_recovers() {
    let rotation = Rotation::new();
    let (old, new) = (&rotation.old, &rotation.new);
    rotation.join("root", &["--follow-keys"]);
    rotation.on("root", &["install", "1.99"]).ok();
    rotation.introduce();
    rotation.release("1.99.2", 200, &[new]);
    kill::at_failpoint(
        &mut rotation.client("root", &["upgrade"]),
        "remote.keys-followed",
    );
    assert_eq!(rotation.keys("root"), [old.as_str(), new]);
    assert!(
        !rotation
            .host
            .sandbox
            .path("root/repo/acme.transitions.json")
            .exists()
    );
    let out = rotation.on("root", &["upgrade"]).ok();
    assert!(
        out.stdout.contains("1.99.2") || out.stderr.contains("1.99.2"),
        "{out}"
    );
    assert!(
        rotation
            .host
            .sandbox
            .path("root/repo/acme.transitions.json")
            .exists()
    );
    assert_eq!(rotation.keys("root"), [old.as_str(), new]);
    // A damaged note changes no keys, and is no reason not to upgrade.
    let note = rotation
        .host
        .sandbox
        .path("root/repo/acme.transitions.json");
    let good = fs::read(&note).unwrap();
    fs::write(&note, "{").unwrap();
    let out = rotation.on("root", &["upgrade"]).ok();
    assert!(
        out.stderr
            .contains("the keys of remote acme stay as they are: "),
        "{out}"
    );
    fs::write(&note, good).unwrap();
    // A kill of the publisher before the file is replaced leaves the old one.
    let before = fs::read(rotation.file()).unwrap();
    let public = utf8(&rotation.public(new));
    let url = rotation.server.url();
    let args = ["key", "transition", &public, "--remove", old, "--url", &url];
    kill::at_failpoint(&mut rotation.publisher(&args, &[new]), "transition.signed");
    assert_eq!(fs::read(rotation.file()).unwrap(), before);
}
