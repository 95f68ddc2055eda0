//! `inspect` agrees with `go version -m` and `readelf` about programs of a real SDK, and knows the releases of their
//! version.

use ostree_go_sdk::{Arch, fuzzing};
use ostree_go_tests::cli::{Output, ostree_go, run};
use ostree_go_tests::host::Host;
use ostree_go_tests::programs::Program;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::sdk::{Sdk, sdk};
use ostree_go_tests::tools;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = "1.26.5";

const STATIC: Program = Program {
    import: "",
    args: &["-trimpath", "-ldflags=-s -w"],
    env: &[("CGO_ENABLED", "0")],
};
const PIE: Program = Program {
    import: "",
    args: &["-buildmode=pie"],
    env: &[("CGO_ENABLED", "0")],
};
/// Linked by the C compiler.
const CGO: Program = Program {
    import: "import \"C\"",
    args: &["-trimpath"],
    env: &[("CGO_ENABLED", "1")],
};
const ARM64: Program = Program {
    import: "",
    args: &["-trimpath"],
    env: &[("CGO_ENABLED", "0"), ("GOARCH", "arm64")],
};
const PPROF: Program = Program {
    import: "import _ \"net/http/pprof\"",
    args: &["-trimpath", "-ldflags=-s -w"],
    env: &[("CGO_ENABLED", "0")],
};

fn host_sdk() -> Option<Sdk> {
    sdk(VERSION, Arch::host()?)
}

/// Returns the command with paths, without a repository and without installed SDKs.
fn inspect(paths: &[&Path], args: &[&str]) -> Output {
    let empty = tempfile::tempdir().unwrap();
    let mut command = ostree_go();
    command.env("OSTREE_GO_ROOT", empty.path().join("root"));
    run(command.arg("inspect").args(paths).args(args))
}

/// Returns the JSON documents about programs, which are all readable.
fn documents(paths: &[&Path]) -> Vec<Value> {
    let out = inspect(paths, &["--format", "json"]).ok();
    let mut document: Value = serde_json::from_str(&out.stdout).unwrap();
    serde_json::from_value(document["binaries"].take()).unwrap()
}

/// Returns the unmet requirements of a program.
fn unmet(path: &Path, list: &str) -> Vec<String> {
    let out = inspect(&[path], &["--require", list, "--format", "json"]);
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    let unmet = document["binaries"][0]["unmet"].as_array().unwrap();
    let expected = if unmet.is_empty() { 0 } else { 3 };
    let out = out.exits(expected);
    let words = unmet.iter().map(|one| {
        for field in ["expected", "found"] {
            assert!(!one[field].as_str().unwrap().is_empty(), "{out}");
        }
        one["requirement"].as_str().unwrap().to_owned()
    });
    words.collect()
}

/// Returns a value of a document, or an empty text for one that is missing.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Compares a module with that of `go version -m -json`, which omits empty values.
#[track_caller]
fn compare_module(ours: &Value, theirs: &Value) {
    assert_eq!(text(&ours["path"]), text(&theirs["Path"]));
    assert_eq!(text(&ours["version"]), text(&theirs["Version"]));
    assert_eq!(text(&ours["sum"]), text(&theirs["Sum"]));
    let (ours, theirs) = (&ours["replacement"], &theirs["Replace"]);
    assert_eq!(ours.is_null(), theirs.is_null());
    if !ours.is_null() {
        compare_module(ours, theirs);
    }
}

/// Compares the build information with that of `go version -m -json`.
#[track_caller]
fn compare_with_go(sdk: &Sdk, path: &Path, ours: &Value) {
    let out = run(Command::new(sdk.dir.join("bin/go"))
        .args(["version", "-m", "-json"])
        .arg(path)
        .env("GOTOOLCHAIN", "local"))
    .ok();
    let theirs: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(ours["go_version"], theirs["GoVersion"]);
    assert_eq!(text(&ours["package"]), text(&theirs["Path"]));
    compare_module(&ours["module"], &theirs["Main"]);
    let empty = Vec::new();
    let modules = theirs["Deps"].as_array().unwrap_or(&empty);
    let dependencies = ours["dependencies"].as_array().unwrap();
    assert_eq!(dependencies.len(), modules.len(), "{theirs:#}");
    for (ours, theirs) in dependencies.iter().zip(modules) {
        compare_module(ours, theirs);
    }
    let settings = theirs["Settings"].as_array().unwrap();
    for setting in settings {
        let found = &ours["settings"][text(&setting["Key"])];
        assert_eq!(found.as_str(), Some(text(&setting["Value"])), "{setting}");
    }
    assert_eq!(ours["settings"].as_object().unwrap().len(), settings.len());
}

