//! Programs in Python with packages by others, in virtual environments in the cache.

use crate::cli::run;
use crate::sdk::cache_dir;
use crate::tools;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the Python interpreter of an environment with the packages that a file requires, or `None` after printing why the
/// test is skipped.
///
/// # Panics
///
/// Panics if the cache cannot be written, or if the packages cannot be installed and `CI` is set.
pub fn with_packages(requirements: &Path) -> Option<PathBuf> {
    let python = tools::require("python3")?;
    let text = fs::read(requirements).expect("the requirements");
    let version = run(Command::new(&python).arg("--version")).ok().stdout;
    let digest = Sha256::new().chain_update(text).chain_update(version);
    let digest: String = digest.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let environment = cache_dir().join(format!("python-{digest}"));
    let done = environment.join("done");
    fs::create_dir_all(cache_dir()).expect("the cache can be written");
    // Test processes run in parallel: the first one installs, the others wait.
    let lock = File::create(environment.with_extension("lock")).expect("a lock file");
    lock.lock().expect("the lock of the cache");
    let own = environment.join("bin/python3");
    if !done.exists() {
        let _ = fs::remove_dir_all(&environment);
        let created = run(Command::new(&python).args(["-m", "venv"]).arg(&environment));
        let mut pip = Command::new(&own);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ]);
        let failed = match created.status.success() {
            true => {
                let installed = run(pip.arg(requirements));
                (!installed.status.success()).then_some(installed.stderr)
            }
            false => Some(created.stderr),
        };
        if let Some(why) = failed {
            tools::skip(&format!("cannot install Python packages: {why}"));
            return None;
        }
        fs::write(done, "").expect("the cache can be written");
    }
    Some(own)
}
