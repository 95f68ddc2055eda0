//! libostree's static delta format: reading, writing, applying. Pure: no repository, no files.
//!
//! A delta is a [`Superblock`], which names the new commit and lists parts, and the [`Part`]s,
//! each a small program of [`Op`]s over a payload. Nothing that is read here is trusted: every
//! number is checked against what is there before memory is taken for it, and the objects that
//! come out have checksums that the caller checks.
//!
//! Source: libostree `ostree-repo-static-delta-private.h`, `-compilation.c`, `-core.c` and
//! `-processing.c`.

mod apply;
mod bspatch;
mod op;
mod part;
mod superblock;

pub(crate) use apply::{Content, FileObject, Object, apply};
pub(crate) use bspatch::write_number;
#[cfg(test)]
pub(crate) use bspatch::{CONTROL, patch};
pub(crate) use op::{Op, OpWriter, Ops};
pub(crate) use part::{Attributes, Part, PartBytes, PartTables, Xattrs, compress};
pub(crate) use superblock::{PartHeader, Signatures, Superblock, unwrap_signed, wrap_signed};

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;

use crate::id::Sha256;
use crate::kind::ErrorKind;
use std::fmt;

/// The type of an object. The numbers are `OstreeObjectType`'s (`ostree-core.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum ObjectKind {
    File = 1,
    DirTree = 2,
    DirMeta = 3,
    Commit = 4,
}

impl ObjectKind {
    pub(crate) const ALL: [Self; 4] = [Self::File, Self::DirTree, Self::DirMeta, Self::Commit];

    fn read(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// libostree's word, which is also the ending of the object's file.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::DirTree => "dirtree",
            Self::DirMeta => "dirmeta",
            Self::Commit => "commit",
        }
    }

    pub(crate) const fn to_ostree(self) -> ostree::ObjectType {
        match self {
            Self::File => ostree::ObjectType::File,
            Self::DirTree => ostree::ObjectType::DirTree,
            Self::DirMeta => ostree::ObjectType::DirMeta,
            Self::Commit => ostree::ObjectType::Commit,
        }
    }
}

/// An object: its type and checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) kind: ObjectKind,
    pub(crate) checksum: Sha256,
}

impl ObjectKey {
    /// Bytes of a key in a delta: one for the type, 32 of checksum
    /// (`OSTREE_STATIC_DELTA_OBJTYPE_CSUM_LEN`).
    const LEN: usize = 33;

    fn read(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let (&[kind], checksum) = bytes.split_first_chunk()?;
        Some(Self {
            kind: ObjectKind::read(kind)?,
            checksum: Sha256(checksum.try_into().ok()?),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.kind as u8);
        out.extend_from_slice(&self.checksum.0);
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.checksum, self.kind.as_str())
    }
}

/// What is wrong with the bytes of a static delta.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeltaFormatError {
    /// The superblock is not well-formed.
    #[error("the superblock of the static delta is not well-formed: {problem}")]
    Superblock {
        /// What is wrong.
        problem: String,
    },
    /// A part is not well-formed.
    #[error("a part of the static delta is not well-formed: {problem}")]
    Part {
        /// What is wrong.
        problem: String,
    },
    /// A part is larger than the reader allows.
    #[error("a part of the static delta holds more than the {limit} bytes that are allowed")]
    TooLarge {
        /// The most bytes that are allowed.
        limit: u64,
    },
    /// An operation of a part cannot be done.
    #[error("operation {index} of a part of the static delta is wrong: {problem}")]
    Op {
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        problem: String,
    },
}

impl DeltaFormatError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::UnsafeContent,
            _ => ErrorKind::Corrupt,
        }
    }

    fn superblock(problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self::Superblock { problem }
    }

    fn part(problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self::Part { problem }
    }
}
