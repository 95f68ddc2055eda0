//! Vendored files and the module cache, with a real SDK: everything that Go accepts, and a check finds.

use super::{DEP, World, copy, drift_of, starts};
use ostree_go_tests::cli::run;
use ostree_go_tests::modules;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The vendored project of the tests with a real SDK.
fn vendored_app(world: &World) {
    world.write(
        "app/go.mod",
        "module example.com/app\n\ngo 1.26\n\nrequire (\n\texample.com/dep v1.0.0\n\texample.com/other v1.0.0\n)\n",
    );
    // A package without imports of the standard library, so that a build compiles nothing else.
    world.write(
        "app/app.go",
        "package app\n\nimport (\n\t\"example.com/dep/sub/inner\"\n\t\"example.com/other\"\n)\n\n\
         func Run() string { other.O(); return inner.B() }\n",
    );
    world.write(
        "app/assets/a.go",
        "package assets\n\nimport _ \"example.com/dep\"\n",
    );
    world.go("app", ["mod", "tidy"]).ok();
    world.go("app", ["mod", "vendor"]).ok();
}

/// A change of the vendored project, whether Go accepts it, and what a check finds.
struct Tampering {
    change: fn(&World, &str),
    is_accepted_by_go: bool,
    found: &'static [&'static str],
}

const TAMPERINGS: &[Tampering] = &[
    Tampering {
        change: |world, app| {
            let file = format!("{app}/vendor/example.com/dep/sub/inner/i.go");
            world.edit(&file, "\"b\"", "\"evil\"");
        },
        is_accepted_by_go: true,
        found: &[". vendored-file-changed vendor/example.com/dep/sub/inner/i.go"],
    },
    Tampering {
        change: |world, app| {
            let file = format!("{app}/vendor/example.com/dep/sub/inner/extra.go");
            world.write(&file, "package inner\n\nfunc init() {}\n");
        },
        is_accepted_by_go: true,
        found: &[". vendored-file-added vendor/example.com/dep/sub/inner/extra.go"],
    },
    Tampering {
        change: |world, app| {
            let file = format!("{app}/vendor/example.com/unlisted/u.go");
            world.write(&file, "package unlisted\n");
        },
        is_accepted_by_go: true,
        found: &[". vendored-file-added vendor/example.com/unlisted/u.go"],
    },
    Tampering {
        change: |world, app| {
            let file = format!("{app}/vendor/example.com/dep/sub/inner/more.go");
            fs::remove_file(world.path(&file)).unwrap();
        },
        is_accepted_by_go: true,
        found: &[". vendored-file-removed vendor/example.com/dep/sub/inner/more.go"],
    },
    // Neither a licence above a package nor an embedded file is in a package; the lock knows that they are missing.
    Tampering {
        change: |world, app| {
            let file = format!("{app}/vendor/example.com/dep/sub/NOTICE");
            fs::remove_file(world.path(&file)).unwrap();
        },
        is_accepted_by_go: true,
        found: &[". vendored-module-changed vendor/example.com/dep"],
    },
    Tampering {
        change: |world, app| {
            let file = format!("{app}/vendor/example.com/dep/data/x.txt");
            world.write(&file, "y\n");
        },
        is_accepted_by_go: true,
        found: &[". vendored-file-changed vendor/example.com/dep/data/x.txt"],
    },
    Tampering {
        change: |world, app| {
            let file = format!("{app}/vendor/modules.txt");
            world.edit(
                &file,
                "# example.com/dep v1.0.0",
                "# example.com/dep v1.1.0",
            );
        },
        is_accepted_by_go: false,
        found: &[
            ". module-version-changed go.mod",
            ". module-not-in-go-sum vendor/modules.txt:1",
            ". vendor-inconsistent go.mod:6",
            ". vendor-inconsistent vendor/modules.txt:1",
        ],
    },
    // Only the build of the package that imports it fails.
    Tampering {
        change: |world, app| {
            let file = format!("{app}/vendor/modules.txt");
            world.edit(&file, "\nexample.com/dep\n", "\n");
        },
        is_accepted_by_go: true,
        found: &[". modules-txt-changed vendor/modules.txt"],
    },
    Tampering {
        change: |world, app| {
            fs::remove_dir_all(world.path(&format!("{app}/vendor"))).unwrap();
        },
        is_accepted_by_go: true,
        found: &[". vendor-removed vendor"],
    },
];

#[test]
fn every_change_of_vendored_files_is_found() {
    let Some(world) = World::with_sdk() else {
        return;
    };
    vendored_app(&world);
    world.lock(["app"]);
    world.clean(&["app"]);
    let said = world.run(["check", "app"]).ok().stdout;
    assert_eq!(said, "units: 1, modules: 2, no drift\n");
    for (number, tampering) in TAMPERINGS.iter().enumerate() {
        let app = format!("tampered/{number}");
        copy(&world.path("app"), &world.path(&app));
        (tampering.change)(&world, &app);
        let built = world.go(&app, ["build", "."]);
        let is_accepted = built.code() == Some(0);
        assert_eq!(
            is_accepted, tampering.is_accepted_by_go,
            "{number}: {built}"
        );
        if is_accepted {
            world.go(&app, ["mod", "verify"]).ok();
        }
        let drift = world.drift(&[&app]);
        let found = starts(&drift);
        assert_eq!(found, tampering.found, "{number}: {drift:#?}");
    }
    module_cache(&world);
    nothing_is_written(&world);
}

