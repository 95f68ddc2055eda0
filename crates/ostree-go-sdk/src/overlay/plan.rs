//! Plan and execution of an overlay.

use super::files::{self, SdkFile};
use super::labels::Labels;
use super::tree::{Dir, Merge};
use super::{Overlay, OverlayError};
use crate::catalog::{CommitInfo, CommitKind, image_metadata};
use crate::clock::{Clock, SystemClock};
use crate::failpoint;
use crate::fs::path::TreePath;
use crate::id::{CommitId, ContentId, RefName};
use crate::metadata::{self, Metadata};
use crate::object::Commit;
use crate::publish::{self, SummaryState};
use crate::repo::{Repo, RepoError, RepoMode};
use glib::prelude::*;
use ostree::ObjectType;
use serde_json::Value;
use std::fmt;

/// The plan for adding SDKs to an OS.
pub struct OverlayPlan {
    overlay: Overlay,
    repo: Repo,
    base: Commit,
    sdks: Vec<CommitInfo>,
    metadata: Metadata,
    current: Option<CommitId>,
    unchanged: bool,
    labels: Labels,
    tree: Dir,
    files: Vec<(TreePath, SdkFile)>,
    warnings: Vec<OverlayWarning>,
}

/// A condition that is suspicious but not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverlayWarning {
    /// The base has no `/usr/lib/os-release` and may not be an OS.
    NoOs,
    /// The base does not record its architecture.
    NoArch,
    /// The base has no SELinux policy; the SDK's files get no labels.
    NoPolicy,
    /// The base's metadata has the digest of a composefs image of its tree, and the new commit has
    /// none: libostree's bindings cannot compute it.
    NoComposefsDigest,
}

impl OverlayWarning {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoOs => "no-os",
            Self::NoArch => "no-arch",
            Self::NoPolicy => "no-policy",
            Self::NoComposefsDigest => "no-composefs-digest",
        }
    }
}

/// The result of an overlay.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Overlaid {
    /// The ref.
    pub ref_name: RefName,
    /// The commit, which the ref points to if it was to be moved.
    pub commit: CommitId,
    /// The content checksum of the commit.
    pub content: ContentId,
    /// The parent of the commit.
    pub parent: Option<CommitId>,
    /// The time of the commit, in seconds since 1970.
    pub timestamp: u64,
    /// True if the ref already pointed to this commit.
    pub unchanged: bool,
    /// The number of files and symlinks from the SDKs; 0 if nothing changed.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The state of the repository's summary.
    pub summary: SummaryState,
    /// The number of file objects that were not in the repository.
    pub new_objects: u64,
    /// The size of their content in bytes.
    pub new_bytes: u64,
}

/// Metadata keys of the base that are wrong for another tree or ref. rpm-ostree's input hash
/// would tell its next compose on the ref that nothing has changed; the others are OSTree's
/// (`ostree-repo-commit.c`) and ostree-ext's (`container/mod.rs`).
const STALE_KEYS: &[&str] = &[
    metadata::OSTREE_REF_BINDING,
    "ostree.collection-binding",
    "ostree.sizes",
    "rpmostree.inputhash",
    "ostree.manifest",
    "ostree.manifest-digest",
    "ostree.container.image-config",
    "ostree.importer.version",
];

/// Prefix of keys with digests of the composefs image of the base's tree, wrong likewise.
const COMPOSEFS: &str = "ostree.composefs.digest.";

/// Metadata key with the labeling epoch (type `x`), if it is not 0.
const EPOCH_KEY: &str = "sdk.labeling-epoch";

impl Overlay {
    /// Compares the trees without writing anything.
    ///
    /// # Errors
    /// Returns an error if a commit is missing or incomplete, is for another architecture, is
    /// not an SDK, or has a conflicting path; and if the base's SELinux policy cannot be used.
    pub fn plan(&self, repo: &Repo) -> Result<OverlayPlan, OverlayError> {
        OverlayPlan::new(self, repo)
    }
}

