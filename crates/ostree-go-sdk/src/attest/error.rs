//! Errors of attestations.

use crate::kind::ErrorKind;
use crate::sign::{SignError, Signature, statuses};

/// An error of making or checking an attestation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// An error of signing or of verifying signatures.
    #[error(transparent)]
    Sign(Box<SignError>),
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
            Self::TooLarge { .. }
            | Self::Envelope { .. }
            | Self::Statement { .. }
            | Self::PayloadType { .. }
            | Self::Key { .. } => ErrorKind::InvalidInput,
            Self::Unsigned | Self::Refused { .. } => ErrorKind::Mismatch,
        }
    }
}
