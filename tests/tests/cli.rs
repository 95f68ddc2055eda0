//! What the command prints, as people see it.

use ostree_go_sdk::Arch;
use ostree_go_tests::bench::{Bench, TOY_SOURCE};
use ostree_go_tests::cli::ostree_go;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::tools::require;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::transcript::Transcript;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const CHANNELS: &str = "channels: [\"go-sdk/${basearch}/1.99\", \"go-sdk/${basearch}/stable\"]";

/// Version 1.99.1 of both architectures, then 1.99.2 of one, with a file more and one less.
fn two_versions() -> Bench {
    let bench = Bench::with_toys(CHANNELS);
    let epoch = |mut command: Command| {
        let out = ostree_go_tests::cli::run(command.env("SOURCE_DATE_EPOCH", "1770000000"));
        out.ok();
    };
    epoch(bench.ostree_go(["compose", "go.yaml"]));
    Toy::new(Arch::X86_64)
        .version("1.99.2")
        .with("src/fmt/new.go", "package fmt\n")
        .with("src/fmt/print.go", "package fmt // faster\n")
        .with("bin/gofmt", b"\x7fELF\x02\x01\x01 another".as_slice())
        .without("lib/time/update.bash")
        .tar_gz(&bench.path("toy-amd64.tar.gz"));
    bench.treefile(
        "1.99.2",
        &format!("arches: [x86_64]\n{TOY_SOURCE}\n{CHANNELS}"),
    );
    epoch(bench.ostree_go(["compose", "go.yaml"]));
    bench
}

#[test]
fn compose_says_what_it_does() {
    let bench = Bench::with_toys(CHANNELS);
    let mut seen = Transcript::new(&bench);
    seen.run(["compose", "go.yaml", "--dry-run"]).ok();
    seen.run(["compose", "go.yaml"]).ok();
    seen.run(["compose", "go.yaml"]).ok();
    seen.run(["compose", "go.yaml", "--dry-run"]).ok();
    seen.run(["compose", "go.yaml", "--force-nocache", "--arch", "aarch64"])
        .ok();
    insta::assert_snapshot!(seen.text());
}

#[test]
fn compose_says_it_in_json() {
    let bench = Bench::with_toys(CHANNELS);
    let mut seen = Transcript::new(&bench);
    let json = ["compose", "go.yaml", "--format", "json", "--arch", "x86_64"];
    seen.run(json.into_iter().chain(["--dry-run"])).ok();
    seen.run(json).ok();
    seen.run(json).ok();
    insta::assert_snapshot!(seen.text());
}

#[test]
fn a_compose_of_the_next_version_says_what_is_new() {
    let bench = Bench::with_toys(CHANNELS);
    bench.compose([]);
    bench.toys("1.99.2");
    bench.treefile("1.99.2", &format!("{TOY_SOURCE}\n{CHANNELS}"));
    bench.compose([]);
    // The old one again: its channels are ahead of it.
    bench.toys("1.99.1");
    bench.treefile("1.99.1", &format!("{TOY_SOURCE}\n{CHANNELS}"));
    let mut seen = Transcript::new(&bench);
    seen.run(["compose", "go.yaml", "--replace"]).ok();
    insta::assert_snapshot!(seen.text());
}

#[test]
fn a_repository_is_listed_and_shown() {
    let bench = two_versions();
    let mut seen = Transcript::new(&bench);
    seen.run(["list"]).ok();
    seen.run(["list", "--all"]).ok();
    seen.run(["log", "go-sdk/x86_64/1.99"]).ok();
    seen.run(["show", "go-sdk/x86_64/1.99.2"]).ok();
    seen.run(["show", "go-sdk/x86_64/stable"]).ok();
    seen.run(["diff", "go-sdk/x86_64/1.99.1", "go-sdk/x86_64/1.99.2"])
        .ok();
    seen.run(["diff", "go-sdk/x86_64/1.99.2", "go-sdk/x86_64/stable"])
        .ok();
    insta::assert_snapshot!(seen.text());
}

#[test]
fn a_repository_is_listed_and_shown_in_json() {
    let bench = two_versions();
    let mut seen = Transcript::new(&bench);
    for args in [
        &["list"][..],
        &["log", "go-sdk/x86_64/1.99"],
        &["show", "go-sdk/x86_64/1.99.2"],
        &["diff", "go-sdk/x86_64/1.99.1", "go-sdk/x86_64/1.99.2"],
    ] {
        seen.run(["--format", "json"].into_iter().chain(args.iter().copied()))
            .ok();
    }
    insta::assert_snapshot!(seen.text());
}

#[test]
fn an_empty_repository_has_nothing_to_list() {
    let bench = Bench::new();
    let mut seen = Transcript::new(&bench);
    seen.run(["list"]).exits(1);
    seen.run(["init"]).ok();
    seen.run(["list"]).ok();
    seen.run(["list", "--format", "json"]).ok();
    seen.run(["fsck"]).ok();
    insta::assert_snapshot!(seen.text());
}

