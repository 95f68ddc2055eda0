//! The choice of an SDK, and the parsers that it depends on, compared with the real go command.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::host::Host;
use ostree_go_tests::sandbox::source;
use ostree_go_tests::sdk::{Sdk, sdk};
use ostree_go_tests::tools;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A host with the real SDKs 1.26.4, which is active, and 1.26.5.
fn host() -> Option<Host> {
    let host = Host::new();
    let found = ["1.26.5", "1.26.4"].map(|version| (version, sdk(version, host.arch())));
    for (version, sdk) in found {
        let sdk = sdk?;
        let lines = format!("arches: [{}]\n{}", host.arch(), source(&sdk.tar_gz));
        host.sandbox.treefile(version, &lines);
        host.sandbox.compose([]);
        host.install(version).ok();
    }
    Some(host)
}

/// Runs a script in a directory of the host, with what `env --toolchains` prints.
fn with_toolchains(host: &Host, dir: &str, script: &str) -> Output {
    let env = host.run(["env", "--toolchains"]).ok().stdout;
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{env}{script}")])
        .current_dir(host.sandbox.path(dir))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", host.sandbox.path("home"))
        // Neither is used by the SDKs that are selected.
        .env("GOROOT", "/other/go")
        .env("GOPROXY", "off")
        .env("GOTELEMETRY", "off");
    run(&mut command)
}

/// Returns the version that the go command says it has.
fn version_of(out: &Output) -> Option<String> {
    let word = out.stdout.split_whitespace().nth(2)?;
    (out.code() == Some(0)).then(|| word.trim_start_matches("go").to_owned())
}

/// The files of projects.
const PROJECTS: &[&[(&str, &str)]] = &[
    &[("go.mod", "module a\n")],
    &[("go.mod", "module a\ngo 1.21\n")],
    &[("go.mod", "module a\ngo 1.26\n")],
    &[("go.mod", "module a\ngo 1.26rc1\n")],
    &[("go.mod", "module a\ngo 1.26.4\n")],
    &[("go.mod", "module a\n\ngo\t1.26.5 // c\n")],
    &[("go.mod", "module a\ngo 1.26\ntoolchain go1.26.5\n")],
    &[("go.mod", "module a\ngo 1.26.5\ntoolchain go1.26.4\n")],
    &[("go.mod", "module a\ngo 1.26\ntoolchain go1.26.4\n")],
    &[("go.mod", "module a\ntoolchain go1.26.5\n")],
    &[("go.mod", "module a\ngo 1.21\ntoolchain default\n")],
    &[("go.mod", "module a\ngo 1.26.6\n")],
    &[("go.mod", "module a\ngo 1.27\n")],
    &[("go.mod", "module a\ngo 1.27rc1\n")],
    &[("go.mod", "module a\ngo 1.21\ntoolchain go1.99\n")],
    &[
        ("go.work", "go 1.26.5\n"),
        ("go.mod", "module a\ngo 1.26\n"),
    ],
    &[("go.work", "go 1.26\ntoolchain go1.26.5\n")],
    &[
        ("go.work", "go 1.26\nuse ./b\n"),
        ("b/go.mod", "module b\ngo 1.26\ntoolchain go1.26.5\n"),
    ],
    &[
        ("go.work", "go 1.26.5\nuse (\n\t./b\n)\n"),
        ("b/go.mod", "module b\ngo 1.26\n"),
    ],
];

/// If the lowest installed SDK is the active one, Go's rule gives the same result: the active one if it is high
/// enough, otherwise exactly the one that is named.
#[test]
fn the_choice_is_that_of_the_go_command() {
    let Some(host) = host() else { return };
    for (number, files) in PROJECTS.iter().enumerate() {
        let dir = format!("p{number}");
        for (name, text) in *files {
            host.sandbox.write(&format!("{dir}/{name}"), text);
        }
        let go = with_toolchains(&host, &dir, "go version");
        let ours = host.json(["which", &dir]);
        let selected = ours["deployment"]["version"].as_str().map(str::to_owned);
        assert_eq!(selected, version_of(&go), "{files:?}\n{go}\n{ours:#}");
        let Some(path) = ours["go"].as_str() else {
            assert!(go.stderr.contains("in PATH"), "{go}");
            assert_eq!(ours["error"]["kind"], "not-found", "{files:?}");
            continue;
        };
        // The go command finds its own files through the links, and does not switch again.
        let goroot = with_toolchains(&host, &dir, "go env GOROOT").ok().stdout;
        let goroot = Path::new(goroot.trim_end());
        let expected = Path::new(path).canonicalize().unwrap();
        assert_eq!(goroot.join("bin/go"), expected, "{files:?}");
        // A workspace may have no modules to list. The go command refuses to list a module whose go.mod it would
        // complete or simplify first.
        let is_listed = |(name, text): &(&str, &str)| {
            *name == "go.mod" && text.contains("\ngo") && !text.contains("toolchain default")
        };
        if files.iter().all(is_listed) {
            let script = format!("GOTOOLCHAIN=local {path} list -m");
            with_toolchains(&host, &dir, &script).ok();
        }
    }
}

