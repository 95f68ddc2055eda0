//! Writing file objects, many at a time.
//!
//! A producer hands files to [`write_files`]; workers hash them and write those the
//! repository does not have. What writes one object is behind [`ObjectWriter`].

mod budget;
mod content;
mod libostree;
mod pipeline;

pub(crate) use content::Content;
pub(crate) use libostree::LibostreeWriter;
pub(crate) use pipeline::{Incoming, Sink, Written, write_files};

use crate::id::FileId;
use crate::object::FileHeader;
use crate::repo::RepoError;

/// Writes single file objects into an open transaction. Each worker has its own.
pub(crate) trait ObjectWriter: Send {
    /// Whether the repository or the transaction has the object already.
    fn has(&self, id: FileId) -> Result<bool, StoreError>;

    /// Writes an object whose checksum is known. Writing one that is there is no error.
    fn write(&self, id: FileId, header: &FileHeader, content: &Content) -> Result<(), StoreError>;
}

/// Why file objects could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The repository refused.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A large file could not be set aside.
    #[error("cannot buffer a large file in {}", path.display())]
    Spool {
        /// The folder for it.
        path: std::path::PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}

impl StoreError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> crate::kind::ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Spool { source, .. } => crate::kind::ErrorKind::of_io(source),
        }
    }
}
