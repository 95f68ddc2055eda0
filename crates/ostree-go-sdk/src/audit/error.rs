//! Errors of an audit.

use crate::fs::context::from_io_failure;
use crate::golang::index::IndexError;
use crate::golang::osv::OsvError;
use crate::http::HttpError;
use crate::kind::ErrorKind;
use std::path::PathBuf;

/// An error of reading a vulnerability database or a download index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A request failed, and the cache has no copy.
    #[error(transparent)]
    Http(#[from] HttpError),
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
    /// The directory or URL has no index of modules.
    #[error("{location} is not a Go vulnerability database: it has no index/modules.json")]
    NoDatabase {
        /// The directory, or the URL without credentials.
        location: String,
    },
    /// The index names an entry that does not exist.
    #[error("the vulnerability database {location} has no ID/{name}.json, which its index names")]
    NoEntry {
        /// The directory, or the URL without credentials.
        location: String,
        /// The name of the entry.
        name: String,
    },
    /// A document has another form than expected.
    #[error("cannot use {document}")]
    Document {
        /// The file or URL.
        document: String,
        /// The cause.
        source: OsvError,
    },
    /// A document is no valid gzip.
    #[error("cannot decompress {document}")]
    Gzip {
        /// The file or URL.
        document: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A document is larger than allowed.
    #[error("{document} is larger than {limit} bytes")]
    TooLarge {
        /// The file or URL.
        document: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The download index has another form than expected.
    #[error("cannot use {document}")]
    Index {
        /// The file or URL.
        document: String,
        /// The cause.
        source: Box<IndexError>,
    },
    /// The download index lists no release.
    #[error("the download index {document} lists no release of Go")]
    NoReleases {
        /// The file or URL.
        document: String,
    },
    /// The operation was cancelled.
    #[error("stopped while reading the vulnerability database {location}")]
    Cancelled {
        /// The directory, or the URL without credentials.
        location: String,
    },
}

from_io_failure!(AuditError);

impl AuditError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Http(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::NoDatabase { .. } => ErrorKind::NotFound,
            Self::Document { source, .. } => source.kind(),
            Self::Index { source, .. } => source.kind(),
            Self::NoEntry { .. } | Self::Gzip { .. } | Self::NoReleases { .. } => {
                ErrorKind::Corrupt
            }
            Self::TooLarge { .. } => ErrorKind::UnsafeContent,
            Self::Cancelled { .. } => ErrorKind::Cancelled,
        }
    }
}
