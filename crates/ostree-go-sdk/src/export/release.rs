//! Reads the release to export.

use super::ExportError;
use crate::catalog::{CommitInfo, CommitKind};
use crate::id::CommitId;
use crate::repo::Repo;

/// Reads a commit, which must be a release or a channel.
pub(super) fn release(repo: &Repo, commit: CommitId) -> Result<CommitInfo, ExportError> {
    let info = CommitInfo::read(repo, commit)?;
    match info.kind {
        CommitKind::Release | CommitKind::Channel => Ok(info),
        kind => Err(ExportError::NotARelease { commit, kind }),
    }
}
