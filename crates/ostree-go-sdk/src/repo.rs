//! The repository: the one place that owns an [`ostree::Repo`].
//!
//! On disk a repository is libostree's (`config`, `objects/`, `refs/`, `state/`, `tmp/`), plus
//! two files of ours: `.ostree-go.lock`, taken by whoever moves refs, and while several refs
//! move, `state/ostree-go.refs`. Object writers share libostree's own lock (`.lock`), which a
//! prune takes alone: what a transaction has seen in the repository stays until its refs have
//! moved.

mod complete;
mod damage;
mod detached;
mod objects;
mod partial;
mod prune;
mod refs;
mod scratch;
mod seen;
mod staging;
#[cfg(test)]
mod tests;
mod transaction;

pub(crate) use complete::Completeness;
pub(crate) use partial::Partial;
pub(crate) use prune::Deleted;
pub(crate) use refs::RefMove;
pub(crate) use scratch::ScratchFolder;
pub(crate) use seen::Seen;
pub(crate) use staging::{NoRoom, Staging};
pub(crate) use transaction::Transaction;

use crate::failpoint;
use crate::ffi;
use crate::fs::lock::{Lock, LockError};
use crate::id::{CommitId, DirTreeId, RefName};
use crate::kind::ErrorKind;
use crate::object::{Commit, DirTree};
use crate::progress::{NoProgress, Progress};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// How a repository stores files. The words are libostree's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RepoMode {
    /// Compressed files, to be served over HTTP.
    Archive,
    /// Plain files with their owner and mode in a user xattr; needs no root.
    BareUser,
    /// Plain files, modes only; needs no root and no xattrs.
    BareUserOnly,
    /// Plain files with their real owner; needs root.
    Bare,
}

impl RepoMode {
    /// libostree's word for the mode, as in a repository's `config`.
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

/// A word that is no [`RepoMode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown repository mode `{found}`, expected archive, bare-user, bare-user-only or bare")]
pub struct UnknownMode {
    /// The word as given.
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

/// Why a repository could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// There is nothing at the path.
    #[error("no repository at {}", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// What is at the path is not an OSTree repository.
    #[error("{} is not an OSTree repository: it has no `{missing}`", path.display())]
    NotARepo {
        /// The directory or file.
        path: PathBuf,
        /// What a repository would have there.
        missing: &'static str,
    },
    /// libostree could not do something.
    #[error("cannot {action} in repository {}", path.display())]
    Ostree {
        /// What was tried.
        action: String,
        /// The repository.
        path: PathBuf,
        /// libostree's error.
        #[source]
        source: glib::Error,
    },
    /// The system refused something.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// No ref or commit of this name.
    #[error("no ref or commit `{rev}` in repository {}", path.display())]
    NoSuchRev {
        /// What was asked for.
        rev: String,
        /// The repository.
        path: PathBuf,
        /// The existing ref whose name is nearest.
        nearest: Option<RefName>,
    },
    /// An object is there but is not what its type says.
    #[error("{what} object {id} in repository {} is not well-formed", path.display())]
    Malformed {
        /// The type of the object.
        what: &'static str,
        /// Its checksum.
        id: String,
        /// The repository.
        path: PathBuf,
    },
    /// The system makes no more threads.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// The caller asked for a stop.
    #[error("stopped on request")]
    Cancelled,
}

impl RepoError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::NoSuchRev { .. } => ErrorKind::NotFound,
            Self::NotARepo { .. } => ErrorKind::InvalidRepo,
            Self::Ostree { source, .. } => kind_of_glib(source),
            Self::Io { source, .. } | Self::Thread(source) => ErrorKind::of_io(source),
            Self::Malformed { .. } => ErrorKind::Drift,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

/// The kind of an error that libostree reports.
pub(crate) fn kind_of_glib(error: &glib::Error) -> ErrorKind {
    use gio::IOErrorEnum as Io;
    // libostree's own reserve (`min-free-space-percent`) has no error code of its own.
    if error.message().contains("min-free-space") {
        return ErrorKind::DiskFull;
    }
    match error.kind::<Io>() {
        Some(Io::NoSpace) => ErrorKind::DiskFull,
        Some(Io::PermissionDenied | Io::ReadOnly) => ErrorKind::PermissionDenied,
        Some(Io::NotFound) => ErrorKind::NotFound,
        Some(Io::WouldBlock | Io::Busy) => ErrorKind::Locked,
        Some(Io::Cancelled) => ErrorKind::Cancelled,
        _ => ErrorKind::Io,
    }
}

/// An OSTree repository, opened.
///
/// `Send`, not `Sync`: give each thread its own clone.
#[derive(Debug, Clone)]
pub struct Repo {
    inner: ostree::Repo,
    path: PathBuf,
    /// What clones of this have written and read.
    seen: Arc<Seen>,
}

/// What a repository's directory holds from the start.
const SKELETON: &[&str] = &[
    "config",
    "extensions",
    "objects",
    "refs",
    "state",
    "tmp",
    ".lock",
    LOCK,
];

/// Whether a repository's making has come to its end: libostree makes `refs/heads` after all
/// else that it cannot do without.
fn is_made(path: &Path) -> bool {
    ["config", "objects", "refs/heads"]
        .iter()
        .all(|part| path.join(part).exists())
}

/// Held by whoever makes the repository or moves its refs.
const LOCK: &str = ".ostree-go.lock";

impl Repo {
    /// Opens the repository at a path.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RepoError> {
        let path = path.as_ref().to_owned();
        let exists = |path: &Path| match path.try_exists() {
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
            exists => exists.map_err(|source| RepoError::Io {
                action: "read",
                path: path.to_owned(),
                source,
            }),
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
            seen: Arc::default(),
        };
        match ffi::open(&repo.inner) {
            Ok(()) => Ok(repo),
            Err(source) => Err(repo.failed("read the configuration", source)),
        }
    }