/// A module cache that was changed before `go mod vendor`, and one that does not have the modules.
fn module_cache(world: &World) {
    let dir = "tampered/cache";
    copy(&world.path("app"), &world.path(dir));
    let inner = "mod/example.com/dep@v1.0.0/sub/inner/i.go";
    world.edit(inner, "\"b\"", "\"evil\"");
    world.go(dir, ["mod", "vendor"]).ok();
    world.go(dir, ["build", "."]).ok();
    let drift = world.drift(&[dir]);
    let changed = ". vendored-file-changed vendor/example.com/dep/sub/inner/i.go";
    assert_eq!(starts(&drift), [changed]);
    // Without the zip, the extracted module is compared with go.sum.
    let zip = world.path("mod/cache/download/example.com/dep/@v/v1.0.0.zip");
    let kept = world.path("kept.zip");
    fs::rename(&zip, &kept).unwrap();
    let drift = starts(&world.drift(&[dir]));
    let folder = world.path("mod/example.com/dep@v1.0.0");
    let of_folder = format!(". module-cache-changed {}", folder.display());
    let of_module = ". vendored-module-changed vendor/example.com/dep".to_owned();
    assert_eq!(drift, [of_folder, of_module]);
    world.edit(inner, "\"evil\"", "\"b\"");
    assert_eq!(starts(&world.drift(&[dir])), [changed]);
    // A zip with another content.
    modules::zip(&zip, "example.com/dep@v1.0.0", &DEP[..4]);
    let drift = starts(&world.drift(&["app"]));
    assert_eq!(drift, [format!(". module-zip-changed {}", zip.display())]);
    fs::rename(&kept, &zip).unwrap();
    world.clean(&["app"]);
    // Neither of both: only the lock knows the files, and the report says so.
    fs::rename(world.path("mod"), world.path("mod.away")).unwrap();
    let out = world.run(["check", "app"]).ok();
    let expected = "not compared with its zip, which is not in the module cache: example.com/dep v1.0.0 (.)\n\
                    not compared with its zip, which is not in the module cache: example.com/other v1.0.0 (.)\n\
                    units: 1, modules: 2, no drift\n";
    assert_eq!(out.stdout, expected);
    assert_eq!(
        starts(&world.drift(&["tampered/0"])),
        [". vendored-module-changed vendor/example.com/dep"]
    );
    let mut command = world.command(["check", "tampered/0", "--fetch"]);
    command.env("GOPROXY", world.proxy.url()).env("GOFLAGS", "");
    let drift = drift_of(&mut command);
    assert_eq!(starts(&drift), TAMPERINGS[0].found, "{drift:#?}");
    remove_read_only(&world.path("mod"));
    fs::rename(world.path("mod.away"), world.path("mod")).unwrap();
}

/// The go command makes the module cache read-only.
fn remove_read_only(path: &Path) {
    let mut command = Command::new("chmod");
    run(command.args(["-R", "u+w"]).arg(path)).ok();
    fs::remove_dir_all(path).unwrap();
}

/// A check of an unvendored project that needs the go command writes nothing into the project or the module cache.
fn nothing_is_written(world: &World) {
    world.write(
        "old/go.mod",
        "module example.com/old\n\ngo 1.16\n\nrequire example.com/dep v1.0.0\n",
    );
    world.write(
        "old/o.go",
        "package old\n\nimport _ \"example.com/dep/sub/inner\"\n",
    );
    world.write("work/go.work", "go 1.26\n\nuse ./a\n");
    world.write(
        "work/a/go.mod",
        "module example.com/a\n\ngo 1.26\n\nrequire example.com/dep v1.1.0\n",
    );
    world.write(
        "work/a/a.go",
        "package a\n\nimport _ \"example.com/dep/sub/inner\"\n",
    );
    world.go("old", ["mod", "tidy"]).ok();
    world.go("work/a", ["mod", "tidy"]).ok();
    world.go("work", ["mod", "download"]).ok();
    for dir in ["old", "work"] {
        world.lock([dir]);
        // The list of modules has to be asked for again.
        let file = if dir == "old" {
            "old/go.mod"
        } else {
            "work/a/go.mod"
        };
        let text = fs::read_to_string(world.path(file)).unwrap();
        world.write(file, &format!("{text}// A comment.\n"));
        let mut before = BTreeMap::new();
        snapshot(&world.path(dir), &mut before);
        run(Command::new("chmod")
            .args(["-R", "a-w"])
            .arg(world.path(dir)))
        .ok();
        let unit = if dir == "old" { "." } else { "a" };
        let path = file
            .strip_prefix("old/")
            .or(file.strip_prefix("work/"))
            .unwrap();
        let drift = world.drift(&[dir]);
        assert_eq!(starts(&drift), [format!("{unit} go-mod-changed {path}")]);
        run(Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(world.path(dir)))
        .ok();
        let mut after = BTreeMap::new();
        snapshot(&world.path(dir), &mut after);
        assert_eq!(before, after);
    }
    let lock = fs::read_to_string(world.path("work/ostree-go.lock")).unwrap();
    let lock: Value = serde_json::from_str(&lock).unwrap();
    let module = &lock["projects"][0]["modules"][0];
    assert_eq!(module["path"], "example.com/dep");
    assert_eq!(module["version"], "v1.1.0");
    assert!(
        module["h1"].as_str().unwrap().starts_with("h1:"),
        "{module}"
    );
}

/// Reads all files below a directory.
fn snapshot(top: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(top).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            snapshot(&path, found);
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}
