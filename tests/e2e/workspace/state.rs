//! The SDK, the settings, the files of projects and replacements, with toy SDKs.

use super::{World, copy, drift_of, starts};
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::run;
use serde_json::Value;
use std::fs;
use std::process::Command;

/// A project with a `go.mod` file that lists all modules, so that no go command is run.
fn plain(world: &World) {
    world.write(
        "p/go.mod",
        "module example.com/p\n\ngo 1.99\n\nrequire example.com/dep v1.0.0\n\nreplace example.com/dep => ../dep\n",
    );
    world.write("dep/go.mod", "module example.com/dep\n\ngo 1.20\n");
    world.write("dep/dep.go", "package dep\n");
}

#[test]
fn changes_of_settings_lines_and_replacements_are_found() {
    let world = World::with_toys(&["1.98.1", "1.99.1", "1.99.2"]);
    plain(&world);
    let mut command = world.command(["lock", "p"]);
    run(command.env("CGO_ENABLED", "0").env("GOOS", "linux")).ok();
    let check = |change: &dyn Fn(&mut Command)| {
        let mut command = world.command(["check", "p"]);
        command.env("CGO_ENABLED", "0").env("GOOS", "linux");
        change(&mut command);
        drift_of(&mut command)
    };
    let unchanged = |_: &mut Command| {};
    assert_eq!(check(&unchanged), [""; 0]);
    // The file of `go env -w` counts as the environment does, and has no other names in it.
    let stored = world
        .host
        .sandbox
        .write("goenv", "CGO_ENABLED=0\nGOOS=linux\nGOPROXY=off\n");
    let from_file = |command: &mut Command| {
        command
            .env_remove("CGO_ENABLED")
            .env_remove("GOOS")
            .env("GOENV", &stored);
    };
    assert_eq!(check(&from_file), [""; 0]);
    let settings = |command: &mut Command| {
        command.env("CGO_ENABLED", "1").env_remove("GOOS");
        command.env("GOFLAGS", "-tags=x").env("GOARCH", "arm64");
    };
    assert_eq!(
        check(&settings),
        [
            ". build-setting-changed - - -> GOARCH=arm64",
            ". build-setting-changed - - -> GOFLAGS=-tags=x",
            ". build-setting-changed - CGO_ENABLED=0 -> CGO_ENABLED=1",
            ". build-setting-changed - GOOS=linux -> -",
        ]
    );
    // The lines of go.mod.
    let original = fs::read_to_string(world.path("p/go.mod")).unwrap();
    let with = |from: &str, to: &str| {
        world.edit("p/go.mod", from, to);
        let drift = check(&unchanged);
        world.write("p/go.mod", &original);
        drift
    };
    assert_eq!(
        with("go 1.99\n", "go 1.98\n"),
        [
            ". sdk-version-changed go.mod:3 SDK -> SDK".to_owned(),
            ". go-line-changed go.mod:3 1.99 -> 1.98".to_owned(),
        ]
        .map(|line| line.replace("SDK -> SDK", &sdks(&world, "1.99.1", "1.98.1")))
    );
    let moved = with("go 1.99\n", "go 1.99\ntoolchain go1.99.2\n");
    assert!(
        moved.contains(&". toolchain-line-changed go.mod:4 - -> go1.99.2".to_owned()),
        "{moved:?}"
    );
    let above = with("go 1.99\n", "go 1.99.2\n");
    assert!(
        above.contains(&". go-line-above-sdk go.mod:3 1.99.1 -> 1.99.2".to_owned()),
        "{above:?}"
    );
    assert!(
        above.contains(&". go-line-changed go.mod:3 1.99 -> 1.99.2".to_owned()),
        "{above:?}"
    );
    assert_eq!(
        with("go 1.99\n", "go 1.99\ngodebug panicnil=1\n"),
        [". godebug-changed go.mod - -> panicnil=1"]
    );
    assert_eq!(
        with("dep v1.0.0", "dep v1.1.0"),
        [". module-version-changed go.mod:5 example.com/dep v1.0.0 -> example.com/dep v1.1.0"]
    );
    assert_eq!(
        with("=> ../dep", "=> example.com/fork v1.0.0"),
        [
            ". replacement-changed go.mod:5 example.com/dep => ../dep -> example.com/dep => example.com/fork v1.0.0"
        ]
    );
    assert_eq!(
        starts(&with("module", "// A comment.\nmodule")),
        [". go-mod-changed go.mod"]
    );
    assert_eq!(check(&unchanged), [""; 0]);
    replacement(&world, &|| check(&unchanged));
}