#[test]
fn a_repository_is_made_in_every_mode() {
    let bench = Bench::new();
    let mut seen = Transcript::new(&bench);
    for mode in ["archive", "bare-user", "bare-user-only", "bare"] {
        let repo = format!("--repo={mode}");
        seen.run(["init", "--mode", mode, &repo]).ok();
        let config = fs::read_to_string(bench.path(mode).join("config")).unwrap();
        let mode = mode.replace("archive", "archive-z2");
        assert!(config.contains(&format!("mode={mode}\n")), "{config}");
    }
    seen.run(["init", "--repo=archive"]).ok();
    seen.run(["init", "--repo=archive", "--format=json"]).ok();
    seen.run(["init", "--repo=new/deep", "--format=json"]).ok();
    seen.run(["init", "--repo=archive", "--mode=bare-user"])
        .exits(2);
    bench.write("full/of", "something else\n");
    seen.run(["init", "--repo=full"]).exits(1);
    insta::assert_snapshot!(seen.text());
}

/// The file in the repository that holds an object of a release.
fn object(bench: &Bench, path: &str) -> PathBuf {
    let path = format!("/usr/lib/sdk/go-1.99/{path}");
    let listed = ostree(&bench.repo(), ["ls", "-C", "go-sdk/x86_64/1.99.1", &path]);
    let checksum = listed.split_whitespace().nth(4).expect("a checksum");
    let (folder, name) = checksum.split_at(2);
    bench.repo().join(format!("objects/{folder}/{name}.filez"))
}

#[test]
fn fsck_finds_what_is_damaged_and_what_is_missing() {
    let bench = Bench::with_toys("arches: [x86_64]");
    bench.compose([]);
    let mut seen = Transcript::new(&bench);
    seen.run(["fsck"]).ok();
    seen.run(["fsck", "--format", "json"]).ok();
    let damaged = object(&bench, "src/go.mod");
    let mut bytes = fs::read(&damaged).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&damaged, bytes).unwrap();
    seen.run(["fsck"]).exits(4);
    fs::remove_file(object(&bench, "src/fmt/print.go")).unwrap();
    seen.run(["fsck"]).exits(4);
    seen.run(["fsck", "--format", "json"]).exits(4);
    insta::assert_snapshot!(seen.text());
}

#[test]
fn a_ref_may_be_typed_short() {
    let Some(arch) = Arch::host() else { return };
    let bench = Bench::with_toys(CHANNELS);
    bench.compose([]);
    let shown = |rev: &str| bench.run(["show", rev]).ok().stdout;
    assert_eq!(shown("1.99.1"), shown(&format!("go-sdk/{arch}/1.99.1")));
    assert_eq!(shown("stable"), shown(&format!("go-sdk/{arch}/stable")));
    let commit = bench.rev(&format!("go-sdk/{arch}/1.99.1")).unwrap();
    assert_eq!(shown("1.99.1"), shown(&commit));
    let out = bench.run(["show", "1.99.2"]).exits(1);
    assert!(out.stderr.contains("did you mean"), "{}", out.stderr);
    assert_eq!(out.stdout, "");
}

#[test]
fn stdout_is_data_and_nothing_else() {
    let bench = Bench::with_toys(CHANNELS);
    let out = bench.run(["compose", "go.yaml"]).ok();
    let ids: Vec<&str> = out.stdout.lines().collect();
    let refs = ["go-sdk/x86_64/1.99.1", "go-sdk/aarch64/1.99.1"].map(|r| bench.rev(r).unwrap());
    assert_eq!(ids, refs);
    for args in [
        &["compose", "go.yaml"][..],
        &["compose", "go.yaml", "--dry-run"],
        &["compose", "go.yaml", "--print-treefile"],
        &["compose", "missing.yaml"],
        &["list"],
        &["log", "go-sdk/x86_64/stable"],
        &["show", "go-sdk/x86_64/1.99.1"],
        &["show", "nothing"],
        &["diff", "go-sdk/x86_64/1.99.1", "go-sdk/aarch64/1.99.1"],
        &["fsck"],
        &["init"],
        &["init", "--mode", "bare"],
        // Usage errors are known before the arguments are.
        &["list", "--no-such-flag"],
        &["compose"],
        &["nothing"],
    ] {
        let json = ["--format", "json"].into_iter().chain(args.iter().copied());
        let out = bench.run(json);
        let document: Result<serde_json::Value, _> = serde_json::from_str(&out.stdout);
        let document = document.unwrap_or_else(|error| panic!("{args:?}: {error}\n{out:?}"));
        assert_eq!(document["schema"], 1, "{args:?}");
        assert_eq!(
            document.get("error").is_some(),
            out.code() != Some(0),
            "{args:?}"
        );
        if out.code() == Some(0) {
            let quiet = ["-q"].into_iter().chain(args.iter().copied());
            assert_eq!(bench.run(quiet).ok().stderr, "", "{args:?}");
        }
    }
    // Help and version are for people.
    for args in [
        &["--help"][..],
        &["--version"],
        &["list", "--help", "--format", "json"],
    ] {
        let out = bench.run(args.iter().copied()).ok();
        assert!(
            out.stdout.contains("ostree-go") && out.stderr.is_empty(),
            "{out:?}"
        );
    }
}

