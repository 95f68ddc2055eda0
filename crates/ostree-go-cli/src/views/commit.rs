//! A commit, for `list`, `log`, `show`, `diff`, `pull` and `import`.

use super::value::{Text, Time};
use ostree_go_sdk::catalog::CommitInfo;
use ostree_go_sdk::{Arch, CommitId, ContentId, RefName, Sha256, StdCacheId};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub struct CommitView {
    pub commit: Text<CommitId>,
    pub kind: &'static str,
    pub content: Text<ContentId>,
    pub parent: Option<Text<CommitId>>,
    pub subject: String,
    pub timestamp: Time,
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    pub arch: Option<Text<Arch>>,
    pub layer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std_cache: Option<Text<StdCacheId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<ModuleView>,
    pub layers: Vec<LayerView>,
    pub h1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Text<Sha256>>,
    pub bytes: Option<u64>,
    pub files: Option<u64>,
    pub bound_to: Vec<Text<RefName>>,
    pub metadata: BTreeMap<String, Value>,
    pub source: Option<SourceView>,
    pub input_hash: Option<String>,
}

/// The Go module that a commit contains.
#[derive(Debug, Serialize)]
pub struct ModuleView {
    pub path: String,
    pub version: Option<String>,
    pub go_mod_h1: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct LayerView {
    pub name: String,
    pub commit: Text<CommitId>,
}

/// The source of an SDK, as recorded in the detached metadata of its commit.
#[derive(Debug, Serialize)]
pub struct SourceView {
    pub name: Value,
    pub form: Value,
    pub sha256: Value,
    pub bytes: Value,
    /// The text after the version in the SDK's VERSION.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub vendor: Value,
}

impl CommitView {
    /// Returns the architecture as text.
    pub fn arch_or_noarch(&self) -> &'static str {
        self.arch.map_or("noarch", |arch| arch.0.basearch())
    }
}

impl From<&CommitInfo> for CommitView {
    fn from(commit: &CommitInfo) -> Self {
        let layers = commit.layers.iter();
        let bound_to = commit.bound_to.iter();
        Self {
            commit: Text(commit.id),
            kind: commit.kind.as_str(),
            content: Text(commit.content),
            parent: commit.parent.map(Text),
            subject: commit.subject.clone(),
            timestamp: Time(commit.timestamp),
            version: commit.version.clone(),
            variant: commit.variant.clone(),
            arch: commit.arch.map(Text),
            layer: commit.layer.clone(),
            std_cache: commit.std_cache.map(Text),
            module: commit.module.as_ref().map(|module| ModuleView {
                path: module.path.clone(),
                version: module.version.clone(),
                go_mod_h1: module.go_mod_h1.clone(),
            }),
            layers: layers
                .map(|(name, id)| LayerView {
                    name: name.clone(),
                    commit: Text(*id),
                })
                .collect(),
            h1: commit.h1.clone(),
            workspace: commit.workspace.map(Text),
            bytes: commit.bytes,
            files: commit.files,
            bound_to: bound_to.cloned().map(Text).collect(),
            metadata: commit.extra.clone(),
            source: commit.source.as_ref().map(SourceView::from),
            input_hash: commit.input_hash.clone(),
        }
    }
}

impl From<&Value> for SourceView {
    fn from(source: &Value) -> Self {
        Self {
            name: source["name"].clone(),
            form: source["form"].clone(),
            sha256: source["sha256"].clone(),
            bytes: source["size"].clone(),
            vendor: source["vendor"].clone(),
        }
    }
}
