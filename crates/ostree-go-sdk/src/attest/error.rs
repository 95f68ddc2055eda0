//! Errors of attestations.

use super::subject::Subject;
use crate::catalog::CommitKind;
use crate::fs::context::from_io_failure;
use crate::fs::path::TreePath;
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::repo::RepoError;
use crate::sign::{SignError, Signature, statuses};
use std::io;
use std::path::PathBuf;

/// An error of making or checking an attestation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// An error of signing or of verifying signatures.
    #[error(transparent)]
    Sign(Box<SignError>),
    /// An error of the repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The commit is neither a release nor a channel.
    #[error("commit {commit} is of the kind `{}`, expected a release or a channel", kind.as_str())]
    NotARelease {
        /// The commit.
        commit: CommitId,
        /// The kind of the commit.
        kind: CommitKind,
    },
    /// An object of a directory is damaged or missing in the repository.
    #[error("cannot read commit {commit}: object {object} is damaged or missing")]
    Damaged {
        /// The commit.
        commit: CommitId,
        /// The checksum and type of the object: `00ff….dirtree`.
        object: String,
    },
    /// A file of the SDK cannot be used.
    #[error("cannot read the modules in /{path}: {problem}")]
    File {
        /// The path in the tree.
        path: TreePath,
        /// The problem.
        problem: String,
    },
    /// A file is not accepted as an attestation.
    #[error("{} is no valid attestation", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: Box<Self>,
    },
    /// A statement is about other artifacts.
    #[error("the statement is about {}, expected commit {expected}", names(found))]
    OtherSubject {
        /// The subjects of the statement.
        found: Vec<Subject>,
        /// The commit.
        expected: CommitId,
    },
    /// An envelope is larger than the limit.
    #[error("the envelope has {found} bytes, expected at most {limit}")]
    TooLarge {
        /// Its size in bytes.
        found: usize,
        /// The largest size that is accepted, in bytes.
        limit: usize,
    },
    /// A document is no DSSE envelope.
    #[error("the document is not a DSSE envelope: {problem}")]
    Envelope {
        /// The problem.
        problem: String,
    },
    /// A payload is no in-toto statement.
    #[error("the document is not an in-toto statement: {problem}")]
    Statement {
        /// The problem.
        problem: String,
    },
    /// The payload of an envelope is of another type.
    #[error("the payload of the envelope is of type `{}`, expected `{expected}`", found.escape_debug())]
    PayloadType {
        /// The type that was found.
        found: String,
        /// The expected type.
        expected: &'static str,
    },
    /// An envelope is to be signed with a key that is no Ed25519 key.
    #[error("the key {key} cannot sign an envelope, expected an Ed25519 key")]
    Key {
        /// A description of the key, without the secret.
        key: String,
    },
    /// An envelope has no signatures.
    #[error("the envelope is not signed")]
    Unsigned,
    /// An envelope has no valid signature by a trusted key.
    #[error(
        "the envelope has no valid signature by a trusted key: {}",
        statuses(found)
    )]
    Refused {
        /// The signatures of the envelope.
        found: Vec<Signature>,
    },
}

from_io_failure!(AttestError);

/// Describes the first subjects of a statement.
fn names(subjects: &[Subject]) -> String {
    let shown = subjects.iter().take(3).map(|subject| {
        let name = subject.name.escape_debug();
        match subject.sha256() {
            Some(sha256) => format!("`{name}` with the SHA-256 {sha256}"),
            None => format!("`{name}`"),
        }
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if subjects.len() > 3 {
        text += &format!(" and {} more", subjects.len() - 3);
    }
    text
}

impl From<SignError> for AttestError {
    fn from(error: SignError) -> Self {
        Self::Sign(Box::new(error))
    }
}

impl AttestError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Sign(error) => error.kind(),
            Self::Repo(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::InFile { source, .. } => source.kind(),
            Self::Damaged { .. } | Self::File { .. } => ErrorKind::Damaged,
            Self::NotARelease { .. }
            | Self::TooLarge { .. }
            | Self::Envelope { .. }
            | Self::Statement { .. }
            | Self::PayloadType { .. }
            | Self::Key { .. } => ErrorKind::InvalidInput,
            Self::Unsigned | Self::Refused { .. } | Self::OtherSubject { .. } => {
                ErrorKind::Mismatch
            }
        }
    }
}
