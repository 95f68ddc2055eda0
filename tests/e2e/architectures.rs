//! Programs for the other architecture: built by the SDK for this machine, and by an SDK that qemu emulates.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::run;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::tools::{require, skip};
use std::path::{Path, PathBuf};
use std::process::Command;

fn other(arch: Arch) -> Arch {
    match arch {
        Arch::X86_64 => Arch::Aarch64,
        _ => Arch::X86_64,
    }
}

/// A module with a program and a test, and the SDK that builds them.
struct Project {
    sandbox: Sandbox,
    goroot: PathBuf,
    /// The emulator of the other architecture.
    qemu: PathBuf,
    /// The architecture of the SDK.
    sdk: Arch,
    host: Arch,
}

impl Project {
    /// Returns `None` after printing why the test is skipped.
    fn new(is_emulated: bool) -> Option<Self> {
        let Some(host) = Arch::host() else {
            skip("there is no SDK for this machine");
            return None;
        };
        let qemu = require(&format!("qemu-{}-static", other(host)))?;
        let sdk = if is_emulated { other(host) } else { host };
        let sandbox = Sandbox::with_real_sdk(sdk)?;
        let tree = sandbox.checkout(&format!("go-sdk/{sdk}/1.26.5"), "tree");
        let files = [
            ("go.mod", "module example.com/hello\n\ngo 1.26\n"),
            (
                "main.go",
                "package main\n\nimport (\n\t\"fmt\"\n\t\"runtime\"\n)\n\nfunc arch() string { return runtime.GOARCH }\n\n\
                 func main() { fmt.Println(arch()) }\n",
            ),
            (
                "main_test.go",
                "package main\n\nimport \"testing\"\n\nfunc TestArch(t *testing.T) { t.Log(arch()) }\n",
            ),
        ];
        for (name, text) in files {
            sandbox.write(&format!("hello/{name}"), text);
        }
        Some(Self {
            goroot: tree.join("usr/lib/sdk/go-1.26"),
            sandbox,
            qemu,
            sdk,
            host,
        })
    }

    /// Runs the go command for a target, and returns what it prints. The emulator runs what is not for this machine.
    fn go(&self, target: Arch, args: &[&str]) -> String {
        let go = self.goroot.join("bin/go");
        let is_emulated = self.sdk != self.host;
        let mut command = match is_emulated {
            true => Command::new(&self.qemu),
            false => Command::new(&go),
        };
        if is_emulated {
            command.arg(&go);
        }
        let [verb, rest @ ..] = args else {
            panic!("no verb");
        };
        command.arg(verb);
        if is_emulated {
            command.arg(format!("-toolexec={}", self.qemu.display()));
        }
        if target != self.host && *verb != "build" {
            command.arg(format!("-exec={}", self.qemu.display()));
        }
        command
            .args(rest)
            .current_dir(self.sandbox.path("hello"))
            .env_clear()
            .env("HOME", self.sandbox.path("home"))
            .env("GOARCH", target.goarch())
            .env("CGO_ENABLED", "0")
            .env("GOPROXY", "off");
        run(&mut command).ok().stdout
    }

    /// Builds, runs and tests the program for a target.
    fn builds_runs_and_tests(&self, target: Arch) {
        let name = target.goarch();
        self.go(target, &["build", "-o", name, "."]);
        let program = self.sandbox.path("hello").join(name);
        assert_eq!(self.execute(target, &program), format!("{name}\n"));
        assert_eq!(self.go(target, &["run", "."]), format!("{name}\n"));
        let tested = self.go(target, &["test", "-v", "."]);
        assert!(tested.contains(name), "{tested}");
        assert!(tested.contains("--- PASS: TestArch"), "{tested}");
    }

    fn execute(&self, target: Arch, program: &Path) -> String {
        let mut command = match target == self.host {
            true => Command::new(program),
            false => Command::new(&self.qemu),
        };
        if target != self.host {
            command.arg(program);
        }
        run(&mut command).ok().stdout
    }
}

#[test]
fn the_native_sdk_builds_runs_and_tests_for_the_other_architecture() {
    if let Some(project) = Project::new(false) {
        project.builds_runs_and_tests(other(project.host));
    }
}

#[test]
#[ignore = "compiles the standard library with an emulated compiler, several minutes: make rebuild-check"]
fn an_emulated_sdk_builds_runs_and_tests_for_both_architectures() {
    if let Some(project) = Project::new(true) {
        for target in Arch::ALL {
            project.builds_runs_and_tests(target);
        }
    }
}
