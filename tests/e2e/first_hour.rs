//! A newcomer's first hour: names and options that do not exist, no remote yet, a wrong clock.

use insta::assert_snapshot;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::host::Host;
use ostree_go_tests::pull_fixture::PullFixture;
use ostree_go_tests::registry_fixture::RegistryFixture;
use ostree_go_tests::tools;
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Returns the command for the host's root directory, without a repository in the environment.
fn on_root<'a>(host: &Host, args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = host.command(args);
    command.env_remove("OSTREE_REPO");
    command
}

#[track_caller]
fn root<'a>(host: &Host, args: impl IntoIterator<Item = &'a str>) -> Output {
    run(&mut on_root(host, args))
}

/// Returns the messages with the names of this machine replaced.
fn said(host: &Host, out: &Output) -> String {
    let dir = host.sandbox.path("");
    let dir = dir.to_str().expect("UTF-8").trim_end_matches('/');
    out.stderr
        .replace(dir, "DIR")
        .replace(host.arch().basearch(), "ARCH")
}

/// Adds a remote with the host's repository to its root directory, and returns its server.
fn served(host: &Host) -> FaultyServer {
    let server = FaultyServer::serving(&host.sandbox.repo());
    host.run(["publish"]).ok();
    let url = server.url();
    root(host, ["remote", "add", "acme", &url, "--no-gpg-verify"]).ok();
    server
}

