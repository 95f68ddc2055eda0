//! Static deltas: the stock `ostree` is their judge.

use ostree_go_sdk::{Arch, failpoint};
use ostree_go_tests::bench::{Bench, source};
use ostree_go_tests::cli::run;
use ostree_go_tests::ostree::{self, ostree};
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::state::leftovers;
use ostree_go_tests::toy::Toy;
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

const CHANNEL: &str = "go-sdk/x86_64/1.99";

/// Composes a toy release for x86_64 onto a channel.
fn compose(bench: &Bench, version: &str) {
    let archive = bench.path(&format!("go{version}.tar.gz"));
    let lines = |n: u32| format!("line {n} of fmt\n");
    let mut text: String = (0..3000).map(lines).collect();
    text.push_str(version);
    let toy = Toy::new(Arch::X86_64).version(version);
    toy.with("src/fmt/big.go", text).tar_gz(&archive);
    let lines = format!(
        "arches: [x86_64]\nchannels: [\"go-sdk/${{basearch}}/1.99\"]\n{}",
        source(&archive)
    );
    bench.treefile(version, &lines);
    bench.run(["compose", "go.yaml"]).ok();
}

fn json(bench: &Bench, args: &[&str]) -> Value {
    let all = args.iter().copied().chain(["--format", "json"]);
    serde_json::from_str(&bench.run(all).ok().stdout).expect("one JSON document")
}

/// The number behind a title in what the stock `static-delta show` prints.
fn number(shown: &str, title: &str) -> u64 {
    let (_, rest) = shown
        .split_once(title)
        .unwrap_or_else(|| panic!("no {title} in {shown}"));
    let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit());
    digits
        .into_iter()
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number")
}

#[test]
fn show_agrees_with_the_stock_command() {
    let bench = Bench::new();
    compose(&bench, "1.99.1");
    let old = bench.rev(CHANNEL).expect("the channel");
    compose(&bench, "1.99.2");
    bench.run(["publish"]).ok();
    let name = format!("{old}-{}", bench.rev(CHANNEL).expect("the channel"));
    let listed = json(&bench, &["delta", "list"]);
    let names = ostree(&bench.repo(), ["static-delta", "list"]);
    assert_eq!(
        listed["deltas"].as_array().unwrap().len(),
        names.lines().count()
    );
    assert!(names.lines().any(|line| line == name), "{names}");

    // Ours, then libostree's of the same commits: both are read.
    for maker in ["ostree-go", "libostree"] {
        if maker == "libostree" {
            let from = format!("--from={old}");
            let to = format!("--to={CHANNEL}");
            ostree(&bench.repo(), ["static-delta", "generate", &from, &to]);
        }
        let shown = ostree(&bench.repo(), ["static-delta", "show", &name]);
        let ours = json(&bench, &["delta", "show", &name]);
        let parts = ours["parts"].as_array().unwrap();
        assert_eq!(
            parts.len() as u64,
            number(&shown, "Number of parts:"),
            "{maker}"
        );
        assert_eq!(parts[0]["bytes"], number(&shown, " size="), "{maker}");
        assert_eq!(
            parts[0]["uncompressed_bytes"],
            number(&shown, "usize="),
            "{maker}"
        );
        let count = |name: &str| ours["parts"][0]["operations"][name].as_u64().unwrap_or(0);
        for (name, theirs) in [
            ("whole", "openspliceclose="),
            ("open", " open="),
            ("write", "write="),
            ("set-read-source", "setread="),
            ("unset-read-source", "unsetread="),
            ("close", " close="),
            ("bspatch", "bspatch="),
        ] {
            assert_eq!(
                count(name),
                number(&shown, theirs),
                "{maker}: {name} of {shown}"
            );
        }
        let objects = ours["parts"][0]["objects"].as_object().unwrap().values();
        let objects: u64 = objects.filter_map(Value::as_u64).sum();
        assert_eq!(objects, number(&shown, "nobjects="), "{maker}");
        assert!(ours["fallbacks"].as_array().unwrap().is_empty());
        if maker == "ostree-go" {
            let patched = ours["patched"].as_array().unwrap();
            let path = "/usr/lib/sdk/go-1.99/src/fmt/big.go";
            assert!(patched.iter().any(|file| file["path"] == path), "{ours}");
        }
    }
    let text = bench.run(["delta", "show", &name]).ok().stdout;
    assert!(text.contains("PART") && text.contains(&old), "{text}");
    // A release by its ref; what is not there.
    bench.run(["delta", "show", "go-sdk/x86_64/1.99.1"]).ok();
    let missing = "00".repeat(32);
    let out = bench.run(["delta", "show", &missing]).exits(1);
    assert!(
        out.stderr.starts_with("error: no static delta 0000"),
        "{}",
        out.stderr
    );
}

