//! Builds and runs `ostree container` from ostree-ext. It is built once, with its own `Cargo.lock`.

use crate::cli::workspace;
use crate::{sdk, tools};
use sha2::{Digest, Sha256};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The source files, which identify the build.
const SOURCES: [&str; 3] = ["Cargo.toml", "Cargo.lock", "src/main.rs"];
/// Name of the program.
const NAME: &str = "ostree-container";

/// The stock `ostree` command with the verb `container`.
#[derive(Debug)]
pub struct OstreeContainer {
    /// `PATH`, starting with the directory of the verb's program.
    path: OsString,
}

impl OstreeContainer {
    /// Builds the program if it is not in the cache, which takes minutes, or returns `None` after printing why the
    /// test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be built or skopeo is missing, and `CI` is set; or if there is no cache directory.
    pub fn new() -> Option<Self> {
        tools::require("skopeo")?;
        let cache = sdk::cache_dir();
        fs::create_dir_all(&cache).expect("the cache can be written");
        // Test processes run in parallel: the first one builds it, the others wait.
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

    /// Returns `PATH` with the verb's program, for scripts.
    pub fn path(&self) -> &OsStr {
        &self.path
    }

    /// Returns `ostree container` with arguments.
    pub fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new("ostree");
        command.env("PATH", &self.path);
        // With these variables, its error messages would contain backtraces.
        command.env_remove("RUST_BACKTRACE");
        command.arg("container").args(args);
        command
    }
}

/// Returns the name of the build, which depends on the source files.
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

/// Builds the program, and keeps only the executable.
fn build(cache: &Path, folder: &Path) -> Result<(), String> {
    let work = tempfile::Builder::new()
        .prefix(".building-")
        .tempdir_in(cache)
        .map_err(|error| error.to_string())?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The environment variables that cargo sets for this test must not affect another build.
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