impl OverlayPlan {
    pub(super) fn new(overlay: &Overlay, repo: &Repo) -> Result<Self, OverlayError> {
        let sdk_repo = overlay.sdk_repo.as_ref().unwrap_or(repo);
        let base = complete(repo, overlay.base)?;
        if overlay.sdks.is_empty() {
            return Err(OverlayError::NoSdk { base: overlay.base });
        }
        let mut sdks = Vec::new();
        for id in &overlay.sdks {
            complete(sdk_repo, *id)?;
            sdks.push(sdk(sdk_repo, *id)?);
        }
        let mut warnings = Vec::new();
        if !check_arch(overlay.base, &base, &sdks)? {
            warnings.push(OverlayWarning::NoArch);
        }
        let labels = Labels::of_base(repo, overlay.base, overlay.labeling_epoch)?;
        if labels.has_policy() && repo.mode() == RepoMode::BareUserOnly {
            return Err(OverlayError::NoLabels {
                repo: repo.path().to_owned(),
                base: overlay.base,
            });
        }
        if !labels.has_policy() {
            warnings.push(OverlayWarning::NoPolicy);
        }
        let mut tree = Dir::top(&base);
        if !tree.has(repo, &["usr", "lib", "os-release"])?
            && !tree.has(repo, &["usr", "etc", "os-release"])?
        {
            warnings.push(OverlayWarning::NoOs);
        }
        let merge = Merge {
            repo,
            sdk_repo,
            labels: &labels,
            base: overlay.base,
            may_override: overlay.may_override,
        };
        for id in &overlay.sdks {
            merge.add_sdk(&mut tree, &sdk_repo.commit(*id)?, *id)?;
        }
        if base.metadata.keys().any(|key| key.starts_with(COMPOSEFS)) {
            warnings.push(OverlayWarning::NoComposefsDigest);
        }
        let current = repo.find(&overlay.ref_name)?;
        let metadata = metadata_of(overlay, repo, &base, &sdks);
        Ok(Self {
            unchanged: is_unchanged(overlay, repo, current, &metadata)?,
            files: tree.sdk_files(),
            overlay: overlay.clone(),
            repo: repo.clone(),
            base,
            sdks,
            metadata,
            current,
            labels,
            tree,
            warnings,
        })
    }

    /// Returns the commit of the ref at the time of planning.
    #[must_use]
    pub fn current(&self) -> Option<CommitId> {
        self.current
    }

    /// Returns whether the ref points to a commit of the same base and SDKs already.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.unchanged
    }

    /// Returns whether the SDKs' files get SELinux labels.
    #[must_use]
    pub fn has_labels(&self) -> bool {
        self.labels.has_policy()
    }

    /// Returns the SDKs, lowest first.
    #[must_use]
    pub fn sdks(&self) -> &[CommitInfo] {
        &self.sdks
    }

    /// Returns the paths of the files and symlinks from the SDKs, sorted.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &TreePath> {
        self.files.iter().map(|(path, _)| path)
    }

    /// Returns conditions that are suspicious but not errors.
    #[must_use]
    pub fn warnings(&self) -> &[OverlayWarning] {
        &self.warnings
    }

    /// Writes the commit and moves the ref, in one transaction. Everything is durable when this
    /// returns. If nothing changed, only missing signatures are added.
    ///
    /// # Errors
    /// Returns an error if a file of an SDK is damaged, the repository cannot be written, the
    /// commit cannot be signed, or the ref was moved since the plan was made.
    pub fn execute(self) -> Result<Overlaid, OverlayError> {
        let overlay = &self.overlay;
        let _lock = self.repo.lock(overlay.progress.as_ref())?;
        failpoint::hit("overlay.locked");
        if self.repo.find(&overlay.ref_name)? != self.current {
            return Err(OverlayError::Moved {
                ref_name: overlay.ref_name.clone(),
            });
        }
        let transaction = self.repo.begin()?;
        let mut written = files::WrittenFiles::default();
        let (id, commit, count) = match self.current.filter(|_| self.unchanged) {
            Some(current) => (current, self.repo.commit(current)?, 0),
            None => {
                written = files::write(
                    &transaction,
                    overlay.sdk_repo.as_ref().unwrap_or(&self.repo),
                    &self.labels,
                    &self.files,
                    overlay.ref_name.as_str(),
                    overlay.progress.as_ref(),
                )?;
                let root = self.tree.write(&transaction, &self.labels, &written.ids)?;
                let parent = overlay.parent_after(self.current);
                let commit = Commit {
                    metadata: self.metadata.clone(),
                    parent,
                    subject: self.subject(),
                    body: String::new(),
                    timestamp: self.timestamp(parent)?,
                    tree: root.tree,
                    meta: root.meta,
                };
                let object = commit.object();
                transaction.write(ObjectType::Commit, &object)?;
                if overlay.set_ref {
                    transaction.set_ref(&overlay.ref_name, object.id);
                }
                failpoint::hit("overlay.written");
                (object.id, commit, written.ids.len() as u64)
            }
        };
        for key in &overlay.keys {
            self.repo.sign(id, key)?;
        }
        if overlay.progress.is_cancelled() {
            return Err(OverlayError::Cancelled);
        }
        transaction.commit()?;
        let now = SystemClock.now();
        let summary = publish::refresh(&self.repo, &overlay.keys, &[], now)?;
        Ok(Overlaid {
            summary,
            ref_name: overlay.ref_name.clone(),
            commit: id,
            content: commit.content_id(),
            parent: commit.parent,
            timestamp: commit.timestamp,
            unchanged: self.unchanged,
            files: count,
            bytes: written.bytes,
            new_objects: written.new_objects,
            new_bytes: written.new_bytes,
        })
    }

    fn timestamp(&self, parent: Option<CommitId>) -> Result<u64, RepoError> {
        let newest = self.sdks.iter().map(|sdk| sdk.timestamp);
        let newest = newest.fold(self.base.timestamp, u64::max);
        let time = self.overlay.source_date_epoch.unwrap_or(newest);
        let parent = parent.map(|id| self.repo.commit(id)).transpose()?;
        Ok(parent.map_or(time, |parent| time.max(parent.timestamp)))
    }

    fn subject(&self) -> String {
        let os = self.metadata.get(metadata::VERSION).and_then(|v| v.str());
        let sdks: Vec<String> = self.sdks.iter().map(name).collect();
        format!("{} with {}", os.unwrap_or("OS"), sdks.join(", "))
    }
}

