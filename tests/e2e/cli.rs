//! The human-readable output of the command.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::ostree_go;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::tools::require;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::transcript::Transcript;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const CHANNELS: &str = "channels: [\"go-sdk/${basearch}/1.99\", \"go-sdk/${basearch}/stable\"]";

/// Composes version 1.99.1 for both architectures, then 1.99.2 for one, with one file added and one removed.
fn two_versions() -> Sandbox {
    let sandbox = Sandbox::with_toys(CHANNELS);
    let epoch = |mut command: Command| {
        let out = ostree_go_tests::cli::run(command.env("SOURCE_DATE_EPOCH", "1770000000"));
        out.ok();
    };
    epoch(sandbox.ostree_go(["compose", "go.yaml"]));
    Toy::new(Arch::X86_64)
        .version("1.99.2")
        .with("src/fmt/new.go", "package fmt\n")
        .with("src/fmt/print.go", "package fmt // faster\n")
        .with("bin/gofmt", b"\x7fELF\x02\x01\x01 another".as_slice())
        .without("lib/time/update.bash")
        .tar_gz(&sandbox.path("toy-amd64.tar.gz"));
    sandbox.treefile(
        "1.99.2",
        &format!("arches: [x86_64]\n{TOY_SOURCE}\n{CHANNELS}"),
    );
    epoch(sandbox.ostree_go(["compose", "go.yaml"]));
    sandbox
}

#[test]
fn compose_reports_its_results() {
    let sandbox = Sandbox::with_toys(CHANNELS);
    let mut seen = Transcript::new(&sandbox);
    seen.run(["compose", "go.yaml", "--dry-run"]).ok();
    seen.run(["compose", "go.yaml"]).ok();
    seen.run(["compose", "go.yaml"]).ok();
    seen.run(["compose", "go.yaml", "--dry-run"]).ok();
    seen.run(["compose", "go.yaml", "--force-nocache", "--arch", "aarch64"])
        .ok();
    insta::assert_snapshot!(seen.text());
}

#[test]
fn compose_reports_its_results_in_json() {
    let sandbox = Sandbox::with_toys(CHANNELS);
    let mut seen = Transcript::new(&sandbox);
    let json = ["compose", "go.yaml", "--format", "json", "--arch", "x86_64"];
    seen.run(json.into_iter().chain(["--dry-run"])).ok();
    seen.run(json).ok();
    seen.run(json).ok();
    insta::assert_snapshot!(seen.text());
}

#[test]
fn a_compose_of_the_next_version_reports_new_layers() {
    let sandbox = Sandbox::with_toys(CHANNELS);
    sandbox.compose([]);
    sandbox.toys("1.99.2");
    sandbox.treefile("1.99.2", &format!("{TOY_SOURCE}\n{CHANNELS}"));
    sandbox.compose([]);
    // The old one again: its channels are ahead of it.
    sandbox.toys("1.99.1");
    sandbox.treefile("1.99.1", &format!("{TOY_SOURCE}\n{CHANNELS}"));
    let mut seen = Transcript::new(&sandbox);
    seen.run(["compose", "go.yaml", "--replace"]).ok();
    insta::assert_snapshot!(seen.text());
}

#[test]
fn a_repository_is_listed_and_shown() {
    let sandbox = two_versions();
    let mut seen = Transcript::new(&sandbox);
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
    let sandbox = two_versions();
    let mut seen = Transcript::new(&sandbox);
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
    let sandbox = Sandbox::new();
    let mut seen = Transcript::new(&sandbox);
    seen.run(["list"]).exits(1);
    seen.run(["init"]).ok();
    seen.run(["list"]).ok();
    seen.run(["list", "--format", "json"]).ok();
    seen.run(["fsck"]).ok();
    insta::assert_snapshot!(seen.text());
}

#[test]
fn a_repository_is_created_in_every_mode() {
    let sandbox = Sandbox::new();
    let mut seen = Transcript::new(&sandbox);
    for mode in ["archive", "bare-user", "bare-user-only", "bare"] {
        let repo = format!("--repo={mode}");
        seen.run(["init", "--mode", mode, &repo]).ok();
        let config = fs::read_to_string(sandbox.path(mode).join("config")).unwrap();
        let mode = mode.replace("archive", "archive-z2");
        assert!(config.contains(&format!("mode={mode}\n")), "{config}");
    }
    seen.run(["init", "--repo=archive"]).ok();
    seen.run(["init", "--repo=archive", "--format=json"]).ok();
    seen.run(["init", "--repo=new/deep", "--format=json"]).ok();
    seen.run(["init", "--repo=archive", "--mode=bare-user"])
        .exits(2);
    sandbox.write("full/of", "something else\n");
    seen.run(["init", "--repo=full"]).exits(1);
    insta::assert_snapshot!(seen.text());
}