/// Returns the text of `readelf`.
fn readelf(options: &str, path: &Path) -> String {
    let readelf = tools::find("readelf").expect("the caller has looked for it");
    let mut command = Command::new(readelf);
    command.arg(options).arg(path).env("LC_ALL", "C");
    run(&mut command).ok().stdout
}

/// Returns what is between two texts, in each line that has both.
fn between(lines: &str, start: &str, end: &str) -> Vec<String> {
    let found = lines.lines().filter_map(|line| {
        let (_, rest) = line.split_once(start)?;
        Some(rest.split_once(end)?.0.to_owned())
    });
    found.collect()
}

/// Compares the headers with the output of `readelf`.
#[track_caller]
fn compare_with_readelf(path: &Path, ours: &Value) {
    let header = readelf("-hW", path);
    let segments = readelf("-lW", path);
    let dynamic = readelf("-dW", path);
    let sections = readelf("-SW", path);
    let kind = match between(&header, "Type: ", "(")[0].trim() {
        "EXEC" => "executable",
        "DYN" if header.contains("(Position-Independent") || segments.contains("interpreter: ") => {
            "pie"
        }
        "DYN" => "shared-library",
        other => panic!("{other}"),
    };
    assert_eq!(ours["kind"], kind, "{header}{dynamic}");
    let machine = match header.contains("AArch64") {
        true => ("aarch64", 183),
        false => ("x86_64", 62),
    };
    assert_eq!(
        (ours["arch"].as_str(), ours["machine"].as_i64()),
        (Some(machine.0), Some(machine.1)),
        "{header}"
    );
    let loader = between(&segments, "program interpreter: ", "]").pop();
    assert_eq!(ours["interpreter"], json!(loader), "{segments}");
    assert_eq!(
        ours["needed"],
        json!(between(&dynamic, "Shared library: [", "]"))
    );
    let directories = |what: &str| {
        let lists = between(&dynamic, &format!("Library {what}: ["), "]");
        let words: Vec<String> = lists
            .iter()
            .flat_map(|list| list.split(':').map(str::to_owned))
            .collect();
        json!(words)
    };
    assert_eq!(ours["rpath"], directories("rpath"));
    assert_eq!(ours["runpath"], directories("runpath"));
    let rows = |kind: &str| -> Vec<String> {
        let rows = segments.lines().map(str::trim);
        let rows = rows.filter(|row| row.split_whitespace().next() == Some(kind));
        rows.map(str::to_owned).collect()
    };
    let writable_code = rows("LOAD")
        .iter()
        .filter(|row| row.contains(" RWE "))
        .count();
    assert_eq!(
        ours["writable_code"].as_array().unwrap().len(),
        writable_code
    );
    let stack = rows("GNU_STACK").first().map(|row| row.contains("RWE"));
    assert_eq!(ours["executable_stack"], json!(stack), "{segments}");
    let is_dynamic = !rows("DYNAMIC").is_empty();
    let binds_now = dynamic.contains("BIND_NOW") || dynamic.contains(" NOW");
    let relro = match rows("GNU_RELRO").is_empty() {
        true => "none",
        false if binds_now || !is_dynamic => "full",
        false => "partial",
    };
    assert_eq!(ours["relro"], relro, "{segments}{dynamic}");
    assert_eq!(
        ours["symbols"],
        sections.contains(" .symtab "),
        "{sections}"
    );
    let has_debug_info = sections.contains("debug_info ");
    assert_eq!(ours["debug_info"], has_debug_info, "{sections}");
    assert_eq!(ours["bytes"], path.metadata().unwrap().len());
}

#[test]
fn programs_of_a_real_sdk_are_described_as_by_go_and_readelf() {
    let Some(sdk) = host_sdk() else { return };
    if tools::require("readelf").is_none() {
        return;
    }
    let mut programs = vec![STATIC, PIE, ARM64];
    if tools::require("gcc").is_some() {
        programs.push(CGO);
    }
    let mut paths: Vec<PathBuf> = programs.iter().map(|one| one.built(&sdk)).collect();
    // The go command itself belongs to no module with a version.
    paths.push(sdk.dir.join("bin/go"));
    let built = paths.len();
    // Programs of the distribution, which are linked with C libraries and older.
    paths.extend(
        ["podman", "skopeo", "buildah"]
            .iter()
            .filter_map(|name| tools::find(name)),
    );
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    for (index, (path, ours)) in paths.iter().zip(documents(&paths)).enumerate() {
        compare_with_go(&sdk, path, &ours);
        compare_with_readelf(path, &ours);
        assert!(ours["pprof"].is_boolean(), "{}", path.display());
        if index < built {
            assert_eq!(ours["version"], VERSION);
            assert_eq!(ours["pprof"], false, "{}", path.display());
        }
    }
}