#[test]
fn without_a_remote_the_message_says_how_to_add_one() {
    let host = Host::new();
    assert_snapshot!(said(&host, &root(&host, ["install", "1.99"]).exits(1)), @"
    error: there is no remote to install go-sdk/ARCH/1.99 from, and repository DIR/root/repo does not have it
    hint: nothing was deployed; add a remote with `ostree-go remote add NAME URL --gpg-import KEY-FILE`, or copy from a repository on this machine with --from-repo
    ");
    assert_snapshot!(said(&host, &root(&host, ["list"]).exits(2)), @"
    error: no repository given
    hint: specify one with --repo PATH or OSTREE_REPO; `ostree-go status` shows what is installed on this machine, and `ostree-go remote refs` what its remotes offer
    ");
    assert_snapshot!(said(&host, &root(&host, ["remote", "refs"]).exits(2)), @"
    error: no remote in repository DIR/root/repo
    hint: add a remote with `ostree-go remote add NAME URL --gpg-import KEY-FILE`
    ");
}

#[test]
fn an_unknown_option_is_never_suggested_as_a_value() {
    let host = Host::new();
    assert_snapshot!(said(&host, &root(&host, ["list", "--dry-run"]).exits(2)), @"
    error: unexpected argument '--dry-run' found
    hint: `ostree-go list --help` lists the options
    ");
    assert_snapshot!(said(&host, &root(&host, ["install", "1.99", "--zzz"]).exits(2)), @"
    error: unexpected argument '--zzz' found
    hint: `ostree-go install --help` lists the options
    ");
    assert_snapshot!(said(&host, &root(&host, ["install", "1.99", "--dry-rum"]).exits(2)), @"
    error: unexpected argument '--dry-rum' found
    hint: a similar argument exists: '--dry-run'
    ");
    for verb in ["compose", "export oci", "remote add", "publish", "status"] {
        let args: Vec<&str> = verb.split(' ').chain(["--no-such-option"]).collect();
        let out = root(&host, args).exits(2);
        assert!(!out.stderr.contains("-- --"), "{}", out.stderr);
    }
}

#[test]
fn the_nearest_versions_of_a_remote_are_named() {
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 100), ("1.99.9", 200), ("1.99.10", 300)] {
        host.release(version, seconds);
    }
    let _server = served(&host);
    let hint = |args: &[&str]| {
        let out = root(&host, args.iter().copied()).exits(1);
        let text = said(&host, &out);
        text.lines().last().unwrap_or_default().to_owned()
    };
    let expected = "hint: nothing was deployed; did you mean `go-sdk/ARCH/1.99.9` or \
                    `go-sdk/ARCH/1.99.10`?";
    assert_eq!(hint(&["install", "1.99.77"]), expected);
    // The same through libostree, and in a repository on this machine.
    let url = format!("file://{}", host.sandbox.repo().display());
    root(&host, ["remote", "add", "local", &url, "--no-gpg-verify"]).ok();
    assert_eq!(hint(&["install", "1.99.77", "--remote", "local"]), expected);
    let repo = host.sandbox.repo();
    let repo = repo.to_str().unwrap();
    assert_eq!(hint(&["install", "1.99.77", "--from-repo", repo]), expected);
    // A release that only exists for the other architecture.
    let other = if host.arch().goarch() == "amd64" {
        "aarch64"
    } else {
        "x86_64"
    };
    let gone = format!("go-sdk/{}/1.99.9", host.arch());
    ostree_go_tests::ostree::ostree(&host.sandbox.repo(), ["refs", "--delete", &gone]);
    host.run(["publish"]).ok();
    let found = hint(&["install", "1.99.9", "--remote", "acme"]);
    assert!(
        found.contains(&format!("did you mean `go-sdk/{other}/1.99.9`, ")),
        "{found}"
    );
}

#[test]
fn the_nearest_tags_of_a_registry_are_named() {
    let fixture = RegistryFixture::new();
    fixture.root_remote();
    let list = fixture
        .publisher
        .sandbox
        .path("www/v2/acme/go-sdk/tags/list");
    fs::create_dir_all(list.parent().unwrap()).unwrap();
    fs::write(
        &list,
        r#"{"name":"acme/go-sdk","tags":["1.99","1.99.1","1.98.3","edge"]}"#,
    )
    .unwrap();
    let out = fixture.root(["install", "1.99.7"]).exits(1);
    assert!(
        out.stderr.contains("there is 1.98.3, 1.99.1"),
        "{}",
        out.stderr
    );
    let out = fixture.root(["remote", "refs", "--format", "json"]).ok();
    let refs: Value = serde_json::from_str(&out.stdout).unwrap();
    let names: Vec<&str> = refs["refs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|offered| offered["ref"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["edge", "1.98.3", "1.99", "1.99.1"]);
    fixture.root(["install", "latest"]).ok();
    let status = fixture.root(["status"]).ok().stdout;
    assert!(status.contains("*  1.99.1 "), "{status}");
}

#[test]
fn versions_and_architectures_are_accepted_in_the_notation_of_go() {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.release("1.99.2", 200);
    let out = host
        .run(["install", "go1.99.1", "--from-repo", "repo"])
        .ok();
    assert_eq!(out.stderr, "go 1.99.1 is installed and active (unsigned)\n");
    let out = host.run(["install", "latest", "--from-repo", "repo"]).ok();
    assert_eq!(out.stderr, "go 1.99.2 is installed and active (unsigned)\n");
    let shown = host.json(["show", "go1.99.1"]);
    assert_eq!(shown["version"], "1.99.1");
    let arm = [
        "install",
        "1.99.1",
        "--arch",
        "arm64",
        "--from-repo",
        "repo",
    ];
    let amd = [
        "install",
        "1.99.1",
        "--arch",
        "amd64",
        "--from-repo",
        "repo",
    ];
    host.run(arm).ok();
    host.run(amd).ok();
    let status = host.json(["status"]);
    let arches: Vec<&Value> = status["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["version"] == "1.99.1")
        .map(|one| &one["arch"])
        .collect();
    assert!(arches.contains(&&Value::from("aarch64")), "{status:#}");
    assert!(arches.contains(&&Value::from("x86_64")), "{status:#}");
    host.run(["compose", "go.yaml", "--dry-run", "--arch", "arm64"])
        .ok();
    // Without releases, there is no latest one.
    let out = root(&Host::new(), ["install", "latest"]).exits(1);
    assert!(
        out.stderr.contains("there is no remote to install"),
        "{}",
        out.stderr
    );
}

#[test]
fn remote_refs_lists_what_can_be_installed() {
    let host = Host::new();
    host.release("1.99.9", 1_770_000_000);
    host.release("1.99.10", 1_770_100_000);
    let _server = served(&host);
    let out = root(&host, ["remote", "refs"]).ok();
    let rows: Vec<Vec<&str>> = out
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let refs: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(
        refs,
        [
            "REF",
            "go-sdk/aarch64/1.99",
            "go-sdk/aarch64/1.99.9",
            "go-sdk/aarch64/1.99.10",
            "go-sdk/x86_64/1.99",
            "go-sdk/x86_64/1.99.9",
            "go-sdk/x86_64/1.99.10",
        ]
    );
    assert_eq!(rows[1][1..3], ["1.99.10", "2026-02-03T06:26:40Z"]);
    let all = root(&host, ["remote", "refs", "acme", "--all"]).ok();
    assert!(all.stdout.contains("go-sdk/layer/"), "{}", all.stdout);
    let url = format!("file://{}", host.sandbox.repo().display());
    root(&host, ["remote", "add", "local", &url, "--no-gpg-verify"]).ok();
    let local = root(&host, ["remote", "refs", "local"]).ok();
    assert_eq!(local.stdout.lines().count(), out.stdout.lines().count());
    let out = root(&host, ["remote", "refs"]).exits(2);
    assert!(
        out.stderr.contains("name one of acme, local"),
        "{}",
        out.stderr
    );
}

#[test]
fn refs_are_listed_without_keys_and_without_write_access() {
    let fixture = PullFixture::new();
    let repo = fixture.host.repo();
    let listed = |command: &mut Command| {
        let out = run(command).ok();
        assert!(out.stdout.contains("1.99.1"), "{}", out.stdout);
    };
    let tmp = || {
        let entries = fs::read_dir(repo.join("tmp")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = tmp();
    listed(&mut fixture.host.ostree_go(["remote", "refs"]));
    assert_eq!(tmp(), before, "something was written into the repository");
    if tools::is_root() {
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(fixture.host.path(""), open).unwrap();
        let mut command = fixture.host.ostree_go(["remote", "refs"]);
        listed(command.uid(1000).gid(1000));
    }
    fs::remove_file(repo.join("acme.trustedkeys.gpg")).unwrap();
    listed(&mut fixture.host.ostree_go(["remote", "refs"]));
    let out = fixture.pull(&[ostree_go_tests::pull_fixture::REF]).exits(1);
    assert!(out.stderr.contains("keys"), "{}", out.stderr);
}

#[test]
fn checks_and_dry_runs_change_nothing() {
    let host = Host::new();
    host.release("1.99.1", 1_770_000_000);
    let _server = served(&host);
    // Everything that an installation writes.
    let files = || {
        let mut find = Command::new("find");
        find.args([
            "repo/objects",
            "repo/refs",
            "state.json",
            "deployments",
            "sdk",
            "-type",
            "f",
        ]);
        find.args(["-printf", "%p %s %T@\\n"])
            .current_dir(host.root());
        let found = String::from_utf8(find.output().unwrap().stdout).unwrap();
        let mut all: Vec<String> = found.lines().map(str::to_owned).collect();
        all.sort();
        assert!(!all.is_empty());
        all
    };
    let before = files();
    let plan = root(&host, ["install", "1.99", "--dry-run", "--format", "json"]).ok();
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let one = &plan["deployments"][0];
    assert_eq!(
        (&one["action"], &one["version"]),
        (&"install".into(), &"1.99.1".into())
    );
    assert!(
        one["bytes"].as_u64() > Some(0) && one["current"].is_null(),
        "{plan:#}"
    );
    assert_eq!(files(), before, "a dry run wrote into the root");

    root(&host, ["install", "1.99"]).ok();
    root(&host, ["upgrade", "--check"]).ok();
    let out = root(&host, ["upgrade", "--check", "--format", "json"]).ok();
    assert!(out.stdout.contains("\"changes\": false"), "{}", out.stdout);

    host.release("1.99.2", 1_770_100_000);
    host.run(["publish"]).ok();
    let before = files();
    let out = root(&host, ["upgrade", "--check"]).exits(77);
    let row = out.stdout.lines().nth(1).unwrap_or_default();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[1..4], ["1.99.1", "1.99.2", "install"], "{row}");
    let out = root(&host, ["upgrade", "--dry-run"]).ok();
    assert!(out.stdout.contains(row), "{}", out.stdout);
    assert_eq!(files(), before, "a check wrote into the root");
    assert_eq!(host.active().as_deref(), Some("1.99.1"));
    root(&host, ["upgrade"]).ok();
    root(&host, ["upgrade", "--check"]).ok();
    // After a rollback, an upgrade would only activate the newest one again.
    root(&host, ["rollback"]).ok();
    let out = root(&host, ["upgrade", "--check"]).exits(77);
    assert!(out.stdout.contains(" activate "), "{}", out.stdout);
}

#[test]
fn a_clock_before_the_signature_is_named_and_is_temporary() {
    let Some(faketime) = tools::require("faketime") else {
        return;
    };
    let fixture = PullFixture::new();
    let at = |time: &str| {
        let pull = fixture
            .host
            .ostree_go(["pull", ostree_go_tests::pull_fixture::REF]);
        let mut command = Command::new(&faketime);
        command
            .arg(time)
            .arg(pull.get_program())
            .args(pull.get_args());
        command
            .current_dir(pull.get_current_dir().unwrap())
            .env_clear();
        command.envs(
            pull.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        command
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        run(&mut command)
    };
    let out = at("2020-01-01 12:00:00").exits(75);
    assert!(
        out.stderr.contains("the signature of commit "),
        "{}",
        out.stderr
    );
    assert!(
        out.stderr
            .contains("the clock of this machine says 2020-01-01T"),
        "{}",
        out.stderr
    );
    assert!(out.stderr.contains("hint: set the clock"), "{}", out.stderr);
    assert!(
        !out.stderr.contains("made for other content"),
        "{}",
        out.stderr
    );
    // With the right clock, nothing is left of the failure.
    at("+1 days").ok();
}
