//! Looking at what a repository holds.

use crate::arch::Arch;
use crate::id::{CommitId, ContentId, RefName};
use crate::metadata as keys;
use crate::object::Commit;
use crate::repo::{Repo, RepoError};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a commit is in this project's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CommitKind {
    /// The union of the layers, on the ref of one version and architecture.
    Release,
    /// A release that was promoted to a moving ref.
    Channel,
    /// One layer.
    Layer,
    /// An OS with SDKs in it, by an overlay or by rpm-ostree.
    Image,
    /// Anything else.
    Other,
}

impl CommitKind {
    /// A stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Channel => "channel",
            Self::Layer => "layer",
            Self::Image => "image",
            Self::Other => "other",
        }
    }
}

/// A commit, read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CommitInfo {
    /// Its checksum.
    pub id: CommitId,
    /// What it is.
    pub kind: CommitKind,
    /// The checksum of its tree.
    pub content: ContentId,
    /// The commit before it.
    pub parent: Option<CommitId>,
    /// Its one-line message.
    pub subject: String,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Go's version, without `go`.
    pub version: Option<String>,
    /// The machine it is for; none for arch-independent layers.
    pub arch: Option<Arch>,
    /// The layer's name, on a layer commit.
    pub layer: Option<String>,
    /// Layer names and commits, lowest first.
    pub layers: Vec<(String, CommitId)>,
    /// The `h1:` hash of the upstream content.
    pub h1: Option<String>,
    /// Bytes in the tree.
    pub bytes: Option<u64>,
    /// Files and symlinks in the tree.
    pub files: Option<u64>,
    /// The refs it says it may be found on.
    pub bound_to: Vec<RefName>,
    /// Every other key of its metadata.
    pub extra: BTreeMap<String, Value>,
    /// Where the SDK came from: `name`, `form`, `sha256`, `size` (detached metadata).
    pub source: Option<Value>,
    /// The digest of everything that decided it (detached metadata).
    pub input_hash: Option<String>,
}

impl CommitInfo {
    /// Reads a commit of a repository.
    ///
    /// # Errors
    /// When it is not there or not well-formed.
    pub fn read(repo: &Repo, id: CommitId) -> Result<Self, RepoError> {
        let commit = repo.commit(id)?;
        let detached = repo.detached(id)?;
        let json = |key: &str| detached.get(key).map(keys::to_json);
        let mut info = Self::from_commit(id, &commit);
        info.source = json(keys::SDK_SOURCE);
        info.input_hash = json(keys::SDK_INPUTHASH).and_then(|v| Some(v.as_str()?.to_owned()));
        Ok(info)
    }

    fn from_commit(id: CommitId, commit: &Commit) -> Self {
        let text = |key: &str| commit.metadata.get(key)?.get::<String>();
        let size = commit
            .metadata
            .get(keys::SDK_SIZE)
            .and_then(glib::Variant::get::<(u64, u64)>);
        let layers = commit
            .metadata
            .get(keys::SDK_LAYERS)
            .and_then(glib::Variant::get::<Vec<(String, String)>>)
            .unwrap_or_default();
        let bound_to = commit
            .metadata
            .get(keys::OSTREE_REF_BINDING)
            .and_then(glib::Variant::get::<Vec<String>>)
            .unwrap_or_default();
        let mut info = Self {
            id,
            kind: CommitKind::Other,
            content: commit.content_id(),
            parent: commit.parent,
            subject: commit.subject.clone(),
            timestamp: commit.timestamp,
            version: text(keys::SDK_VERSION),
            arch: keys::basearch(&commit.metadata).and_then(|name| name.parse().ok()),
            layer: text(keys::SDK_LAYER),
            layers: layers
                .into_iter()
                .filter_map(|(name, commit)| Some((name, commit.parse().ok()?)))
                .collect(),
            h1: text(keys::SDK_H1),
            bytes: size.map(|(bytes, _)| u64::from_le(bytes)),
            files: size.map(|(_, files)| u64::from_le(files)),
            bound_to: bound_to.iter().filter_map(|r| r.parse().ok()).collect(),
            extra: commit
                .metadata
                .iter()
                .filter(|(key, _)| !keys::is_reserved(key) || keys::is_of_image(key))
                .map(|(key, value)| (key.clone(), keys::to_json(value)))
                .collect(),
            source: None,
            input_hash: None,
        };
        info.kind = match info.extra.contains_key(keys::SDK_RELEASES) {
            true => CommitKind::Image,
            false => info.classify(),
        };
        info
    }

