//! Directory objects: `dirtree` (entries) and `dirmeta` (owner and mode).

use super::{DIRECTORY_MODE, MetadataObject, NoXattrs, ROOT};
use crate::gvariant::{elements, members};
use crate::id::{DirMetaId, DirTreeId, FileId};
use glib::FixedSizeVariantArray;
use glib::prelude::*;

/// Returns the `dirmeta` of all directories in composed trees: `(uuua(ayay))` = uid, gid, mode (all
/// big-endian), xattrs.
pub(crate) fn dirmeta() -> MetadataObject<DirMetaId> {
    let no_xattrs = NoXattrs::new();
    MetadataObject::new(
        (
            ROOT.to_be(),
            ROOT.to_be(),
            DIRECTORY_MODE.to_be(),
            no_xattrs,
        )
            .to_variant(),
    )
}

/// Returns the `st_mode` with file type in a `dirmeta`; `None` if that is not well-formed.
pub(crate) fn dirmeta_mode(variant: &glib::Variant) -> Option<u32> {
    type Fields = (u32, u32, u32, NoXattrs);
    let (_, _, mode, _): Fields = variant.get()?;
    Some(u32::from_be(mode))
}

/// Owner, mode and xattrs of any directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirHeader {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The `st_mode` with file type.
    pub(crate) mode: u32,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl DirHeader {
    /// Parses a `dirmeta`'s variant; `None` if it is not well-formed.
    pub(crate) fn parse(variant: &glib::Variant) -> Option<Self> {
        type Fields = (u32, u32, u32, Vec<(Vec<u8>, Vec<u8>)>);
        let (uid, gid, mode, xattrs): Fields = variant.get()?;
        Some(Self {
            uid: u32::from_be(uid),
            gid: u32::from_be(gid),
            mode: u32::from_be(mode),
            xattrs,
        })
    }

    pub(crate) fn object(&self) -> MetadataObject<DirMetaId> {
        let (uid, gid) = (self.uid.to_be(), self.gid.to_be());
        MetadataObject::new((uid, gid, self.mode.to_be(), &self.xattrs).to_variant())
    }
}

/// Returns a `dirtree`: `(a(say)a(sayay))` = files (name, file checksum), directories (name,
/// dirtree checksum, dirmeta checksum). Both must be sorted by the bytes of their names.
pub(crate) fn dirtree<'a>(
    files: impl Iterator<Item = (&'a str, FileId)>,
    dirs: impl Iterator<Item = (&'a str, DirTreeId, DirMetaId)>,
) -> MetadataObject<DirTreeId> {
    let files: Vec<_> = files
        .map(|(name, id)| (name, checksum(id.as_bytes())))
        .collect();
    let dirs: Vec<_> = dirs
        .map(|(name, tree, meta)| (name, checksum(tree.as_bytes()), checksum(meta.as_bytes())))
        .collect();
    debug_assert!(files.is_sorted_by_key(|f| f.0) && dirs.is_sorted_by_key(|d| d.0));
    MetadataObject::new((files, dirs).to_variant())
}

/// Returns an `ay` that is converted as a whole. A `Vec<u8>` would be converted to a variant byte
/// by byte.
fn checksum(bytes: &[u8; 32]) -> FixedSizeVariantArray<[u8; 32], u8> {
    (*bytes).into()
}

/// The entries of a parsed `dirtree`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirTree {
    pub(crate) files: Vec<(String, FileId)>,
    pub(crate) dirs: Vec<(String, DirTreeId, DirMetaId)>,
}

impl DirTree {
    /// Parses a `dirtree`'s variant; `None` if it is not well-formed.
    pub(crate) fn parse(variant: &glib::Variant) -> Option<Self> {
        if variant.type_().as_str() != "(a(say)a(sayay))" {
            return None;
        }
        Self::read(variant.data())
    }

