//! Marks of partial commits: `state/ID.commitpartial`.
//!
//! libostree has them for commits that are being pulled, and for those that `ostree fsck` has
//! found damaged. Here they also tell that a commit is being moved into place or deleted: the
//! mark is durable before the first object appears or disappears, and is removed when the last
//! one has. A process that is killed, or a power cut, thus leaves no commit that looks complete
//! and is not.

use super::{Repo, RepoError};
use crate::ffi;
use crate::fs::atomic;
use crate::id::CommitId;
use std::fs;
use std::io;
use std::path::PathBuf;

/// The ending of a mark's name. Source: `_ostree_get_commitpartial_path`.
const ENDING: &str = ".commitpartial";

/// Why a commit is marked as partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partial {
    /// Its objects are being written or deleted, or were never all fetched.
    Unfinished,
    /// An object of it was found damaged.
    Damaged,
}

impl Repo {
    /// Marks commits as partial, durably. A commit that is marked already keeps its mark.
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
                // Repositories by old versions of libostree have no such folder.
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
                    return Err(RepoError::Io {
                        action: "remove",
                        path: self.mark(id),
                        source,
                    });
                }
            }
        }
        match removed {
            true => self.sync_state(),
            false => Ok(()),
        }
    }

    /// The reason why a commit is marked as partial; `None` when it is not.
    pub(crate) fn partial(&self, id: CommitId) -> Result<Option<Partial>, RepoError> {
        match fs::read(self.mark(id)) {
            // Source: `ostree_repo_mark_commit_partial_reason`.
            Ok(content) if content == b"f" => Ok(Some(Partial::Damaged)),
            Ok(_) => Ok(Some(Partial::Unfinished)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(RepoError::Io {
                action: "read",
                path: self.mark(id),
                source,
            }),
        }
    }

    /// Every commit that is marked as partial, be it there or not.
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
            if let Some(id) = name.strip_suffix(ENDING) {
                marked.extend(id.parse::<CommitId>());
            }
        }
        Ok(marked)
    }

    fn mark(&self, id: CommitId) -> PathBuf {
        self.state().join(format!("{id}{ENDING}"))
    }

    /// The folder of what is neither an object nor a ref.
    pub(super) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    pub(super) fn state_failed(&self, source: io::Error) -> RepoError {
        RepoError::Io {
            action: "read or write",
            path: self.state(),
            source,
        }
    }

    /// Makes what was created and removed in `state/` durable.
    pub(super) fn sync_state(&self) -> Result<(), RepoError> {
        if !self.syncs() {
            return Ok(());
        }
        atomic::sync_directory(Some(&self.state())).map_err(|e| self.state_failed(e))
    }

    /// Makes everything durable that was written to the repository's file system, by this process
    /// or by another, unless `core.fsync` is off. For changes that touch several files and are
    /// rare, such as the configuration of a remote.
    pub(crate) fn sync(&self) -> Result<(), RepoError> {
        if !self.syncs() {
            return Ok(());
        }
        fs::File::open(&self.path)
            .and_then(|folder| Ok(rustix::fs::syncfs(&folder)?))
            .map_err(|source| RepoError::Io {
                action: "sync the file system of",
                path: self.path.clone(),
                source,
            })
    }

    /// Returns whether the repository wants what is written to be synced: `core.fsync`, and not a
    /// temporary repository.
    pub(super) fn syncs(&self) -> bool {
        if self.inner.is_disable_fsync() {
            return false;
        }
        let wanted = self.inner.config().boolean("core", "fsync");
        wanted.unwrap_or(true)
    }
}
