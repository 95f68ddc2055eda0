//! GnuPG home directories that GnuPG cannot use, which it reports as a missing agent.

use super::error::{HomeProblem, SignError};
use crate::process::{self, ProcessError};
use rustix::fs::Access;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Length of the longest path of a socket in bytes: `sun_path` of unix(7), without the NUL.
const MAX_SOCKET_PATH: usize = 107;

/// Returns the error of a failed `gpg` command that used secret keys, with the cause if that is its
/// home directory.
pub(super) fn failed(home: Option<&Path>, out: &Output) -> SignError {
    explain(home, &process::failure("gpg", out))
        .unwrap_or_else(|| SignError::Gpg(process::failure("gpg", out)))
}

/// Returns the error for a home directory that GnuPG cannot use; `None` if that is not the cause.
pub(super) fn explain(home: Option<&Path>, error: &ProcessError) -> Option<SignError> {
    if !matches!(error, ProcessError::Failed { .. }) {
        return None;
    }
    let path = listed(home, "homedir")?;
    let socket = listed(home, "agent-socket")?;
    let length = socket.as_os_str().as_bytes().len();
    let problem = if length > MAX_SOCKET_PATH {
        HomeProblem::TooLong {
            length,
            limit: MAX_SOCKET_PATH,
        }
    } else if path.is_dir() && rustix::fs::access(&path, Access::WRITE_OK).is_err() {
        HomeProblem::ReadOnly
    } else {
        return None;
    };
    Some(SignError::Home { path, problem })
}

/// Returns a path that GnuPG uses, according to `gpgconf`.
fn listed(home: Option<&Path>, name: &str) -> Option<PathBuf> {
    let mut command = Command::new("gpgconf");
    if let Some(home) = home {
        command.arg("--homedir").arg(home);
    }
    command.args(["--list-dirs", name]);
    let out = process::output("gpgconf", &mut command).ok()?;
    let path = out.stdout.strip_suffix(b"\n").unwrap_or(&out.stdout);
    (out.status.success() && !path.is_empty())
        .then(|| PathBuf::from(OsString::from_vec(path.to_vec())))
}
