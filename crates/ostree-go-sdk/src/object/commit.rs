//! Commit objects.

use super::MetadataObject;
use crate::id::{CommitId, ContentId, DirMetaId, DirTreeId, Sha256};
use glib::prelude::*;
use sha2::Digest;
use std::collections::BTreeMap;

/// The content of a commit object.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    /// Sorted by key, so that equal content has equal checksums.
    pub(crate) metadata: BTreeMap<String, glib::Variant>,
    pub(crate) parent: Option<CommitId>,
    pub(crate) subject: String,
    pub(crate) body: String,
    /// Seconds since 1970.
    pub(crate) timestamp: u64,
    pub(crate) tree: DirTreeId,
    pub(crate) meta: DirMetaId,
}

impl Commit {
    /// Returns the commit object: `(a{sv}aya(say)sstayay)` = metadata, parent, related objects
    /// (unused), subject, body, timestamp (big-endian), root dirtree, root dirmeta. Source:
    /// `OSTREE_COMMIT_GVARIANT_FORMAT`.
    pub(crate) fn object(&self) -> MetadataObject<CommitId> {
        let metadata = sorted_dict(&self.metadata);
        let parent = self.parent.map(|id| id.as_bytes().to_vec());
        let related: Vec<(String, Vec<u8>)> = Vec::new();
        MetadataObject::new(glib::Variant::tuple_from_iter([
            metadata,
            parent.unwrap_or_default().to_variant(),
            related.to_variant(),
            self.subject.to_variant(),
            self.body.to_variant(),
            self.timestamp.to_be().to_variant(),
            self.tree.as_bytes().to_vec().to_variant(),
            self.meta.as_bytes().to_vec().to_variant(),
        ]))
    }

    /// Parses a commit's variant; `None` if it is not well-formed.
    pub(crate) fn parse(variant: &glib::Variant) -> Option<Self> {
        if variant.type_().as_str() != "(a{sv}aya(say)sstayay)" {
            return None;
        }
        let bytes = |index| variant.child_value(index).get::<Vec<u8>>();
        let checksum = |index| <[u8; 32]>::try_from(bytes(index)?).ok();
        let mut metadata = BTreeMap::new();
        for entry in variant.child_value(0).iter() {
            let key = entry.child_value(0).get::<String>()?;
            metadata.insert(key, entry.child_value(1).as_variant()?);
        }
        let parent = match bytes(1)? {
            none if none.is_empty() => None,
            some => Some(<[u8; 32]>::try_from(some).ok()?.into()),
        };
        Some(Self {
            metadata,
            parent,
            subject: variant.child_value(3).get()?,
            body: variant.child_value(4).get()?,
            timestamp: u64::from_be(variant.child_value(5).get()?),
            tree: checksum(6)?.into(),
            meta: checksum(7)?.into(),
        })
    }

    /// Returns the checksum of the commit's tree.
    pub(crate) fn content_id(&self) -> ContentId {
        content_id(self.tree, self.meta)
    }
}

/// Returns the checksum of a tree: the SHA-256 of the root's dirtree and dirmeta checksums in
/// binary. Source: `ostree_commit_get_content_checksum`.
pub(crate) fn content_id(tree: DirTreeId, meta: DirMetaId) -> ContentId {
    let mut hasher = sha2::Sha256::new_with_prefix(tree.as_bytes());
    hasher.update(meta.as_bytes());
    Sha256(hasher.finalize().into()).into()
}

/// Returns an `a{sv}` with sorted keys.
pub(crate) fn sorted_dict(entries: &BTreeMap<String, glib::Variant>) -> glib::Variant {
    entries
        .iter()
        .map(|(key, value)| glib::variant::DictEntry::new(key.clone(), value.clone()))
        .collect::<Vec<glib::variant::DictEntry<String, glib::Variant>>>()
        .to_variant()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_commit_round_trips_with_the_content_checksum_of_libostree() {
        let commit = Commit {
            metadata: BTreeMap::from([("version".to_owned(), "1.26.5".to_variant())]),
            parent: Some([9; 32].into()),
            subject: "Go 1.26.5".to_owned(),
            body: String::new(),
            timestamp: 1_234_567_890,
            tree: [1; 32].into(),
            meta: [2; 32].into(),
        };
        let object = commit.object();
        assert_eq!(object.variant.type_().as_str(), "(a{sv}aya(say)sstayay)");
        assert_eq!(
            ostree::commit_get_content_checksum(&object.variant).unwrap(),
            commit.content_id().to_string()
        );
        assert_eq!(
            ostree::commit_get_timestamp(&object.variant),
            commit.timestamp
        );
        let read = Commit::parse(&object.variant).unwrap();
        assert_eq!(read.object().id, object.id);
        assert_eq!(read.subject, commit.subject);
        assert_eq!(read.parent, commit.parent);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_commit_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let ty = glib::VariantTy::new("(a{sv}aya(say)sstayay)").unwrap();
            let bytes = glib::Bytes::from_owned(bytes);
            let _ = Commit::parse(&glib::Variant::from_bytes_with_type(&bytes, ty));
        }
    }
}
