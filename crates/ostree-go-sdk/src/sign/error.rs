//! Errors of signing and of verifying signatures.

use super::signature::{Signature, statuses};
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::process::ProcessError;
use crate::repo::RepoError;
use std::path::PathBuf;

/// An error of signing or of verifying signatures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// An error of the repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A commit cannot be signed.
    #[error("cannot sign commit {commit} with GPG key {key}")]
    Sign {
        /// The commit.
        commit: CommitId,
        /// The ID of the key.
        key: String,
        /// The error of GnuPG.
        #[source]
        source: Box<Self>,
    },
    /// The summary cannot be signed.
    #[error("cannot sign the summary with GPG key {key}")]
    SignSummary {
        /// The ID of the key.
        key: String,
        /// The error of GnuPG.
        #[source]
        source: Box<Self>,
    },
    /// An Ed25519 secret key is malformed. The error does not contain the key.
    #[error("the Ed25519 secret key is not well-formed, expected 64 bytes in base64")]
    InvalidEd25519Secret,
    /// An Ed25519 public key is malformed.
    #[error("`{found}` is not an Ed25519 public key, expected 32 bytes in base64")]
    InvalidEd25519Key {
        /// The text that was found.
        found: String,
    },
    /// A new key cannot be written.
    #[error("cannot write the new key to {}", path.display())]
    Generate {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// GnuPG cannot be run or failed. This does not imply that a signature is invalid.
    #[error("cannot use GnuPG")]
    Gpg(#[from] ProcessError),
    /// A temporary file for GnuPG cannot be read or written.
    #[error("cannot use temporary file {}", path.display())]
    TemporaryFile {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// A key file cannot be read.
    #[error("cannot read public keys from {}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// A key file contains no public GPG keys.
    #[error("there are no public GPG keys in {}", path.display())]
    NoKeys {
        /// The file.
        path: PathBuf,
    },
    /// There are more different signatures than the limit. None was verified.
    #[error("there are {found} different signatures, at most {limit} are checked")]
    TooMany {
        /// The number of different signatures.
        found: usize,
        /// The maximum number that is verified.
        limit: usize,
    },
    /// A commit has no signatures.
    #[error("commit {commit} is not signed")]
    Unsigned {
        /// The commit.
        commit: CommitId,
    },
    /// A commit has no valid signature by a trusted key.
    #[error(
        "commit {commit} has no valid signature by a trusted key: {}",
        statuses(found)
    )]
    Refused {
        /// The commit.
        commit: CommitId,
        /// The signatures of the commit.
        found: Vec<Signature>,
    },
}

impl SignError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            // GnuPG does not have the key or cannot use it.
            Self::Sign { source, .. } | Self::SignSummary { source, .. } => match source.kind() {
                ErrorKind::Io => ErrorKind::InvalidInput,
                kind => kind,
            },
            Self::InvalidEd25519Secret | Self::InvalidEd25519Key { .. } | Self::NoKeys { .. } => {
                ErrorKind::InvalidInput
            }
            Self::Keys { source, .. }
            | Self::Generate { source, .. }
            | Self::TemporaryFile { source, .. } => ErrorKind::of_io(source),
            Self::Gpg(error) => error.kind(),
            Self::Unsigned { .. } | Self::Refused { .. } | Self::TooMany { .. } => {
                ErrorKind::Mismatch
            }
        }
    }
}
