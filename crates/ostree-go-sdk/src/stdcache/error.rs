//! Errors of std caches and of the folders for Go's caches.

use crate::fs::context::from_io_failure;
use crate::golang::std_cache::InvalidStdCacheIndex;
use crate::kind::ErrorKind;
use std::path::PathBuf;

/// An error of reading a std cache, of serving one, or of preparing a folder for Go's caches.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StdCacheError {
    /// The index of a std cache is malformed.
    #[error("{} is not the index of a std cache", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// The error of the parser.
        source: InvalidStdCacheIndex,
    },
    /// The go command sent something that is not a request of the protocol.
    #[error("the go command sent an invalid request: {problem}")]
    Protocol {
        /// The violation of the protocol.
        problem: String,
    },
    /// Somebody else can write to a folder, and so decide what is built from the cache in it.
    #[error(
        "{} is no private folder of user {user}: found owner {owner} and mode {mode:04o}, expected owner {user} and no write permission for others",
        path.display()
    )]
    NotPrivate {
        /// The folder.
        path: PathBuf,
        /// The user of this process.
        user: u32,
        /// The owner of the folder.
        owner: u32,
        /// The permission bits of the folder.
        mode: u32,
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
}

from_io_failure!(StdCacheError);

impl StdCacheError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Index { .. } => ErrorKind::Corrupt,
            Self::Protocol { .. } => ErrorKind::InvalidInput,
            Self::NotPrivate { .. } => ErrorKind::PermissionDenied,
            Self::Io { source, .. } => ErrorKind::of_io(source),
        }
    }
}
