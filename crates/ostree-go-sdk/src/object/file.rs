//! File objects: the header that is hashed before a file's bytes.

use super::{EXECUTABLE_MODE, FILE_MODE, NoXattrs, ROOT, SYMLINK_MODE};
use crate::id::{FileId, Sha256};
use glib::prelude::*;
use sha2::Digest;
use std::sync::LazyLock;

/// The type, mode and symlink target of a file in a composed tree. The owner is 0:0 and there are
/// no xattrs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileHeader {
    Regular { executable: bool },
    Symlink { target: String },
}

impl FileHeader {
    /// Returns the `st_mode` with file type.
    pub(crate) fn mode(&self) -> u32 {
        match self {
            Self::Regular { executable: true } => EXECUTABLE_MODE,
            Self::Regular { executable: false } => FILE_MODE,
            Self::Symlink { .. } => SYMLINK_MODE,
        }
    }

    /// Returns the framed header that is hashed before the content: `(uuuusa(ayay))` = uid, gid,
    /// mode, rdev 0 (all big-endian), symlink target, xattrs.
    ///
    /// Source: `_ostree_file_header_new`, `_ostree_write_variant_with_size`.
    pub(crate) fn framed(&self) -> Vec<u8> {
        let (root, no_xattrs) = (ROOT.to_be(), NoXattrs::new());
        let mode = self.mode().to_be();
        frame(&(root, root, mode, 0u32, self.target(), no_xattrs).to_variant())
    }

    /// Returns the framed header that precedes the raw deflate stream in an `archive` repository:
    /// `(tuuuusa(ayay))`, the same with the size of the content (big-endian) in front.
    ///
    /// Source: `_ostree_zlib_file_header_new`.
    pub(crate) fn framed_with_size(&self, size: u64) -> Vec<u8> {
        let (root, no_xattrs) = (ROOT.to_be(), NoXattrs::new());
        let (size, mode) = (size.to_be(), self.mode().to_be());
        frame(&(size, root, root, mode, 0u32, self.target(), no_xattrs).to_variant())
    }

    /// Returns the value of the xattr `user.ostreemeta` in a `bare-user` repository: `(uuua(ayay))`
    /// = uid, gid, mode (all big-endian), xattrs.
    ///
    /// Source: `create_file_metadata`, `_ostree_write_bareuser_metadata`.
    pub(crate) fn user_metadata(&self) -> Vec<u8> {
        // An empty array of xattrs has no bytes.
        let numbers = [ROOT, ROOT, self.mode()].map(u32::to_be_bytes);
        numbers.as_flattened().to_vec()
    }

    fn target(&self) -> &str {
        match self {
            Self::Regular { .. } => "",
            Self::Symlink { target } => target,
        }
    }
}

/// Returns a variant, preceded by its length as u32 big-endian and four zero bytes.
///
/// Source: `variant_to_lenprefixed_buffer`.
pub(super) fn frame(header: &glib::Variant) -> Vec<u8> {
    let header = header.data();
    let mut framed = Vec::with_capacity(header.len() + 8);
    let len = u32::try_from(header.len()).unwrap_or(u32::MAX);
    framed.extend_from_slice(&len.to_be_bytes());
    framed.extend_from_slice(&[0; 4]);
    framed.extend_from_slice(header);
    framed
}

/// Computes a file object's checksum: SHA-256 over the framed header and the file's bytes.
#[derive(Clone)]
pub(crate) struct FileHasher(sha2::Sha256);

impl FileHasher {
    pub(crate) fn new(header: &FileHeader) -> Self {
        static REGULAR: LazyLock<[sha2::Sha256; 2]> = LazyLock::new(|| {
            [false, true].map(|executable| hash_header(&FileHeader::Regular { executable }))
        });
        fn hash_header(header: &FileHeader) -> sha2::Sha256 {
            sha2::Sha256::new_with_prefix(header.framed())
        }
        Self(match header {
            FileHeader::Regular { executable } => REGULAR[usize::from(*executable)].clone(),
            FileHeader::Symlink { .. } => hash_header(header),
        })
    }

    /// Creates a hasher for a header that is [framed](FileHeader::framed) already.
    pub(crate) fn framed(header: &[u8]) -> Self {
        Self(sha2::Sha256::new_with_prefix(header))
    }

    pub(crate) fn update(&mut self, content: &[u8]) {
        self.0.update(content);
    }

    pub(crate) fn finish(self) -> FileId {
        Sha256(self.0.finalize().into()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(header: &FileHeader, content: &[u8]) -> String {
        let mut hasher = FileHasher::new(header);
        hasher.update(content);
        hasher.finish().to_string()
    }

    fn libostree_id(header: &FileHeader, content: &[u8]) -> String {
        let info = gio::FileInfo::new();
        info.set_attribute_uint32("unix::uid", 0);
        info.set_attribute_uint32("unix::gid", 0);
        info.set_attribute_uint32("unix::mode", header.mode());
        let input = match header {
            FileHeader::Symlink { target } => {
                info.set_file_type(gio::FileType::SymbolicLink);
                info.set_symlink_target(target);
                None
            }
            FileHeader::Regular { .. } => {
                info.set_file_type(gio::FileType::Regular);
                info.set_size(i64::try_from(content.len()).unwrap());
                Some(gio::MemoryInputStream::from_bytes(&glib::Bytes::from(
                    content,
                )))
            }
        };
        let checksum = ostree::checksum_file_from_input(
            &info,
            None,
            input.as_ref(),
            ostree::ObjectType::File,
            gio::Cancellable::NONE,
        );
        checksum.unwrap().to_hex()
    }

    #[test]
    fn checksums_are_those_of_libostree() {
        for (header, content) in [
            (FileHeader::Regular { executable: false }, &b""[..]),
            (FileHeader::Regular { executable: false }, b"hello\n"),
            (FileHeader::Regular { executable: true }, &[7; 100_000]),
            (
                FileHeader::Symlink {
                    target: "../lib/sdk/go-1.26/bin/go".to_owned(),
                },
                b"",
            ),
        ] {
            assert_eq!(
                id(&header, content),
                libostree_id(&header, content),
                "{header:?}"
            );
        }
    }
}
