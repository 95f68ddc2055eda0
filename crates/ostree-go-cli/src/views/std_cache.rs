//! A std cache that is installed with an SDK, for the verbs that show deployments.

use super::damage::DamagedFileView;
use super::value::{PathText, Text};
use crate::text::bytes;
use ostree_go_sdk::deploy::DeployedStdCache;
use ostree_go_sdk::{Arch, BuildMode, CommitId, RefName, StdCacheId};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Serialize)]
pub struct StdCacheView {
    pub id: Text<StdCacheId>,
    pub target: Text<Arch>,
    pub mode: Text<BuildMode>,
    #[serde(rename = "ref")]
    pub ref_name: Text<RefName>,
    pub commit: Text<CommitId>,
    pub bytes: Option<u64>,
    /// For `install` and `upgrade`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// For `status`, as the next two fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathText<PathBuf>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged: Option<Vec<DamagedFileView>>,
}

impl From<&DeployedStdCache> for StdCacheView {
    fn from(cache: &DeployedStdCache) -> Self {
        Self {
            id: Text(cache.id),
            target: Text(cache.id.target),
            mode: Text(cache.id.mode),
            ref_name: Text(cache.ref_name.clone()),
            commit: Text(cache.commit),
            bytes: cache.bytes,
            outcome: None,
            path: None,
            check: None,
            damaged: None,
        }
    }
}

/// Returns the names of std caches, and the sum of their sizes if all are known:
/// `x86_64-trimpath, x86_64-plain (333.2 MB)`.
pub fn names<'c>(caches: impl Iterator<Item = &'c DeployedStdCache> + Clone) -> String {
    let size: Option<u64> = caches.clone().map(|cache| cache.bytes).sum();
    let names: Vec<String> = caches.map(|cache| cache.id.to_string()).collect();
    let size = size.map_or_else(String::new, |size| format!(" ({})", bytes(size)));
    format!("{}{size}", names.join(", "))
}
