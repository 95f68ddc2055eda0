//! Workspaces of public modules with many dependencies, and of many units.

use super::World;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::host::Host;
use ostree_go_tests::tools;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Public modules, as units of one workspace.
const MODULES: [(&str, &str, &str); 2] = [
    ("viper", "github.com/spf13/viper", "v1.20.1"),
    ("client", "github.com/prometheus/client_golang", "v1.22.0"),
];

fn host() -> Option<Host> {
    World::with_sdk().map(|world| world.host)
}

fn go<'a>(host: &Host, dir: &str, args: impl IntoIterator<Item = &'a str>) -> Output {
    let mut command = Command::new(host.current("usr/bin/go"));
    command
        .args(args)
        .current_dir(host.sandbox.path(dir))
        .env("HOME", host.sandbox.path("home"))
        .env("GOCACHE", host.sandbox.path("gocache"))
        .env("GOMODCACHE", host.sandbox.path("mod"))
        .env("GOFLAGS", "-modcacherw")
        .env("GOTOOLCHAIN", "local")
        .env("GOSUMDB", "off")
        .env("GOENV", "off");
    run(&mut command)
}

fn workspace<'a>(host: &Host, args: impl IntoIterator<Item = &'a str>) -> Output {
    let mut command = host.command(["workspace"]);
    command
        .args(args)
        .env("GOMODCACHE", host.sandbox.path("mod"));
    run(&mut command)
}

fn drift(host: &Host, dir: &str) -> Vec<(String, String, String)> {
    let out = workspace(host, ["check", dir, "--format", "json"]);
    let document: Value = serde_json::from_str(&out.stdout).unwrap_or_else(|_| panic!("{out}"));
    let drift = document["drift"]
        .as_array()
        .unwrap_or_else(|| panic!("{out}"));
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let all = drift.iter();
    all.map(|one| (text(one, "unit"), text(one, "what"), text(one, "path")))
        .collect()
}

/// Copies a module, whose files are read-only in the module cache.
fn copy(from: &Path, to: &Path) {
    super::copy(from, to);
    run(Command::new("chmod").args(["-R", "u+w"]).arg(to)).ok();
}

/// Downloads the modules into a module cache, and copies their sources; returns false if that is not possible.
fn fetch(host: &Host) -> bool {
    fs::create_dir(host.sandbox.path("work")).unwrap();
    for (name, path, version) in MODULES {
        let module = format!("{path}@{version}");
        let out = go(host, "work", ["mod", "download", &module]);
        if out.code() != Some(0) {
            tools::skip(&format!("cannot download {module}: {out}"));
            return false;
        }
        let from = host.sandbox.path("mod").join(&module);
        let to = host.sandbox.path("work").join(name);
        copy(&from, &to);
    }
    host.sandbox.write(
        "work/go.work",
        "go 1.26\n\nuse (\n\t./client\n\t./viper\n)\n",
    );
    let out = go(host, "work", ["mod", "download"]);
    if out.code() != Some(0) {
        tools::skip(&format!("cannot download the modules: {out}"));
    }
    out.code() == Some(0)
}

#[test]
fn public_modules_with_many_dependencies_are_locked_and_checked() {
    let Some(host) = host() else { return };
    if !fetch(&host) {
        return;
    }
    workspace(&host, ["lock", "work"]).ok();
    let lock = fs::read_to_string(host.sandbox.path("work/ostree-go.lock")).unwrap();
    let lock: Value = serde_json::from_str(&lock).unwrap();
    let project = &lock["projects"][0];
    let units: Vec<&str> = project["units"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unit| unit["module"].as_str().unwrap())
        .collect();
    assert_eq!(
        units,
        [
            "github.com/prometheus/client_golang",
            "github.com/spf13/viper"
        ]
    );
    same_modules_as_go(&host, project);
    // Both units were released with go.mod files of their own, which require different versions.
    let found = drift(&host, "work");
    let is_conflict = |one: &(String, String, String)| one.1 == "module-version-conflict";
    assert!(
        !found.is_empty() && found.iter().all(is_conflict),
        "{found:#?}"
    );
    go(&host, "work", ["work", "sync"]).ok();
    go(&host, "work", ["mod", "download"]).ok();
    workspace(&host, ["lock", "work"]).ok();
    assert_eq!(drift(&host, "work"), []);
    vendored(&host);
    single(&host);
}

