//! Static deltas: the stock `ostree` is their judge.

use ostree_go_sdk::{Arch, failpoint};
use ostree_go_tests::bench::{Bench, source};
use ostree_go_tests::cli::run;
use ostree_go_tests::ostree::{self, ostree};
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::shop::files;
use ostree_go_tests::state::leftovers;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::BadServer;
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

/// Has the stock command and ours apply the delta to a channel's commit, each in a repository that
/// has `old` and nothing else, and compares all objects that are there then.
fn both_apply(bench: &Bench, channel: &str, old: Option<&str>) {
    let to = bench.rev(channel).expect("the channel");
    let repo = bench.repo();
    let repo_arg = repo.to_str().expect("UTF-8");
    let server = BadServer::over(&repo);
    let host = Bench::new();
    let (theirs, ours) = (host.path("theirs"), host.repo());
    for client in [&theirs, &ours] {
        ostree::init(client, "bare-user");
        if let Some(old) = old {
            ostree(client, ["pull-local", repo_arg, old]);
        }
    }
    let name = old.map_or_else(|| to.clone(), |old| format!("{old}-{to}"));
    let delta = folder(bench, &name);
    let delta = delta.to_str().expect("UTF-8");
    ostree(&theirs, ["static-delta", "apply-offline", delta]);
    let url = server.url();
    host.run(["remote", "add", "acme", &url, "--no-gpg-verify"])
        .ok();
    let said = json(&host, &["pull", "acme", channel]);
    assert_eq!(said["used_delta"], true, "{said}");
    let requests = server.requests();
    assert!(
        !requests.iter().any(|path| path.ends_with(".filez")),
        "something came beside the delta: {requests:?}"
    );
    let objects = |client: &std::path::Path| {
        ostree(client, ["fsck", "--quiet"]);
        let all = files(&client.join("objects")).into_iter();
        // The stock command leaves signatures aside when it applies a folder.
        let all = all.filter(|path| path.extension().is_none_or(|end| end != "commitmeta"));
        let objects = all.map(|path| path.strip_prefix(client).expect("below").to_owned());
        let objects: Vec<PathBuf> = objects.collect();
        (objects, ostree(client, ["ls", "-RCX", &to]))
    };
    let (found, expected) = (objects(&ours), objects(&theirs));
    assert!(found == expected, "{channel} from {old:?} differs");
}

#[test]
fn both_appliers_give_the_same_repository() {
    let bench = Bench::new();
    let mut before = Vec::new();
    let names = ["x86_64", "aarch64"].map(|arch| format!("go-sdk/{arch}/1.99"));
    for version in ["1.99.1", "1.99.2"] {
        before = names.iter().filter_map(|name| bench.rev(name)).collect();
        for arch in Arch::ALL {
            let lines = (0..3000).map(|n| format!("line {n} of fmt, {version}\n"));
            let toy = Toy::new(arch).version(version);
            let toy = toy.with("src/fmt/big.go", lines.collect::<String>());
            toy.tar_gz(&bench.path(&format!("go.linux-{}.tar.gz", arch.goarch())));
        }
        let sources = bench.path("go.linux-${goarch}.tar.gz");
        let channel = "channels: [\"go-sdk/${basearch}/1.99\"]";
        bench.treefile(version, &format!("{channel}\n{}", source(&sources)));
        bench.run(["compose", "go.yaml"]).ok();
    }
    bench.run(["publish"]).ok();
    assert_eq!(before.len(), 2);
    for (name, old) in names.iter().zip(&before) {
        both_apply(&bench, name, Some(old));
        both_apply(&bench, name, None);
    }
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

    both_apply(&bench, "go-sdk/x86_64/1.26", Some(&commits[0]));
    both_apply(&bench, "go-sdk/x86_64/1.26", None);

    let repo = bench.repo();
    let total = |name: &str| {
        let shown = ostree(&repo, ["static-delta", "show", name]);
        number(&shown, "Total Size:")
    };
    // What libostree 2022.7 makes of the same commits, with the objects that it leaves to be
    // fetched beside them: 1.20 and 55.81 MB. `make bench` has it make them anew.
    let ours = [total(&between), total(&empty)];
    assert!(ours[0] <= 1_200_000 && ours[1] <= 55_810_000, "{ours:?}");
}

#[test]
fn the_smaller_of_two_deltas_is_kept() {
    let bench = Bench::new();
    compose(&bench, "1.99.1");
    compose(&bench, "1.99.2");
    let published = json(&bench, &["publish", "--compare-deltas"]);
    let compared = published["deltas"].as_array().unwrap().iter();
    let compared: Vec<&Value> = compared
        .filter(|delta| !delta["compared"].is_null())
        .collect();
    // Copies of another commit's have been compared with it.
    assert!(compared.len() >= 2, "{published}");
    for delta in compared {
        let to = delta["to"].as_str().unwrap();
        let name = match delta["from"].as_str() {
            Some(from) => format!("{from}-{to}"),
            None => to.to_owned(),
        };
        let shown = ostree(&bench.repo(), ["static-delta", "show", &name]);
        let kept = number(&shown, "Total Size:") + number(&shown, "Total Fallback Size:");
        let size = |key: &str| delta["compared"][key].as_u64().unwrap();
        assert_eq!(kept, size("bytes").min(size("libostree_bytes")), "{shown}");
    }
    bench.fsck();
}

#[test]
fn what_few_are_missing_comes_without_the_rest_of_its_part() {
    let bench = Bench::new();
    let noise = |seed: u64, len: u64| -> String {
        // Bytes that compress badly, of printable characters.
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap_or(0))
        };
        (0..len).map(|_| next()).collect()
    };
    let release = |version: &str| {
        let archive = bench.path(&format!("go{version}.tar.gz"));
        let mut toy = Toy::new(Arch::X86_64).version(version);
        for file in 0..40 {
            toy = toy.with(&format!("src/fmt/file{file}.go"), noise(file, 20_000));
        }
        toy.tar_gz(&archive);
        let channels = "channels: [\"go-sdk/${basearch}/1.99\"]";
        let lines = format!("arches: [x86_64]\n{channels}\n{}", source(&archive));
        bench.treefile(version, &lines);
        bench.run(["compose", "go.yaml"]).ok();
        bench.run(["publish", "--history", "0"]).ok();
    };
    release("1.99.1");
    let server = BadServer::over(&bench.repo());
    let host = Bench::new();
    host.run(["init", "--mode", "bare-user"]).ok();
    host.run(["remote", "add", "acme", &server.url(), "--no-gpg-verify"])
        .ok();
    let pull = || json(&host, &["pull", "acme", CHANNEL]);
    let first = pull();
    assert_eq!(first["used_delta"], true);
    release("1.99.2");
    server.behave();
    let second = pull();
    let (all, some) = (
        first["downloaded"].as_u64().unwrap(),
        second["downloaded"].as_u64().unwrap(),
    );
    assert!(all > 500_000 && some < all / 10, "{first} {second}");
    assert_eq!(host.rev(&format!("acme:{CHANNEL}")), bench.rev(CHANNEL));
    host.fsck();
}
