//! Marks of partial commits: `state/ID.commitpartial`.
//!
//! libostree marks commits that are being pulled, and commits that `ostree fsck` found to be
//! damaged. Here a mark also means that a commit is being moved into place or deleted: the mark is
//! durable before the first object appears or disappears, and is removed after the last one.
//! Therefore a killed process or a power failure never leaves an incomplete commit that looks
//! complete.

use super::{Repo, RepoError};
use crate::ffi;
use crate::fs::atomic;
use crate::fs::context::{IoContext, IoFailure};
use crate::id::CommitId;
use std::fs;
use std::io;
use std::path::PathBuf;

/// The extension of a mark's file name. Source: `_ostree_get_commitpartial_path`.
const EXTENSION: &str = ".commitpartial";

/// The reason why a commit is marked as partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partial {
    /// The objects of the commit are being written or deleted, or some were never fetched.
    Unfinished,
    /// An object of the commit was found to be damaged.
    Damaged,
}

impl Repo {
    /// Marks commits as partial, durably. An existing mark is not changed.
    pub(crate) fn mark_partial(
        &self,
        commits: impl IntoIterator<Item = CommitId>,
        reason: Partial,
    ) -> Result<(), RepoError> {
        use ostree::RepoCommitState as State;
        let state = match reason {
            Partial::Unfinished => State::NORMAL,
            Partial::Damaged => State::FSCK_PARTIAL,
        };
        let mut marked = false;
        for id in commits {
            if !marked {
                // Repositories of old versions of libostree do not have this folder.
                fs::create_dir_all(self.state()).map_err(|e| self.state_failed(e))?;
            }
            ffi::mark_commit_partial(&self.inner, &id.to_string(), true, state)
                .map_err(|source| self.failed(&format!("mark commit {id} as partial"), source))?;
            marked = true;
        }
        match marked {
            true => self.sync_state(),
            false => Ok(()),
        }
    }

    /// Removes the marks of commits, durably.
    pub(crate) fn unmark_partial(
        &self,
        commits: impl IntoIterator<Item = CommitId>,
    ) -> Result<(), RepoError> {
        let mut removed = false;
        for id in commits {
            match fs::remove_file(self.mark(id)) {
                Ok(()) => removed = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(IoFailure::new("remove", self.mark(id), source).into());
                }
            }
        }
        match removed {
            true => self.sync_state(),
            false => Ok(()),
        }
    }

    /// Returns the reason why a commit is marked as partial; `None` if it is not marked.
    pub(crate) fn partial(&self, id: CommitId) -> Result<Option<Partial>, RepoError> {
        match fs::read(self.mark(id)) {
            // Source: `ostree_repo_mark_commit_partial_reason`.
            Ok(content) if content == b"f" => Ok(Some(Partial::Damaged)),
            Ok(_) => Ok(Some(Partial::Unfinished)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(IoFailure::new("read", self.mark(id), source).into()),
        }
    }

    /// Returns all commits that are marked as partial, whether they exist or not.
    pub(super) fn marked_partial(&self) -> Result<Vec<CommitId>, RepoError> {
        let entries = match fs::read_dir(self.state()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.state_failed(error)),
        };
        let mut marked = Vec::new();
        for entry in entries {
            let name = entry.map_err(|e| self.state_failed(e))?.file_name();
            let name = name.to_string_lossy();
            if let Some(id) = name.strip_suffix(EXTENSION) {
                marked.extend(id.parse::<CommitId>());
            }
        }
        Ok(marked)
    }

    fn mark(&self, id: CommitId) -> PathBuf {
        self.state().join(format!("{id}{EXTENSION}"))
    }

    /// Returns the folder `state/`.
    pub(super) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    pub(super) fn state_failed(&self, source: io::Error) -> RepoError {
        IoFailure::new("read or write", self.state(), source).into()
    }

    /// Makes the entries of `state/` durable.
    pub(super) fn sync_state(&self) -> Result<(), RepoError> {
        if !self.is_sync_enabled() {
            return Ok(());
        }
        atomic::sync_directory(Some(&self.state())).map_err(|e| self.state_failed(e))
    }

    /// Makes all writes to the repository's file system durable, of this process and of others,
    /// unless `core.fsync` is off. Intended for rare changes to several files, such as the
    /// configuration of a remote.
    pub(crate) fn sync(&self) -> Result<(), RepoError> {
        if !self.is_sync_enabled() {
            return Ok(());
        }
        Ok(fs::File::open(&self.path)
            .and_then(|folder| Ok(rustix::fs::syncfs(&folder)?))
            .context("sync the file system of", &self.path)?)
    }

    /// Returns true if writes have to be synced: `core.fsync` is on, and the repository is not
    /// temporary.
    pub(super) fn is_sync_enabled(&self) -> bool {
        if self.inner.is_disable_fsync() {
            return false;
        }
        let wanted = self.inner.config().boolean("core", "fsync");
        wanted.unwrap_or(true)
    }
}
