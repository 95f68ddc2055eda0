//! OSTree repositories. Only this module accesses [`ostree::Repo`] directly.
//!
//! On disk, a repository has the layout of libostree (`config`, `objects/`, `refs/`, `state/`,
//! `tmp/`) and two files of this library: `.ostree-go.lock`, which is held while refs are moved,
//! and `state/ostree-go.refs`, which exists while several refs are moved. Processes that write
//! objects share libostree's own lock (`.lock`), and a prune takes it exclusively. Therefore
//! objects that a transaction has found in the repository exist at least until its refs have been
//! moved.

mod access;
mod complete;
mod damage;
mod detached;
mod known_files;
mod nearest;
mod objects;
mod ostree_error;
mod partial;
mod prune;
mod refs;
mod replace;
mod scratch;
mod staging;
#[cfg(test)]
mod tests;
mod transaction;

pub(crate) use access::StoredFile;
pub(crate) use complete::Completeness;
pub(crate) use known_files::KnownFiles;
pub(crate) use nearest::nearest;
pub use ostree_error::OstreeError;
pub(crate) use ostree_error::kind_of_glib;
pub(crate) use partial::Partial;
pub(crate) use prune::Deleted;
pub(crate) use refs::RefMove;
pub(crate) use scratch::ScratchFolder;
pub(crate) use staging::{InsufficientSpace, Staging};
pub(crate) use transaction::Transaction;

use crate::failpoint;
use crate::ffi;
use crate::fs::context::{IoContext, from_io_failure};
use crate::fs::lock::{Lock, LockError};
use crate::id::{CommitId, FileId, RefName};
use crate::kind::ErrorKind;
use crate::progress::{NoProgress, Progress};
use rustix::fs::XattrFlags;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// The storage mode of a repository. The names are libostree's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RepoMode {
    /// Compressed files, for serving over HTTP.
    Archive,
    /// Uncompressed files, with their owner and mode in a user xattr. Does not need root
    /// privileges.
    BareUser,
    /// Uncompressed files, with their mode but without owner and xattrs. Needs neither root
    /// privileges nor xattrs.
    BareUserOnly,
    /// Uncompressed files with their real owner. Needs root privileges.
    Bare,
}

impl RepoMode {
    /// Returns libostree's name for the mode, as in the `config` of a repository.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::BareUser => "bare-user",
            Self::BareUserOnly => "bare-user-only",
            Self::Bare => "bare",
        }
    }

    const ALL: [Self; 4] = [
        Self::Archive,
        Self::BareUser,
        Self::BareUserOnly,
        Self::Bare,
    ];

    const fn to_ostree(self) -> ostree::RepoMode {
        match self {
            Self::Archive => ostree::RepoMode::Archive,
            Self::BareUser => ostree::RepoMode::BareUser,
            Self::BareUserOnly => ostree::RepoMode::BareUserOnly,
            Self::Bare => ostree::RepoMode::Bare,
        }
    }
}