#[test]
fn progress_comes_as_json_lines() {
    let bench = Bench::with_toys(CHANNELS);
    let lines = |args: &[&str], code| -> Vec<serde_json::Value> {
        let json = ["--progress", "json"]
            .into_iter()
            .chain(args.iter().copied());
        let out = bench.run(json).exits(code);
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        out.stderr.lines().map(parse).collect()
    };
    let events = |lines: &[serde_json::Value]| -> Vec<String> {
        let name = |line: &serde_json::Value| line["event"].as_str().unwrap().to_owned();
        lines.iter().map(name).collect()
    };
    let composed = lines(&["compose", "go.yaml"], 0);
    let names = events(&composed);
    assert_eq!(
        names.first().unwrap(),
        "message",
        "the repository that was made"
    );
    assert!(names.contains(&"progress".to_owned()), "{names:?}");
    assert_eq!(names.iter().filter(|name| *name == "release").count(), 2);
    for line in composed.iter().filter(|line| line["event"] == "progress") {
        for key in ["phase", "item", "unit"] {
            assert!(line[key].is_string(), "{line}");
        }
        assert!(line["done"].is_u64(), "{line}");
    }
    assert!(events(&lines(&["fsck"], 0)).contains(&"progress".to_owned()));
    assert_eq!(events(&lines(&["show", "nothing"], 1)), ["error"]);
    assert_eq!(
        lines(&["-q", "compose", "go.yaml"], 0),
        Vec::<serde_json::Value>::new()
    );
}

#[test]
fn colour_is_for_terminals_and_those_who_ask() {
    let bench = Bench::with_toys("");
    let stderr = |args: &[&str], no_color: &str| {
        let mut command = bench.ostree_go(args.iter().copied());
        ostree_go_tests::cli::run(command.env("NO_COLOR", no_color)).stderr
    };
    for failing in [&["list"][..], &["list", "--nothing"]] {
        let with = |color| [failing, &["--color", color]].concat();
        assert!(!stderr(failing, "").contains('\x1b'));
        assert!(stderr(&with("always"), "").contains("\x1b["));
        assert!(stderr(&with("always"), "1").contains("\x1b["));
        assert!(!stderr(&with("never"), "").contains('\x1b'));
    }
    // A terminal, as `script` gives one.
    let Some(script) = require("script") else {
        return;
    };
    let on_a_terminal = |no_color: &str| {
        let program = ostree_go();
        let line = format!(
            "{} list --repo nothing",
            program.get_program().to_str().unwrap()
        );
        let mut command = Command::new(&script);
        command
            .args(["-qec", &line, "/dev/null"])
            .env("NO_COLOR", no_color);
        ostree_go_tests::cli::run(command.env_remove("OSTREE_REPO")).stdout
    };
    assert!(on_a_terminal("").contains("\x1b["), "{}", on_a_terminal(""));
    assert!(!on_a_terminal("1").contains("\x1b["));
}

#[test]
fn the_repository_is_named_by_option_or_environment() {
    let bench = Bench::with_toys("");
    bench.compose([]);
    let mut command = bench.ostree_go(["list"]);
    let out = ostree_go_tests::cli::run(command.env_remove("OSTREE_REPO")).exits(2);
    assert!(out.stderr.contains("no repository given"), "{}", out.stderr);
    // The option wins.
    let out = bench.run(["list", "--repo", "elsewhere"]).exits(1);
    assert!(out.stderr.contains("elsewhere"), "{}", out.stderr);
    bench.run(["list"]).ok();
}

#[test]
fn the_ostree_command_runs_it() {
    let bench = Bench::with_toys("");
    bench.compose([]);
    let program = ostree_go();
    let folder = PathBuf::from(program.get_program())
        .parent()
        .unwrap()
        .to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let listed = bench.run(["list"]).ok().stdout;
    let repo = format!("--repo={}", bench.repo().display());
    for args in [vec!["go", "list", &repo], vec![repo.as_str(), "go", "list"]] {
        let mut command = Command::new("ostree");
        let out = ostree_go_tests::cli::run(command.args(&args).env("PATH", &path)).ok();
        assert_eq!(out.stdout, listed, "{args:?}");
    }
}
