//! Commits whose objects are not what their checksums say.

use super::{Repo, RepoError};
use crate::id::{CommitId, Sha256};
use sha2::Digest;
use std::io;

impl Repo {
    /// Whether a commit and all it is made of are there, as far as the repository knows. A commit
    /// whose own object is damaged is not.
    pub(crate) fn is_complete(&self, id: CommitId) -> Result<bool, RepoError> {
        if !self.has_commit(id)? || self.is_damaged(id) {
            return Ok(false);
        }
        let loaded = self.inner.load_commit(&id.to_string());
        let (_, state) =
            loaded.map_err(|source| self.failed(&format!("read commit {id}"), source))?;
        Ok(!state.contains(ostree::RepoCommitState::PARTIAL))
    }

    /// Removes the object of a commit that is there and damaged: whoever writes objects leaves
    /// those that are there.
    pub(crate) fn remove_damaged(&self, id: CommitId) -> Result<(), RepoError> {
        if !self.has_commit(id)? || !self.is_damaged(id) {
            return Ok(());
        }
        let checksum = id.to_string();
        let (folder, rest) = checksum.split_at(2);
        // libostree's own call would take the signatures away as well.
        let path = self.path.join(format!("objects/{folder}/{rest}.commit"));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RepoError::Io {
                action: "remove the damaged object",
                path,
                source: error,
            }),
            _ => Ok(()),
        }
    }

    /// Whether the object of a commit that is there cannot be read, or has another checksum.
    fn is_damaged(&self, id: CommitId) -> bool {
        let bytes = self.commit_bytes(id);
        bytes.map_or(true, |bytes| {
            Sha256(sha2::Sha256::digest(&bytes).into()).to_string() != id.to_string()
        })
    }
}
