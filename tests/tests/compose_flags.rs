//! What `compose` is told on the command line, most of it in rpm-ostree's words.

use ostree_go_sdk::Arch;
use ostree_go_tests::bench::{Bench, TOY_SOURCE};
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::toy::Toy;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

const X86: &str = "go-sdk/x86_64/1.99.1";
const ARM: &str = "go-sdk/aarch64/1.99.1";

/// The value of a metadata key, as the stock command prints it.
fn metadata(bench: &Bench, rev: &str, key: &str) -> String {
    let key = format!("--print-metadata-key={key}");
    ostree(&bench.repo(), ["show", &key, rev]).trim().to_owned()
}

/// A pin by the hash that an earlier compose of the toy of x86_64 has found.
fn pin(bench: &Bench) -> String {
    let h1 = metadata(bench, X86, "sdk.h1").replace('\'', "\"");
    format!("pin: {{ x86_64: {{ h1: {h1} }} }}")
}

/// Every path below a folder with its size and time.
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
fn unchanged_is_told_by_exit_code_time_and_files() {
    let bench = Bench::with_toys("arches: [x86_64]");
    let touched = bench.write("touched", "");
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
    let first = bench.run(args).ok();
    assert!(!is_past());

    set_past().unwrap();
    fs::remove_file(bench.path("compose.json")).unwrap();
    let second = bench.run(args).exits(77);
    assert!(is_past());
    assert_eq!(second.stdout, first.stdout);
    assert!(
        second.stderr.ends_with("nothing changed\n"),
        "{}",
        second.stderr
    );
    // Whoever reads it needs it every time.
    assert!(bench.path("compose.json").is_file());
    bench.run(["compose", "go.yaml"]).ok();

    bench
        .run(["compose", "go.yaml", "--touch-if-changed=new"])
        .ok();
    assert!(!bench.path("new").exists());

    // As with rpm-ostree, a dry run tells of a change in the same way.
    bench
        .run(["compose", "go.yaml", "--touch-if-changed=new", "--dry-run"])
        .ok();
    assert!(
        bench.path("new").exists(),
        "without a pin it may have changed"
    );
}

