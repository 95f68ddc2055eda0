//! Tools that tests need and that may be missing on a machine.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// Returns the path of a command, or `None` after printing why the test is skipped.
///
/// ```no_run
/// let Some(nginx) = ostree_go_tests::tools::require("nginx") else { return };
/// ```
///
/// # Panics
///
/// Panics if the command is missing and `CI` is set.
pub fn require(command: &str) -> Option<PathBuf> {
    let found = find(command);
    if found.is_none() {
        skip(&format!("no `{command}` command on this machine"));
    }
    found
}

/// Returns the path of a command, searched in `PATH` and in the system directories that an ordinary user's `PATH`
/// does not contain.
pub fn find(command: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(command))
        .find(|candidate| candidate.is_file())
}

/// The places in which distributions install the PKCS#11 module of SoftHSM.
const SOFTHSM: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm.so",
];

/// Returns the path of the PKCS#11 module of SoftHSM, if the module and the programs for tokens are installed, or `None`
/// after printing why the test is skipped.
///
/// # Panics
///
/// Panics if one of them is missing and `CI` is set.
pub fn require_softhsm() -> Option<&'static str> {
    require("softhsm2-util")?;
    require("pkcs11-tool")?;
    let found = SOFTHSM.into_iter().find(|path| Path::new(path).exists());
    if found.is_none() {
        skip("the module of SoftHSM is in none of the known places");
    }
    found
}

/// Prints why a test is skipped.
///
/// # Panics
///
/// Panics if `CI` is set, so that missing requirements are not overlooked there.
pub fn skip(reason: &str) {
    assert!(!ci(), "{reason}, and CI is set: nothing may be skipped");
    eprintln!("SKIPPED: {reason}");
}

/// Returns a TCP port of the loopback interface that no process uses. Another process can take it before the caller
/// does.
///
/// # Panics
///
/// Panics if there is no port.
pub fn free_port() -> u16 {
    // The listener is closed here: if it were open, a caller that waits for its server would reach the listener.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.local_addr().expect("an address").port()
}

/// Returns true if `CI` is set to a value other than the empty string, `0` and `false`.
pub fn ci() -> bool {
    std::env::var_os("CI")
        .is_some_and(|v| ![OsStr::new(""), OsStr::new("0"), OsStr::new("false")].contains(&&*v))
}

/// Returns true if this process runs as root, according to the owner of its entry in `/proc`.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    Path::new("/proc/self")
        .metadata()
        .is_ok_and(|m| m.uid() == 0)
}
