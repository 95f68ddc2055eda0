//! Why a static delta could not be made or read.

use super::DeltaFormatError;
use super::DeltaName;
use crate::kind::ErrorKind;
use crate::repo::RepoError;
use crate::sign::{SignError, Signature, statuses};
use std::path::PathBuf;

/// Why a static delta could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// There is no such delta.
    #[error("no static delta {name} in repository {}", path.display())]
    NotFound {
        /// What was asked for.
        name: DeltaName,
        /// The repository.
        path: PathBuf,
    },
    /// A file of the delta is not well-formed.
    #[error("cannot read {}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: DeltaFormatError,
    },
    /// A delta has no signature around it, and there has to be one.
    #[error("static delta {name} is not signed")]
    Unsigned {
        /// The delta.
        name: DeltaName,
    },
    /// No signature around a delta is good.
    #[error(
        "static delta {name} has no valid signature by a trusted key: {}",
        if found.is_empty() { "none is by Ed25519".to_owned() } else { statuses(found) }
    )]
    Refused {
        /// The delta.
        name: DeltaName,
        /// The signatures it has.
        found: Vec<Signature>,
    },
    /// A key to sign or to check with cannot be used.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A part cannot be compressed: there is not enough memory.
    #[error("cannot compress a part of the static delta {name}")]
    Compress {
        /// The delta.
        name: DeltaName,
        /// liblzma's error.
        #[source]
        source: std::io::Error,
    },
    /// The caller asked for a stop.
    #[error("stopped on request")]
    Cancelled,
}

impl DeltaError {
    /// The kind of the error.
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