impl fmt::Display for RepoMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An error for a name that is not a [`RepoMode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown repository mode `{found}`, expected archive, bare-user, bare-user-only or bare")]
pub struct UnknownMode {
    /// The name that was found.
    pub found: String,
}

impl FromStr for RepoMode {
    type Err = UnknownMode;

    fn from_str(word: &str) -> Result<Self, UnknownMode> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == word)
            .ok_or_else(|| UnknownMode {
                found: word.to_owned(),
            })
    }
}

/// An error of an operation on a repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// There is nothing at the path.
    #[error("no repository at {}", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// The file or directory at the path is not an OSTree repository.
    #[error("{} is not an OSTree repository: it has no `{missing}`", path.display())]
    NotARepo {
        /// The directory or file.
        path: PathBuf,
        /// The missing file or directory of a repository.
        missing: &'static str,
    },
    /// The file system has no extended attributes of users, in which a repository of the mode
    /// `bare-user` stores the owner and the mode of a file.
    #[error("the file system of {} has no user xattrs, which a repository of mode bare-user needs", path.display())]
    NoXattrs {
        /// The repository.
        path: PathBuf,
    },
    /// An operation of libostree failed.
    #[error("cannot {action} in repository {}", path.display())]
    Ostree {
        /// The action that failed, as an infinitive.
        action: String,
        /// The repository.
        path: PathBuf,
        /// The error of libostree.
        #[source]
        source: OstreeError,
    },
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// There is no ref or commit with the given name.
    #[error("no ref or commit `{rev}` in repository {}", path.display())]
    NoSuchRev {
        /// The name of the ref or commit.
        rev: String,
        /// The repository.
        path: PathBuf,
        /// The existing refs that are most similar: the versions next to a version, otherwise the one
        /// with the most similar name.
        nearest: Vec<RefName>,
    },
    /// An object exists but is malformed for its type.
    #[error("{what} object {id} in repository {} is not well-formed", path.display())]
    Malformed {
        /// The type of the object.
        what: &'static str,
        /// The checksum of the object.
        id: String,
        /// The repository.
        path: PathBuf,
    },
    /// The content of a file object does not match its checksum.
    #[error("object {id} in repository {} has the checksum {found}", path.display())]
    ChecksumMismatch {
        /// The checksum that the object is named by.
        id: FileId,
        /// The checksum of its content.
        found: Box<FileId>,
        /// The repository.
        path: PathBuf,
    },
    /// The system could not start a thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// The operation was cancelled.
    #[error("stopped on request")]
    Cancelled,
}

from_io_failure!(RepoError);

impl From<LockError> for RepoError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Cancelled => Self::Cancelled,
            LockError::Io(failure) => failure.into(),
        }
    }
}

impl RepoError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::NoSuchRev { .. } => ErrorKind::NotFound,
            Self::NotARepo { .. } | Self::NoXattrs { .. } => ErrorKind::InvalidRepo,
            Self::Ostree { source, .. } => source.kind(),
            Self::Io { source, .. } | Self::Thread(source) => ErrorKind::of_io(source),
            Self::Malformed { .. } | Self::ChecksumMismatch { .. } => ErrorKind::Damaged,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

/// An open OSTree repository.
///
/// It is `Send`, but not `Sync`: give each thread its own clone.
#[derive(Debug, Clone)]
pub struct Repo {
    inner: ostree::Repo,
    path: PathBuf,
    /// The files that this handle and its clones have written or hashed.
    known_files: Arc<KnownFiles>,
}

/// The entries of a new repository's directory.
const INITIAL_ENTRIES: &[&str] = &[
    "config",
    "extensions",
    "objects",
    "refs",
    "state",
    "tmp",
    ".lock",
    LOCK,
];

/// Returns true if the creation of a repository was completed: libostree creates `refs/heads` after
/// the other directories that it needs.
fn is_initialized(path: &Path) -> bool {
    ["config", "objects", "refs/heads"]
        .iter()
        .all(|part| path.join(part).exists())
}

/// Checks that files in a directory can have extended attributes of users.
fn require_xattrs(path: &Path) -> Result<(), RepoError> {
    let file = tempfile::Builder::new()
        .prefix(".ostree-go-")
        .tempfile_in(path)
        .context("write", path)?;
    let flags = XattrFlags::empty();
    match rustix::fs::fsetxattr(&file, "user.ostree-go", b"x", flags) {
        Err(Errno::OPNOTSUPP) => Err(RepoError::NoXattrs {
            path: path.to_owned(),
        }),
        set => Ok(set.context("set an xattr in", path)?),
    }
}

/// Name of the lock that is held while the repository is created or its refs are moved.
const LOCK: &str = ".ostree-go.lock";

impl Repo {
    /// Opens the repository at a path.
    ///
    /// # Errors
    /// Returns an error if there is no repository at the path, or it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RepoError> {
        let path = path.as_ref().to_owned();
        let exists = |path: &Path| match path.try_exists() {
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
            exists => exists.context("read", path),
        };
        if !exists(&path)? {
            return Err(RepoError::NotFound { path });
        }
        for missing in ["config", "objects"] {
            if !exists(&path.join(missing))? {
                return Err(RepoError::NotARepo { path, missing });
            }
        }
        let inner = ostree::Repo::new_for_path(&path);
        let repo = Self {
            inner,
            path,
            known_files: Arc::default(),
        };
        match ffi::open(&repo.inner) {
            Ok(()) => Ok(repo),
            Err(source) => Err(repo.failed("read the configuration", source)),
        }
    }

    /// Creates a repository at a path that does not exist, is an empty directory, or has a
    /// repository whose creation was interrupted. Missing parent directories are created too.
    /// Durable when this returns. An existing repository is opened, whatever its mode is.
    ///
    /// # Errors
    /// Returns an error if there is something else at the path, or it cannot be written.
    pub fn create(path: impl AsRef<Path>, mode: RepoMode) -> Result<Self, RepoError> {
        let repo = Self::create_unsynced(path.as_ref(), mode)?;
        repo.sync()?;
        Ok(repo)
    }

    /// Creates a repository that is not needed after a crash: this handle and its clones do not
    /// sync anything.
    ///
    /// # Errors
    /// Returns the errors of [`Repo::create`].
    pub(crate) fn create_temporary(path: &Path, mode: RepoMode) -> Result<Self, RepoError> {
        let repo = Self::create_unsynced(path, mode)?;
        repo.inner.set_disable_fsync(true);
        Ok(repo)
    }

    fn create_unsynced(path: &Path, mode: RepoMode) -> Result<Self, RepoError> {
        std::fs::create_dir_all(path).context("make directory", path)?;
        if !Self::is_absent(path) {
            // Either another process has created the repository, or the directory has other
            // content.
            return Self::open(path);
        }
        let _lock = lock(path, &NoProgress)?;
        if is_initialized(path) {
            return Self::open(path);
        }
        if mode == RepoMode::BareUser {
            require_xattrs(path)?;
        }
        failpoint::hit("repo.creating");
        let inner = ostree::Repo::new_for_path(path);
        let repo = Self {
            inner,
            path: path.to_owned(),
            known_files: Arc::default(),
        };
        repo.inner
            .create(mode.to_ostree(), gio::Cancellable::NONE)
            .map_err(|source| repo.failed("make the folders", source))?;
        failpoint::hit("repo.created");
        Self::open(path)
    }

    /// Returns true if there is no repository at the path and [`Repo::create`] would create one.
    #[must_use]
    pub fn is_absent(path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        match std::fs::read_dir(path) {
            Ok(entries) => {
                let is_part = |name: &OsStr| INITIAL_ENTRIES.iter().any(|part| name == *part);
                !is_initialized(path)
                    // libostree's temporary files may exist while it creates the repository.
                    && (path.join(LOCK).exists()
                        || entries.flatten().all(|entry| is_part(&entry.file_name())))
            }
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }

    /// Returns the path with which the repository was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the storage mode.
    #[must_use]
    pub fn mode(&self) -> RepoMode {
        let mode = self.inner.mode();
        RepoMode::ALL
            .into_iter()
            .find(|known| known.to_ostree() == mode)
            .unwrap_or(RepoMode::Bare)
    }

    /// Returns the object of libostree, for operations that this library does not provide.
    #[must_use]
    pub fn as_ostree(&self) -> &ostree::Repo {
        &self.inner
    }

    /// Returns the files that this handle and its clones know to be unchanged.
    pub(crate) fn known_files(&self) -> &KnownFiles {
        &self.known_files
    }

    /// Returns all local refs and the commits that they point to, in alphabetical order. Refs of
    /// remotes are left out, and so are refs whose name is not a valid [`RefName`].
    ///
    /// # Errors
    /// Returns an error if the refs cannot be read.
    pub fn refs(&self) -> Result<BTreeMap<RefName, CommitId>, RepoError> {
        let refs = self
            .inner
            .list_refs_ext(
                None,
                ostree::RepoListRefsExtFlags::EXCLUDE_REMOTES,
                gio::Cancellable::NONE,
            )
            .map_err(|source| self.failed("list refs", source))?;
        Ok(refs
            .into_iter()
            .filter_map(|(name, commit)| Some((name.parse().ok()?, commit.parse().ok()?)))
            .collect())
    }

    /// Returns the commit that a local ref points to; `None` if there is no such ref.
    ///
    /// # Errors
    /// Returns an error if the ref cannot be read.
    pub fn find(&self, name: &RefName) -> Result<Option<CommitId>, RepoError> {
        let found = self
            .inner
            .resolve_rev_ext(
                name.as_str(),
                true,
                ostree::RepoResolveRevExtFlags::LOCAL_ONLY,
            )
            .map_err(|source| self.failed(&format!("read ref {name}"), source))?;
        Ok(found.and_then(|checksum| checksum.parse().ok()))
    }

    /// Returns the commit with a given ref, checksum, or unambiguous prefix of a checksum.
    ///
    /// # Errors
    /// Returns [`RepoError::NoSuchRev`] with the most similar refs if there is no such commit.
    pub fn resolve(&self, rev: &str) -> Result<CommitId, RepoError> {
        if let Ok(Some(checksum)) = self.inner.resolve_rev(rev, true)
            && let Ok(commit) = checksum.parse()
            && self.has_commit(commit)?
        {
            return Ok(commit);
        }
        let known = self.refs()?.into_keys().map(|name| name.to_string());
        let nearest = nearest(rev, known);
        Err(RepoError::NoSuchRev {
            rev: rev.to_owned(),
            path: self.path.clone(),
            nearest: nearest.iter().flat_map(|name| name.parse()).collect(),
        })
    }

    /// Prevents other processes from moving refs until the result is dropped. Completes the moves
    /// of refs that a killed process has begun.
    pub(crate) fn lock(&self, progress: &dyn Progress) -> Result<Lock, RepoError> {
        let lock = lock(&self.path, progress)?;
        self.finish_moves()?;
        Ok(lock)
    }

    /// Does the same as [`Repo::lock`] without waiting; returns `None` if another process holds the
    /// lock.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>, RepoError> {
        let path = self.path.join(LOCK);
        let lock = Lock::try_exclusive(&path).context("lock", path)?;
        if lock.is_some() {
            self.finish_moves()?;
        }
        Ok(lock)
    }

    pub(crate) fn failed(&self, action: &str, source: glib::Error) -> RepoError {
        RepoError::Ostree {
            action: action.to_owned(),
            path: self.path.clone(),
            source: OstreeError::new(source),
        }
    }

    pub(crate) fn malformed(&self, what: &'static str, id: impl fmt::Display) -> RepoError {
        RepoError::Malformed {
            what,
            id: id.to_string(),
            path: self.path.clone(),
        }
    }
}

fn lock(repo: &Path, progress: &dyn Progress) -> Result<Lock, RepoError> {
    let path = repo.join(LOCK);
    Ok(Lock::exclusive(&path, progress)?)
}
