//! The serialized form and the checksums of OSTree's objects, without I/O.
//!
//! Source of all formats: libostree `src/libostree/ostree-core.c`, `ostree-core.h`
//! (`OSTREE_DIRMETA_GVARIANT_FORMAT` and similar constants) and `docs/formats.md`.

mod commit;
mod dir;
mod file;
mod header;
mod tree;

pub(crate) use commit::{Commit, content_id, sorted_dict};
pub(crate) use dir::{DirHeader, DirTree, dirmeta, dirmeta_mode, dirtree};
pub(crate) use file::{FileHasher, FileHeader};
pub(crate) use header::{AnyHeader, parse_archived};
pub(crate) use tree::{Leaf, LeafKind, Node, Overlap, Root, Tree, TreeSize};

use crate::id::Sha256;
use sha2::Digest;

/// Owner and group of all files and directories in a composed tree.
pub(crate) const ROOT: u32 = 0;
/// Mode of a directory: `drwxr-xr-x`.
pub(crate) const DIRECTORY_MODE: u32 = 0o040_755;
/// Mode of a plain file: `-rw-r--r--`.
pub(crate) const FILE_MODE: u32 = 0o100_644;
/// Mode of an executable file: `-rwxr-xr-x`.
pub(crate) const EXECUTABLE_MODE: u32 = 0o100_755;
/// Mode of a symlink: `lrwxrwxrwx`.
pub(crate) const SYMLINK_MODE: u32 = 0o120_777;

/// A metadata object (any object except a file) with its checksum.
#[derive(Debug, Clone)]
pub(crate) struct MetadataObject<Id> {
    pub(crate) id: Id,
    pub(crate) variant: glib::Variant,
}

impl<Id: From<Sha256>> MetadataObject<Id> {
    /// Creates a metadata object. Its checksum is the SHA-256 of its serialized variant.
    fn new(variant: glib::Variant) -> Self {
        let id = Sha256(sha2::Sha256::digest(variant.data()).into()).into();
        Self { id, variant }
    }
}

/// The type of empty xattrs: an empty `a(ayay)`.
type NoXattrs = Vec<(Vec<u8>, Vec<u8>)>;
