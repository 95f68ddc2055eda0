//! `ostree container`, which is ostree-ext: built once, by its own `Cargo.lock`.

use crate::cli::workspace;
use crate::{sdk, tools};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What decides how it is built.
const SOURCES: [&str; 3] = ["Cargo.toml", "Cargo.lock", "src/main.rs"];
/// What it is built into, and looked for as.
const NAME: &str = "ostree-container";

/// The stock `ostree` with the verb `container`.
#[derive(Debug)]
pub struct OstreeContainer {
    /// `PATH`, with the folder first that the verb is in.
    path: OsString,
}

impl OstreeContainer {
    /// Builds it unless it is built, which takes minutes; `None` after saying that the test is
    /// skipped.
    ///
    /// # Panics
    ///
    /// When it cannot be built, or skopeo is missing, and `CI` is set; when there is no cache.
    pub fn new() -> Option<Self> {
        tools::require("skopeo")?;
        let cache = sdk::cache_dir();
        fs::create_dir_all(&cache).expect("the cache can be written");
        // Test processes run side by side: the first one builds it, the others wait.
        let lock = File::create(cache.join("ostree-container.lock")).expect("a lock file");
        lock.lock().expect("the lock of the cache");
        let folder = cache.join(format!("{NAME}-{}", key()));
        if !folder.join(NAME).exists()
            && let Err(why) = build(&cache, &folder)
        {
            tools::skip(&format!("cannot build tests/{NAME}:\n{why}"));
            return None;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = [folder].into_iter().chain(std::env::split_paths(&path));
        let path = std::env::join_paths(paths).expect("no colon in the cache's path");
        Some(Self { path })
    }

    /// `ostree container` with arguments.
    pub fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new("ostree");
        command.env("PATH", &self.path);
        // Its errors would show where in it they came from.
        command.env_remove("RUST_BACKTRACE");
        command.arg("container").args(args);
        command
    }
}

/// Names the build: another one of other sources stands beside it.
fn key() -> String {
    let mut sha256 = Sha256::new();
    for name in SOURCES {
        sha256.update(fs::read(sources().join(name)).expect("a file of the tests"));
    }
    let digest = sha256.finalize();
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn sources() -> PathBuf {
    workspace().join("tests").join(NAME)
}

/// Builds it, and keeps no more of it than the command.
fn build(cache: &Path, folder: &Path) -> Result<(), String> {
    let work = tempfile::Builder::new()
        .prefix(".building-")
        .tempdir_in(cache)
        .map_err(|error| error.to_string())?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo tells this test about itself is not for another build.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") {
            cargo.env_remove(&name);
        }
    }
    cargo
        .args(["build", "--locked", "--quiet", "--target-dir"])
        .arg(work.path())
        .current_dir(sources());
    let out = cargo.output().map_err(|error| error.to_string())?;
    if !out.status.success() {
        return Err(String::from_utf8_lossy(&out.stderr).into_owned());
    }
    let keep = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let unfinished = folder.join(".copying");
        fs::copy(work.path().join("debug").join(NAME), &unfinished)?;
        fs::rename(unfinished, folder.join(NAME))
    };
    keep().map_err(|error| error.to_string())
}
