//! Static deltas, verified with the stock `ostree`.

use ostree_go_sdk::{Arch, failpoint};
use ostree_go_tests::cli::run;
use ostree_go_tests::ostree::{self, init, ostree};
use ostree_go_tests::pull_fixture::files;
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::sdk::{Sdk, sdk};
use ostree_go_tests::state::leftovers;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const CHANNEL: &str = "go-sdk/x86_64/1.99";

/// Composes a toy release for x86_64 into a channel.
fn compose(sandbox: &Sandbox, version: &str) {
    let archive = sandbox.path(&format!("go{version}.tar.gz"));
    let lines = |n: u32| format!("line {n} of fmt\n");
    let mut text: String = (0..3000).map(lines).collect();
    text.push_str(version);
    let toy = Toy::new(Arch::X86_64).version(version);
    toy.with("src/fmt/big.go", text).tar_gz(&archive);
    let lines = format!(
        "arches: [x86_64]\nchannels: [\"go-sdk/${{basearch}}/1.99\"]\n{}",
        source(&archive)
    );
    sandbox.treefile(version, &lines);
    sandbox.run(["compose", "go.yaml"]).ok();
}

fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    let all = args.iter().copied().chain(["--format", "json"]);
    serde_json::from_str(&sandbox.run(all).ok().stdout).expect("one JSON document")
}

/// Returns the number after a title in the output of the stock `static-delta show`.
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
    let sandbox = Sandbox::new();
    compose(&sandbox, "1.99.1");
    let old = sandbox.rev(CHANNEL).expect("the channel");
    compose(&sandbox, "1.99.2");
    sandbox.run(["publish"]).ok();
    let name = format!("{old}-{}", sandbox.rev(CHANNEL).expect("the channel"));
    let listed = json(&sandbox, &["delta", "list"]);
    let names = ostree(&sandbox.repo(), ["static-delta", "list"]);
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
            ostree(&sandbox.repo(), ["static-delta", "generate", &from, &to]);
        }
        let shown = ostree(&sandbox.repo(), ["static-delta", "show", &name]);
        let ours = json(&sandbox, &["delta", "show", &name]);
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
    let text = sandbox.run(["delta", "show", &name]).ok().stdout;
    assert!(text.contains("PART") && text.contains(&old), "{text}");
    // A release by its ref; what is not there.
    sandbox.run(["delta", "show", "go-sdk/x86_64/1.99.1"]).ok();
    let missing = "00".repeat(32);
    let out = sandbox.run(["delta", "show", &missing]).exits(1);
    assert!(
        out.stderr.starts_with("error: no static delta 0000"),
        "{}",
        out.stderr
    );
}

#[test]
fn a_publish_survives_a_crash_at_every_point() {
    for name in failpoint::DELTA_NAMES {
        let sandbox = Sandbox::new();
        compose(&sandbox, "1.99.1");
        sandbox.run(["publish"]).ok();
        compose(&sandbox, "1.99.2");
        let mut publish = sandbox.ostree_go(["publish"]);
        let out = run(publish.env("OSTREE_GO_FAILPOINT", name));
        assert_eq!(
            out.status.signal(),
            Some(9),
            "{name} is not passed: {}",
            out.stderr
        );
        // Whatever is listed is whole.
        for delta in ostree(&sandbox.repo(), ["static-delta", "list"]).lines() {
            sandbox.run(["delta", "show", delta]).ok();
        }
        sandbox.run(["publish"]).ok();
        assert_eq!(leftovers(&sandbox.repo()), [""; 0], "{name}");
        for delta in ostree(&sandbox.repo(), ["static-delta", "list"]).lines() {
            sandbox.run(["delta", "show", delta]).ok();
        }
        sandbox.fsck();
    }
}

/// Returns the directory of a delta, according to the stock command.
fn folder(sandbox: &Sandbox, name: &str) -> PathBuf {
    use base64::Engine;
    let encode = |hex: &str| {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
        let bytes: Vec<u8> = (0..64).step_by(2).map(byte).collect();
        base64::engine::general_purpose::STANDARD_NO_PAD
            .encode(bytes)
            .replace('/', "_")
    };
    let name = name.split('-').map(encode).collect::<Vec<_>>().join("-");
    sandbox
        .repo()
        .join("deltas")
        .join(&name[..2])
        .join(&name[2..])
}

/// Applies the delta to a channel's commit with the stock command and with ours, each in a repository that
/// contains only `old`, and compares all resulting objects.
fn both_apply(sandbox: &Sandbox, channel: &str, old: Option<&str>) {
    let to = sandbox.rev(channel).expect("the channel");
    let repo = sandbox.repo();
    let repo_arg = repo.to_str().expect("UTF-8");
    let server = FaultyServer::serving(&repo);
    let host = Sandbox::new();
    let (theirs, ours) = (host.path("theirs"), host.repo());
    for client in [&theirs, &ours] {
        ostree::init(client, "bare-user");
        if let Some(old) = old {
            ostree(client, ["pull-local", repo_arg, old]);
        }
    }
    let name = old.map_or_else(|| to.clone(), |old| format!("{old}-{to}"));
    let delta = folder(sandbox, &name);
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
    let sandbox = Sandbox::new();
    let mut before = Vec::new();
    let names = ["x86_64", "aarch64"].map(|arch| format!("go-sdk/{arch}/1.99"));
    for version in ["1.99.1", "1.99.2"] {
        before = names.iter().filter_map(|name| sandbox.rev(name)).collect();
        for arch in Arch::ALL {
            let lines = (0..3000).map(|n| format!("line {n} of fmt, {version}\n"));
            let toy = Toy::new(arch).version(version);
            let toy = toy.with("src/fmt/big.go", lines.collect::<String>());
            toy.tar_gz(&sandbox.path(&format!("go.linux-{}.tar.gz", arch.goarch())));
        }
        let sources = sandbox.path("go.linux-${goarch}.tar.gz");
        let channel = "channels: [\"go-sdk/${basearch}/1.99\"]";
        sandbox.treefile(version, &format!("{channel}\n{}", source(&sources)));
        sandbox.run(["compose", "go.yaml"]).ok();
    }
    sandbox.run(["publish"]).ok();
    assert_eq!(before.len(), 2);
    for (name, old) in names.iter().zip(&before) {
        both_apply(&sandbox, name, Some(old));
        both_apply(&sandbox, name, None);
    }
}

