//! The refs that a remote offers.

use crate::id::{CommitId, RefName};
use crate::repo;
use crate::version::GoVersion;

/// A ref that a remote offers, according to its summary or to the tags of its images. Nothing of it
/// has been verified.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct OfferedRef {
    /// The name of the ref; for images, the tag.
    pub name: RefName,
    /// The commit that the ref points to; `None` for images.
    pub commit: Option<CommitId>,
    /// The version in the commit's metadata, if the summary contains it.
    pub version: Option<String>,
    /// The timestamp of the commit in seconds since 1970, if the summary contains it.
    pub timestamp: Option<u64>,
}

impl OfferedRef {
    /// Creates an offer of which only the name is known.
    pub(super) fn named(name: RefName) -> Self {
        Self {
            name,
            commit: None,
            version: None,
            timestamp: None,
        }
    }
}

/// Returns the sort key of a ref: its prefix, words before versions, versions in their order.
pub(super) fn order(name: &RefName) -> (&str, Option<GoVersion>, &str) {
    let name = name.as_str();
    let (prefix, last) = name.split_at(name.rfind('/').map_or(0, |slash| slash + 1));
    (prefix, last.parse().ok(), last)
}

/// Returns those of the offered refs that are most similar to a ref that does not exist.
pub(super) fn nearest<'k>(
    name: &RefName,
    known: impl IntoIterator<Item = &'k String>,
) -> Vec<RefName> {
    let found = repo::nearest(name.as_str(), known.into_iter().cloned());
    found.iter().flat_map(|name| name.parse()).collect()
}