/// Returns the versions and commits of two installed SDKs, as in drift.
fn sdks(world: &World, one: &str, other: &str) -> String {
    let status = world.host.json(["status", "--verify", "none"]);
    let of = |version: &str| {
        let all = status["deployments"].as_array().unwrap();
        let found = all
            .iter()
            .find(|found| found["version"] == version)
            .unwrap();
        format!("{version} at {}", found["commit"].as_str().unwrap())
    };
    format!("{} -> {}", of(one), of(other))
}

/// The directory that replaces a module gets another content, and is at another commit.
fn replacement(world: &World, check: &dyn Fn() -> Vec<String>) {
    world.write("dep/dep.go", "package dep // changed\n");
    assert_eq!(starts(&check()), [". replacement-content-changed ../dep"]);
    world.write("dep/dep.go", "package dep\n");
    let (one, two) = ("1".repeat(40), "2".repeat(40));
    world.write("dep/.git/HEAD", &format!("{one}\n"));
    assert_eq!(
        check(),
        [format!(". replacement-commit-changed ../dep - -> {one}")]
    );
    let mut command = world.command(["lock", "p"]);
    run(command.env("CGO_ENABLED", "0").env("GOOS", "linux")).ok();
    world.write("dep/.git/HEAD", "ref: refs/heads/main\n");
    world.write("dep/.git/refs/heads/main", &format!("{two}\n"));
    assert_eq!(
        check(),
        [format!(
            ". replacement-commit-changed ../dep {one} -> {two}"
        )]
    );
    fs::rename(world.path("dep"), world.path("away")).unwrap();
    assert_eq!(starts(&check()), [". replacement-missing ../dep"]);
    fs::rename(world.path("away"), world.path("dep")).unwrap();
}

#[test]
fn another_sdk_is_found() {
    let world = World::with_toys(&["1.99.1"]);
    world.write("p/go.mod", "module example.com/p\n\ngo 1.99\n");
    world.lock(["p"]);
    world.clean(&["p"]);
    // A patch release changes nothing: the lowest version is selected.
    world.host.release("1.99.2", 200);
    world.host.install("1.99.2").ok();
    world.clean(&["p"]);
    world.host.run(["uninstall", "1.99.1"]).ok();
    let drift = world.drift(&["p"]);
    assert_eq!(starts(&drift), [". sdk-not-installed -"]);
    assert!(
        drift[0].ends_with("-> 1.99.2") && drift[0].contains("1.99.1 at "),
        "{drift:?}"
    );
    // The same version from another source is another commit.
    world.host.release_of("1.99.1", 300, |toy| {
        toy.with("src/more.go", "package more\n")
    });
    world.host.install("1.99.1").ok();
    let drift = world.drift(&["p"]);
    assert_eq!(starts(&drift), [". sdk-commit-changed -"]);
    let lock = fs::read_to_string(world.path("p/ostree-go.lock")).unwrap();
    let lock: Value = serde_json::from_str(&lock).unwrap();
    let arch = Arch::host().unwrap().to_string();
    let commit = lock["sdk"]["deployments"][&arch]["commit"]
        .as_str()
        .unwrap();
    assert!(drift[0].contains(commit), "{drift:?}");
}