/// The modules, versions and hashes are those that the go command lists.
fn same_modules_as_go(host: &Host, project: &Value) {
    let format = "{{if not .Main}}{{.Path}} {{.Version}} {{.GoModSum}}{{end}}";
    let listed = go(host, "work", ["list", "-m", "-f", format, "all"]);
    let listed = listed.ok().stdout;
    let mut listed: Vec<&str> = listed.lines().filter(|line| !line.is_empty()).collect();
    listed.sort_unstable();
    let text = |module: &Value, name: &str| module[name].as_str().unwrap_or_default().to_owned();
    let modules = project["modules"].as_array().unwrap();
    let mut ours: Vec<String> = modules
        .iter()
        .map(|module| {
            let [path, version, sum] =
                ["path", "version", "go_mod_h1"].map(|name| text(module, name));
            format!("{path} {version} {sum}")
        })
        .collect();
    ours.sort_unstable();
    assert!(ours.len() > 30, "{}", ours.len());
    let names = |lines: &[String]| -> Vec<String> {
        let names = lines
            .iter()
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned());
        names.collect()
    };
    let listed: Vec<String> = listed.into_iter().map(str::to_owned).collect();
    assert_eq!(names(&ours), names(&listed));
}

/// The files that `go work vendor` copies are those of the modules.
fn vendored(host: &Host) {
    go(host, "work", ["work", "vendor"]).ok();
    workspace(host, ["lock", "work"]).ok();
    assert_eq!(drift(host, "work"), []);
    let file = "work/vendor/golang.org/x/sys/unix/ioctl_linux.go";
    let path = host.sandbox.path(file);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}// changed\n")).unwrap();
    let changed = ("vendored-file-changed", file.strip_prefix("work/").unwrap());
    let found = drift(host, "work");
    let found: Vec<_> = found
        .iter()
        .map(|(_, what, path)| (&**what, &**path))
        .collect();
    assert_eq!(found, [changed]);
    fs::remove_file(&path).unwrap();
    let found = drift(host, "work");
    let found: Vec<_> = found
        .iter()
        .map(|(_, what, path)| (&**what, &**path))
        .collect();
    assert_eq!(found, [("vendored-file-removed", changed.1)]);
}

/// A module alone, which `go mod vendor` vendors.
fn single(host: &Host) {
    let (name, path, version) = MODULES[0];
    let from = host.sandbox.path("mod").join(format!("{path}@{version}"));
    let to = host.sandbox.path("single");
    copy(&from, &to);
    workspace(host, ["lock", "single"]).ok();
    assert_eq!(drift(host, "single"), [], "{name}");
    go(host, "single", ["mod", "vendor"]).ok();
    let found = drift(host, "single");
    let found: Vec<&str> = found.iter().map(|(_, what, _)| &**what).collect();
    assert_eq!(found, ["vendor-added"]);
    workspace(host, ["lock", "single"]).ok();
    assert_eq!(drift(host, "single"), [], "{name}");
}

/// The number of units.
const UNITS: usize = 50;

#[test]
fn fifty_units_are_locked_and_checked_together() {
    let Some(host) = host() else { return };
    let mut uses = String::from("go 1.26\n");
    let replaced = "\nrequire example.com/dep v1.0.0\n\nreplace example.com/dep => ../../dep\n";
    for number in 0..UNITS {
        let text = format!("module example.com/unit{number}\n\ngo 1.26\n{replaced}");
        uses.push_str(&format!("use ./unit{number}\n"));
        host.sandbox
            .write(&format!("work/unit{number}/go.mod"), &text);
    }
    host.sandbox
        .write("dep/go.mod", "module example.com/dep\n\ngo 1.26\n");
    host.sandbox.write("work/go.work", &uses);
    workspace(&host, ["lock", "work"]).ok();
    let out = workspace(&host, ["check", "work"]).ok();
    assert_eq!(
        out.stdout,
        format!("units: {UNITS}, modules: 1, no drift\n")
    );
    let path = host.sandbox.path("work/unit7/go.mod");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("go 1.26\n", "go 1.26.1\n")).unwrap();
    let found = drift(&host, "work");
    // Go refuses a unit with a higher version than that of go.work.
    let expected = [
        [".", "modules-not-listed", "go.work"],
        ["unit7", "go-line-changed", "unit7/go.mod"],
    ];
    assert_eq!(found, expected.map(|one| one.map(str::to_owned).into()));
}
