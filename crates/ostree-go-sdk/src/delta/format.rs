//! libostree's static delta format: parsing, writing and applying, without I/O.
//!
//! A delta consists of a [`Superblock`], which contains the new commit and lists parts, and the
//! [`Part`]s, each a list of [`Op`]s over a payload. The input is untrusted: every number is checked
//! against the available data before memory is allocated, and the caller verifies the checksums of
//! the resulting objects.
//!
//! Source: libostree `ostree-repo-static-delta-private.h`, `-compilation.c`, `-core.c` and
//! `-processing.c`.

mod apply;
mod bspatch;
mod error;
mod op;
mod part;
mod superblock;

pub(crate) use apply::{Content, FileObject, Object, apply};
pub(crate) use bspatch::write_number;
#[cfg(test)]
pub(crate) use bspatch::{CONTROL, patch};
pub use error::DeltaFormatError;
pub(crate) use op::{Op, OpWriter, Ops};
pub(crate) use part::{Attributes, Part, PartBytes, PartTables, Xattrs, compress};
pub(crate) use superblock::{PartHeader, Signatures, Superblock, unwrap_signed, wrap_signed};

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;

use crate::id::Sha256;
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

    /// Returns libostree's name of the type, which is also the file extension of objects.
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
    /// Size of a key in a delta: one byte for the type, 32 for the checksum
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
