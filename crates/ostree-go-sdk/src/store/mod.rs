//! Writes file objects in parallel.
//!
//! A producer passes files to [`write_files`]. Workers hash them and write those that the
//! repository does not have, through an [`ObjectWriter`]: [`LooseWriter`] if it supports the
//! repository, otherwise [`LibostreeWriter`].

mod budget;
mod content;
mod libostree;
mod loose;
mod pipeline;
#[cfg(test)]
mod tests;

pub(crate) use budget::{Budget, BudgetGuard};
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

/// A writer of file objects into an open transaction. Each worker has its own.
pub(crate) trait ObjectWriter: Send {
    /// Returns true if the repository or the transaction already has the object.
    fn has(&self, id: FileId) -> Result<bool, StoreError>;

    /// Writes an object whose checksum is known. It is not an error if the object exists.
    fn write(
        &mut self,
        id: FileId,
        header: &FileHeader,
        content: &Content,
    ) -> Result<(), StoreError>;

    /// Writes an object with any header. Composed trees only have headers of the type
    /// [`FileHeader`].
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

/// Returns a writer for each thread, at least one.
pub(crate) fn writers(transaction: &Transaction<'_>, threads: usize) -> Vec<Box<dyn ObjectWriter>> {
    (0..threads.max(1)).map(|_| writer(transaction)).collect()
}

/// Returns a [`LooseWriter`] if it supports the repository, otherwise a [`LibostreeWriter`].
pub(crate) fn writer(transaction: &Transaction<'_>) -> Box<dyn ObjectWriter> {
    match LooseWriter::new(transaction) {
        Some(writer) => Box::new(writer),
        None => Box::new(LibostreeWriter::new(transaction)),
    }
}

/// An error of writing file objects.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// An error of the repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A large file could not be written to a temporary file.
    #[error("cannot buffer a large file in {}", path.display())]
    Spool {
        /// The folder of the temporary file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// A system call failed.
    #[error("cannot {action} object {id} in repository {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The checksum of the object.
        id: FileId,
        /// The repository.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The file system would have less free space than the repository requires.
    #[error(
        "cannot write object {id} in repository {}: it needs {needed} bytes, \
         and {free} are left beside the {reserve} that `min-free-space` keeps free",
        path.display()
    )]
    InsufficientSpace {
        /// The checksum of the object.
        id: FileId,
        /// The repository.
        path: PathBuf,
        /// The number of bytes that the object needs.
        needed: u64,
        /// The number of bytes that the transaction may still write.
        free: u64,
        /// The number of bytes that must stay free, by the repository's `min-free-space-percent` or
        /// `-size`.
        reserve: u64,
    },
}

impl StoreError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Spool { source, .. } | Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::InsufficientSpace { .. } => ErrorKind::DiskFull,
        }
    }
}