    /// Makes a repository where there is nothing, or an empty directory, or one whose making
    /// was cut short. Directories above it are made too. Durable when this returns.
    ///
    /// # Errors
    /// When something else is at the path, or it cannot be written.
    pub fn create(path: impl AsRef<Path>, mode: RepoMode) -> Result<Self, RepoError> {
        let repo = Self::create_unsynced(path.as_ref(), mode)?;
        repo.sync()?;
        Ok(repo)
    }

    /// Makes a repository that nothing needs after a crash: this handle and its clones sync
    /// nothing.
    ///
    /// # Errors
    /// As [`Repo::create`].
    pub(crate) fn create_temporary(path: &Path, mode: RepoMode) -> Result<Self, RepoError> {
        let repo = Self::create_unsynced(path, mode)?;
        repo.inner.set_disable_fsync(true);
        Ok(repo)
    }

    fn create_unsynced(path: &Path, mode: RepoMode) -> Result<Self, RepoError> {
        let io = |action| {
            move |source| RepoError::Io {
                action,
                path: path.to_owned(),
                source,
            }
        };
        std::fs::create_dir_all(path).map_err(io("make directory"))?;
        if !Self::is_absent(path) {
            // Either another process came first, or it is none and cannot become one.
            return Self::open(path);
        }
        let _lock = lock(path, &NoProgress)?;
        if is_made(path) {
            return Self::open(path);
        }
        failpoint::hit("repo.creating");
        let inner = ostree::Repo::new_for_path(path);
        let repo = Self {
            inner,
            path: path.to_owned(),
            seen: Arc::default(),
        };
        repo.inner
            .create(mode.to_ostree(), gio::Cancellable::NONE)
            .map_err(|source| repo.failed("make the folders", source))?;
        failpoint::hit("repo.created");
        Self::open(path)
    }

