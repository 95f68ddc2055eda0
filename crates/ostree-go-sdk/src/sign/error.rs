//! Errors of signing and of verifying signatures.

use super::external::SignerError;
use super::signature::{Signature, statuses};
use crate::clock::rfc3339;
use crate::fs::context::from_io_failure;
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::process::ProcessError;
use crate::repo::RepoError;
use std::path::PathBuf;

/// The reason why GnuPG cannot use a home directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HomeProblem {
    /// The path of the socket of its agent is too long.
    #[error("the path of its agent's socket has {length} bytes, expected at most {limit}")]
    TooLong {
        /// The length in bytes.
        length: usize,
        /// The limit of the system.
        limit: usize,
    },
    /// GnuPG cannot create its lock files and its agent's socket there.
    #[error("it cannot be written")]
    ReadOnly,
}

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
    /// A file cannot be signed.
    #[error("cannot sign {} with GPG key {key}", path.display())]
    SignFile {
        /// The file.
        path: PathBuf,
        /// The ID of the key.
        key: String,
        /// The error of GnuPG.
        #[source]
        source: Box<Self>,
    },
    /// Something else cannot be signed.
    #[error("cannot sign {subject} with GPG key {key}")]
    SignData {
        /// The kind of bytes to sign.
        subject: String,
        /// The ID of the key.
        key: String,
        /// The error of GnuPG.
        #[source]
        source: Box<Self>,
    },
    /// A command or a token gave no valid signature.
    #[error("cannot sign {subject} with {signer}")]
    External {
        /// The kind of bytes to sign.
        subject: String,
        /// The command or the key on the token.
        signer: String,
        /// The reason.
        #[source]
        source: Box<SignerError>,
    },
    /// The content of a file is not a single public key.
    #[error(
        "found {found} public keys, expected an Ed25519 public key, 32 bytes in base64, or one public GPG key"
    )]
    NotOnePublicKey {
        /// The number of GPG keys.
        found: usize,
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
    /// GnuPG cannot use its home directory.
    #[error("GnuPG cannot use the home directory {}: {problem}", path.display())]
    Home {
        /// The directory.
        path: PathBuf,
        /// The reason.
        problem: HomeProblem,
    },
    /// The folder for temporary files, which the environment of the process names, does not exist.
    #[error("there is no folder for temporary files at {}", path.display())]
    NoTemporaryFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A temporary file for GnuPG cannot be read or written.
    #[error("cannot use temporary file {}", path.display())]
    TemporaryFile {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// A signed file or its signatures cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The file.
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
    /// A file has no signatures of the kind of the trusted keys.
    #[error("{} has no {kind} signature", path.display())]
    UnsignedFile {
        /// The file.
        path: PathBuf,
        /// The kind: `GPG` or `Ed25519`.
        kind: &'static str,
    },
    /// The keys of a remote are not used for files.
    #[error("the keys of remote `{remote}` are for commits, expected keys for files")]
    NoFileKeys {
        /// The remote.
        remote: String,
    },
    /// The signature of a file cannot be verified yet, because the clock of this machine is behind.
    #[error(
        "the signature of {} is of {}, the clock of this machine says {}",
        path.display(),
        rfc3339(*signed),
        rfc3339(*now)
    )]
    FileClockBehind {
        /// The file.
        path: PathBuf,
        /// The time of the signature, in seconds since 1970.
        signed: u64,
        /// The time of this machine, in seconds since 1970.
        now: u64,
    },
    /// A file has no valid signature by a trusted key.
    #[error(
        "{} has no valid signature by a trusted key: {}",
        path.display(),
        statuses(found)
    )]
    RefusedFile {
        /// The file.
        path: PathBuf,
        /// The signatures of the file.
        found: Vec<Signature>,
    },
    /// A signature cannot be verified yet, because the clock of this machine is behind.
    #[error(
        "the signature of commit {commit} is of {}, the clock of this machine says {}",
        rfc3339(*signed),
        rfc3339(*now)
    )]
    ClockBehind {
        /// The commit.
        commit: CommitId,
        /// The time of the signature, in seconds since 1970.
        signed: u64,
        /// The time of this machine, in seconds since 1970.
        now: u64,
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

from_io_failure!(SignError);

impl SignError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            // GnuPG does not have the key or cannot use it.
            Self::Sign { source, .. }
            | Self::SignSummary { source, .. }
            | Self::SignFile { source, .. }
            | Self::SignData { source, .. } => match source.kind() {
                ErrorKind::Io => ErrorKind::InvalidInput,
                kind => kind,
            },
            Self::External { source, .. } => source.kind(),
            Self::InvalidEd25519Secret
            | Self::NotOnePublicKey { .. }
            | Self::InvalidEd25519Key { .. }
            | Self::NoKeys { .. }
            | Self::NoFileKeys { .. } => ErrorKind::InvalidInput,
            Self::Io { source, .. }
            | Self::Keys { source, .. }
            | Self::Generate { source, .. }
            | Self::TemporaryFile { source, .. } => ErrorKind::of_io(source),
            Self::Gpg(error) => error.kind(),
            Self::NoTemporaryFolder { .. } => ErrorKind::NotFound,
            Self::Home { problem, .. } => match problem {
                HomeProblem::TooLong { .. } => ErrorKind::InvalidInput,
                HomeProblem::ReadOnly => ErrorKind::PermissionDenied,
            },
            Self::ClockBehind { .. } | Self::FileClockBehind { .. } => ErrorKind::Clock,
            Self::Unsigned { .. }
            | Self::UnsignedFile { .. }
            | Self::Refused { .. }
            | Self::RefusedFile { .. }
            | Self::TooMany { .. } => ErrorKind::Mismatch,
        }
    }
}
