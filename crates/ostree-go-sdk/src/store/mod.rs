//! Writing file objects, many at a time.
//!
//! A producer hands files to [`write_files`]; workers hash them and write those the
//! repository does not have. What writes one object is behind [`ObjectWriter`]: our own
//! writer where it knows how, else libostree.

mod budget;
mod content;
mod libostree;
mod loose;
mod pipeline;
#[cfg(test)]
mod tests;

pub(crate) use budget::{Budget, Share};
pub(crate) use content::Content;
pub(crate) use pipeline::{Bytes, Incoming, Sink, Written, write_files};

use crate::id::FileId;
use crate::kind::ErrorKind;
use crate::object::{AnyHeader, FileHeader};
use crate::repo::{RepoError, Transaction};
use libostree::LibostreeWriter;
use loose::LooseWriter;
use std::io;
use std::path::PathBuf;

/// Writes single file objects into an open transaction. Each worker has its own.
pub(crate) trait ObjectWriter: Send {
    /// Whether the repository or the transaction has the object already.
    fn has(&self, id: FileId) -> Result<bool, StoreError>;

    /// Writes an object whose checksum is known. Writing one that is there is no error.
    fn write(
        &mut self,
        id: FileId,
        header: &FileHeader,
        content: &Content,
    ) -> Result<(), StoreError>;

    /// The same for an object with any header, which no composed tree has.
    fn write_any(
        &mut self,
        id: FileId,
        header: &AnyHeader,
        content: &Content,
    ) -> Result<(), StoreError>;
}

impl ObjectWriter for Box<dyn ObjectWriter> {
    fn has(&self, id: FileId) -> Result<bool, StoreError> {
        (**self).has(id)
    }

    fn write(
        &mut self,
        id: FileId,
        header: &FileHeader,
        content: &Content,
    ) -> Result<(), StoreError> {
        (**self).write(id, header, content)
    }

    fn write_any(
        &mut self,
        id: FileId,
        header: &AnyHeader,
        content: &Content,
    ) -> Result<(), StoreError> {
        (**self).write_any(id, header, content)
    }
}

/// Writers for so many threads, at least one.
pub(crate) fn writers(transaction: &Transaction<'_>, threads: usize) -> Vec<Box<dyn ObjectWriter>> {
    (0..threads.max(1)).map(|_| writer(transaction)).collect()
}

/// Our own writer where it knows how, else libostree's.
pub(crate) fn writer(transaction: &Transaction<'_>) -> Box<dyn ObjectWriter> {
    match LooseWriter::new(transaction) {
        Some(writer) => Box::new(writer),
        None => Box::new(LibostreeWriter::new(transaction)),
    }
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
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The system refused something.
    #[error("cannot {action} object {id} in repository {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The object's checksum.
        id: FileId,
        /// The repository.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file system would be fuller than the repository allows.
    #[error(
        "cannot write object {id} in repository {}: it needs {needed} bytes, \
         and {free} are left beside the {reserve} that `min-free-space` keeps free",
        path.display()
    )]
    NoRoom {
        /// The object's checksum.
        id: FileId,
        /// The repository.
        path: PathBuf,
        /// Bytes that the object needs.
        needed: u64,
        /// Bytes that the transaction may still write.
        free: u64,
        /// Bytes that stay free, by the repository's `min-free-space-percent` or `-size`.
        reserve: u64,
    },
}

impl StoreError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Spool { source, .. } | Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::NoRoom { .. } => ErrorKind::DiskFull,
        }
    }
}
