//! Real Go SDKs: every form gives the same commit, the stock `ostree` reads it, and the checked-out go builds programs.

use ostree_go_sdk::Arch;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::tools::require;
use std::path::Path;
use std::process::Command;

const VERSION: &str = "1.26.5";
const X86: &str = "go-sdk/x86_64/1.26.5";
const ARM: &str = "go-sdk/aarch64/1.26.5";

#[test]
fn every_form_gives_the_same_release() {
    let Some(sdk) = sdk(VERSION, Arch::X86_64) else {
        return;
    };
    let sandbox = Sandbox::new();
    let mut commits = Vec::new();
    for form in [&sdk.tar_gz, &sdk.module_zip, &sdk.dir] {
        let pin = format!("pin: {{ x86_64: {{ h1: \"{}\" }} }}", sdk.h1);
        sandbox.treefile(
            VERSION,
            &format!("arches: [x86_64]\n{}\n{pin}", source(form)),
        );
        // The input hash is the same for every form, so it has to be told to look.
        commits.extend(sandbox.compose(["--force-nocache"]));
    }
    commits.dedup();
    assert_eq!(commits.len(), 1, "{commits:?}");

    // Whatever a pin says is checked against the content, not believed.
    let wrong = "pin: { x86_64: { h1: \"h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" } }";
    sandbox.treefile(
        VERSION,
        &format!("arches: [x86_64]\n{}\n{wrong}", source(&sdk.dir)),
    );
    let out = sandbox.run(["compose", "go.yaml"]).exits(3);
    assert!(out.stderr.contains(sdk.h1), "{}", out.stderr);
    assert_eq!(sandbox.rev(X86).as_ref(), commits.first());
    sandbox.fsck();
}

