//! The problems with the bytes of static deltas.

use crate::kind::ErrorKind;

/// The problem with the bytes of a static delta.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaFormatError {
    /// The superblock is malformed.
    #[error("the superblock of the static delta is malformed: {problem}")]
    Superblock {
        /// The problem.
        problem: String,
    },
    /// A part is malformed.
    #[error("a part of the static delta is malformed: {problem}")]
    Part {
        /// The problem.
        problem: String,
    },
    /// A part exceeds the reader's limit.
    #[error("a part of the static delta has more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// An operation of a part is invalid.
    #[error("operation {index} of a part of the static delta is invalid: {problem}")]
    Op {
        /// The index of the operation, from 0.
        index: usize,
        /// The problem.
        problem: String,
    },
}

impl DeltaFormatError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::UnsafeContent,
            _ => ErrorKind::Corrupt,
        }
    }

    pub(super) fn superblock(problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self::Superblock { problem }
    }

    pub(super) fn part(problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self::Part { problem }
    }
}
