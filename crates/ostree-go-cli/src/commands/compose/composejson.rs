//! The file of `--write-composejson-to`, in the format of rpm-ostree. As there, fields without a value
//! are omitted.
//!
//! Source: `rpmostree_composeutil_write_composejson` in `src/app/rpmostree-composeutil.cxx`.

use crate::views::value::{Text, Time};
use ostree_go_sdk::compose::{ComposedRelease, ObjectCounts};
use ostree_go_sdk::{CommitId, ContentId, RefName};
use serde::Serialize;

/// Formats releases as JSON: one object, or an array if there is not exactly one release.
pub fn text(releases: &[ComposedRelease], set_refs: bool) -> serde_json::Result<String> {
    let documents = releases.iter();
    let documents: Vec<_> = documents
        .map(|release| ComposeJson::new(release, set_refs))
        .collect();
    let text = match documents.as_slice() {
        [one] => serde_json::to_string_pretty(one),
        several => serde_json::to_string_pretty(several),
    };
    Ok(text? + "\n")
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ComposeJson<'a> {
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    ref_name: Option<Text<&'a RefName>>,
    #[serde(flatten)]
    objects: Option<ObjectsView>,
    ostree_commit: Text<CommitId>,
    ostree_content_checksum: Text<ContentId>,
    ostree_version: &'a str,
    ostree_timestamp: Time,
    #[serde(
        rename = "rpm-ostree-inputhash",
        skip_serializing_if = "Option::is_none"
    )]
    input_hash: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ObjectsView {
    ostree_n_metadata_total: u64,
    ostree_n_metadata_written: u64,
    ostree_n_content_total: u64,
    ostree_n_content_written: u64,
    /// The number of files that are not hashed because their inode is known, which does not apply
    /// here.
    ostree_n_cache_hits: u64,
    ostree_content_bytes_written: u64,
}

impl<'a> ComposeJson<'a> {
    fn new(release: &'a ComposedRelease, set_refs: bool) -> Self {
        Self {
            ref_name: set_refs.then_some(Text(&release.ref_name)),
            objects: release.objects.map(Into::into),
            ostree_commit: Text(release.commit),
            ostree_content_checksum: Text(release.content),
            ostree_version: release.version.as_str(),
            ostree_timestamp: Time(release.timestamp),
            input_hash: release.input_hash.as_deref(),
        }
    }
}

impl From<ObjectCounts> for ObjectsView {
    fn from(objects: ObjectCounts) -> Self {
        Self {
            ostree_n_metadata_total: objects.metadata,
            ostree_n_metadata_written: objects.new_metadata,
            ostree_n_content_total: objects.content,
            ostree_n_content_written: objects.new_content,
            ostree_n_cache_hits: 0,
            ostree_content_bytes_written: objects.new_content_bytes,
        }
    }
}