#[test]
fn a_publish_survives_every_crash() {
    for name in failpoint::DELTA_NAMES {
        let bench = Bench::new();
        compose(&bench, "1.99.1");
        bench.run(["publish"]).ok();
        compose(&bench, "1.99.2");
        let mut publish = bench.ostree_go(["publish"]);
        let out = run(publish.env("OSTREE_GO_FAILPOINT", name));
        assert_eq!(
            out.status.signal(),
            Some(9),
            "{name} is not passed: {}",
            out.stderr
        );
        // Whatever is listed is whole.
        for delta in ostree(&bench.repo(), ["static-delta", "list"]).lines() {
            bench.run(["delta", "show", delta]).ok();
        }
        bench.run(["publish"]).ok();
        assert_eq!(leftovers(&bench.repo()), [""; 0], "{name}");
        for delta in ostree(&bench.repo(), ["static-delta", "list"]).lines() {
            bench.run(["delta", "show", delta]).ok();
        }
        bench.fsck();
    }
}

/// The folder of a delta, by the stock command's own listing of the repository.
fn folder(bench: &Bench, name: &str) -> PathBuf {
    use base64::Engine;
    let encode = |hex: &str| {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
        let bytes: Vec<u8> = (0..64).step_by(2).map(byte).collect();
        base64::engine::general_purpose::STANDARD_NO_PAD
            .encode(bytes)
            .replace('/', "_")
    };
    let name = name.split('-').map(encode).collect::<Vec<_>>().join("-");
    bench
        .repo()
        .join("deltas")
        .join(&name[..2])
        .join(&name[2..])
}

#[test]
fn deltas_of_real_sdks_apply_and_are_no_larger_than_libostrees() {
    let (Some(old), Some(new)) = (sdk("1.26.4", Arch::X86_64), sdk("1.26.5", Arch::X86_64)) else {
        return;
    };
    let bench = Bench::new();
    let mut commits = Vec::new();
    for sdk in [old, new] {
        let channel = "channels: [\"go-sdk/${basearch}/1.26\"]";
        let lines = format!("arches: [x86_64]\n{channel}\n{}", source(&sdk.tar_gz));
        bench.treefile(&sdk.version, &lines);
        bench.run(["compose", "go.yaml"]).ok();
        commits.push(bench.rev("go-sdk/x86_64/1.26").expect("the channel"));
    }
    bench.run(["publish", "--history", "1"]).ok();
    let between = commits.join("-");
    let empty = commits[1].clone();

    let client = bench.path("client");
    ostree::init(&client, "bare-user");
    let repo = bench.repo();
    let repo_arg = repo.to_str().expect("UTF-8");
    ostree(&client, ["pull-local", repo_arg, &commits[0]]);
    let apply = |client: &std::path::Path, name: &str| {
        let delta = folder(&bench, name);
        ostree(
            client,
            [
                "static-delta",
                "apply-offline",
                delta.to_str().expect("UTF-8"),
            ],
        );
        ostree(client, ["fsck", "--quiet"]);
        ostree(client, ["ls", "-R", &commits[1]])
    };
    let fresh = bench.path("fresh");
    ostree::init(&fresh, "bare-user");
    assert_eq!(apply(&client, &between), apply(&fresh, &empty));

    let total = |name: &str| {
        let shown = ostree(&repo, ["static-delta", "show", name]);
        number(&shown, "Total Size:")
    };
    // What libostree 2022.7 makes of the same commits, with the objects that it leaves to be
    // fetched beside them: 1.20 and 55.81 MB. `make bench` has it make them anew.
    let ours = [total(&between), total(&empty)];
    assert!(ours[0] <= 1_200_000 && ours[1] <= 55_810_000, "{ours:?}");
}
