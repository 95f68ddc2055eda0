//! Errors of static deltas.

use super::DeltaFormatError;
use super::DeltaName;
use crate::fs::context::from_io_failure;
use crate::kind::ErrorKind;
use crate::repo::RepoError;
use crate::sign::{SignError, Signature, statuses};
use std::path::PathBuf;

/// The reason why a static delta could not be generated or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The delta does not exist.
    #[error("no static delta {name} in repository {}", path.display())]
    NotFound {
        /// The requested delta.
        name: DeltaName,
        /// The repository.
        path: PathBuf,
    },
    /// A file of the delta is malformed.
    #[error("cannot read {}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The problem.
        #[source]
        source: DeltaFormatError,
    },
    /// The delta is not signed, but a signature is required.
    #[error("static delta {name} is not signed")]
    Unsigned {
        /// The delta.
        name: DeltaName,
    },
    /// None of the delta's signatures is valid.
    #[error(
        "static delta {name} has no valid signature by a trusted key: {}",
        if found.is_empty() { "no Ed25519 signature found".to_owned() } else { statuses(found) }
    )]
    Refused {
        /// The delta.
        name: DeltaName,
        /// The signatures with their status.
        found: Vec<Signature>,
    },
    /// A key for signing or verifying cannot be used.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A part cannot be compressed because there is not enough memory.
    #[error("cannot compress a part of the static delta {name}")]
    Compress {
        /// The delta.
        name: DeltaName,
        /// The error of liblzma.
        #[source]
        source: std::io::Error,
    },
    /// The operation was cancelled.
    #[error("stopped on request")]
    Cancelled,
}

from_io_failure!(DeltaError via Repo(RepoError));

impl DeltaError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Format { source, .. } => source.kind(),
            Self::Unsigned { .. } | Self::Refused { .. } => ErrorKind::Mismatch,
            Self::Sign(error) => error.kind(),
            Self::Compress { source, .. } => ErrorKind::of_io(source),
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}