#[test]
fn a_commit_that_goes_to_a_file_moves_no_ref() {
    let bench = Bench::with_toys("arches: [x86_64]\nchannels: [\"go-sdk/${basearch}/1.99\"]");
    let args = ["--write-commitid-to=id", "--write-composejson-to=c.json"];
    let out = bench
        .run(["compose", "go.yaml"].iter().chain(&args).copied())
        .ok();
    let id = fs::read_to_string(bench.path("id")).unwrap();
    assert_eq!(id, out.stdout.trim(), "the commit and nothing else");
    let refs = bench.refs();
    assert!(refs.iter().all(|name| name.contains("/layer/")), "{refs:?}");
    let json = fs::read_to_string(bench.path("c.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.get("ref"), None);
    assert_eq!(json["ostree-commit"], id);
    ostree(&bench.repo(), ["fsck", "--quiet"]);
    // The refs are moved by who wants them.
    bench.run(["promote", &id, "go-sdk/x86_64/1.99"]).ok();
    assert_eq!(bench.compose([]), [id]);
    assert!(bench.rev(X86).is_some());
}

#[test]
fn the_composejson_is_rpm_ostrees() {
    let bench = Bench::with_toys("");
    let read = || -> Value {
        serde_json::from_str(&fs::read_to_string(bench.path("c.json")).unwrap()).unwrap()
    };
    bench.compose(["--write-composejson-to=c.json", "--arch=x86_64"]);
    let one = read();
    let id = bench.rev(X86).unwrap();
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
            .arg(bench.repo().join("objects"))
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
    bench.compose(["--write-composejson-to=c.json"]);
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
    let bench = Bench::with_toys("arches: [x86_64]");
    bench.run(["compose", "go.yaml", "--dry-run"]).ok();
    assert!(!bench.repo().exists());
    bench
        .run(["compose", "go.yaml", "--dry-run", "--arch=aarch64"])
        .exits(1);
    bench
        .run(["compose", "go.yaml", "--dry-run", "--unchanged-exit-77"])
        .ok();

    bench.compose([]);
    let before = state(&bench.repo());
    // Without a pin only the source can say whether it changed.
    let out = bench
        .run(["compose", "go.yaml", "--dry-run", "--unchanged-exit-77"])
        .ok();
    assert!(out.stdout.contains("1.99.1  check "), "{}", out.stdout);
    bench.treefile(
        "1.99.1",
        &format!("arches: [x86_64]\n{TOY_SOURCE}\n{}", pin(&bench)),
    );
    let out = bench.run(["compose", "go.yaml", "--dry-run"]).ok();
    assert!(out.stdout.contains("1.99.1  compose "), "{}", out.stdout);
    assert_eq!(state(&bench.repo()), before);
    bench.compose([]);
    let before = state(&bench.repo());
    let out = bench
        .run(["compose", "go.yaml", "--dry-run", "--unchanged-exit-77"])
        .exits(77);
    assert!(out.stdout.contains("1.99.1  unchanged "), "{}", out.stdout);
    assert_eq!(state(&bench.repo()), before);
}

#[test]
fn with_a_pin_an_unchanged_compose_opens_no_source() {
    let bench = Bench::with_toys("arches: [x86_64]");
    bench.compose([]);
    bench.treefile(
        "1.99.1",
        &format!("arches: [x86_64]\n{TOY_SOURCE}\n{}", pin(&bench)),
    );
    let commit = bench.compose([]);
    fs::remove_file(bench.path("toy-amd64.tar.gz")).unwrap();
    let out = bench
        .run(["compose", "go.yaml", "--unchanged-exit-77"])
        .exits(77);
    assert_eq!(out.stdout.lines().collect::<Vec<_>>(), commit);
    // Unless it is told to.
    let out = bench
        .run(["compose", "go.yaml", "--force-nocache"])
        .exits(1);
    assert!(out.stderr.contains("toy-amd64.tar.gz"), "{}", out.stderr);
}

#[test]
fn without_a_pin_a_changed_archive_is_noticed() {
    let bench = Bench::with_toys("arches: [x86_64]");
    let first = bench.compose([]);
    Toy::new(Arch::X86_64)
        .with("src/fmt/print.go", "package fmt // other\n")
        .tar_gz(&bench.path("toy-amd64.tar.gz"));
    let out = bench.run(["compose", "go.yaml"]).exits(1);
    assert!(out.stderr.contains("--replace"), "{}", out.stderr);
    assert_eq!(bench.rev(X86).as_ref(), first.first());
    let replaced = bench.compose(["--replace"]);
    assert_ne!(replaced, first);
    assert_eq!(bench.rev(X86).as_ref(), replaced.first());
    // The same content in another archive is the same commit.
    Toy::new(Arch::X86_64)
        .with("src/fmt/print.go", "package fmt // other\n")
        .shuffled(3)
        .tar_gz(&bench.path("toy-amd64.tar.gz"));
    bench
        .run(["compose", "go.yaml", "--unchanged-exit-77"])
        .exits(77);
}

#[test]
fn a_new_channel_moves_and_nothing_else_does() {
    let one = "channels: [\"go-sdk/${basearch}/1.99\"]";
    let two = "channels: [\"go-sdk/${basearch}/1.99\", \"go-sdk/${basearch}/stable\"]";
    let bench = Bench::with_toys(one);
    bench.compose([]);
    let before: Vec<_> = bench
        .refs()
        .iter()
        .map(|name| (name.clone(), bench.rev(name)))
        .collect();
    bench.treefile("1.99.1", &format!("{TOY_SOURCE}\n{two}"));
    let out = bench
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
        assert_eq!(&bench.rev(name), commit, "{name}");
    }
    assert_eq!(bench.refs().len(), before.len() + 2);
    bench
        .run(["compose", "go.yaml", "--unchanged-exit-77"])
        .exits(77);
    bench.fsck();
}

#[test]
fn metadata_is_added_with_its_types() {
    let bench = Bench::with_toys(
        "arches: [x86_64]\nadd-commit-metadata: { example.from: treefile, example.kept: yes it is }",
    );
    let all = json!({
        "example.text": "a text", "example.flag": true, "example.number": 42,
        "example.minus": -1, "example.float": 1.5, "example.list": ["a", "b"],
        "example.map": {"a": 1, "b": "two"}, "example.from": "json",
    });
    bench.write("meta.json", &all.to_string());
    bench.compose([
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
    .map(|key| format!("{key} {}", metadata(&bench, X86, key)))
    .join("\n");
    // Numbers look odd, as they do where `ostree commit --add-metadata` wrote them: stored in the
    // machine's order, printed as if in the network's.
    insta::assert_snapshot!(shown);

    for args in [
        "--add-metadata-string=sdk.version=1",
        "--add-metadata-string=version=1",
        "--add-metadata-string=ostree.ref-binding=x",
    ] {
        bench.run(["compose", "go.yaml", args]).exits(1);
    }
    bench
        .run(["compose", "go.yaml", "--add-metadata-string=x"])
        .exits(2);
    bench.write("meta.json", "[1]");
    bench
        .run(["compose", "go.yaml", "--add-metadata-from-json=meta.json"])
        .exits(1);
    bench
        .run(["compose", "go.yaml", "--add-metadata-from-json=none.json"])
        .exits(1);
}

#[test]
fn a_release_has_the_parent_it_is_given() {
    let bench = Bench::with_toys("arches: [x86_64]");
    let first = bench.compose(["--no-parent"]).remove(0);
    bench.toys("1.99.2");
    bench.treefile("1.99.2", &format!("arches: [x86_64]\n{TOY_SOURCE}"));
    let second = bench.compose(["--parent", X86]).remove(0);
    let parent = ostree(&bench.repo(), ["rev-parse", &format!("{second}^")]);
    assert_eq!(parent.trim(), first);
    bench
        .run(["compose", "go.yaml", "--parent", "none"])
        .exits(1);
    bench
        .run(["compose", "go.yaml", "--parent", X86, "--no-parent"])
        .exits(2);
    // It is part of what decides the commit.
    bench.run(["compose", "go.yaml", "--no-parent"]).exits(1);
    bench.compose(["--no-parent", "--replace"]);
}

#[test]
fn architectures_are_chosen() {
    let bench = Bench::with_toys("");
    assert_eq!(bench.compose(["--arch", "aarch64"]).len(), 1);
    assert!(bench.rev(ARM).is_some() && bench.rev(X86).is_none());
    let both = bench.compose(["--arch", "aarch64", "--arch", "x86_64"]);
    assert_eq!(both, [bench.rev(ARM).unwrap(), bench.rev(X86).unwrap()]);
    assert_eq!(
        bench
            .compose(["--arch", "aarch64", "--arch", "aarch64"])
            .len(),
        1
    );
    // Go's names are known to people, but are not OSTree's.
    let out = bench
        .run(["compose", "go.yaml", "--arch", "amd64"])
        .exits(2);
    assert!(out.stderr.contains("x86_64"), "{}", out.stderr);
}

#[test]
fn several_treefiles_in_one_call() {
    let bench = Bench::with_toys("");
    Toy::new(Arch::X86_64)
        .version("1.98.7")
        .tar_gz(&bench.path("old.tar.gz"));
    let go = fs::read_to_string(bench.path("go.yaml")).unwrap();
    let old = go
        .replace("1.99.1", "1.98.7")
        .replace("toy-${goarch}", "old");
    bench.write("old.yaml", &format!("{old}\narches: [x86_64]\n"));
    let out = bench.run(["compose", "go.yaml", "old.yaml"]).ok();
    let expected = [X86, ARM, "go-sdk/x86_64/1.98.7"].map(|name| bench.rev(name).unwrap());
    assert_eq!(out.stdout.lines().collect::<Vec<_>>(), expected);
    let args = ["--force-nocache", "--write-commitid-to=ids"];
    bench
        .run(["compose", "go.yaml", "old.yaml"].into_iter().chain(args))
        .ok();
    let ids = fs::read_to_string(bench.path("ids")).unwrap();
    assert_eq!(ids, out.stdout.trim_end());

    // All are read before any is composed.
    let bench = Bench::with_toys("");
    bench.write("bad.yaml", "version: 1.2.3\nno-such-key: 1\n");
    bench.run(["compose", "go.yaml", "bad.yaml"]).exits(1);
    assert!(!bench.repo().exists());
}

#[test]
fn the_treefile_is_printed_as_it_reads() {
    let bench = Bench::with_toys(
        "channels: [\"go-sdk/${basearch}/1.99\"]\nvariables: { who: acme }\nadd-commit-metadata: { example.by: \"${who}\" }",
    );
    let out = bench.run(["compose", "go.yaml", "--print-treefile"]).ok();
    assert!(!bench.repo().exists());
    let printed: Value = serde_json::from_str(&out.stdout).unwrap();
    let x86 = &printed["releases"]["x86_64"];
    assert_eq!(x86["ref"], X86);
    assert_eq!(x86["channels"], json!(["go-sdk/x86_64/1.99"]));
    assert_eq!(x86["add-commit-metadata"]["example.by"], "acme");
    assert_eq!(x86["prefix"], "/usr/lib/sdk/go-1.99");

    // What is printed is a treefile for the same release.
    let commits = bench.compose([]);
    bench.write("printed.json", &x86.to_string());
    let again = bench
        .run(["compose", "printed.json", "--unchanged-exit-77"])
        .exits(77);
    assert_eq!(again.stdout.trim(), commits[0]);
    let out = bench
        .run(["compose", "go.yaml", "go.yaml", "--print-treefile"])
        .ok();
    let printed: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(printed["treefiles"].as_array().unwrap().len(), 2);
}

#[test]
fn channels_never_go_back() {
    let channels = "channels: [\"go-sdk/${basearch}/1.99\"]\narches: [x86_64]";
    let bench = Bench::with_toys(channels);
    let at = |epoch: &str, args: &[&str]| {
        let mut command = bench.ostree_go(
            ["compose", "go.yaml"]
                .into_iter()
                .chain(args.iter().copied()),
        );
        ostree_go_tests::cli::run(command.env("SOURCE_DATE_EPOCH", epoch)).ok()
    };
    let head = |key: &str| -> Value {
        let out = bench
            .run(["show", "go-sdk/x86_64/1.99", "--format=json"])
            .ok();
        serde_json::from_str::<Value>(&out.stdout).unwrap()[key].clone()
    };
    at("1770000000", &[]);
    bench.toys("1.99.2");
    bench.treefile("1.99.2", &format!("{TOY_SOURCE}\n{channels}"));
    // A clock that stands earlier does not make the channel's history go back in time.
    at("1760000000", &[]);
    assert_eq!(head("version"), "1.99.2");
    assert_eq!(head("timestamp"), "2026-02-02T02:40:00Z");
    bench.toys("1.99.1");
    bench.treefile("1.99.1", &format!("{TOY_SOURCE}\n{channels}"));
    let out = at("1770000000", &["--force-nocache"]);
    assert!(out.stderr.contains("has a newer version"), "{}", out.stderr);
    assert_eq!(head("version"), "1.99.2");
}
