//! `promote` moves the channels of all architectures together, or none; and unsigned channels are noticed.

use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::state::State;
use serde_json::Value;

const ARCHES: [&str; 2] = ["x86_64", "aarch64"];

fn compose(sandbox: &Sandbox, version: &str, args: &[&str]) {
    sandbox.toys(version);
    sandbox.treefile(version, TOY_SOURCE);
    sandbox.compose(args.iter().copied());
}

/// Returns the version of the commit that a channel names, according to the stock command.
fn version(sandbox: &Sandbox, arch: &str, channel: &str) -> String {
    let name = format!("go-sdk/{arch}/{channel}");
    let args = ["show", "--print-metadata-key=sdk.version", &name];
    ostree(&sandbox.repo(), args)
        .trim()
        .trim_matches('\'')
        .to_owned()
}

fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    let all = [&["promote"], args, &["--format", "json"]].concat();
    serde_json::from_str(&sandbox.run(all).ok().stdout).unwrap()
}

#[test]
fn all_architectures_move_together_or_not_at_all() {
    let sandbox = Sandbox::new();
    for number in ["1.99.1", "1.99.2"] {
        compose(&sandbox, number, &[]);
    }
    let promoted = json(&sandbox, &["1.99.1", "stable"]);
    let channels = promoted["channels"].as_array().unwrap();
    assert_eq!(channels.len(), 2);
    for channel in channels {
        let name = channel["ref"].as_str().unwrap();
        assert_eq!(sandbox.rev(name).as_deref(), channel["commit"].as_str());
        assert_eq!(channel["state"], "moved");
    }
    // Only one architecture is ahead.
    json(&sandbox, &["1.99.2", "stable", "--arch", "aarch64"]);
    let versions = || ARCHES.map(|arch| version(&sandbox, arch, "stable"));
    assert_eq!(versions(), ["1.99.1", "1.99.2"]);
    let before = State::of(&sandbox.repo());
    let out = sandbox.run(["promote", "1.99.1", "stable"]).exits(1);
    insta::assert_snapshot!(out.stderr, @"
    error: channel go-sdk/aarch64/stable has Go 1.99.2, which is newer than 1.99.1
    hint: no channel was moved; use --allow-downgrade to move it to the older version
    ");
    assert_eq!(out.stdout, "");
    State::of(&sandbox.repo()).assert_is(&before);
    let out = sandbox.run(["promote", "1.99.2", "stable"]).ok();
    assert!(
        out.stderr
            .contains("go-sdk/aarch64/stable is already at 1.99.2"),
        "{out}"
    );
    assert_eq!(versions(), ["1.99.2", "1.99.2"]);
    // Nothing to move is no error.
    sandbox.run(["promote", "1.99.2", "stable"]).ok();
    sandbox
        .run(["promote", "1.99.1", "stable", "--allow-downgrade"])
        .ok();
    assert_eq!(versions(), ["1.99.1", "1.99.1"]);
    // A full ref, of the release or of the channel, selects one architecture.
    json(&sandbox, &["go-sdk/x86_64/1.99.2", "stable"]);
    assert_eq!(versions(), ["1.99.2", "1.99.1"]);
    json(&sandbox, &["1.99.2", "go-sdk/aarch64/stable"]);
    assert_eq!(versions(), ["1.99.2", "1.99.2"]);
    sandbox.fsck();
}

#[test]
fn a_release_for_one_architecture_leaves_the_other_channel_and_says_so() {
    let sandbox = Sandbox::new();
    compose(&sandbox, "1.99.1", &[]);
    json(&sandbox, &["1.99.1", "stable"]);
    compose(&sandbox, "1.99.2", &["--arch", "x86_64"]);
    let out = sandbox.run(["promote", "1.99.2", "stable"]).ok();
    assert!(
        out.stderr
            .contains("go-sdk/aarch64/stable was not moved: the repository has no 1.99.2"),
        "{out}"
    );
    assert_eq!(version(&sandbox, "aarch64", "stable"), "1.99.1");
}

#[test]
fn refs_that_are_no_channels_are_refused() {
    let sandbox = Sandbox::new();
    for number in ["1.99.1", "1.99.2"] {
        compose(&sandbox, number, &[]);
    }
    let before = State::of(&sandbox.repo());
    let refused = |channel: &str, code| {
        let out = sandbox
            .run(["promote", "go-sdk/x86_64/1.99.1", channel])
            .exits(code);
        State::of(&sandbox.repo()).assert_is(&before);
        out.stderr
    };
    insta::assert_snapshot!(refused("go-sdk/stable", 2), @"
    error: channel go-sdk/stable has no architecture, expected for example go-sdk/x86_64/stable
    hint: name only its last part, `stable`, to move it for each architecture
    ");
    insta::assert_snapshot!(refused("go-sdk/aarch64/stable", 2), @"
    error: channel go-sdk/aarch64/stable is for aarch64, but go-sdk/x86_64/1.99.1 is for x86_64
    hint: name only its last part, `stable`, to move it for each architecture
    ");
    insta::assert_snapshot!(refused("1.99.2", 1), @"
    error: ref go-sdk/x86_64/1.99.2 is not a channel but the ref of a release, which never moves
    hint: name a channel, for example `stable`
    ");
    ostree(
        &sandbox.repo(),
        ["refs", "--delete", "go-sdk/x86_64/1.99.1"],
    );
    let before = State::of(&sandbox.repo());
    sandbox
        .run(["promote", "go-sdk/aarch64/1.99.1", "1.99.1"])
        .exits(1);
    State::of(&sandbox.repo()).assert_is(&before);
}

#[test]
fn an_unsigned_commit_of_a_signed_channel_is_noticed_and_signed_by_publish() {
    let (sandbox, gpg) = (Sandbox::new(), Gpg::new());
    let key = gpg.key("publisher");
    let signing = [
        "--gpg-sign",
        &key,
        "--gpg-homedir",
        gpg.home().to_str().unwrap(),
    ];
    for number in ["1.99.1", "1.99.2"] {
        compose(&sandbox, number, &signing);
    }
    let promote = |number: &str, args: &[&str]| {
        let all = [&["promote", number, "stable"], args].concat();
        sandbox.run(all).ok().stderr
    };
    let said = promote("1.99.1", &signing);
    assert!(!said.contains("warning"), "{said}");
    let said = promote("1.99.2", &[]);
    assert!(
        said.contains("warning: the new commit of go-sdk/x86_64/stable is not signed"),
        "{said}"
    );
    let public = gpg.export(&key).display().to_string();
    let verify = |name: &str| sandbox.run(["verify", name, "--gpg-keys", &public]);
    verify("go-sdk/x86_64/stable").exits(3);
    let planned = [&["publish", "--dry-run"][..], &signing].concat();
    let planned = sandbox.run(planned).ok().stdout;
    assert!(
        planned.contains("sign") && planned.contains("go-sdk/x86_64/stable"),
        "{planned}"
    );

    let said = sandbox
        .run([&["publish"][..], &signing].concat())
        .ok()
        .stderr;
    for arch in ARCHES {
        let line = said
            .lines()
            .find(|line| line.contains(&format!("go-sdk/{arch}/stable")));
        assert!(
            line.is_some_and(|line| line.contains("was signed")),
            "{said}"
        );
    }
    for name in sandbox.refs() {
        verify(&name).ok();
    }
    // What is signed, by any key, is left as it is.
    let said = sandbox
        .run([&["publish"][..], &signing].concat())
        .ok()
        .stderr;
    assert!(!said.contains("was signed"), "{said}");
}