    /// Returns the first name that does not sort after its predecessor, or that a file and a
    /// directory have in common. Because libostree searches names by bisection, readers of such a
    /// tree could disagree.
    pub(crate) fn misordered_name(&self) -> Option<&str> {
        let files: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
        let dirs: Vec<&str> = self.dirs.iter().map(|(name, ..)| name.as_str()).collect();
        let unsorted = |names: &[&'_ str]| names.windows(2).position(|pair| pair[0] >= pair[1]);
        if let Some(at) = unsorted(&files) {
            return self.files.get(at + 1).map(|(name, _)| name.as_str());
        }
        if let Some(at) = unsorted(&dirs) {
            return self.dirs.get(at + 1).map(|(name, ..)| name.as_str());
        }
        let both = self.dirs.iter().map(|(name, ..)| name.as_str());
        both.into_iter()
            .find(|name| files.binary_search(name).is_ok())
    }

    /// Parses the serialized bytes directly, because libglib's accessors would take longer than the
    /// rest of a checkout.
    fn read(bytes: &[u8]) -> Option<Self> {
        let [files, dirs] = members(bytes)?;
        let file = |entry: &[u8]| {
            let [name, id] = members(entry)?;
            Some((text(&entry[name])?, checksum_bytes(&entry[id])?.into()))
        };
        let dir = |entry: &[u8]| {
            let [name, tree, meta] = members(entry)?;
            let (tree, meta) = (checksum_bytes(&entry[tree])?, checksum_bytes(&entry[meta])?);
            Some((text(&entry[name])?, tree.into(), meta.into()))
        };
        let (files, dirs) = (elements(&bytes[files])?, elements(&bytes[dirs])?);
        Some(Self {
            files: files.into_iter().map(file).collect::<Option<_>>()?,
            dirs: dirs.into_iter().map(dir).collect::<Option<_>>()?,
        })
    }
}

/// Parses a file's name, which ends with a zero byte and contains no other.
fn text(bytes: &[u8]) -> Option<String> {
    let name = std::ffi::CStr::from_bytes_with_nul(bytes).ok()?;
    let name = name.to_str().ok()?;
    let valid = !matches!(name, "" | "." | "..") && !name.contains('/');
    valid.then(|| name.to_owned())
}

fn checksum_bytes(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dirmeta_has_the_checksum_of_libostree() {
        let variant = dirmeta().variant;
        assert_eq!(variant.type_().as_str(), "(uuua(ayay))");
        assert_eq!(dirmeta_mode(&variant), Some(DIRECTORY_MODE));
        let header = DirHeader::parse(&variant).unwrap();
        assert_eq!(header.object().id, dirmeta().id);
        // `ostree commit --owner-uid=0 --owner-gid=0 --no-xattrs` of a 0755 folder.
        assert_eq!(
            dirmeta().id.to_string(),
            "446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488"
        );
    }

    #[test]
    fn names_out_of_order_are_found() {
        let tree = |files: &[&str], dirs: &[&str]| {
            let id = [1u8; 32];
            let files = files.iter().map(|n| ((*n).to_owned(), id.into()));
            let dirs = dirs.iter().map(|n| ((*n).to_owned(), id.into(), id.into()));
            DirTree {
                files: files.collect(),
                dirs: dirs.collect(),
            }
        };
        assert_eq!(tree(&["A", "a", "b"], &["B", "c"]).misordered_name(), None);
        assert_eq!(tree(&["b", "a"], &[]).misordered_name(), Some("a"));
        assert_eq!(tree(&["a", "a"], &[]).misordered_name(), Some("a"));
        assert_eq!(tree(&[], &["d", "c"]).misordered_name(), Some("c"));
        assert_eq!(tree(&["a", "c"], &["b", "c"]).misordered_name(), Some("c"));
    }

    proptest! {
        #[test]
        fn a_dirtree_round_trips(
            files in proptest::collection::btree_map("[a-zö.]{3,8}", any::<[u8; 32]>(), 0..20),
            dirs in proptest::collection::btree_map("[a-z.]{3,8}", any::<[u8; 32]>(), 0..5),
        ) {
            let object = dirtree(
                files.iter().map(|(n, id)| (n.as_str(), (*id).into())),
                dirs.iter().map(|(n, id)| (n.as_str(), (*id).into(), (*id).into())),
            );
            let read = DirTree::parse(&object.variant).unwrap();
            let expected = DirTree {
                files: files.iter().map(|(n, id)| (n.clone(), (*id).into())).collect(),
                dirs: dirs.iter().map(|(n, id)| (n.clone(), (*id).into(), (*id).into())).collect(),
            };
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_bytes_are_a_dirtree_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let ty = glib::VariantTy::new("(a(say)a(sayay))").unwrap();
            let variant = glib::Variant::from_bytes_with_type(&glib::Bytes::from_owned(bytes), ty);
            if let Some(tree) = DirTree::parse(&variant) {
                prop_assert!(tree.files.iter().all(|(name, _)| !name.contains('/')));
                prop_assert_eq!(tree.files.len(), variant.child_value(0).n_children());
            }
        }
    }
}
