//! The results of a compose: JSON documents and text.

use crate::report::{Report, unchanged_exit_code};
use crate::upstream::StoredProofView;
use crate::views::channel::ChannelView;
use crate::views::value::{PathText, Text, Time};
use ostree_go_sdk::compose::{ComposedLayer, ComposedModule, ComposedRelease, ComposedStdCache};
use ostree_go_sdk::source::SourceInfo;
use ostree_go_sdk::treefile::Treefile;
use ostree_go_sdk::{Arch, CommitId, ContentId, RefName, Sha256, StdCacheId};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;

#[derive(Serialize)]
pub struct ComposeReport<'a> {
    pub repo: PathText<&'a Path>,
    pub unchanged: bool,
    pub releases: Vec<ReleaseView>,
    pub modules: Vec<ModuleView>,
    pub std_caches: Vec<StdCacheView>,
    pub skipped_std_caches: Vec<Text<RefName>>,
    pub upstream_proofs: Vec<StoredProofView>,
    pub summary: &'static str,
    #[serde(skip)]
    pub exit_77: bool,
}

impl Report for ComposeReport<'_> {
    fn human(&self) -> String {
        commit_lines(self.releases.iter().map(|release| release.commit.0))
    }

    fn exit_code(&self) -> ExitCode {
        unchanged_exit_code(self.unchanged, self.exit_77)
    }
}

/// Formats commits, one per line.
pub fn commit_lines(commits: impl Iterator<Item = CommitId>) -> String {
    commits.map(|commit| format!("{commit}\n")).collect()
}

#[derive(Serialize)]
pub struct ReleaseView {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    arch: Text<Arch>,
    version: String,
    commit: Text<CommitId>,
    content: Text<ContentId>,
    parent: Option<Text<CommitId>>,
    timestamp: Time,
    unchanged: bool,
    input_hash: Option<String>,
    source: Option<SourceView>,
    layers: Vec<LayerView>,
    channels: Vec<ChannelView>,
}

impl From<&ComposedRelease> for ReleaseView {
    fn from(release: &ComposedRelease) -> Self {
        Self {
            ref_name: Text(release.ref_name.clone()),
            arch: Text(release.arch),
            version: release.version.as_str().to_owned(),
            commit: Text(release.commit),
            content: Text(release.content),
            parent: release.parent.map(Text),
            timestamp: Time(release.timestamp),
            unchanged: release.unchanged,
            input_hash: release.input_hash.clone(),
            source: release.source.as_ref().map(Into::into),
            layers: release.layers.iter().map(Into::into).collect(),
            channels: release.channels.iter().map(Into::into).collect(),
        }
    }
}

#[derive(Serialize)]
struct SourceView {
    name: String,
    form: &'static str,
    sha256: Option<Text<Sha256>>,
    bytes: Option<u64>,
}

impl From<&SourceInfo> for SourceView {
    fn from(source: &SourceInfo) -> Self {
        Self {
            name: source.name.clone(),
            form: source.form.as_str(),
            sha256: source.sha256.map(Text),
            bytes: source.size,
        }
    }
}

#[derive(Serialize)]
struct LayerView {
    name: String,
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    commit: Text<CommitId>,
    content: Text<ContentId>,
    noarch: bool,
    files: u64,
    bytes: u64,
    new_objects: u64,
    new_bytes: u64,
    unchanged: bool,
}

impl From<&ComposedLayer> for LayerView {
    fn from(layer: &ComposedLayer) -> Self {
        Self {
            name: layer.name.clone(),
            ref_name: Text(layer.ref_name.clone()),
            commit: Text(layer.commit),
            content: Text(layer.content),
            noarch: layer.noarch,
            files: layer.files,
            bytes: layer.bytes,
            new_objects: layer.new.objects,
            new_bytes: layer.new.bytes,
            unchanged: layer.unchanged,
        }
    }
}

#[derive(Serialize)]
pub struct ModuleView {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    path: String,
    version: String,
    h1: Option<String>,
    go_mod_h1: Option<String>,
    commit: Text<CommitId>,
    content: Text<ContentId>,
    files: u64,
    bytes: u64,
    new_objects: u64,
    new_bytes: u64,
    unchanged: bool,
}

impl From<&ComposedModule> for ModuleView {
    fn from(one: &ComposedModule) -> Self {
        let module = &one.module;
        Self {
            ref_name: Text(one.ref_name.clone()),
            path: module.path.clone(),
            version: module.version.clone(),
            h1: module.h1.clone(),
            go_mod_h1: module.go_mod_h1.clone(),
            commit: Text(one.commit),
            content: Text(one.content),
            files: one.files,
            bytes: one.bytes,
            new_objects: one.new.objects,
            new_bytes: one.new.bytes,
            unchanged: one.unchanged,
        }
    }
}

#[derive(Serialize)]
pub struct StdCacheView {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    id: Text<StdCacheId>,
    version: String,
    commit: Text<CommitId>,
    content: Text<ContentId>,
    files: u64,
    bytes: u64,
    new_objects: u64,
    new_bytes: u64,
    unchanged: bool,
}

impl From<&ComposedStdCache> for StdCacheView {
    fn from(one: &ComposedStdCache) -> Self {
        Self {
            ref_name: Text(one.ref_name.clone()),
            id: Text(one.id),
            version: one.version.as_str().to_owned(),
            commit: Text(one.commit),
            content: Text(one.content),
            files: one.files,
            bytes: one.bytes,
            new_objects: one.new.objects,
            new_bytes: one.new.bytes,
            unchanged: one.unchanged,
        }
    }
}

/// The result of `--print-treefile`: a treefile, or an object that contains several.
#[derive(Serialize)]
#[serde(untagged)]
pub enum ExpandedTreefiles {
    One(Value),
    Several { treefiles: Vec<Value> },
}

impl ExpandedTreefiles {
    pub fn of(treefiles: &[Treefile]) -> Self {
        match treefiles {
            [one] => Self::One(one.expanded()),
            several => Self::Several {
                treefiles: several.iter().map(Treefile::expanded).collect(),
            },
        }
    }
}

impl Report for ExpandedTreefiles {
    fn human(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.map_or_else(|_| String::new(), |text| text + "\n")
    }
}
