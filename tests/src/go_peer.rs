//! Programs in Go that tests use as peers, built by a real SDK and cached.

use crate::cli::{run, workspace};
use crate::sdk::Sdk;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns a program, which is built once. It is named by a folder in `tests`, and by a number to be changed with its
/// sources.
pub(crate) fn built(sdk: &Sdk, (folder, number): (&str, u32)) -> PathBuf {
    let work = sdk.dir.parent().expect("the folder of the SDK");
    let name = format!("{folder}-{number}");
    let program = work.join(&name);
    let lock = File::create(work.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock of the program");
    if !program.exists() {
        let sources = workspace().join("tests").join(folder);
        build(sdk, &sources, work, &program);
    }
    program
}

fn build(sdk: &Sdk, sources: &Path, work: &Path, program: &Path) {
    let top = tempfile::tempdir_in(work).expect("a temporary folder");
    let made = top.path().join("peer");
    let mut go = Command::new(sdk.dir.join("bin/go"));
    go.args(["build", "-o"])
        .arg(&made)
        .arg(".")
        .current_dir(sources);
    go.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
    go.env("GOFLAGS", "-modcacherw").env_remove("GOCACHEPROG");
    go.env("GOCACHE", top.path().join("cache"));
    go.env("GOMODCACHE", top.path().join("modules"));
    run(&mut go).ok();
    fs::rename(&made, program).expect("a program that is complete");
}
