//! The flags of `compose`, most of which are rpm-ostree's.

use ostree_go_sdk::Arch;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::toy::Toy;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

const X86: &str = "go-sdk/x86_64/1.99.1";
const ARM: &str = "go-sdk/aarch64/1.99.1";

/// Returns the value of a metadata key, as printed by the stock command.
fn metadata(sandbox: &Sandbox, rev: &str, key: &str) -> String {
    let key = format!("--print-metadata-key={key}");
    ostree(&sandbox.repo(), ["show", &key, rev])
        .trim()
        .to_owned()
}

/// Returns a pin with the hash from an earlier compose of the toy SDK for x86_64.
fn pin(sandbox: &Sandbox) -> String {
    let h1 = metadata(sandbox, X86, "sdk.h1").replace('\'', "\"");
    format!("pin: {{ x86_64: {{ h1: {h1} }} }}")
}

/// Returns every path below a directory with its size and time.
fn state(folder: &Path) -> Vec<String> {
    let mut paths = vec![folder.to_owned()];
    let mut state = Vec::new();
    while let Some(path) = paths.pop() {
        let meta = path.symlink_metadata().unwrap();
        state.push(format!(
            "{} {} {:?}",
            path.display(),
            meta.len(),
            meta.modified().unwrap()
        ));
        if meta.is_dir() {
            paths.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    state.sort();
    state
}

#[test]
fn unchanged_input_is_reported_by_exit_code_and_files() {
    let sandbox = Sandbox::with_toys("arches: [x86_64]");
    let touched = sandbox.write("touched", "");
    let past = SystemTime::now() - Duration::from_secs(1000);
    let set_past = || {
        fs::File::options()
            .append(true)
            .open(&touched)
            .unwrap()
            .set_modified(past)
    };
    let is_past = || fs::metadata(&touched).unwrap().modified().unwrap() == past;
    let args = [
        "compose",
        "go.yaml",
        "--unchanged-exit-77",
        "--touch-if-changed=touched",
        "--write-composejson-to=compose.json",
    ];
    set_past().unwrap();
    let first = sandbox.run(args).ok();
    assert!(!is_past());

    set_past().unwrap();
    fs::remove_file(sandbox.path("compose.json")).unwrap();
    let second = sandbox.run(args).exits(77);
    assert!(is_past());
    assert_eq!(second.stdout, first.stdout);
    assert!(
        second.stderr.ends_with("nothing changed\n"),
        "{}",
        second.stderr
    );
    // Whoever reads it needs it every time.
    assert!(sandbox.path("compose.json").is_file());
    sandbox.run(["compose", "go.yaml"]).ok();

    sandbox
        .run(["compose", "go.yaml", "--touch-if-changed=new"])
        .ok();
    assert!(!sandbox.path("new").exists());

    // As with rpm-ostree, a dry run tells of a change in the same way.
    sandbox
        .run(["compose", "go.yaml", "--touch-if-changed=new", "--dry-run"])
        .ok();
    assert!(
        sandbox.path("new").exists(),
        "without a pin it may have changed"
    );
}

#[test]
fn write_commitid_to_moves_no_ref() {
    let sandbox = Sandbox::with_toys("arches: [x86_64]\nchannels: [\"go-sdk/${basearch}/1.99\"]");
    let args = ["--write-commitid-to=id", "--write-composejson-to=c.json"];
    let out = sandbox
        .run(["compose", "go.yaml"].iter().chain(&args).copied())
        .ok();
    let id = fs::read_to_string(sandbox.path("id")).unwrap();
    assert_eq!(id, out.stdout.trim(), "the commit and nothing else");
    let refs = sandbox.refs();
    assert!(refs.iter().all(|name| name.contains("/layer/")), "{refs:?}");
    let json = fs::read_to_string(sandbox.path("c.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.get("ref"), None);
    assert_eq!(json["ostree-commit"], id);
    ostree(&sandbox.repo(), ["fsck", "--quiet"]);
    // The refs are moved by who wants them.
    sandbox.run(["promote", &id, "go-sdk/x86_64/1.99"]).ok();
    assert_eq!(sandbox.compose([]), [id]);
    assert!(sandbox.rev(X86).is_some());
}

#[test]
fn the_composejson_has_the_fields_of_rpm_ostree() {
    let sandbox = Sandbox::with_toys("");
    let read = || -> Value {
        serde_json::from_str(&fs::read_to_string(sandbox.path("c.json")).unwrap()).unwrap()
    };
    sandbox.compose(["--write-composejson-to=c.json", "--arch=x86_64"]);
    let one = read();
    let id = sandbox.rev(X86).unwrap();
    assert_eq!(one["ref"], X86);
    assert_eq!(one["ostree-commit"], id);
    assert_eq!(one["ostree-version"], "1.99.1");
    assert_eq!(one["ostree-timestamp"], "2026-01-02T03:04:05Z");
    assert_eq!(one["rpm-ostree-inputhash"].as_str().unwrap().len(), 64);
    // The stock command counts as many: 15 files in layers, three layers and a release.
    let count = |key: &str| one[format!("ostree-n-{key}")].as_u64().unwrap();
    let objects = |ending: &str| {
        let find = ["-name", ending];
        let out = Command::new("find")
            .arg(sandbox.repo().join("objects"))
            .args(find)
            .output();
        String::from_utf8(out.unwrap().stdout)
            .unwrap()
            .lines()
            .count() as u64
    };
    let [commits, dirs, metas] = ["*.commit", "*.dirtree", "*.dirmeta"].map(objects);
    assert_eq!(commits, 4);
    assert_eq!(count("metadata-written"), commits + dirs + metas);
    assert!(count("metadata-total") > count("metadata-written"));
    assert_eq!(count("content-written"), objects("*.filez"));
    assert!(count("content-total") >= count("content-written"));
    assert_eq!(count("cache-hits"), 0);
    assert!(one["ostree-content-bytes-written"].as_u64().unwrap() > 0);
    let known = [
        "ref",
        "ostree-n-metadata-total",
        "ostree-n-metadata-written",
        "ostree-n-content-total",
        "ostree-n-content-written",
        "ostree-n-cache-hits",
        "ostree-content-bytes-written",
        "ostree-commit",
        "ostree-content-checksum",
        "ostree-version",
        "ostree-timestamp",
        "rpm-ostree-inputhash",
    ];
    let keys: Vec<&String> = one.as_object().unwrap().keys().collect();
    assert_eq!(keys, known, "rpm-ostree's keys, in its order");
    sandbox.compose(["--write-composejson-to=c.json"]);
    let both = read();
    let refs: Vec<&Value> = both
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["ref"])
        .collect();
    assert_eq!(refs, [X86, ARM]);
}

#[test]
fn a_dry_run_writes_nothing() {
    let sandbox = Sandbox::with_toys("arches: [x86_64]");
    sandbox.run(["compose", "go.yaml", "--dry-run"]).ok();
    assert!(!sandbox.repo().exists());
    sandbox
        .run(["compose", "go.yaml", "--dry-run", "--arch=aarch64"])
        .exits(1);
    sandbox
        .run(["compose", "go.yaml", "--dry-run", "--unchanged-exit-77"])
        .ok();

    sandbox.compose([]);
    let before = state(&sandbox.repo());
    // Without a pin only the source can say whether it changed.
    let out = sandbox
        .run(["compose", "go.yaml", "--dry-run", "--unchanged-exit-77"])
        .ok();
    assert!(out.stdout.contains("1.99.1  check "), "{}", out.stdout);
    sandbox.treefile(
        "1.99.1",
        &format!("arches: [x86_64]\n{TOY_SOURCE}\n{}", pin(&sandbox)),
    );
    let out = sandbox.run(["compose", "go.yaml", "--dry-run"]).ok();
    assert!(out.stdout.contains("1.99.1  compose "), "{}", out.stdout);
    assert_eq!(state(&sandbox.repo()), before);
    sandbox.compose([]);
    let before = state(&sandbox.repo());
    let out = sandbox
        .run(["compose", "go.yaml", "--dry-run", "--unchanged-exit-77"])
        .exits(77);
    assert!(out.stdout.contains("1.99.1  unchanged "), "{}", out.stdout);
    assert_eq!(state(&sandbox.repo()), before);
}

#[test]
fn with_a_pin_an_unchanged_compose_opens_no_source() {
    let sandbox = Sandbox::with_toys("arches: [x86_64]");
    sandbox.compose([]);
    sandbox.treefile(
        "1.99.1",
        &format!("arches: [x86_64]\n{TOY_SOURCE}\n{}", pin(&sandbox)),
    );
    let commit = sandbox.compose([]);
    fs::remove_file(sandbox.path("toy-amd64.tar.gz")).unwrap();
    let out = sandbox
        .run(["compose", "go.yaml", "--unchanged-exit-77"])
        .exits(77);
    assert_eq!(out.stdout.lines().collect::<Vec<_>>(), commit);
    // Unless it is told to.
    let out = sandbox
        .run(["compose", "go.yaml", "--force-nocache"])
        .exits(1);
    assert!(out.stderr.contains("toy-amd64.tar.gz"), "{}", out.stderr);
}

#[test]
fn without_a_pin_a_changed_archive_is_noticed() {
    let sandbox = Sandbox::with_toys("arches: [x86_64]");
    let first = sandbox.compose([]);
    Toy::new(Arch::X86_64)
        .with("src/fmt/print.go", "package fmt // other\n")
        .tar_gz(&sandbox.path("toy-amd64.tar.gz"));
    let out = sandbox.run(["compose", "go.yaml"]).exits(1);
    assert!(out.stderr.contains("--replace"), "{}", out.stderr);
    assert_eq!(sandbox.rev(X86).as_ref(), first.first());
    let replaced = sandbox.compose(["--replace"]);
    assert_ne!(replaced, first);
    assert_eq!(sandbox.rev(X86).as_ref(), replaced.first());
    // The same content in another archive is the same commit.
    Toy::new(Arch::X86_64)
        .with("src/fmt/print.go", "package fmt // other\n")
        .shuffled(3)
        .tar_gz(&sandbox.path("toy-amd64.tar.gz"));
    sandbox
        .run(["compose", "go.yaml", "--unchanged-exit-77"])
        .exits(77);
}

#[test]
fn a_new_channel_changes_nothing_else() {
    let one = "channels: [\"go-sdk/${basearch}/1.99\"]";
    let two = "channels: [\"go-sdk/${basearch}/1.99\", \"go-sdk/${basearch}/stable\"]";
    let sandbox = Sandbox::with_toys(one);
    sandbox.compose([]);
    let before: Vec<_> = sandbox
        .refs()
        .iter()
        .map(|name| (name.clone(), sandbox.rev(name)))
        .collect();
    sandbox.treefile("1.99.1", &format!("{TOY_SOURCE}\n{two}"));
    let out = sandbox
        .run(["compose", "go.yaml", "--unchanged-exit-77", "--format=json"])
        .ok();
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["unchanged"], false);
    for release in document["releases"].as_array().unwrap() {
        let states: Vec<_> = release["channels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| &c["state"])
            .collect();
        assert_eq!(states, ["unchanged", "moved"]);
        assert_eq!(release["unchanged"], true);
    }
    for (name, commit) in &before {
        assert_eq!(&sandbox.rev(name), commit, "{name}");
    }
    assert_eq!(sandbox.refs().len(), before.len() + 2);
    sandbox
        .run(["compose", "go.yaml", "--unchanged-exit-77"])
        .exits(77);
    sandbox.fsck();
}

#[test]
fn metadata_is_added_with_correct_types() {
    let sandbox = Sandbox::with_toys(
        "arches: [x86_64]\nadd-commit-metadata: { example.from: treefile, example.kept: yes it is }",
    );
    let all = json!({
        "example.text": "a text", "example.flag": true, "example.number": 42,
        "example.minus": -1, "example.float": 1.5, "example.list": ["a", "b"],
        "example.map": {"a": 1, "b": "two"}, "example.from": "json",
    });
    sandbox.write("meta.json", &all.to_string());
    sandbox.compose([
        "--add-metadata-from-json=meta.json",
        "--add-metadata-string=example.string=a=b",
        "--add-metadata-string=example.text=last",
    ]);
    let shown = [
        "example.text",
        "example.flag",
        "example.number",
        "example.minus",
        "example.float",
        "example.list",
        "example.map",
        "example.from",
        "example.kept",
        "example.string",
    ]
    .map(|key| format!("{key} {}", metadata(&sandbox, X86, key)))
    .join("\n");
    // Numbers look odd, as they do where `ostree commit --add-metadata` wrote them: stored in the
    // machine's order, printed as if in the network's.
    insta::assert_snapshot!(shown);

    for args in [
        "--add-metadata-string=sdk.version=1",
        "--add-metadata-string=version=1",
        "--add-metadata-string=ostree.ref-binding=x",
    ] {
        sandbox.run(["compose", "go.yaml", args]).exits(1);
    }
    sandbox
        .run(["compose", "go.yaml", "--add-metadata-string=x"])
        .exits(2);
    sandbox.write("meta.json", "[1]");
    sandbox
        .run(["compose", "go.yaml", "--add-metadata-from-json=meta.json"])
        .exits(1);
    sandbox
        .run(["compose", "go.yaml", "--add-metadata-from-json=none.json"])
        .exits(1);
}

#[test]
fn a_release_has_the_parent_it_is_given() {
    let sandbox = Sandbox::with_toys("arches: [x86_64]");
    let first = sandbox.compose(["--no-parent"]).remove(0);
    sandbox.toys("1.99.2");
    sandbox.treefile("1.99.2", &format!("arches: [x86_64]\n{TOY_SOURCE}"));
    let second = sandbox.compose(["--parent", X86]).remove(0);
    let parent = ostree(&sandbox.repo(), ["rev-parse", &format!("{second}^")]);
    assert_eq!(parent.trim(), first);
    sandbox
        .run(["compose", "go.yaml", "--parent", "none"])
        .exits(1);
    sandbox
        .run(["compose", "go.yaml", "--parent", X86, "--no-parent"])
        .exits(2);
    // It is part of what decides the commit.
    sandbox.run(["compose", "go.yaml", "--no-parent"]).exits(1);
    sandbox.compose(["--no-parent", "--replace"]);
}

#[test]
fn architectures_can_be_selected() {
    let sandbox = Sandbox::with_toys("");
    assert_eq!(sandbox.compose(["--arch", "aarch64"]).len(), 1);
    assert!(sandbox.rev(ARM).is_some() && sandbox.rev(X86).is_none());
    let both = sandbox.compose(["--arch", "aarch64", "--arch", "x86_64"]);
    assert_eq!(both, [sandbox.rev(ARM).unwrap(), sandbox.rev(X86).unwrap()]);
    assert_eq!(
        sandbox
            .compose(["--arch", "aarch64", "--arch", "aarch64"])
            .len(),
        1
    );
    // Go's names of the architectures are accepted.
    assert_eq!(
        sandbox.compose(["--arch", "arm64", "--arch", "amd64"]),
        both
    );
    let out = sandbox
        .run(["compose", "go.yaml", "--arch", "riscv64"])
        .exits(2);
    assert!(out.stderr.contains("x86_64"), "{}", out.stderr);
}

#[test]
fn several_treefiles_in_one_call() {
    let sandbox = Sandbox::with_toys("");
    Toy::new(Arch::X86_64)
        .version("1.98.7")
        .tar_gz(&sandbox.path("old.tar.gz"));
    let go = fs::read_to_string(sandbox.path("go.yaml")).unwrap();
    let old = go
        .replace("1.99.1", "1.98.7")
        .replace("toy-${goarch}", "old");
    sandbox.write("old.yaml", &format!("{old}\narches: [x86_64]\n"));
    let out = sandbox.run(["compose", "go.yaml", "old.yaml"]).ok();
    let expected = [X86, ARM, "go-sdk/x86_64/1.98.7"].map(|name| sandbox.rev(name).unwrap());
    assert_eq!(out.stdout.lines().collect::<Vec<_>>(), expected);
    let args = ["--force-nocache", "--write-commitid-to=ids"];
    sandbox
        .run(["compose", "go.yaml", "old.yaml"].into_iter().chain(args))
        .ok();
    let ids = fs::read_to_string(sandbox.path("ids")).unwrap();
    assert_eq!(ids, out.stdout.trim_end());

    // All are read before any is composed.
    let sandbox = Sandbox::with_toys("");
    sandbox.write("bad.yaml", "version: 1.2.3\nno-such-key: 1\n");
    sandbox.run(["compose", "go.yaml", "bad.yaml"]).exits(1);
    assert!(!sandbox.repo().exists());
}

#[test]
fn the_expanded_treefile_is_printed() {
    let sandbox = Sandbox::with_toys(
        "channels: [\"go-sdk/${basearch}/1.99\"]\nvariables: { who: acme }\nadd-commit-metadata: { example.by: \"${who}\" }",
    );
    let out = sandbox.run(["compose", "go.yaml", "--print-treefile"]).ok();
    assert!(!sandbox.repo().exists());
    let printed: Value = serde_json::from_str(&out.stdout).unwrap();
    let x86 = &printed["releases"]["x86_64"];
    assert_eq!(x86["ref"], X86);
    assert_eq!(x86["channels"], json!(["go-sdk/x86_64/1.99"]));
    assert_eq!(x86["add-commit-metadata"]["example.by"], "acme");
    assert_eq!(x86["prefix"], "/usr/lib/sdk/go-1.99");

    // What is printed is a treefile for the same release.
    let commits = sandbox.compose([]);
    sandbox.write("printed.json", &x86.to_string());
    let again = sandbox
        .run(["compose", "printed.json", "--unchanged-exit-77"])
        .exits(77);
    assert_eq!(again.stdout.trim(), commits[0]);
    let out = sandbox
        .run(["compose", "go.yaml", "go.yaml", "--print-treefile"])
        .ok();
    let printed: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(printed["treefiles"].as_array().unwrap().len(), 2);
}

#[test]
fn channels_are_never_downgraded() {
    let channels = "channels: [\"go-sdk/${basearch}/1.99\"]\narches: [x86_64]";
    let sandbox = Sandbox::with_toys(channels);
    let at = |epoch: &str, args: &[&str]| {
        let mut command = sandbox.ostree_go(
            ["compose", "go.yaml"]
                .into_iter()
                .chain(args.iter().copied()),
        );
        ostree_go_tests::cli::run(command.env("SOURCE_DATE_EPOCH", epoch)).ok()
    };
    let head = |key: &str| -> Value {
        let out = sandbox
            .run(["show", "go-sdk/x86_64/1.99", "--format=json"])
            .ok();
        serde_json::from_str::<Value>(&out.stdout).unwrap()[key].clone()
    };
    at("1770000000", &[]);
    sandbox.toys("1.99.2");
    sandbox.treefile("1.99.2", &format!("{TOY_SOURCE}\n{channels}"));
    // A clock that stands earlier does not make the channel's history go back in time.
    at("1760000000", &[]);
    assert_eq!(head("version"), "1.99.2");
    assert_eq!(head("timestamp"), "2026-02-02T02:40:00Z");
    sandbox.toys("1.99.1");
    sandbox.treefile("1.99.1", &format!("{TOY_SOURCE}\n{channels}"));
    let out = at("1770000000", &["--force-nocache"]);
    assert!(out.stderr.contains("has a newer version"), "{}", out.stderr);
    assert_eq!(head("version"), "1.99.2");
}