    /// Whether [`Repo::create`] would make a repository here.
    #[must_use]
    pub fn is_absent(path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        match std::fs::read_dir(path) {
            Ok(entries) => {
                let is_part = |name: &OsStr| SKELETON.iter().any(|part| name == *part);
                !is_made(path)
                    // libostree's temporary files may stand beside, while it is being made.
                    && (path.join(LOCK).exists()
                        || entries.flatten().all(|entry| is_part(&entry.file_name())))
            }
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }

    /// Its directory, as it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it stores files.
    #[must_use]
    pub fn mode(&self) -> RepoMode {
        let mode = self.inner.mode();
        RepoMode::ALL
            .into_iter()
            .find(|known| known.to_ostree() == mode)
            .unwrap_or(RepoMode::Bare)
    }

    /// The libostree object, for what this library does not do itself.
    #[must_use]
    pub fn as_ostree(&self) -> &ostree::Repo {
        &self.inner
    }

    /// The files that this and its clones know.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Every local ref and the commit it names, in order. Refs of remotes are left out, and
    /// so are refs whose name is not a [`RefName`].
    ///
    /// # Errors
    /// When the refs cannot be read.
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

    /// The commit a ref names, if there is such a ref.
    ///
    /// # Errors
    /// When the ref cannot be read.
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

    /// The commit that a ref's name, or a commit's whole checksum, or its unique beginning, names.
    ///
    /// # Errors
    /// When there is none, with the nearest ref there is.
    pub fn resolve(&self, rev: &str) -> Result<CommitId, RepoError> {
        if let Ok(Some(checksum)) = self.inner.resolve_rev(rev, true)
            && let Ok(commit) = checksum.parse()
            && self.has_commit(commit)?
        {
            return Ok(commit);
        }
        let nearest = self
            .refs()?
            .into_keys()
            .map(|name| (strsim::damerau_levenshtein(rev, name.as_str()), name))
            .min()
            .filter(|(distance, name)| *distance <= 2.max(name.as_str().len() / 4))
            .map(|(_, name)| name);
        Err(RepoError::NoSuchRev {
            rev: rev.to_owned(),
            path: self.path.clone(),
            nearest,
        })
    }

    pub(crate) fn has_commit(&self, id: CommitId) -> Result<bool, RepoError> {
        self.inner
            .has_object(
                ostree::ObjectType::Commit,
                &id.to_string(),
                gio::Cancellable::NONE,
            )
            .map_err(|source| self.failed(&format!("look for commit {id}"), source))
    }

    /// Reads a commit.
    pub(crate) fn commit(&self, id: CommitId) -> Result<Commit, RepoError> {
        let variant = self.metadata_object(ostree::ObjectType::Commit, &id.to_string())?;
        Commit::parse(&variant).ok_or_else(|| self.malformed("commit", id))
    }

    /// A commit object's bytes: what signatures are over.
    pub(crate) fn commit_bytes(&self, id: CommitId) -> Result<Vec<u8>, glib::Error> {
        let variant = self
            .inner
            .load_variant(ostree::ObjectType::Commit, &id.to_string())?;
        Ok(variant.data().to_vec())
    }

    /// Reads a directory's entries.
    pub(crate) fn dirtree(&self, id: DirTreeId) -> Result<DirTree, RepoError> {
        let variant = self.metadata_object(ostree::ObjectType::DirTree, &id.to_string())?;
        DirTree::parse(&variant).ok_or_else(|| self.malformed("dirtree", id))
    }

    /// Reads an object that is no file's. libostree takes it for well-formed, and reading a
    /// damaged one would then be undefined; this makes it a variant whose every part is checked.
    pub(crate) fn metadata_object(
        &self,
        kind: ostree::ObjectType,
        id: &str,
    ) -> Result<glib::Variant, RepoError> {
        let trusted = self
            .inner
            .load_variant(kind, id)
            .map_err(|source| self.failed(&format!("read object {id}"), source))?;
        let bytes = trusted.data_as_bytes();
        Ok(glib::Variant::from_bytes_with_type(&bytes, trusted.type_()))
    }

    /// Keeps other processes from moving refs until it is dropped. Moves of refs that a killed
    /// process has begun are finished first.
    pub(crate) fn lock(&self, progress: &dyn Progress) -> Result<Lock, RepoError> {
        let lock = lock(&self.path, progress)?;
        self.finish_moves()?;
        Ok(lock)
    }

    /// The same without waiting; `None` when another process has the lock.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>, RepoError> {
        let path = self.path.join(LOCK);
        let lock = Lock::try_exclusive(&path).map_err(|source| RepoError::Io {
            action: "lock",
            path,
            source,
        })?;
        if lock.is_some() {
            self.finish_moves()?;
        }
        Ok(lock)
    }

    /// Begins a transaction; one at a time in a process's use of this repository.
    ///
    /// # Errors
    /// When the repository cannot be written, or a prune has it locked for long.
    pub(crate) fn begin(&self) -> Result<Transaction<'_>, RepoError> {
        Transaction::begin(self)
    }

    pub(crate) fn failed(&self, action: &str, source: glib::Error) -> RepoError {
        RepoError::Ostree {
            action: action.to_owned(),
            path: self.path.clone(),
            source,
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
    Lock::exclusive(&path, progress).map_err(|error| match error {
        LockError::Cancelled => RepoError::Cancelled,
        LockError::Io(source) => RepoError::Io {
            action: "lock",
            path,
            source,
        },
    })
}
