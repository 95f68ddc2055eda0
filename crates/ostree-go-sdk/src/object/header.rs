//! Headers of file objects from other sources than composed trees.

use super::file::frame;
use super::{FileHeader, ROOT, SYMLINK_MODE};
use glib::prelude::*;

/// The owner, mode, symlink target and xattrs of any file, as stored in archives and static deltas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnyHeader {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The `st_mode` with file type.
    pub(crate) mode: u32,
    /// The target of a symlink; empty for other files.
    pub(crate) target: String,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// `S_IFMT`, and the two file types that a file object can have.
const TYPE_MASK: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

impl AnyHeader {
    /// Returns true if this is the header of a regular file, or of a symlink with a target.
    pub(crate) fn is_valid(&self) -> bool {
        match self.mode & TYPE_MASK {
            REGULAR => self.target.is_empty(),
            SYMLINK => !self.target.is_empty(),
            _ => false,
        }
    }

    pub(crate) fn is_symlink(&self) -> bool {
        self.mode & TYPE_MASK == SYMLINK
    }

    /// Returns the framed header that is hashed before the content: see [`FileHeader::framed`].
    pub(crate) fn framed(&self) -> Vec<u8> {
        let header = (
            self.uid.to_be(),
            self.gid.to_be(),
            self.mode.to_be(),
            0u32,
            self.target.as_str(),
            &self.xattrs,
        );
        frame(&header.to_variant())
    }

    /// Returns the framed header of an `archive` repository: see [`FileHeader::framed_with_size`].
    pub(crate) fn framed_with_size(&self, size: u64) -> Vec<u8> {
        let header = (
            size.to_be(),
            self.uid.to_be(),
            self.gid.to_be(),
            self.mode.to_be(),
            0u32,
            self.target.as_str(),
            &self.xattrs,
        );
        frame(&header.to_variant())
    }

    /// Returns the value of the xattr in a `bare-user` repository: see
    /// [`FileHeader::user_metadata`].
    pub(crate) fn user_metadata(&self) -> Vec<u8> {
        let (uid, gid, mode) = (self.uid.to_be(), self.gid.to_be(), self.mode.to_be());
        let metadata = (uid, gid, mode, &self.xattrs).to_variant();
        metadata.data().to_vec()
    }

    /// Returns the header in the form of composed trees; `None` if they cannot contain it.
    pub(crate) fn to_composed(&self) -> Option<FileHeader> {
        self.xattrs.is_empty().then(|| self.without_xattrs())?
    }

    /// Returns the header without xattrs in the form of composed trees; `None` if they cannot
    /// contain it.
    pub(crate) fn without_xattrs(&self) -> Option<FileHeader> {
        if (self.uid, self.gid) != (ROOT, ROOT) {
            return None;
        }
        let composed = match self.mode {
            SYMLINK_MODE => FileHeader::Symlink {
                target: self.target.clone(),
            },
            mode => FileHeader::Regular {
                executable: mode & 0o100 != 0,
            },
        };
        (composed.mode() == self.mode && self.is_valid()).then_some(composed)
    }
}

/// Parses the start of a `.filez` file. Returns the header, the size of the content, and the offset
/// of the deflate stream; `None` if it is not well-formed.
///
/// The format is the length of the variant as u32 big-endian, four zero bytes, and the variant
/// `(tuuuusa(ayay))` = size, uid, gid, mode, rdev 0 (all big-endian), symlink target, xattrs.
/// Source: `_ostree_zlib_file_header_new`, `ostree_content_stream_parse`.
pub(crate) fn parse_archived(bytes: &[u8]) -> Option<(AnyHeader, u64, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let variant = rest.get(4..)?.get(..length)?;
    // Copies the bytes to aligned memory.
    let variant = glib::Variant::from_bytes_with_type(
        &glib::Bytes::from(variant),
        glib::VariantTy::new("(tuuuusa(ayay))").ok()?,
    );
    if !variant.is_normal_form() {
        return None;
    }
    type Fields = (u64, u32, u32, u32, u32, String, Vec<(Vec<u8>, Vec<u8>)>);
    let (size, uid, gid, mode, _, target, xattrs): Fields = variant.get()?;
    let header = AnyHeader {
        uid: u32::from_be(uid),
        gid: u32::from_be(gid),
        mode: u32::from_be(mode),
        target,
        xattrs,
    };
    let is_valid = header.is_valid() && !(header.is_symlink() && size != 0);
    is_valid.then(|| (header, u64::from_be(size), 8 + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers() -> impl Strategy<Value = AnyHeader> {
        let xattr = (
            proptest::collection::vec(1u8..=255, 1..9),
            proptest::collection::vec(any::<u8>(), 0..9),
        );
        (
            any::<(u32, u32)>(),
            prop_oneof![
                (0u32..0o10000).prop_map(|bits| (REGULAR | bits, String::new())),
                Just((SYMLINK_MODE, "../x".to_owned()))
            ],
            proptest::collection::vec(xattr, 0..3),
        )
            .prop_map(|((uid, gid), (mode, target), xattrs)| AnyHeader {
                uid,
                gid,
                mode,
                target,
                xattrs,
            })
    }

    proptest! {
        #[test]
        fn headers_of_composed_trees_have_the_same_bytes(header in headers()) {
            if let Some(composed) = header.to_composed() {
                prop_assert_eq!(composed.framed(), header.framed());
                prop_assert_eq!(composed.framed_with_size(7), header.framed_with_size(7));
                prop_assert_eq!(composed.user_metadata(), header.user_metadata());
            }
            let plain = AnyHeader { uid: 0, gid: 0, mode: 0o100_755, target: String::new(), xattrs: Vec::new() };
            prop_assert_eq!(plain.to_composed(), Some(FileHeader::Regular { executable: true }));
        }

        #[test]
        fn archived_headers_round_trip(header in headers(), size: u64, rest: Vec<u8>) {
            let size = if header.is_symlink() { 0 } else { size };
            let framed = header.framed_with_size(size);
            let bytes = [&framed[..], &rest].concat();
            prop_assert_eq!(parse_archived(&bytes[..framed.len() - 1]), None);
            prop_assert_eq!(parse_archived(&bytes), Some((header, size, framed.len())));
        }

        #[test]
        fn any_bytes_are_a_header_or_none(bytes: Vec<u8>) {
            let _ = parse_archived(&bytes);
        }
    }
}