#[test]
fn requirements_are_met_by_the_programs_that_were_built_for_them() {
    let Some(sdk) = host_sdk() else { return };
    let program = STATIC.built(&sdk);
    let good = "static,stripped,no-wx,trimpath,cgo-off,no-pprof,sdk=1.26.5,sdk=go1.26.5";
    assert_eq!(unmet(&program, good), [""; 0]);
    let bad = "clean-vcs,pie,sdk=1.26.4";
    assert_eq!(unmet(&program, bad), ["clean-vcs", "pie", "sdk=1.26.4"]);
    let program = PIE.built(&sdk);
    assert_eq!(
        unmet(&program, "pie,no-wx,stripped,trimpath,cgo-off"),
        ["stripped", "trimpath"]
    );
    if tools::require("gcc").is_some() {
        let program = CGO.built(&sdk);
        assert_eq!(
            unmet(&program, "static,cgo-off,no-pprof"),
            ["static", "cgo-off"]
        );
    }
    let ours = documents(&[&STATIC.built(&sdk)]).remove(0);
    let debug = ours["godebug"].as_object().unwrap();
    assert!(!debug.is_empty(), "go 1.22 in go.mod has older defaults");
    let joined: Vec<String> = debug
        .iter()
        .map(|(key, value)| format!("{key}={}", text(value)))
        .collect();
    assert_eq!(ours["settings"]["DefaultGODEBUG"], joined.join(","));
}

/// The name of the function is found although `-s -w` has removed the symbol table.
#[test]
fn pprof_is_found_in_a_stripped_program() {
    let Some(sdk) = host_sdk() else { return };
    let program = PPROF.built(&sdk);
    assert_eq!(unmet(&program, "stripped,static"), [""; 0]);
    assert_eq!(unmet(&program, "no-pprof"), ["no-pprof"]);
    // Without section headers, the table of functions is found by its content. `e_shoff` is at offset 40, `e_shnum`
    // and `e_shstrndx` are at offset 60.
    let mut bytes = fs::read(&program).unwrap();
    bytes[40..48].fill(0);
    bytes[60..64].fill(0);
    let sandbox = Sandbox::new();
    let bare = sandbox.path("bare");
    fs::write(&bare, bytes).unwrap();
    let documents = documents(&[&program, &bare]);
    let [with, without] = &documents[..] else {
        panic!("two documents");
    };
    for field in ["go_version", "settings", "dependencies", "pprof"] {
        assert_eq!(with[field], without[field], "{field}");
    }
}

/// Runs git with settings of its own.
fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(args).current_dir(dir).env_clear();
    command.envs([
        ("PATH", "/usr/bin:/bin"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "test"),
        ("GIT_AUTHOR_EMAIL", "test@example.com"),
        ("GIT_COMMITTER_NAME", "test"),
        ("GIT_COMMITTER_EMAIL", "test@example.com"),
    ]);
    run(command.env("HOME", dir)).ok().stdout.trim().to_owned()
}

#[test]
fn a_program_tells_its_revision_and_whether_there_were_changes() {
    let Some(sdk) = host_sdk() else { return };
    if tools::require("git").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let (dir, program) = (sandbox.path("module"), sandbox.path("program"));
    STATIC.write(&dir);
    git(&dir, &["init", "--quiet"]);
    git(&dir, &["add", "."]);
    git(&dir, &["commit", "--quiet", "--message", "first"]);
    let revision = git(&dir, &["rev-parse", "HEAD"]);
    STATIC.build(&sdk, &dir, &program, &["-buildvcs=true"]);
    assert_eq!(unmet(&program, "clean-vcs"), [""; 0]);
    let ours = documents(&[&program]).remove(0);
    assert_eq!(ours["settings"]["vcs.revision"], revision);
    compare_with_go(&sdk, &program, &ours);

    let changed = format!("{}\n// Changed.\n", STATIC.main());
    fs::write(dir.join("main.go"), changed).unwrap();
    STATIC.build(&sdk, &dir, &program, &["-buildvcs=true"]);
    assert_eq!(unmet(&program, "clean-vcs"), ["clean-vcs"]);
    let out = inspect(&[&program], &["--require", "clean-vcs"]).exits(3);
    let expected = format!(
        "unmet     clean-vcs: expected a revision without changes, found {revision} with changes\n"
    );
    assert!(out.stdout.ends_with(&expected), "{out}");
}

