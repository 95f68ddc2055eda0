//! `workspace lock` and `workspace check`: everything that can differ from a lock, one by one.

mod real;
mod state;
mod vendored;

use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::host::Host;
use ostree_go_tests::modules::ModuleProxy;
use ostree_go_tests::sandbox::source;
use ostree_go_tests::sdk::sdk;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A module with everything that `go mod vendor` copies or leaves out.
const DEP: &[(&str, &str)] = &[
    ("go.mod", "module example.com/dep\n\ngo 1.20\n"),
    ("LICENSE", "free\n"),
    (
        "dep.go",
        "package dep\n\nimport _ \"embed\"\n\n//go:embed data/x.txt\nvar X string\n",
    ),
    ("dep_windows.go", "package dep\n"),
    ("gen.go", "//go:build ignore\n\npackage main\n"),
    ("dep_test.go", "package dep\n"),
    ("data/x.txt", "x\n"),
    ("sub/NOTICE", "notice\n"),
    (
        "sub/inner/i.go",
        "package inner\n\nfunc B() string { return \"b\" }\n",
    ),
    ("sub/inner/more.go", "package inner\n"),
    ("sub/inner/README.md", "read me\n"),
    ("unused/u.go", "package unused\n"),
];

const OTHER: &[(&str, &str)] = &[
    ("go.mod", "module example.com/other\n\ngo 1.20\n"),
    ("o.go", "package other\n\nfunc O() {}\n"),
];

/// A host with toy modules and a module cache.
struct World {
    host: Host,
    proxy: ModuleProxy,
}

impl World {
    fn new() -> Self {
        let host = Host::new();
        let proxy = ModuleProxy::new(host.sandbox.path("proxy"));
        proxy.add("example.com/dep", "v1.0.0", DEP);
        proxy.add("example.com/dep", "v1.1.0", DEP);
        proxy.add("example.com/other", "v1.0.0", OTHER);
        Self { host, proxy }
    }

    /// A host with toy SDKs; the last one is active.
    fn with_toys(versions: &[&str]) -> Self {
        let world = Self::new();
        for (version, seconds) in versions.iter().zip(1..) {
            world.host.release(version, 100 * seconds);
            world.host.install(version).ok();
        }
        world
    }

    /// A host with a real SDK.
    fn with_sdk() -> Option<Self> {
        let world = Self::new();
        let arch = world.host.arch();
        let sdk = sdk("1.26.5", arch)?;
        let lines = format!("arches: [{arch}]\n{}", source(&sdk.tar_gz));
        world.host.sandbox.treefile("1.26.5", &lines);
        world.host.sandbox.compose([]);
        world.host.install("1.26.5").ok();
        Some(world)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.host.sandbox.path(name)
    }

    fn write(&self, name: &str, text: &str) {
        self.host.sandbox.write(name, text);
    }

    /// Replaces a text in a file.
    #[track_caller]
    fn edit(&self, name: &str, from: &str, to: &str) {
        let path = self.path(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{name}: {text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Runs the go command of the installed SDK in a directory.
    fn go<'a>(&self, dir: &str, args: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = Command::new(self.host.current("usr/bin/go"));
        command
            .args(args)
            .current_dir(self.path(dir))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("GOCACHE", self.path("gocache"))
            .env("GOMODCACHE", self.path("mod"))
            .env("GOFLAGS", "-modcacherw")
            .env("GOPROXY", self.proxy.url())
            .env("GOSUMDB", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOTELEMETRY", "off")
            .env("CGO_ENABLED", "0")
            .env("PATH", "/usr/bin:/bin");
        run(&mut command)
    }

    fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.host.command(["workspace"]);
        command.args(args).env("GOMODCACHE", self.path("mod"));
        command
    }

    fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        run(&mut self.command(args))
    }

    #[track_caller]
    fn lock<'a>(&self, dirs: impl IntoIterator<Item = &'a str>) -> Output {
        self.run(["lock"].into_iter().chain(dirs)).ok()
    }

    /// Returns the drift as lines `unit what path:line expected -> found`, and asserts the exit code.
    #[track_caller]
    fn drift(&self, args: &[&str]) -> Vec<String> {
        drift_of(&mut self.command([&["check"][..], args].concat()))
    }

    /// Asserts that there is no drift.
    #[track_caller]
    fn clean(&self, args: &[&str]) {
        assert_eq!(self.drift(args), [""; 0]);
    }
}

#[track_caller]
fn drift_of(command: &mut Command) -> Vec<String> {
    let out = run(command.args(["--format", "json"]));
    let document: Value = serde_json::from_str(&out.stdout).unwrap_or_else(|_| panic!("{out}"));
    let drift = document["drift"]
        .as_array()
        .unwrap_or_else(|| panic!("{out}"));
    let code = if drift.is_empty() { 0 } else { 4 };
    assert_eq!(out.code(), Some(code), "{out}");
    drift.iter().map(line_of).collect()
}

fn line_of(drift: &Value) -> String {
    let text = |name: &str| drift[name].as_str().unwrap_or("-").to_owned();
    let line = drift["line"].as_u64().map(|line| format!(":{line}"));
    format!(
        "{} {} {}{} {} -> {}",
        text("unit"),
        text("what"),
        text("path"),
        line.unwrap_or_default(),
        text("expected"),
        text("found")
    )
}

/// Returns the start of each line: the unit, the kind and the path.
fn starts(drift: &[String]) -> Vec<String> {
    let start = |line: &String| line.split(' ').take(3).collect::<Vec<_>>().join(" ");
    drift.iter().map(start).collect()
}

/// Copies a directory.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let dest = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &dest);
        } else {
            fs::copy(entry.path(), dest).unwrap();
        }
    }
}
