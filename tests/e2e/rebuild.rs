//! `verify --rebuild` and the source `rebuild`: the programs of an SDK are compiled from its source code.
//!
//! Toy SDKs are compiled by a stand-in for the sandbox. The real SDK is compared with Go's own releases: everyday tests compile
//! one program, and `make rebuild-check` runs the ignored test, which compiles all of them.

use crate::json::undocumented;
use insta::assert_snapshot;
use ostree_go_sdk::{Arch, failpoint};
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::fake_bwrap;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::sdk::{self, sdk};
use ostree_go_tests::tools;
use ostree_go_tests::toy::Toy;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

const VERSION: &str = "1.26.5";

/// A toy SDK with the source code of its programs.
fn toy(arch: Arch) -> Toy {
    let programs = ["go", "gofmt", "compile"].into_iter();
    programs.fold(Toy::new(arch), |toy, name| {
        toy.with(&format!("src/cmd/{name}/main.go"), "package main\n")
    })
}

fn other(arch: Arch) -> Arch {
    match arch {
        Arch::X86_64 => Arch::Aarch64,
        _ => Arch::X86_64,
    }
}

/// A sandbox with toy SDKs, and the programs that the stand-in for the sandbox "compiles".
struct Toys {
    sandbox: Sandbox,
    host: Arch,
    other: Arch,
}

impl Toys {
    /// Returns `None` on a machine without SDKs.
    fn new() -> Option<Self> {
        let Some(host) = Arch::host() else {
            tools::skip("there is no SDK for this machine");
            return None;
        };
        let sandbox = Sandbox::new();
        for arch in Arch::ALL {
            let goarch = arch.goarch();
            toy(arch).tar_gz(&sandbox.path(&format!("toy-{goarch}.tar.gz")));
            let dir = sandbox.path(&format!("sdk-{goarch}"));
            toy(arch).dir(&dir);
            let built = sandbox.path("built").join(goarch);
            fs::create_dir_all(&built).unwrap();
            let tools = format!("pkg/tool/linux_{goarch}");
            for path in ["bin/go", "bin/gofmt", &format!("{tools}/compile")] {
                let name = path.rsplit('/').next().unwrap();
                fs::copy(dir.join(path), built.join(name)).unwrap();
            }
        }
        sandbox.treefile("1.99.1", TOY_SOURCE);
        let other = other(host);
        Some(Self {
            sandbox,
            host,
            other,
        })
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.ostree_go(args.iter().copied());
        fake_bwrap::put_before(&mut command, &self.sandbox.path("bin"));
        fs::create_dir_all(self.sandbox.path("tmp")).unwrap();
        command
            .env("BUILT", self.sandbox.path("built"))
            .env("LOG", self.sandbox.path("log"))
            .env("TMPDIR", self.sandbox.path("tmp"));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        let out = run(&mut self.command(args));
        assert_eq!(fs::read_dir(self.sandbox.path("tmp")).unwrap().count(), 0);
        out
    }

    /// Changes a program that is "compiled".
    fn change(&self, arch: Arch, name: &str) {
        let path = self.sandbox.path("built").join(arch.goarch()).join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes.push(0);
        fs::write(path, bytes).unwrap();
    }

    /// Writes a treefile that compiles the programs of the other architecture, with additional lines.
    fn treefile(&self, lines: &str) {
        let (host, other) = (self.host, self.other);
        let source = format!(
            "source:\n  {host}: {{ path: \"toy-{}.tar.gz\" }}\n  {other}: {{ rebuild: {{ from: {host} }} }}\n{lines}",
            host.goarch()
        );
        self.sandbox.treefile("1.99.1", &source);
    }

    /// Returns the line that pins the SDK for the other architecture.
    fn pin(&self) -> String {
        let zip = self.sandbox.path("other.zip");
        toy(self.other).module_zip(&zip);
        format!("pin: {{ {}: {{ h1: \"{}\" }} }}", self.other, sdk::h1(&zip))
    }
}

#[track_caller]
fn rebuild_of(out: &Output) -> Value {
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(undocumented("verify", &document["rebuild"]), [""; 0]);
    document["rebuild"].clone()
}

