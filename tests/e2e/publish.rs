//! Publishing: the stock `ostree` pulls the result, and the index page and its JSON are correct.

use ostree_go_sdk::Arch;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::ostree::{self, ostree};
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::toy::Toy;
use serde_json::Value;
use std::path::Path;

const CHANNELS: &str = "channels: [\"go-sdk/${basearch}/1.99\", \"go-sdk/${basearch}/stable\"]";

/// Composes a signed toy release for x86_64 into two channels. Each release has a unique file.
fn compose(sandbox: &Sandbox, version: &str, gpg: Option<(&Gpg, &str)>) {
    let archive = sandbox.path(&format!("go{version}.tar.gz"));
    let toy = Toy::new(Arch::X86_64).version(version);
    // Something that a delta can be made of.
    let text = format!("package fmt // {version}\n").repeat(2000);
    toy.with("src/fmt/big.go", text).tar_gz(&archive);
    sandbox.treefile(
        version,
        &format!("arches: [x86_64]\n{CHANNELS}\n{}", source(&archive)),
    );
    let mut args = vec!["compose".to_owned(), "go.yaml".to_owned()];
    args.extend(signing(gpg));
    sandbox.run(args.iter().map(String::as_str)).ok();
}

fn signing(gpg: Option<(&Gpg, &str)>) -> Vec<String> {
    gpg.map_or_else(Vec::new, |(gpg, key)| {
        let homedir = gpg.home().to_str().unwrap().to_owned();
        vec![
            "--gpg-sign".to_owned(),
            key.to_owned(),
            "--gpg-homedir".to_owned(),
            homedir,
        ]
    })
}

fn publish(sandbox: &Sandbox, more: &[String]) -> Value {
    let args = ["publish", "--format", "json"].into_iter();
    let out = sandbox
        .run(args.chain(more.iter().map(String::as_str)))
        .ok();
    serde_json::from_str(&out.stdout).unwrap()
}

fn stock_client(
    sandbox: &Sandbox,
    nginx: &Nginx,
    key: Option<&Path>,
    folder: &str,
) -> std::path::PathBuf {
    let client = sandbox.path(folder);
    ostree::init(&client, "bare-user-only");
    let trust = match key {
        Some(key) => format!("--gpg-import={}", key.display()),
        None => "--no-gpg-verify".to_owned(),
    };
    ostree(
        &client,
        [
            "remote",
            "add",
            trust.as_str(),
            "acme",
            &format!("{}/repo", nginx.url()),
        ],
    );
    client
}

#[test]
fn the_stock_ostree_pulls_what_was_published_by_delta() {
    let Some(nginx) = Nginx::start() else { return };
    let sandbox = Sandbox::new();
    let gpg = Gpg::new();
    let key = gpg.key("publisher");
    let signed = Some((&gpg, key.as_str()));
    compose(&sandbox, "1.99.1", signed);
    publish(&sandbox, &signing(signed));
    std::os::unix::fs::symlink(sandbox.repo(), nginx.path("repo")).unwrap();
    let client = stock_client(&sandbox, &nginx, Some(&gpg.export(&key)), "client");
    let channel = "go-sdk/x86_64/1.99";
    let pull = |client: &Path, name: &str| {
        ostree(client, ["pull", "--require-static-deltas", "acme", name]);
        ostree(client, ["fsck", "--quiet"]);
        ostree(client, ["rev-parse", &format!("acme:{name}")])
            .trim()
            .to_owned()
    };
    assert_eq!(Some(pull(&client, channel)), sandbox.rev(channel));

    // The next release: from the one before, and from nothing for those who are new. A web server
    // tells a summary from the last by its size and the second it was written in.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    compose(&sandbox, "1.99.2", signed);
    let published = publish(&sandbox, &signing(signed));
    assert_eq!(Some(pull(&client, channel)), sandbox.rev(channel));
    let fresh = stock_client(&sandbox, &nginx, Some(&gpg.export(&key)), "fresh");
    for name in [
        channel,
        "go-sdk/x86_64/stable",
        "go-sdk/x86_64/1.99.2",
        "go-sdk/x86_64/1.99.1",
    ] {
        assert_eq!(Some(pull(&fresh, name)), sandbox.rev(name), "{name}");
    }

    // Two releases and two channels from nothing, and each channel from its last commit; what
    // led to the channels' former commits is gone.
    assert_eq!(
        published["deltas"].as_array().unwrap().len(),
        6,
        "{published}"
    );
    assert_eq!(
        published["removed"].as_array().unwrap().len(),
        2,
        "{published}"
    );
    let again = publish(&sandbox, &signing(signed));
    assert!(
        again["deltas"]
            .as_array()
            .unwrap()
            .iter()
            .all(|d| d["made"] == false),
        "{again}"
    );
    sandbox.fsck();
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| {
        if path.is_dir() {
            files_below(&path)
        } else {
            vec![path]
        }
    });
    below.collect()
}

