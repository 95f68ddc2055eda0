//! A small std cache that a real go command has built.

use crate::cli::run;
use crate::sdk::Sdk;
use ostree_go_sdk::Sha256;
use ostree_go_sdk::stdcache::{StdCacheEntry, StdCacheIndex};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A name for the files, to be changed with their content.
const NAME: &str = "small-stdcache-1";

/// Returns the directory of a std cache that has what a program needs that imports only `errors`, compiled
/// with the settings of [`go`]. It is built once, and shared by all tests: never write into it.
///
/// # Panics
///
/// Panics if it cannot be built.
pub fn small(sdk: &Sdk) -> PathBuf {
    let work = sdk.dir.parent().expect("the folder of the SDK");
    let dir = work.join(NAME);
    let lock = File::create(work.join(format!("{NAME}.lock"))).expect("a lock file");
    lock.lock().expect("the lock of the cache");
    if dir.join(StdCacheIndex::FILE_NAME).exists() {
        return dir;
    }
    let top = tempfile::tempdir_in(work).expect("a temporary folder");
    let module = top.path().join("module");
    program(&module, "first");
    let mut build = go(sdk, &module, &["build", "-o", "/dev/null", "."]);
    run(build.env("GOCACHE", top.path().join("cache"))).ok();
    collect(&top.path().join("cache"), &top.path().join("std"));
    fs::rename(top.path().join("std"), &dir).expect("a std cache that is complete");
    dir
}

/// Writes a module with a program that prints `text`.
///
/// # Panics
///
/// Panics if it cannot be written.
pub fn program(dir: &Path, text: &str) {
    fs::create_dir_all(dir).expect("a folder for the module");
    fs::write(dir.join("go.mod"), "module example.com/hello\n\ngo 1.24\n").expect("go.mod");
    let main = format!(
        "package main\n\nimport \"errors\"\n\nfunc main() {{ println(errors.New({text:?}).Error()) }}\n"
    );
    fs::write(dir.join("main.go"), main).expect("main.go");
}

/// Returns a go command in a module, with fixed settings and without a `GOCACHE`.
pub fn go(sdk: &Sdk, module: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(sdk.dir.join("bin/go"));
    command.args(args).current_dir(module).env_clear();
    command
        .env("HOME", module.join("home"))
        .env("PATH", "/usr/bin:/bin");
    command.env("CGO_ENABLED", "0").env("GOPROXY", "off");
    command.env("GOTOOLCHAIN", "local");
    command.env("GOFLAGS", "-trimpath -buildvcs=false");
    command
}

/// Writes the archives and the empty outputs of a build cache as a std cache.
fn collect(gocache: &Path, dest: &Path) {
    let mut index = StdCacheIndex::default();
    let folders = fs::read_dir(gocache).expect("a build cache").flatten();
    let files = folders.filter_map(|folder| fs::read_dir(folder.path()).ok());
    for file in files.flatten().flatten() {
        let name = file.file_name().into_string().expect("a name in UTF-8");
        let Some(action) = name.strip_suffix("-a") else {
            continue;
        };
        let text = fs::read_to_string(file.path()).expect("an entry");
        let words: Vec<&str> = text.split_whitespace().collect();
        let output: Sha256 = words[2].parse().expect("an output");
        let content = gocache.join(&words[2][..2]).join(format!("{output}-d"));
        let content = fs::read(content).expect("an output");
        if !content.is_empty() && !content.starts_with(b"!<arch>") {
            continue;
        }
        let size = words[3].parse().expect("a size");
        let action = action.parse().expect("an action");
        index.0.insert(action, StdCacheEntry { output, size });
        let path = dest.join(StdCacheIndex::output_path(output));
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        fs::write(path, content).expect("an output");
    }
    fs::write(dest.join(StdCacheIndex::FILE_NAME), index.to_string()).expect("the index");
}

/// Copies a std cache, so that it can be changed.
///
/// # Panics
///
/// Panics if it cannot be copied.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a folder")).expect("the folder");
    let mut cp = Command::new("cp");
    run(cp.arg("-r").arg(from).arg(to)).ok();
}
