//! Tools that a test needs and a machine may lack.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The path of a command, or `None` after saying that the test is skipped.
///
/// ```no_run
/// let Some(nginx) = ostree_go_tests::tools::require("nginx") else { return };
/// ```
///
/// # Panics
///
/// When the command is missing and `CI` is set.
pub fn require(command: &str) -> Option<PathBuf> {
    let found = find(command);
    if found.is_none() {
        skip(&format!("no `{command}` command on this machine"));
    }
    found
}

/// The path of a command, searched in `PATH` and the system folders that an ordinary user's `PATH` leaves out.
pub fn find(command: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(command))
        .find(|candidate| candidate.is_file())
}

/// Says why a test does not run.
///
/// # Panics
///
/// When `CI` is set, so that what is missing there cannot hide.
pub fn skip(reason: &str) {
    assert!(!ci(), "{reason}, and CI is set: nothing may be skipped");
    eprintln!("SKIPPED: {reason}");
}

/// Whether `CI` is set to anything but nothing, `0` and `false`.
pub fn ci() -> bool {
    std::env::var_os("CI")
        .is_some_and(|v| ![OsStr::new(""), OsStr::new("0"), OsStr::new("false")].contains(&&*v))
}

/// Whether this process runs as root, read from who owns its entry in `/proc`.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self")
        .metadata()
        .is_ok_and(|m| m.uid() == 0)
}
