//! Errors of answers of a checksum database.

use crate::id::Sha256;
use crate::kind::ErrorKind;

/// The reason why an answer of a checksum database is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SumdbError {
    /// An answer does not have the expected form.
    #[error("the answer to a lookup has no {missing}")]
    Malformed {
        /// The missing part.
        missing: &'static str,
    },
    /// A stored proof does not have the expected form.
    #[error("the proof has no {missing}")]
    MalformedProof {
        /// The missing part.
        missing: &'static str,
    },
    /// The tree head is not signed by the database's key.
    #[error("the head of the tree has no valid signature by {expected}")]
    Signature {
        /// The name and hash of the key.
        expected: String,
    },
    /// The record does not contain the requested module.
    #[error("record {record} does not contain {expected}")]
    OtherRecord {
        /// The number of the record.
        record: u64,
        /// The requested module and version.
        expected: String,
    },
    /// The tree does not contain the record's number.
    #[error("record {record} is not in a tree of {size} records")]
    BeyondTree {
        /// The number of the record.
        record: u64,
        /// The number of records in the tree.
        size: u64,
    },
    /// The size of a tile is wrong.
    #[error("{tile} has {found} bytes, expected {expected}")]
    Tile {
        /// The path of the tile.
        tile: String,
        /// The size found.
        found: usize,
        /// The expected size.
        expected: usize,
    },
    /// The proof has another number of hashes than one for a tree of this size.
    #[error("the proof of record {record} in a tree of {size} records has {found} hashes")]
    ProofLength {
        /// The number of the record.
        record: u64,
        /// The number of records in the tree.
        size: u64,
        /// The number of hashes.
        found: usize,
    },
    /// A tree is not the beginning of a newer one, which was signed by the same key.
    #[error("the tree of {newer} records does not continue the tree of {older} records")]
    Forked {
        /// The number of records in the older tree.
        older: u64,
        /// The number of records in the newer tree.
        newer: u64,
    },
    /// Hashes do not belong to the newer tree, so that nothing is known about the older one.
    #[error(
        "the hashes do not show that the tree of {newer} records continues the tree of {older} records"
    )]
    Inconsistent {
        /// The number of records in the older tree.
        older: u64,
        /// The number of records in the newer tree.
        newer: u64,
    },
    /// The proof fails: the tree does not contain the record.
    #[error(
        "record {record} does not belong to the tree: its hash is {found}, expected {expected}"
    )]
    NotIncluded {
        /// The number of the record.
        record: u64,
        /// The root hash computed with this record.
        found: Sha256,
        /// The root hash in the signed tree head.
        expected: Sha256,
    },
}

impl SumdbError {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } | Self::MalformedProof { .. } => ErrorKind::Corrupt,
            _ => ErrorKind::Mismatch,
        }
    }
}