/// Writes the program of the library's own tests, which says that Go 1.99.1 has built it.
fn toy(sandbox: &Sandbox) -> PathBuf {
    let path = sandbox.path("toy");
    fs::write(&path, fuzzing::toy_program()).unwrap();
    path
}

#[test]
fn releases_of_the_same_version_are_named() {
    let host = Host::new();
    host.release("1.99.1", 100);
    toy(&host.sandbox);
    let arch = host.arch();
    let document = host.json(["inspect", "toy"]);
    let releases = document["binaries"][0]["releases"].as_array().unwrap();
    let mut refs: Vec<&str> = releases.iter().map(|one| text(&one["ref"])).collect();
    refs.sort_unstable();
    assert_eq!(refs, ["go-sdk/aarch64/1.99.1", "go-sdk/x86_64/1.99.1"]);
    for release in releases {
        let commit = host.sandbox.rev(text(&release["ref"]));
        assert_eq!(release["commit"], json!(commit));
    }

    // Names of the repository, and then of installed SDKs.
    let list = format!("sdk=1.99,sdk=1.99.1,sdk=go-sdk/{arch}/1.99");
    host.run(["inspect", "toy", "--require", &list]).ok();
    host.install("1.99").ok();
    let installed = |list: &str| {
        let mut command = host.command(["inspect", "toy", "--require", list]);
        run(command.env_remove("OSTREE_REPO"))
    };
    let out = installed("sdk=1.99").ok();
    let expected = format!("the version of go-sdk/{arch}/1.99 ");
    assert!(out.stdout.contains(&expected), "{out}");
    host.release("1.99.2", 200);
    host.run(["inspect", "toy", "--require", "sdk=1.99"])
        .exits(3);
    installed("sdk=1.99").ok();
    installed("sdk=1.98").exits(1);
}

#[test]
fn a_file_that_cannot_be_inspected_does_not_hide_the_others() {
    let sandbox = Sandbox::new();
    let toy = toy(&sandbox);
    let other = std::env::current_exe().unwrap();
    let paths = [other.as_path(), &toy];
    let args = ["--require", "pie", "--format", "json"];
    let out = inspect(&paths, &args).exits(1);
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    let [failed, read] = &document["binaries"].as_array().unwrap()[..] else {
        panic!("{document:#}");
    };
    let message = text(&failed["error"]["message"]);
    assert!(
        message.ends_with("is not a Go program: it has no build information"),
        "{message}"
    );
    assert!(out.stderr.contains(message), "{out}");
    assert_eq!(failed["error"]["kind"], "invalid-input");
    assert_eq!(read["unmet"][0]["requirement"], "pie");
    // One file that cannot be read is the error of the command.
    let out = inspect(&paths[..1], &args).exits(1);
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["error"]["kind"], "invalid-input");
    inspect(&paths[1..], &args).exits(3);
}

#[test]
fn people_get_a_summary_with_a_line_for_each_subject() {
    let sandbox = Sandbox::new();
    let toy = toy(&sandbox);
    let show = |args: &[&str]| {
        let out = inspect(&[&toy], args).ok().stdout;
        let path = toy.display().to_string();
        let mut lines: Vec<String> = out.lines().map(|line| line.replace(&path, "toy")).collect();
        // The size changes with the program.
        lines[1] = lines[1].rsplit_once(", ").unwrap().0.to_owned();
        lines.join("\n")
    };
    insta::assert_snapshot!(show(&[]), @r"
    binary    toy
    kind      executable, x86_64, static
    memory    no writable code, no executable stack, no RELRO
    symbols   stripped
    go        go1.99.1-X:toy
    package   example.com/toy
    module    example.com/toy v1.0.0
    modules   1 dependency, 1 replaced
    build     -buildmode=exe -compiler=gc -ldflags=-s -w -trimpath=true CGO_ENABLED=0 GOAMD64=v1 GOARCH=amd64 GOOS=linux
    revision  git 0123456789abcdef0123456789abcdef01234567 2026-07-01T21:24:27Z, no changes
    godebug   madvdontneed=1
    pprof     not linked
    ");
    let with_modules = show(&["--modules"]);
    let line = "          example.com/a v0.1.0 => example.com/b v0.2.0";
    assert!(
        with_modules.lines().any(|one| one == line),
        "{with_modules}"
    );
}
