//! Commits whose objects are not what their checksums say.

use super::{Repo, RepoError};
use crate::id::{CommitId, Sha256};
use sha2::Digest;
use std::io;

impl Repo {
    /// Whether a commit and all it is made of are there, as far as the repository knows. A commit
    /// whose own object is damaged is not.
    pub(crate) fn is_complete(&self, id: CommitId) -> Result<bool, RepoError> {
        if !self.has_commit(id)? || self.is_damaged(id)? {
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
        if !self.has_commit(id)? || !self.is_damaged(id)? {
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

    /// Returns whether the object of a commit that is there is not well-formed, or has another
    /// checksum.
    fn is_damaged(&self, id: CommitId) -> Result<bool, RepoError> {
        let kind = ostree::ObjectType::Commit;
        let bytes = self.examine(kind, &id.to_string(), || self.commit_bytes(id))?;
        Ok(bytes.map_or(true, |bytes| {
            Sha256(sha2::Sha256::digest(&bytes).into()).to_string() != id.to_string()
        }))
    }

    /// Runs a check of an object and tells damage from a system that fails: libostree's errors have
    /// the same code for both. The inner error is what the check says of the object.
    ///
    /// # Errors
    /// When the object's file is there and the system cannot read it.
    pub(crate) fn examine<T>(
        &self,
        kind: ostree::ObjectType,
        id: &str,
        check: impl Fn() -> Result<T, glib::Error>,
    ) -> Result<Result<T, glib::Error>, RepoError> {
        let error = match check() {
            Ok(found) => return Ok(Ok(found)),
            Err(error) => error,
        };
        let name = ostree::object_to_string(id, kind);
        let (folder, rest) = name.split_at(2);
        let mut path = self.path.join("objects").join(folder).join(rest);
        if kind == ostree::ObjectType::File && self.mode() == super::RepoMode::Archive {
            path.set_extension("filez");
        }
        let read = match path.symlink_metadata() {
            // `bare` repositories have symlinks as symlinks.
            Ok(found) if found.is_file() => std::fs::File::open(&path)
                .and_then(|mut file| io::copy(&mut file, &mut io::sink()).map(drop)),
            found => found.map(drop),
        };
        match read {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(Err(error)),
            Err(source) => Err(RepoError::Io {
                action: "read",
                path,
                source,
            }),
            // What failed may have passed.
            Ok(()) => Ok(check()),
        }
    }
}