#[test]
fn real_deltas_apply_and_are_not_larger_than_libostrees() {
    let (Some(old), Some(new)) = (sdk("1.26.4", Arch::X86_64), sdk("1.26.5", Arch::X86_64)) else {
        return;
    };
    let sandbox = Sandbox::new();
    let mut commits = Vec::new();
    for sdk in [old, new] {
        let treefile = format!(
            "version: {}\narches: [x86_64]\nchannels: [\"go-sdk/${{basearch}}/1.26\"]\n{}\n\
             layers: {{ common: {{ include: [VERSION, go.env, src] }}, toolchain: {{ include: [bin, pkg/tool] }} }}\n",
            sdk.version,
            source(&part_of(&sandbox, &sdk))
        );
        sandbox.write("go.yaml", &treefile);
        sandbox.run(["compose", "go.yaml"]).ok();
        commits.push(sandbox.rev("go-sdk/x86_64/1.26").expect("the channel"));
    }
    sandbox.run(["publish", "--history", "1"]).ok();
    let between = commits.join("-");
    let empty = commits[1].clone();

    both_apply(&sandbox, "go-sdk/x86_64/1.26", Some(&commits[0]));
    both_apply(&sandbox, "go-sdk/x86_64/1.26", None);

    let total = |repo: &Path, name: &str| {
        let shown = ostree(repo, ["static-delta", "show", name]);
        number(&shown, "Total Size:") + number(&shown, "Total Fallback Size:")
    };
    // libostree makes its own of the same commits.
    let stock = sandbox.path("stock");
    init(&stock, "archive");
    let repo = sandbox.repo();
    let pull = ["pull-local", repo.to_str().unwrap()];
    let both = commits.iter().map(String::as_str);
    ostree(&stock, pull.into_iter().chain(both));
    let from = format!("--from={}", between.split_once('-').unwrap().0);
    for from in [from.as_str(), "--empty"] {
        ostree(&stock, ["static-delta", "generate", from, "--to", &empty]);
    }
    for name in [&between, &empty] {
        let (ours, theirs) = (total(&repo, name), total(&stock, name));
        assert!(0 < ours && ours <= theirs, "{name}: {ours} > {theirs}");
    }
}

/// Copies a part of an SDK: programs, and packages whose files changed in most releases. `make bench` measures the deltas of
/// whole SDKs.
fn part_of(sandbox: &Sandbox, sdk: &Sdk) -> PathBuf {
    let part = sandbox.path(&sdk.version).join("go");
    let parts = [
        "VERSION",
        "go.env",
        "bin/gofmt",
        "pkg/tool/linux_amd64/asm",
        "src/crypto",
        "src/go",
        "src/net",
        "src/os",
        "src/runtime",
    ];
    for path in parts {
        let to = part.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(sdk.dir.join(path)).arg(to);
        run(&mut copy).ok();
    }
    part
}

#[test]
fn the_smaller_of_two_deltas_is_kept() {
    let sandbox = Sandbox::new();
    compose(&sandbox, "1.99.1");
    compose(&sandbox, "1.99.2");
    let published = json(&sandbox, &["publish", "--compare-deltas"]);
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
        let shown = ostree(&sandbox.repo(), ["static-delta", "show", &name]);
        let kept = number(&shown, "Total Size:") + number(&shown, "Total Fallback Size:");
        let size = |key: &str| delta["compared"][key].as_u64().unwrap();
        assert_eq!(kept, size("bytes").min(size("libostree_bytes")), "{shown}");
    }
    sandbox.fsck();
}

#[test]
fn few_missing_objects_are_fetched_without_their_part() {
    let sandbox = Sandbox::new();
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
        let archive = sandbox.path(&format!("go{version}.tar.gz"));
        let mut toy = Toy::new(Arch::X86_64).version(version);
        for file in 0..40 {
            toy = toy.with(&format!("src/fmt/file{file}.go"), noise(file, 20_000));
        }
        toy.tar_gz(&archive);
        let channels = "channels: [\"go-sdk/${basearch}/1.99\"]";
        let lines = format!("arches: [x86_64]\n{channels}\n{}", source(&archive));
        sandbox.treefile(version, &lines);
        sandbox.run(["compose", "go.yaml"]).ok();
        sandbox.run(["publish", "--history", "0"]).ok();
    };
    release("1.99.1");
    let server = FaultyServer::serving(&sandbox.repo());
    let host = Sandbox::new();
    host.run(["init", "--mode", "bare-user"]).ok();
    host.run(["remote", "add", "acme", &server.url(), "--no-gpg-verify"])
        .ok();
    let pull = || json(&host, &["pull", "acme", CHANNEL]);
    let first = pull();
    assert_eq!(first["used_delta"], true);
    release("1.99.2");
    server.reset();
    let second = pull();
    let (all, some) = (
        first["downloaded"].as_u64().unwrap(),
        second["downloaded"].as_u64().unwrap(),
    );
    assert!(all > 500_000 && some < all / 10, "{first} {second}");
    assert_eq!(host.rev(&format!("acme:{CHANNEL}")), sandbox.rev(CHANNEL));
    host.fsck();
}
