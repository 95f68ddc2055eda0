//! Headers of file objects that somebody else has made.

use super::file::frame;
use super::{FileHeader, ROOT, SYMLINK_MODE};
use glib::prelude::*;

/// Everything about a file but its bytes, as archives and static deltas carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnyHeader {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The whole `st_mode`.
    pub(crate) mode: u32,
    /// Empty, but for a symlink.
    pub(crate) target: String,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// `S_IFMT`, and the two types a file object may be of.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

impl AnyHeader {
    /// Whether it is the header of a regular file or of a symlink with a target.
    pub(crate) fn is_valid(&self) -> bool {
        match self.mode & TYPE {
            REGULAR => self.target.is_empty(),
            SYMLINK => !self.target.is_empty(),
            _ => false,
        }
    }

    pub(crate) fn is_symlink(&self) -> bool {
        self.mode & TYPE == SYMLINK
    }

    /// The framed header that is hashed before the bytes: see [`FileHeader::framed`].
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

    /// The framed header of an archive repository: see [`FileHeader::framed_with_size`].
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

    /// What a bare-user repository keeps in an xattr: see [`FileHeader::user_metadata`].
    pub(crate) fn user_metadata(&self) -> Vec<u8> {
        let (uid, gid, mode) = (self.uid.to_be(), self.gid.to_be(), self.mode.to_be());
        let metadata = (uid, gid, mode, &self.xattrs).to_variant();
        metadata.data().to_vec()
    }

    /// The header, if it is one that composed trees have.
    pub(crate) fn ours(&self) -> Option<FileHeader> {
        self.xattrs.is_empty().then(|| self.without_xattrs())?
    }

    /// The header without its xattrs, if that is one that composed trees have.
    pub(crate) fn without_xattrs(&self) -> Option<FileHeader> {
        if (self.uid, self.gid) != (ROOT, ROOT) {
            return None;
        }
        let ours = match self.mode {
            SYMLINK_MODE => FileHeader::Symlink {
                target: self.target.clone(),
            },
            mode => FileHeader::Regular {
                executable: mode & 0o100 != 0,
            },
        };
        (ours.mode() == self.mode && self.is_valid()).then_some(ours)
    }
}

/// The start of a `.filez`: the header, the size of the bytes, and where their deflate stream
/// begins. `None` when it is not well-formed.
///
/// Length of the variant as u32 big-endian, four zero bytes, the variant `(tuuuusa(ayay))` =
/// size, uid, gid, mode, rdev 0 (all big-endian), symlink target, xattrs. Source:
/// `_ostree_zlib_file_header_new`, `ostree_content_stream_parse`.
pub(crate) fn parse_archived(bytes: &[u8]) -> Option<(AnyHeader, u64, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let variant = rest.get(4..)?.get(..length)?;
    // Aligned memory of its own.
    let variant = glib::Variant::from_bytes_with_type(
        &glib::Bytes::from(variant),
        glib::VariantTy::new("(tuuuusa(ayay))").ok()?,
    );
    if !variant.is_normal_form() {
        return None;
    }
    type Raw = (u64, u32, u32, u32, u32, String, Vec<(Vec<u8>, Vec<u8>)>);
    let (size, uid, gid, mode, _, target, xattrs): Raw = variant.get()?;
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
        fn ours_are_framed_alike(header in headers()) {
            if let Some(ours) = header.ours() {
                prop_assert_eq!(ours.framed(), header.framed());
                prop_assert_eq!(ours.framed_with_size(7), header.framed_with_size(7));
                prop_assert_eq!(ours.user_metadata(), header.user_metadata());
            }
            let plain = AnyHeader { uid: 0, gid: 0, mode: 0o100_755, target: String::new(), xattrs: Vec::new() };
            prop_assert_eq!(plain.ours(), Some(FileHeader::Regular { executable: true }));
        }

        #[test]
        fn archived_headers_read_back(header in headers(), size: u64, rest: Vec<u8>) {
            let size = if header.is_symlink() { 0 } else { size };
            let framed = header.framed_with_size(size);
            let bytes = [&framed[..], &rest].concat();
            prop_assert_eq!(parse_archived(&bytes[..framed.len() - 1]), None);
            prop_assert_eq!(parse_archived(&bytes), Some((header, size, framed.len())));
        }

        #[test]
        fn garbage_is_no_panic(bytes: Vec<u8>) {
            let _ = parse_archived(&bytes);
        }
    }
}
