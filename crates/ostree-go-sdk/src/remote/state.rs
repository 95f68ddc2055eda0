//! The files of a remote that exist only if its keys were followed.

use crate::fs::context::IoContext;
use crate::repo::{Repo, RepoError};
use std::path::PathBuf;

/// Returns the path of the file in which a host remembers the statements that it has applied.
pub(super) fn state_path(repo: &Repo, name: &str) -> PathBuf {
    repo.path().join(format!("{name}.transitions.json"))
}

/// Returns the path of the file with a remote's Ed25519 keys, if they were followed.
pub(super) fn ed25519_path(repo: &Repo, name: &str) -> PathBuf {
    repo.path().join(format!("{name}.trustedkeys.ed25519"))
}

/// Forgets what was followed for a remote.
pub(super) fn forget(repo: &Repo, name: &str) -> Result<(), RepoError> {
    for path in [state_path(repo, name), ed25519_path(repo, name)] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.context("remove", path)?,
        }
    }
    Ok(())
}