#[test]
fn exec_runs_each_sdk_and_it_builds() {
    let Some(host) = host() else { return };
    host.sandbox
        .write("m/go.mod", "module m\ngo 1.26\ntoolchain go1.26.5\n");
    let program =
        "package main\n\nimport \"runtime\"\n\nfunc main() { println(runtime.Version()) }\n";
    host.sandbox.write("m/main.go", program);
    for version in ["1.26.4", "1.26.5"] {
        let mut command = host.command(["exec", version, "--", "go", "run", "."]);
        command
            .current_dir(host.sandbox.path("m"))
            .env("CGO_ENABLED", "0")
            .env("GOROOT", "/other/go");
        let out = run(&mut command).ok();
        // The toolchain line does not matter.
        assert_eq!(out.stderr, format!("go{version}\n"));
    }
    // What the go command does when an SDK is missing, with nothing to download it from.
    host.sandbox.write("m/go.mod", "module m\ngo 1.27\n");
    let out = with_toolchains(&host, "m", "go version").exits(1);
    assert!(
        out.stderr.contains("cannot find \"go1.27.0\" in PATH"),
        "{out}"
    );
}

/// Returns an SDK for its go command and its test data.
fn any_sdk() -> Option<Sdk> {
    let Some(arch) = Arch::host() else {
        tools::skip("no Go SDK runs on this machine");
        return None;
    };
    sdk("1.26.5", arch)
}

/// Returns the different `go.mod` and `go.work` files in the test data of the go command, which has archives in the
/// format txtar: lines `-- name --`, each followed by a file.
fn recorded_files(sdk: &Sdk) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for folder in ["script", "mod"] {
        let folder = sdk.dir.join("src/cmd/go/testdata").join(folder);
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|end| end != "txt") {
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            let mut file: Option<(String, String)> = None;
            for line in text.split_inclusive('\n') {
                let name = line.trim_end().strip_prefix("-- ");
                match (name.and_then(|name| name.strip_suffix(" --")), &mut file) {
                    (Some(name), _) => {
                        found.extend(file.take());
                        let name = name.rsplit('/').next().unwrap_or_default();
                        let kinds = [
                            ("go.mod", "go.mod"),
                            (".mod", "go.mod"),
                            ("go.work", "go.work"),
                        ];
                        let kind = kinds.iter().find(|(wanted, _)| *wanted == name);
                        file = kind.map(|(_, kind)| ((*kind).to_owned(), String::new()));
                    }
                    (None, Some((_, content))) => content.push_str(line),
                    (None, None) => {}
                }
            }
            found.extend(file);
        }
    }
    found
}

/// Every third file is enough.
const STEP: usize = 3;

#[test]
fn files_are_read_as_the_go_command_reads_them() {
    let Some(sdk) = any_sdk() else { return };
    let recorded = recorded_files(&sdk);
    // The last resort for an SDK has no test data.
    if !sdk.complete {
        return tools::skip("the SDK is not complete");
    }
    assert!(recorded.len() > 500, "{}", recorded.len());
    let folder = tempfile::tempdir().unwrap();
    let mut accepted = 0;
    for (name, text) in recorded.iter().step_by(STEP) {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let verb = if name == "go.work" { "work" } else { "mod" };
        let mut command = Command::new(sdk.dir.join("bin/go"));
        command
            .args([verb, "edit", "-json"])
            .arg(&path)
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("GOTOOLCHAIN", "local");
        let go = run(&mut command);
        fs::remove_file(&path).unwrap();
        let ours = parsed(name, text);
        if go.code() != Some(0) {
            // Directives that this version of Go does not know are accepted.
            continue;
        }
        let go: Value = serde_json::from_str(&go.stdout).unwrap();
        let expected = (field(&go, "Go"), field(&go, "Toolchain"), uses(&go));
        if expected.1.as_ref().is_some_and(|name| name.contains('/')) {
            // The go command refuses it, too, when it selects a toolchain.
            assert!(ours.is_err(), "{text}");
            continue;
        }
        assert_eq!(ours, Ok(expected), "{text}");
        accepted += 1;
    }
    assert!(accepted > 150, "{accepted}");
}

fn field(file: &Value, name: &str) -> Option<String> {
    let text = file[name].as_str().filter(|text| !text.is_empty());
    text.map(str::to_owned)
}

fn uses(file: &Value) -> Vec<PathBuf> {
    let all = file["Use"].as_array().cloned().unwrap_or_default();
    let paths = all.iter().filter_map(|one| one["DiskPath"].as_str());
    paths.map(PathBuf::from).collect()
}

type Parsed = Result<(Option<String>, Option<String>, Vec<PathBuf>), String>;

/// Returns what the library reads from a file.
fn parsed(name: &str, text: &str) -> Parsed {
    use ostree_go_sdk::toolchains::{GoMod, GoWork};
    let value = |line: Option<ostree_go_sdk::toolchains::ModFileValue>| line.map(|line| line.text);
    let parsed = match name {
        "go.work" => GoWork::parse(text.as_bytes()).map(|file| {
            let uses = file.uses.into_iter().map(|line| PathBuf::from(line.text));
            (value(file.go), value(file.toolchain), uses.collect())
        }),
        _ => {
            let file = GoMod::parse(text.as_bytes());
            file.map(|file| (value(file.go), value(file.toolchain), Vec::new()))
        }
    };
    parsed.map_err(|error| error.to_string())
}