impl fmt::Debug for OverlayPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverlayPlan")
            .field("overlay", &self.overlay)
            .field("unchanged", &self.unchanged)
            .finish_non_exhaustive()
    }
}

/// Returns the display name of an SDK: `Go 1.26.5`.
fn name(sdk: &CommitInfo) -> String {
    if let Some(module) = sdk.module_version().filter(|_| sdk.module.is_some()) {
        return format!("{} {}", module.path, module.version);
    }
    match (&sdk.version, &sdk.layer) {
        (Some(version), _) if sdk.std_cache.is_some() => format!("the std cache of Go {version}"),
        (Some(version), _) => format!("Go {version}"),
        (None, Some(layer)) => format!("Go's {layer}"),
        (None, None) => "Go".to_owned(),
    }
}

/// Reads a commit, which must be complete according to the repository.
fn complete(repo: &Repo, id: CommitId) -> Result<Commit, OverlayError> {
    let commit = repo.commit(id)?;
    match repo.is_complete(id)? {
        true => Ok(commit),
        false => Err(OverlayError::Partial {
            commit: id,
            repo: repo.path().to_owned(),
        }),
    }
}

fn sdk(repo: &Repo, id: CommitId) -> Result<CommitInfo, OverlayError> {
    let info = CommitInfo::read(repo, id)?;
    match info.kind {
        CommitKind::Release
        | CommitKind::Channel
        | CommitKind::Layer
        | CommitKind::StdCache
        | CommitKind::Module => Ok(info),
        CommitKind::Image | CommitKind::Other => Err(OverlayError::NotAnSdk { commit: id }),
    }
}

/// Compares the architectures; returns `false` if the base does not record its own.
fn check_arch(id: CommitId, base: &Commit, sdks: &[CommitInfo]) -> Result<bool, OverlayError> {
    let Some(expected) = metadata::basearch_of_os(&base.metadata) else {
        return Ok(false);
    };
    for sdk in sdks {
        match sdk.arch {
            Some(arch) if arch.basearch() != expected => {
                return Err(OverlayError::Arch {
                    commit: sdk.id,
                    found: arch.to_string(),
                    base: id,
                    expected,
                });
            }
            _ => {}
        }
    }
    Ok(true)
}

/// Builds the commit's metadata: that of the base where it still applies, and the list of SDKs.
/// If the base and an SDK have the same custom key, the base's value is kept.
fn metadata_of(overlay: &Overlay, repo: &Repo, base: &Commit, sdks: &[CommitInfo]) -> Metadata {
    let earlier = base.metadata.get(metadata::SDK_RELEASES);
    let earlier = match earlier.map(metadata::to_json) {
        Some(Value::Array(releases)) => releases,
        _ => Vec::new(),
    };
    let added = image_metadata(sdks, earlier);
    let holds = |key: &str| {
        !STALE_KEYS.contains(&key) && !key.starts_with(COMPOSEFS) && !key.starts_with("sdk.")
    };
    let mut metadata: Metadata = added
        .iter()
        .map(|(key, value)| (key.clone(), metadata::from_json(value)))
        .collect();
    let kept = base.metadata.iter().filter(|(key, _)| holds(key));
    metadata.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
    let base = overlay.base.to_string().to_variant();
    metadata.insert(metadata::SDK_BASE.to_owned(), base);
    if let Some(version) = &overlay.version {
        metadata.insert(metadata::VERSION.to_owned(), version.to_variant());
    }
    if let Some(workspace) = overlay.workspace {
        let digest = workspace.to_string().to_variant();
        metadata.insert(metadata::SDK_WORKSPACE.to_owned(), digest);
    }
    if overlay.labeling_epoch > 0 {
        let epoch = i64::from(overlay.labeling_epoch).to_le().to_variant();
        metadata.insert(EPOCH_KEY.to_owned(), epoch);
    }
    if let Some(collection) = repo.as_ostree().collection_id() {
        let key = "ostree.collection-binding".to_owned();
        metadata.insert(key, collection.to_variant());
    }
    metadata::bind(&mut metadata, &overlay.ref_name);
    metadata
}

/// Returns whether the commit of the ref has the same metadata, and therefore the same tree.
fn is_unchanged(
    overlay: &Overlay,
    repo: &Repo,
    current: Option<CommitId>,
    metadata: &Metadata,
) -> Result<bool, OverlayError> {
    let Some(id) = current.filter(|id| repo.is_complete(*id).unwrap_or(false)) else {
        return Ok(false);
    };
    let current = repo.commit(id)?;
    let is_same_parent = match overlay.no_parent {
        true => current.parent.is_none(),
        false => overlay.parent.is_none() || overlay.parent == current.parent,
    };
    Ok(is_same_parent && current.metadata == *metadata)
}