    fn classify(&self) -> CommitKind {
        let names_version = |name: &RefName| {
            let version = self.version.as_deref();
            name.as_str().split('/').any(|part| Some(part) == version)
        };
        if self.layer.is_some() {
            CommitKind::Layer
        } else if self.version.is_none() {
            CommitKind::Other
        } else if self.bound_to.iter().any(names_version) {
            CommitKind::Release
        } else {
            CommitKind::Channel
        }
    }
}

/// What the metadata of an OS image says of the SDKs in it, lowest first: `sdk.releases`,
/// `sdk.lang`, `sdk.version` if that is the same for all, and what their treefiles add.
///
/// `earlier` is what the image's base says in `sdk.releases` of SDKs that it has already.
pub(crate) fn image_metadata(sdks: &[CommitInfo], earlier: Vec<Value>) -> BTreeMap<String, Value> {
    let mut metadata = BTreeMap::new();
    for sdk in sdks {
        metadata.extend(sdk.extra.clone());
    }
    let new: Vec<Value> = sdks.iter().map(entry).collect();
    let mut releases = earlier;
    releases.retain(|release| !new.contains(release));
    releases.extend(new);
    let mut versions: Vec<&Value> = releases
        .iter()
        .filter_map(|release| release.get("version"))
        .collect();
    versions.dedup();
    if let [version] = versions.as_slice() {
        metadata.insert(keys::SDK_VERSION.to_owned(), (*version).clone());
    }
    metadata.insert(keys::SDK_LANG.to_owned(), "go".into());
    metadata.insert(keys::SDK_RELEASES.to_owned(), releases.into());
    metadata
}

/// An entry of `sdk.releases`.
fn entry(sdk: &CommitInfo) -> Value {
    let layers = sdk
        .layers
        .iter()
        .map(|(name, commit)| (name.clone(), commit.to_string().into()));
    let layers: serde_json::Map<String, Value> = layers.collect();
    let fields = [
        ("lang", Some("go".into())),
        ("version", sdk.version.clone().map(Value::from)),
        ("arch", sdk.arch.map(|arch| arch.goarch().into())),
        ("layer", sdk.layer.clone().map(Value::from)),
        ("ref", sdk.bound_to.first().map(|name| name.as_str().into())),
        ("commit", Some(sdk.id.to_string().into())),
        ("layers", (!layers.is_empty()).then(|| layers.into())),
    ];
    let present = fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(present.collect())
}

/// Where the refs are that keep the objects of deployments.
pub(crate) const KEEPERS: &str = "ostree-go/deployment/";

/// Every local ref with its commit, ordered by kind, then by name. Refs that only keep the
/// objects of a root's deployments are left out: they are nothing to serve, and nothing to forget.
///
/// # Errors
/// When a ref's commit cannot be read.
pub fn list(repo: &Repo) -> Result<Vec<(RefName, CommitInfo)>, RepoError> {
    let mut listed = repo
        .refs()?
        .into_iter()
        .filter(|(name, _)| !name.as_str().starts_with(KEEPERS))
        .map(|(name, id)| Ok((name, CommitInfo::read(repo, id)?)))
        .collect::<Result<Vec<_>, RepoError>>()?;
    listed.sort_by(|a, b| (a.1.kind, &a.0).cmp(&(b.1.kind, &b.0)));
    Ok(listed)
}

/// A commit and those before it, newest first, as far as the repository has them.
///
/// # Errors
/// When a commit that is there cannot be read.
pub fn log(repo: &Repo, from: CommitId) -> Result<Vec<CommitInfo>, RepoError> {
    let mut history = vec![CommitInfo::read(repo, from)?];
    while let Some(parent) = history.last().and_then(|commit| commit.parent) {
        match CommitInfo::read(repo, parent) {
            Ok(commit) => history.push(commit),
            Err(_) if !repo.has_commit(parent)? => break,
            Err(error) => return Err(error),
        }
    }
    Ok(history)
}