#[test]
fn both_arches_compose_check_out_and_run() {
    let (Some(x86), Some(arm)) = (sdk(VERSION, Arch::X86_64), sdk(VERSION, Arch::Aarch64)) else {
        return;
    };
    let sandbox = Sandbox::new();
    let tar_gz = x86.tar_gz.to_str().unwrap().replace("amd64", "${goarch}");
    assert_eq!(
        tar_gz.replace("${goarch}", "arm64"),
        arm.tar_gz.to_str().unwrap()
    );
    sandbox.treefile(VERSION, &source(Path::new(&tar_gz)));
    let out = sandbox.run(["compose", "go.yaml", "--format", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();

    // The arch-independent layer is one commit, and all the second arch adds is its programs.
    let layer = |release: usize, layer: usize| &json["releases"][release]["layers"][layer];
    assert_eq!(layer(0, 0)["name"], "common");
    assert_eq!(layer(0, 0)["commit"], layer(1, 0)["commit"]);
    assert_eq!(layer(1, 0)["new_objects"], 0);
    assert_eq!(layer(1, 1)["name"], "toolchain");
    assert_eq!(layer(1, 1)["new_objects"], 10);
    assert_eq!(layer(1, 2)["new_objects"], 0);

    // The stock tool agrees with all of it.
    sandbox.fsck();
    let repo = sandbox.repo();
    let show = |name: &str, key: &str| {
        let key = format!("--print-metadata-key={key}");
        ostree(&repo, ["show", key.as_str(), name])
            .trim()
            .to_owned()
    };
    for (name, sdk) in [(X86, &x86), (ARM, &arm)] {
        assert_eq!(show(name, "sdk.version"), "'1.26.5'");
        assert_eq!(show(name, "sdk.lang"), "'go'");
        assert_eq!(show(name, "sdk.arch"), format!("'{}'", sdk.arch.goarch()));
        assert_eq!(show(name, "sdk.h1"), format!("'{}'", sdk.h1));
        assert_eq!(show(name, "ostree.ref-binding"), format!("['{name}']"));
        assert_eq!(show(name, "io.github.sdk.version"), "'v1.26.5'");
        let log = ostree(&repo, ["log", name]);
        assert!(
            log.contains("Version: 1.26.5") && log.contains("Go 1.26.5 for"),
            "{log}"
        );
    }
    let files = ostree(&repo, ["ls", "-R", X86]);
    let modes: Vec<&str> = files
        .lines()
        .filter(|line| line.ends_with("/bin/go") || line.ends_with("/src/fmt/print.go"))
        .map(|line| &line[..10])
        .collect();
    assert_eq!(modes, ["l00777 0 0", "-00755 0 0", "-00644 0 0"]);
    assert!(files.contains("/usr/bin/go -> ../lib/sdk/go-1.26/bin/go\n"));
    assert!(!files.contains("_go.mod"));

    // Every file of the distribution is there, byte for byte, but for go.env.
    let tree = sandbox.checkout(X86, "x86_64");
    let goroot = tree.join("usr/lib/sdk/go-1.26");
    let diff = Command::new("diff")
        .args(["-r", "-q"])
        .arg(&x86.dir)
        .arg(&goroot)
        .output()
        .unwrap();
    let differing = String::from_utf8_lossy(&diff.stdout).into_owned();
    assert_eq!(differing.lines().count(), 1, "{differing}");
    assert!(differing.contains("go.env"), "{differing}");
    let env = std::fs::read_to_string(goroot.join("go.env")).unwrap();
    assert!(env.contains("\nGOTOOLCHAIN=local\n") && !env.contains("GOTOOLCHAIN=auto"));

    go_builds(&sandbox, &tree);
    arm_runs(&sandbox);
}

/// Runs `go version` and `go build` of a program with net/http, from the checkout.
fn go_builds(sandbox: &Sandbox, tree: &Path) {
    if std::env::consts::ARCH != "x86_64" {
        return ostree_go_tests::tools::skip("this machine cannot run x86_64 programs");
    }
    sandbox.write("hello/go.mod", "module example.com/hello\n\ngo 1.26\n");
    sandbox.write(
        "hello/main.go",
        "package main\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n)\n\n\
         func main() { fmt.Println(http.StatusText(http.StatusTeapot)) }\n",
    );
    let go = |args: &[&str]| {
        let mut command = Command::new(tree.join("usr/bin/go"));
        command
            .args(args)
            .current_dir(sandbox.path("hello"))
            .env_clear();
        command
            .env("HOME", sandbox.path("home"))
            .env("CGO_ENABLED", "0")
            .env("GOPROXY", "off");
        ostree_go_tests::cli::run(&mut command).ok().stdout
    };
    assert_eq!(go(&["version"]), "go version go1.26.5 linux/amd64\n");
    let goroot = tree.join("usr/lib/sdk/go-1.26");
    assert_eq!(go(&["env", "GOROOT"]).trim(), goroot.to_str().unwrap());
    go(&["build", "-o", "hello", "."]);
    let hello = ostree_go_tests::cli::run(&mut Command::new(sandbox.path("hello/hello"))).ok();
    assert_eq!(hello.stdout, "I'm a teapot\n");
}

fn arm_runs(sandbox: &Sandbox) {
    let Some(qemu) = require("qemu-aarch64-static") else {
        return;
    };
    let tree = sandbox.checkout(ARM, "aarch64");
    let mut go = Command::new(qemu);
    go.arg(tree.join("usr/bin/go"))
        .arg("version")
        .env_clear()
        .env("HOME", sandbox.path("home"));
    let version = ostree_go_tests::cli::run(&mut go).ok().stdout;
    assert_eq!(version, "go version go1.26.5 linux/arm64\n");
}

#[test]
fn two_patch_releases_share_identical_objects() {
    let (Some(old), Some(new)) = (sdk("1.26.4", Arch::X86_64), sdk(VERSION, Arch::X86_64)) else {
        return;
    };
    let sandbox = Sandbox::new();
    let channels = "channels: [\"go-sdk/${basearch}/1.26\"]";
    sandbox.treefile(
        "1.26.4",
        &format!("arches: [x86_64]\n{}\n{channels}", source(&old.tar_gz)),
    );
    sandbox.compose([]);
    sandbox.treefile(
        VERSION,
        &format!("arches: [x86_64]\n{}\n{channels}", source(&new.tar_gz)),
    );
    let out = sandbox.run(["compose", "go.yaml", "--format", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    let common = &json["releases"][0]["layers"][0];
    let new_objects = common["new_objects"].as_u64().unwrap();
    assert!(
        (1..200).contains(&new_objects),
        "{new_objects} of {}",
        common["files"]
    );

    // The channel's history is both releases, and the release itself has none.
    let log = ostree(&sandbox.repo(), ["log", "go-sdk/x86_64/1.26"]);
    assert_eq!(log.matches("commit ").count(), 2, "{log}");
    assert_eq!(
        ostree(&sandbox.repo(), ["log", X86])
            .matches("commit ")
            .count(),
        1
    );

    // Composing the old one again does not take hosts back.
    sandbox.treefile(
        "1.26.4",
        &format!("arches: [x86_64]\n{}\n{channels}", source(&old.tar_gz)),
    );
    let out = sandbox.run(["compose", "go.yaml", "--force-nocache"]).ok();
    assert!(out.stderr.contains("has a newer version"), "{}", out.stderr);
    let log = ostree(&sandbox.repo(), ["log", "go-sdk/x86_64/1.26"]);
    assert_eq!(log.matches("commit ").count(), 2, "{log}");

    let out = sandbox.run(["diff", "go-sdk/x86_64/1.26.4", X86]).ok();
    assert!(
        out.stdout.starts_with("Go 1.26.4 x86_64 → 1.26.5 x86_64: "),
        "{}",
        out.stdout
    );
    assert!(
        out.stdout.contains("/usr/lib/sdk/go-1.26/VERSION"),
        "{}",
        out.stdout
    );
    sandbox.fsck();
}