#[test]
fn programs_are_compiled_and_compared() {
    let Some(toys) = Toys::new() else {
        return;
    };
    toys.sandbox.compose([]);
    for arch in Arch::ALL {
        let name = format!("go-sdk/{arch}/1.99.1");
        let args = ["verify", &name, "--rebuild", "--format", "json"];
        let found = rebuild_of(&toys.run(&args).ok());
        assert_eq!(found["identical"], true);
        assert_eq!(found["release"], *toys.sandbox.rev(&name).unwrap());
        assert_eq!(found["compiler_arch"], toys.host.to_string());
        let programs = found["programs"].as_array().unwrap();
        let paths: Vec<_> = programs.iter().map(|one| &one["path"]).collect();
        let compiler = format!("pkg/tool/linux_{}/compile", arch.goarch());
        assert_eq!(json!(paths), json!(["bin/go", "bin/gofmt", compiler]));
        assert_eq!(found["skipped"], json!([]));
    }
    // The flags are those of Go's own releases, and nothing of the machine is visible.
    let log = fs::read_to_string(toys.sandbox.path("log")).unwrap();
    for expected in [
        "--unshare-all --die-with-parent --clearenv",
        "--setenv GOFLAGS -trimpath -ldflags=-w -gcflags=cmd/...=-dwarf=false",
        "--setenv CGO_ENABLED 0",
        "build -o /tmp/out/gofmt cmd/gofmt",
    ] {
        assert!(log.contains(expected), "{expected} in {log}");
    }

    toys.change(toys.other, "gofmt");
    let name = format!("go-sdk/{}/1.99.1", toys.other);
    let said = toys.run(&["verify", &name, "--rebuild"]).exits(3).stdout;
    let said = said.replace(toys.host.basearch(), "[host]");
    let said = said.replace(toys.other.basearch(), "[other]");
    assert_snapshot!(said.replace(toys.other.goarch(), "[goarch]"), @"
    compiled  Go 1.99.1 for [other] with the release for [host]
    STATUS     SIZE  PROGRAM
    identical  70 B  bin/go
    different  73 B  bin/gofmt
    identical  93 B  pkg/tool/linux_[goarch]/compile
    ");
    let args = [
        "verify",
        &name,
        "--rebuild",
        "--program",
        "go",
        "--format",
        "json",
    ];
    let found = rebuild_of(&toys.run(&args).ok());
    assert_eq!(found["programs"].as_array().unwrap().len(), 1);
    assert_eq!(found["skipped"].as_array().unwrap().len(), 2);
}

#[test]
fn programs_that_cannot_be_compiled() {
    let Some(toys) = Toys::new() else {
        return;
    };
    toys.sandbox.compose([]);
    let name = format!("go-sdk/{}/1.99.1", toys.other);
    let out = toys.run(&["verify", &name, "--rebuild", "--program", "vet"]);
    assert_snapshot!(out.exits(1).stderr, @"error: the SDK has no program `vet`, expected one of: go, gofmt, compile");
    let mut command = toys.command(&["verify", &name, "--rebuild"]);
    let out = run(command.env("PATH", "/nonexistent")).exits(1);
    assert_snapshot!(out.stderr, @"
    error: cannot compile programs of an SDK in a sandbox: there is no program `bwrap` in PATH
    hint: install bubblewrap
    ");
    // Without a release that runs here.
    let native = format!("go-sdk/{}/1.99.1", toys.host);
    ostree(&toys.sandbox.repo(), ["refs", "--delete", &native]);
    let out = toys.run(&["verify", &name, "--rebuild"]).exits(1);
    let said = out.stderr.replace(toys.host.basearch(), "[host]");
    assert_snapshot!(said, @"
    error: the repository has no release of Go 1.99.1 for [host], the architecture of this machine
    hint: pull the release of the same version for [host], which compiles for every architecture
    ");
    // An SDK without the source code of its programs.
    let plain = Sandbox::with_toys("");
    plain.compose([]);
    let out = plain.run(["verify", &native, "--rebuild"]).exits(1);
    assert_snapshot!(out.stderr, @"error: Go 1.99.1 has no source code of `cmd/go`");
}

#[test]
fn a_toolchain_that_was_never_downloaded_is_that_of_its_archive() {
    let Some(toys) = Toys::new() else {
        return;
    };
    toys.sandbox.compose([]);
    let name = format!("go-sdk/{}/1.99.1", toys.other);
    let expected = toys.sandbox.rev(&name).unwrap();
    fs::remove_dir_all(toys.sandbox.repo()).unwrap();
    let archive = format!("toy-{}.tar.gz", toys.other.goarch());
    fs::remove_file(toys.sandbox.path(&archive)).unwrap();
    toys.treefile(&toys.pin());
    let compose = ["compose", "go.yaml", "--no-stdcache"];
    toys.run(&compose).ok();
    assert_eq!(toys.sandbox.rev(&name).unwrap(), expected);
    toys.sandbox.fsck();
    let shown = ostree(
        &toys.sandbox.repo(),
        ["show", "--print-detached-metadata-key=sdk.source", &name],
    );
    let said = format!(
        "toy-{}.tar.gz, rebuilt for {}",
        toys.host.goarch(),
        toys.other
    );
    assert!(shown.contains(&said), "{shown}");
    // With a pin, nothing is compiled again.
    fs::remove_file(toys.sandbox.path("log")).unwrap();
    let out = toys.run(&compose).ok();
    assert!(out.stderr.ends_with("nothing changed\n"), "{out}");
    assert!(!toys.sandbox.path("log").exists());

    // Other bytes are refused, and no ref exists.
    fs::remove_dir_all(toys.sandbox.repo()).unwrap();
    toys.change(toys.other, "compile");
    let out = toys.run(&compose).exits(3);
    assert!(
        out.stderr.contains(" has h1:") && out.stderr.contains(", expected h1:"),
        "{out}"
    );
    assert_eq!(toys.sandbox.refs(), [""; 0]);
}

#[test]
fn a_compose_that_is_killed_while_it_compiles_leaves_nothing_behind() {
    let Some(toys) = Toys::new() else {
        return;
    };
    toys.treefile(&toys.pin());
    for name in failpoint::REBUILD_NAMES {
        let _ = fs::remove_dir_all(toys.sandbox.repo());
        let mut command = toys.command(&["compose", "go.yaml", "--no-stdcache"]);
        let out = run(command.env("OSTREE_GO_FAILPOINT", name));
        assert_eq!(out.status.signal(), Some(9), "{name}: {out}");
        assert_eq!(toys.sandbox.refs(), [""; 0]);
        toys.run(&["compose", "go.yaml", "--no-stdcache"]).ok();
        toys.sandbox.fsck();
        let left = fs::read_dir(toys.sandbox.repo().join("tmp")).unwrap();
        let left: Vec<_> = left
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("ostree-go-pull-"))
            .collect();
        assert_eq!(left, [""; 0], "{name}");
    }
}

#[test]
fn treefiles_that_cannot_be_rebuilt() {
    let sandbox = Sandbox::with_toys("");
    let refused = |lines: &str| {
        sandbox.treefile("1.99.1", lines);
        let out = sandbox.run(["compose", "go.yaml"]).exits(1);
        out.stderr
    };
    assert_snapshot!(refused("source: { rebuild: { from: x86_64 } }"), @"error: go.yaml:3: source: x86_64 is rebuilt from x86_64, but an SDK cannot be rebuilt from itself");
    assert_snapshot!(refused("arches: [aarch64]\nsource: { rebuild: { from: x86_64 } }"), @"error: go.yaml:4: source: aarch64 is rebuilt from x86_64, but `arches` does not list it");
    assert_snapshot!(refused("source:\n  x86_64: { rebuild: { from: aarch64 } }\n  aarch64: { rebuild: { from: x86_64 } }"), @"error: go.yaml:4: source: x86_64 is rebuilt from aarch64, but it is rebuilt as well");
    let pin = "a".repeat(64);
    assert_snapshot!(refused(&format!("source:\n  x86_64: {{ path: toy }}\n  aarch64: {{ rebuild: {{ from: x86_64 }} }}\npin: {{ aarch64: {{ sha256: {pin} }} }}")), @"error: go.yaml:4: source: `rebuild` makes no archive, so that its pin has to be an `h1` for aarch64");
}

/// Composes both releases of the real SDK.
fn real() -> Option<(Sandbox, Arch)> {
    tools::require("bwrap")?;
    let host = Arch::host()?;
    let sdks = [sdk(VERSION, host)?, sdk(VERSION, other(host))?];
    let sources = sdks.map(|sdk| format!("{}: {{ path: \"{}\" }}", sdk.arch, sdk.tar_gz.display()));
    let sandbox = Sandbox::new();
    sandbox.treefile(VERSION, &format!("source: {{ {} }}", sources.join(", ")));
    sandbox.compose(["--no-stdcache"]);
    Some((sandbox, host))
}

/// Covers one of the ten programs; all of them are compiled by the ignored test below.
#[test]
fn a_program_for_the_other_architecture_is_that_of_gos_release() {
    let Some((sandbox, host)) = real() else {
        return;
    };
    let name = format!("go-sdk/{}/{VERSION}", other(host));
    let args = [
        "verify",
        &name,
        "--rebuild",
        "--program",
        "gofmt",
        "--format",
        "json",
    ];
    let found = rebuild_of(&sandbox.run(args).ok());
    assert_eq!(found["identical"], true, "{found:#}");
    assert_eq!(found["programs"][0]["path"], "bin/gofmt");
    assert_eq!(found["skipped"].as_array().unwrap().len(), 9);
}

#[test]
#[ignore = "compiles all programs for both architectures, several minutes: make rebuild-check"]
fn all_programs_of_both_architectures_are_those_of_gos_release() {
    let Some((sandbox, host)) = real() else {
        return;
    };
    for arch in [host, other(host)] {
        let name = format!("go-sdk/{arch}/{VERSION}");
        let found = sandbox
            .run(["verify", &name, "--rebuild", "--format", "json"])
            .ok();
        assert_eq!(rebuild_of(&found)["programs"].as_array().unwrap().len(), 10);
    }
    // And a release whose programs were never downloaded.
    let (native, cross) = (
        sdk(VERSION, host).unwrap(),
        sdk(VERSION, other(host)).unwrap(),
    );
    let expected = sandbox
        .rev(&format!("go-sdk/{}/{VERSION}", other(host)))
        .unwrap();
    let fresh = Sandbox::new();
    let lines = format!(
        "source:\n  {host}: {{ path: \"{}\" }}\n  {}: {{ rebuild: {{ from: {host} }} }}\npin: {{ {}: {{ h1: \"{}\" }} }}",
        native.tar_gz.display(),
        other(host),
        other(host),
        cross.h1
    );
    fresh.treefile(VERSION, &lines);
    fresh.compose(["--no-stdcache", "--arch", other(host).basearch()]);
    assert_eq!(
        fresh.rev(&format!("go-sdk/{}/{VERSION}", other(host))),
        Some(expected)
    );
}