#[test]
fn units_with_different_versions_or_commits_of_a_module_are_found() {
    let world = World::with_toys(&["1.99.1"]);
    let go_mod = |name: &str, version: &str, more: &str| {
        let text = format!(
            "module example.com/{name}\n\ngo 1.99\n\nrequire example.com/dep {version}\n{more}"
        );
        world.write(&format!("{name}/go.mod"), &text);
    };
    go_mod("api", "v1.0.0", "");
    go_mod("worker", "v1.0.0", "");
    world.lock(["api", "worker"]);
    world.clean(&["api"]);
    world.clean(&["api", "worker"]);
    go_mod("worker", "v1.1.0", "");
    // The projects of the lock are checked even if only one is named.
    assert_eq!(
        world.drift(&["api"]),
        [
            ". module-version-conflict go.mod:5 example.com/dep v1.1.0 -> example.com/dep v1.0.0",
            "../worker module-version-changed ../worker/go.mod:5 example.com/dep v1.0.0 -> example.com/dep v1.1.0",
        ]
    );
    // One replacement in two checkouts.
    go_mod("worker", "v1.0.0", "replace example.com/dep => ../dep2\n");
    go_mod("api", "v1.0.0", "replace example.com/dep => ../dep1\n");
    for (dep, commit) in [("dep1", "1"), ("dep2", "2")] {
        world.write(&format!("{dep}/go.mod"), "module example.com/dep\n");
        world.write(&format!("{dep}/.git/HEAD"), &commit.repeat(40));
    }
    world.lock(["api", "worker"]);
    let conflict = format!(
        "../worker replacement-conflict ../worker/go.mod:6 example.com/dep => ../dep1 at {} -> example.com/dep => ../dep2 at {}",
        "1".repeat(40),
        "2".repeat(40)
    );
    assert_eq!(world.drift(&["api"]), [conflict]);
    world.write("dep2/.git/HEAD", &"1".repeat(40));
    world.lock(["api", "worker"]);
    world.clean(&["api"]);
    // A unit that the lock does not have.
    go_mod("third", "v1.0.0", "");
    let drift = world.drift(&["api", "third"]);
    let added = "../third unit-added ../third/go.mod - -> go.mod".to_owned();
    assert!(drift.contains(&added), "{drift:?}");
    fs::remove_dir_all(world.path("worker")).unwrap();
    assert_eq!(
        world.drift(&["api"]),
        ["../worker unit-removed ../worker/go.mod go.mod -> -"]
    );
}

#[test]
fn a_lock_is_the_same_in_any_directory_and_at_any_time() {
    let world = World::with_toys(&["1.99.1"]);
    plain(&world);
    let printed = world.lock(["p", "--dry-run"]).stdout;
    assert!(!world.path("p/ostree-go.lock").exists());
    let said = world.lock(["p"]).stdout;
    assert!(
        said.contains("PROJECT") && said.contains("written: "),
        "{said}"
    );
    let written = fs::read_to_string(world.path("p/ostree-go.lock")).unwrap();
    assert_eq!(written, printed);
    assert!(
        !written.contains(world.path("").to_str().unwrap()),
        "{written}"
    );
    for name in ["p", "dep"] {
        copy(&world.path(name), &world.path(&format!("elsewhere/{name}")));
    }
    fs::remove_file(world.path("elsewhere/p/ostree-go.lock")).unwrap();
    world.lock(["elsewhere/p"]);
    let again = fs::read_to_string(world.path("elsewhere/p/ostree-go.lock")).unwrap();
    assert_eq!(again, written);
    // The lock is found from a directory below it.
    fs::create_dir_all(world.path("p/cmd/server")).unwrap();
    world.clean(&["p/cmd/server"]);
    let report = world.host.json(["workspace", "lock", "p"]);
    assert_eq!(report["projects"][0]["replaced"], 1);
    assert_eq!(report["sdk"]["version"], "1.99.1");
    let report = world.host.json(["workspace", "check", "p"]);
    assert_eq!(report["units"], 1);
    assert_eq!(report["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn the_table_names_what_was_expected_and_found() {
    let world = World::with_toys(&["1.99.1"]);
    world.write("p/go.mod", "module example.com/p\n\ngo 1.98\n");
    world.lock(["p"]);
    world.edit("p/go.mod", "go 1.98", "go 1.99");
    let out = world.run(["check", "p"]).exits(4);
    let expected = "UNIT  DRIFT            PATH      EXPECTED → FOUND\n\
                    .     go-line-changed  go.mod:3  1.98 → 1.99\n\n\
                    units: 1, modules: 0, drift: 1\n";
    assert_eq!(out.stdout, expected);
}