#[test]
fn deltas_of_identical_trees_share_their_parts() {
    use std::os::unix::fs::MetadataExt;
    let sandbox = Sandbox::new();
    compose(&sandbox, "1.99.1", None);
    publish(&sandbox, &[]);
    let listed = ostree(&sandbox.repo(), ["static-delta", "list"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let parts = files_below(&sandbox.repo().join("deltas"));
    let parts: Vec<_> = parts
        .iter()
        .filter(|path| path.file_name().unwrap() == "0")
        .collect();
    assert_eq!(parts.len(), 3);
    assert!(
        parts
            .iter()
            .all(|path| path.metadata().unwrap().nlink() == 3)
    );
    for name in listed.lines() {
        let shown = ostree(&sandbox.repo(), ["static-delta", "show", name]);
        assert!(shown.contains("Number of parts: 1"), "{shown}");
    }
}

#[test]
fn the_index_lists_all_releases() {
    let sandbox = Sandbox::new();
    let gpg = Gpg::new();
    let key = gpg.key("publisher");
    compose(&sandbox, "1.99.1", Some((&gpg, &key)));
    let public = gpg.export(&key);
    publish(
        &sandbox,
        &[
            "--public-key".to_owned(),
            public.to_str().unwrap().to_owned(),
        ],
    );
    let index = std::fs::read(sandbox.repo().join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["schema"], 1);
    assert_eq!(index["releases"][0]["ref"], "go-sdk/x86_64/1.99.1");
    assert_eq!(index["releases"][0]["signed_by"][0], key);
    assert_eq!(index["channels"].as_array().unwrap().len(), 2);
    assert_eq!(index["keys"][0], format!("{key}.asc"));
    assert!(sandbox.repo().join(format!("{key}.asc")).exists());
    let page = std::fs::read_to_string(sandbox.repo().join("index.html")).unwrap();
    // It has links to other servers, but loads nothing from them.
    for word in ["src=", "<link", "@import", "url(", "fetch("] {
        assert!(!page.contains(word), "{word}: {page}");
    }
}

#[test]
fn promote_and_log_show_a_channels_history() {
    let sandbox = Sandbox::new();
    compose(&sandbox, "1.99.1", None);
    compose(&sandbox, "1.99.2", None);
    let promote = |args: &[&str]| {
        let out = sandbox
            .run(["promote"].into_iter().chain(args.iter().copied()))
            .ok();
        (out.stdout.trim().to_owned(), out.stderr)
    };
    let (id, _) = promote(&["go-sdk/x86_64/1.99.1", "beta"]);
    assert_eq!(sandbox.rev("go-sdk/x86_64/beta"), Some(id.clone()));
    assert_eq!(
        promote(&["go-sdk/x86_64/1.99.1", "beta"]).0,
        id,
        "again changes nothing"
    );
    let (next, _) = promote(&["go-sdk/x86_64/1.99.2", "beta"]);
    assert_ne!(next, id);
    let refused = sandbox
        .run(["promote", "go-sdk/x86_64/1.99.1", "beta"])
        .exits(1);
    assert!(refused.stderr.contains("--allow-downgrade"), "{refused}");
    assert_eq!(sandbox.rev("go-sdk/x86_64/beta"), Some(next.clone()));
    let (back, _) = promote(&["--allow-downgrade", "go-sdk/x86_64/1.99.1", "beta"]);
    assert_ne!(back, next);
    let log = sandbox.run(["log", "go-sdk/x86_64/beta"]).ok().stdout;
    let versions: Vec<_> = log
        .lines()
        .skip(1)
        .filter_map(|l| l.split_whitespace().nth(2))
        .collect();
    assert_eq!(versions, ["1.99.1", "1.99.2", "1.99.1"]);
    // A layer is no release.
    let layer = sandbox
        .refs()
        .into_iter()
        .find(|name| name.contains("/common/"))
        .unwrap();
    let out = sandbox.run(["promote", &layer, "beta"]).exits(1);
    assert!(out.stderr.contains("is not a release"), "{}", out.stderr);
    sandbox.fsck();
}

#[test]
fn verify_prints_the_signers() {
    let sandbox = Sandbox::new();
    let gpg = Gpg::new();
    let (key, other) = (gpg.key("good"), gpg.key("other"));
    compose(&sandbox, "1.99.1", Some((&gpg, &key)));
    let name = "go-sdk/x86_64/1.99.1";
    let keys = |key: &str| gpg.export(key).to_str().unwrap().to_owned();
    let out = sandbox
        .run(["verify", name, "--gpg-keys", &keys(&key)])
        .ok();
    assert!(
        out.stdout.contains("valid") && out.stdout.contains("good@example.com"),
        "{}",
        out.stdout
    );
    let out = sandbox
        .run(["verify", name, "--gpg-keys", &keys(&other)])
        .exits(3);
    assert!(
        out.stderr.contains("made by an unknown key"),
        "{}",
        out.stderr
    );
    let home = gpg.home().to_str().unwrap();
    sandbox
        .run(["sign", name, "--gpg-sign", &other, "--gpg-homedir", home])
        .ok();
    let out = sandbox
        .run([
            "verify",
            name,
            "--gpg-keys",
            &keys(&other),
            "--format",
            "json",
        ])
        .ok();
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["signatures"].as_array().unwrap().len(), 2);
    // Every commit of the compose is signed: layers and channels too.
    for name in sandbox.refs() {
        sandbox
            .run(["verify", &name, "--gpg-keys", &keys(&key)])
            .ok();
    }
    sandbox.run(["verify", name]).exits(2);
    sandbox.run(["sign", name]).exits(2);
    let out = sandbox.run([
        "sign",
        name,
        "--gpg-sign",
        "00000000FFFFFFFF",
        "--gpg-homedir",
        home,
    ]);
    assert!(
        out.exits(1)
            .stderr
            .starts_with("error: cannot sign commit ")
    );
    // An unsigned one, and composing again with a key, which adds what is missing.
    let unsigned = Sandbox::new();
    compose(&unsigned, "1.99.1", None);
    unsigned
        .run(["verify", name, "--gpg-keys", &keys(&key)])
        .exits(3);
    compose(&unsigned, "1.99.1", Some((&gpg, &key)));
    unsigned
        .run(["verify", name, "--gpg-keys", &keys(&key)])
        .ok();
    assert_eq!(
        unsigned.rev(name),
        sandbox.rev(name),
        "a signature changes no checksum"
    );
}

#[test]
fn prune_keeps_the_history_of_channels() {
    let sandbox = Sandbox::new();
    for version in ["1.99.1", "1.99.2", "1.99.3"] {
        compose(&sandbox, version, None);
    }
    publish(&sandbox, &[]);
    let releases = |sandbox: &Sandbox| {
        let refs = sandbox.refs().into_iter();
        refs.filter(|name| name.contains("/1.99."))
            .collect::<Vec<_>>()
    };
    assert_eq!(releases(&sandbox).len(), 3);
    let layers = |sandbox: &Sandbox| {
        sandbox
            .refs()
            .iter()
            .filter(|n| n.contains("/layer/"))
            .count()
    };
    let before = layers(&sandbox);

    let out = sandbox.run(["prune", "--keep", "2", "--dry-run"]).ok();
    assert!(
        out.stdout.contains("go-sdk/x86_64/1.99.1 "),
        "{}",
        out.stdout
    );
    assert!(!out.stdout.contains("1.99.2 "), "{}", out.stdout);
    assert_eq!(releases(&sandbox).len(), 3, "a dry run removes nothing");
    // The toy SDKs are of the same day in 2026, and that is not long enough ago for this.
    let young = ["prune", "--keep", "1", "--older-than", "5000w", "--dry-run"];
    assert_eq!(sandbox.run(young).ok().stdout, "");

    sandbox.run(["prune", "--keep", "2"]).ok();
    assert_eq!(
        releases(&sandbox),
        ["go-sdk/x86_64/1.99.2", "go-sdk/x86_64/1.99.3"]
    );
    assert_eq!(layers(&sandbox), before - 1);
    sandbox.fsck();
    let log = sandbox.run(["log", "go-sdk/x86_64/stable"]).ok().stdout;
    assert_eq!(log.lines().count(), 1 + 2, "{log}");
    for rev in ["go-sdk/x86_64/stable", "go-sdk/x86_64/1.99.2"] {
        sandbox.checkout(rev, &rev.replace('/', "-"));
    }
    // It refuses while another process works in the repository.
    let lock = std::fs::File::options()
        .write(true)
        .open(sandbox.repo().join(".ostree-go.lock"))
        .unwrap();
    lock.lock().unwrap();
    let out = sandbox.run(["prune", "--keep", "1"]).exits(75);
    assert!(
        out.stderr
            .contains("another ostree-go process is using repository"),
        "{}",
        out.stderr
    );
}

#[test]
fn a_generated_key_signs() {
    let sandbox = Sandbox::new();
    compose(&sandbox, "1.99.1", None);
    let name = "go-sdk/x86_64/1.99.1";
    let args = [
        "key",
        "generate",
        "--output-dir",
        "keys",
        "--user",
        "Acme <sdk@acme.example>",
    ];
    let key = sandbox.run(args).ok().stdout.trim().to_owned();
    sandbox
        .run([
            "sign",
            name,
            "--gpg-sign",
            &key,
            "--gpg-homedir",
            "keys/gnupg",
        ])
        .ok();
    let out = sandbox
        .run(["verify", name, "--gpg-keys", "keys/public.asc"])
        .ok();
    assert!(
        out.stdout.contains("Acme <sdk@acme.example>"),
        "{}",
        out.stdout
    );
    let again = sandbox.run(args).exits(1);
    assert!(
        again
            .stderr
            .starts_with("error: cannot write the new key to "),
        "{}",
        again.stderr
    );

    let ed25519 = [
        "key",
        "generate",
        "--type",
        "ed25519",
        "--output-dir",
        "keys",
    ];
    let key = sandbox.run(ed25519).ok().stdout;
    assert_eq!(
        std::fs::read_to_string(sandbox.path("keys/public.ed25519")).unwrap(),
        key
    );
    let mode = std::fs::metadata(sandbox.path("keys/secret.ed25519"))
        .unwrap()
        .permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o600
    );
    sandbox
        .run(["sign", name, "--sign-from-file", "keys/secret.ed25519"])
        .ok();
    sandbox
        .run(["verify", name, "--ed25519-keys", "keys/public.ed25519"])
        .ok();
    // Both signatures are there.
    sandbox
        .run(["verify", name, "--gpg-keys", "keys/public.asc"])
        .ok();
    sandbox
        .run(["publish", "--sign-from-file", "keys/secret.ed25519"])
        .ok();
    assert!(sandbox.repo().join("summary.sig").exists());
    sandbox.fsck();
}