/// Returns the path of an object of a release in the repository.
fn object(sandbox: &Sandbox, path: &str) -> PathBuf {
    let path = format!("/usr/lib/sdk/go-1.99/{path}");
    let listed = ostree(&sandbox.repo(), ["ls", "-C", "go-sdk/x86_64/1.99.1", &path]);
    let checksum = listed.split_whitespace().nth(4).expect("a checksum");
    let (folder, name) = checksum.split_at(2);
    sandbox
        .repo()
        .join(format!("objects/{folder}/{name}.filez"))
}

#[test]
fn fsck_finds_damaged_and_missing_objects() {
    let sandbox = Sandbox::with_toys("arches: [x86_64]");
    sandbox.compose([]);
    let mut seen = Transcript::new(&sandbox);
    seen.run(["fsck"]).ok();
    seen.run(["fsck", "--format", "json"]).ok();
    let damaged = object(&sandbox, "src/go.mod");
    let mut bytes = fs::read(&damaged).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&damaged, bytes).unwrap();
    seen.run(["fsck"]).exits(4);
    fs::remove_file(object(&sandbox, "src/fmt/print.go")).unwrap();
    seen.run(["fsck"]).exits(4);
    seen.run(["fsck", "--format", "json"]).exits(4);
    insta::assert_snapshot!(seen.text());
}

#[test]
fn refs_can_be_abbreviated() {
    let Some(arch) = Arch::host() else { return };
    let sandbox = Sandbox::with_toys(CHANNELS);
    sandbox.compose([]);
    let shown = |rev: &str| sandbox.run(["show", rev]).ok().stdout;
    assert_eq!(shown("1.99.1"), shown(&format!("go-sdk/{arch}/1.99.1")));
    assert_eq!(shown("stable"), shown(&format!("go-sdk/{arch}/stable")));
    let commit = sandbox.rev(&format!("go-sdk/{arch}/1.99.1")).unwrap();
    assert_eq!(shown("1.99.1"), shown(&commit));
    let out = sandbox.run(["show", "1.99.2"]).exits(1);
    assert!(out.stderr.contains("did you mean"), "{}", out.stderr);
    assert_eq!(out.stdout, "");
}

#[test]
fn stdout_contains_only_results() {
    let sandbox = Sandbox::with_toys(CHANNELS);
    let out = sandbox.run(["compose", "go.yaml"]).ok();
    let ids: Vec<&str> = out.stdout.lines().collect();
    let refs = ["go-sdk/x86_64/1.99.1", "go-sdk/aarch64/1.99.1"].map(|r| sandbox.rev(r).unwrap());
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
        let out = sandbox.run(json);
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
            assert_eq!(sandbox.run(quiet).ok().stderr, "", "{args:?}");
        }
    }
    // Help and version are for people.
    for args in [
        &["--help"][..],
        &["--version"],
        &["list", "--help", "--format", "json"],
    ] {
        let out = sandbox.run(args.iter().copied()).ok();
        assert!(
            out.stdout.contains("ostree-go") && out.stderr.is_empty(),
            "{out:?}"
        );
    }
}

#[test]
fn progress_is_printed_as_json_lines() {
    let sandbox = Sandbox::with_toys(CHANNELS);
    let lines = |args: &[&str], code| -> Vec<serde_json::Value> {
        let json = ["--progress", "json"]
            .into_iter()
            .chain(args.iter().copied());
        let out = sandbox.run(json).exits(code);
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
fn colour_is_used_on_terminals_and_on_request() {
    let sandbox = Sandbox::with_toys("");
    let stderr = |args: &[&str], no_color: &str| {
        let mut command = sandbox.ostree_go(args.iter().copied());
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
fn the_repository_is_set_by_option_or_environment() {
    let sandbox = Sandbox::with_toys("");
    sandbox.compose([]);
    let mut command = sandbox.ostree_go(["list"]);
    let out = ostree_go_tests::cli::run(command.env_remove("OSTREE_REPO")).exits(2);
    assert!(out.stderr.contains("no repository given"), "{}", out.stderr);
    // The option wins.
    let out = sandbox.run(["list", "--repo", "elsewhere"]).exits(1);
    assert!(out.stderr.contains("elsewhere"), "{}", out.stderr);
    sandbox.run(["list"]).ok();
}

#[test]
fn the_ostree_command_runs_ostree_go() {
    let sandbox = Sandbox::with_toys("");
    sandbox.compose([]);
    let program = ostree_go();
    let folder = PathBuf::from(program.get_program())
        .parent()
        .unwrap()
        .to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let listed = sandbox.run(["list"]).ok().stdout;
    let repo = format!("--repo={}", sandbox.repo().display());
    for args in [vec!["go", "list", &repo], vec![repo.as_str(), "go", "list"]] {
        let mut command = Command::new("ostree");
        let out = ostree_go_tests::cli::run(command.args(&args).env("PATH", &path)).ok();
        assert_eq!(out.stdout, listed, "{args:?}");
    }
}
