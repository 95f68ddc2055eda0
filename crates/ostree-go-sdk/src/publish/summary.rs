//! The summary: what a client reads first.

use super::PublishError;
use crate::repo::Repo;
use crate::sign::{self, SigningKey};

/// Writes the summary and its signatures, and says how many refs are in it. libostree replaces
/// the file in one step and removes the old signatures with it.
pub(super) fn write(repo: &Repo, keys: &[SigningKey]) -> Result<usize, PublishError> {
    repo.as_ostree()
        .regenerate_summary(None, gio::Cancellable::NONE)
        .map_err(|source| repo.failed("write the summary", source))?;
    for key in keys {
        sign::sign_summary(repo, key)?;
    }
    Ok(repo.refs()?.len())
}
