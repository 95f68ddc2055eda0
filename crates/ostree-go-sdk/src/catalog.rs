//! Information about the commits of a repository.

mod module_version;

pub use module_version::ModuleVersionInfo;

use crate::arch::Arch;
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, ContentId, RefName, Sha256};
use crate::metadata as keys;
use crate::object::Commit;
use crate::repo::{Repo, RepoError};
use serde_json::Value;
use std::collections::BTreeMap;

/// The kind of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CommitKind {
    /// The union of the layers, on the ref of one version and architecture.
    Release,
    /// A release that was promoted to a channel.
    Channel,
    /// A single layer.
    Layer,
    /// A compiled standard library for one target and mode, on the ref of one version.
    StdCache,
    /// A Go module, on the ref of its path and version.
    Module,
    /// An OS that contains SDKs, made by an overlay or by rpm-ostree.
    Image,
    /// Any other commit.
    Other,
}

impl CommitKind {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Channel => "channel",
            Self::Layer => "layer",
            Self::StdCache => "stdcache",
            Self::Module => "module",
            Self::Image => "image",
            Self::Other => "other",
        }
    }
}

/// The metadata of a commit about the Go module that it contains.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleInfo {
    /// The path: `example.com/lib`.
    pub path: String,
    /// The version: `v1.2.3`; `None` for a module from a directory, whose version is a
    /// pseudo-version of the commit (see [`CommitInfo::module_version`]).
    pub version: Option<String>,
    /// The `h1:` hash of the `go.mod` file, as in `go.sum`.
    pub go_mod_h1: Option<String>,
}

/// The metadata of a commit.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CommitInfo {
    /// The checksum of the commit.
    pub id: CommitId,
    /// The kind of the commit.
    pub kind: CommitKind,
    /// The content checksum: that of the tree.
    pub content: ContentId,
    /// The parent commit.
    pub parent: Option<CommitId>,
    /// The one-line message.
    pub subject: String,
    /// The time in seconds since 1970.
    pub timestamp: u64,
    /// The Go version, without `go`, and with the variant.
    pub version: Option<String>,
    /// The name of the release that a site has made of the Go version: the end of `version`.
    pub variant: Option<String>,
    /// The architecture; `None` for architecture-independent layers.
    pub arch: Option<Arch>,
    /// The name of the layer, if the commit is one.
    pub layer: Option<String>,
    /// The name of the std cache, if the commit is one.
    pub std_cache: Option<StdCacheId>,
    /// The Go module, if the commit is one.
    pub module: Option<ModuleInfo>,
    /// The names and commits of the layers, lowest first.
    pub layers: Vec<(String, CommitId)>,
    /// The `h1:` hash of the upstream content, or of the module.
    pub h1: Option<String>,
    /// The SHA-256 of the workspace's lock file that the commit was made with.
    pub workspace: Option<Sha256>,
    /// The size of all files in bytes.
    pub bytes: Option<u64>,
    /// The number of files and symlinks.
    pub files: Option<u64>,
    /// The refs that the commit is bound to.
    pub bound_to: Vec<RefName>,
    /// All other metadata.
    pub extra: BTreeMap<String, Value>,
    /// The source of the SDK: `name`, `form`, `sha256`, `size`, `vendor` (detached metadata).
    pub source: Option<Value>,
    /// The digest of everything that determines the release (detached metadata).
    pub input_hash: Option<String>,
}

impl CommitInfo {
    /// Reads a commit from a repository.
    ///
    /// # Errors
    /// Returns an error if the commit is missing or malformed.
    pub fn read(repo: &Repo, id: CommitId) -> Result<Self, RepoError> {
        let commit = repo.commit(id)?;
        let detached = repo.detached(id)?;
        let json = |key: &str| detached.get(key).map(keys::to_json);
        let mut info = Self::from_commit(id, &commit);
        info.source = json(keys::SDK_SOURCE);
        info.input_hash = json(keys::SDK_INPUTHASH).and_then(|v| Some(v.as_str()?.to_owned()));
        Ok(info)
    }

    pub(crate) fn from_commit(id: CommitId, commit: &Commit) -> Self {
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
            variant: text(keys::SDK_VARIANT),
            arch: keys::basearch_of_os(&commit.metadata).and_then(|name| name.parse().ok()),
            layer: text(keys::SDK_LAYER),
            std_cache: text(keys::SDK_STDCACHE).and_then(|name| name.parse().ok()),
            module: text(keys::SDK_MODULE).map(|path| ModuleInfo {
                path,
                version: text(keys::SDK_MODULE_VERSION),
                go_mod_h1: text(keys::SDK_GO_MOD_H1),
            }),
            layers: layers
                .into_iter()
                .filter_map(|(name, commit)| Some((name, commit.parse().ok()?)))
                .collect(),
            h1: text(keys::SDK_H1),
            workspace: text(keys::SDK_WORKSPACE).and_then(|digest| digest.parse().ok()),
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
        } else if self.std_cache.is_some() {
            CommitKind::StdCache
        } else if self.module.is_some() {
            CommitKind::Module
        } else if self.version.is_none() {
            CommitKind::Other
        } else if self.bound_to.iter().any(names_version) {
            CommitKind::Release
        } else {
            CommitKind::Channel
        }
    }
}

/// Returns the metadata of an OS image about its SDKs, lowest first: `sdk.releases`, `sdk.lang`,
/// `sdk.version` if all have the same, and custom keys of their treefiles.
///
/// `earlier` is `sdk.releases` of the image's base: SDKs that it already contains.
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

/// Returns an entry of `sdk.releases`.
fn entry(sdk: &CommitInfo) -> Value {
    let layers = sdk
        .layers
        .iter()
        .map(|(name, commit)| (name.clone(), commit.to_string().into()));
    let layers: serde_json::Map<String, Value> = layers.collect();
    let module_version = sdk.module.as_ref().and_then(|one| one.version.clone());
    let fields = [
        ("lang", Some("go".into())),
        ("version", sdk.version.clone().map(Value::from)),
        ("arch", sdk.arch.map(|arch| arch.goarch().into())),
        ("layer", sdk.layer.clone().map(Value::from)),
        ("stdcache", sdk.std_cache.map(|id| id.to_string().into())),
        (
            "module",
            sdk.module.as_ref().map(|one| one.path.clone().into()),
        ),
        ("module_version", module_version.map(Value::from)),
        ("ref", sdk.bound_to.first().map(|name| name.as_str().into())),
        ("commit", Some(sdk.id.to_string().into())),
        ("layers", (!layers.is_empty()).then(|| layers.into())),
    ];
    let present = fields
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(present.collect())
}

/// Prefix of refs that keep the objects of deployments from being pruned.
pub(crate) const DEPLOYMENT_REF_PREFIX: &str = "ostree-go/deployment/";

impl Repo {
    /// Returns all local refs with their commits, sorted by kind, then by name. Refs that only
    /// protect the objects of deployments are left out: clients neither see nor delete them.
    ///
    /// # Errors
    /// Returns an error if the commit of a ref cannot be read.
    pub fn list(&self) -> Result<Vec<(RefName, CommitInfo)>, RepoError> {
        let mut listed = self
            .refs()?
            .into_iter()
            .filter(|(name, _)| !name.as_str().starts_with(DEPLOYMENT_REF_PREFIX))
            .map(|(name, id)| Ok((name, CommitInfo::read(self, id)?)))
            .collect::<Result<Vec<_>, RepoError>>()?;
        listed.sort_by(|a, b| (a.1.kind, &a.0).cmp(&(b.1.kind, &b.0)));
        Ok(listed)
    }

    /// Returns a commit and its ancestors, newest first, as far as the repository has them.
    ///
    /// # Errors
    /// Returns an error if an existing commit cannot be read.
    pub fn log(&self, from: CommitId) -> Result<Vec<CommitInfo>, RepoError> {
        let mut history = vec![CommitInfo::read(self, from)?];
        while let Some(parent) = history.last().and_then(|commit| commit.parent) {
            match CommitInfo::read(self, parent) {
                Ok(commit) => history.push(commit),
                Err(_) if !self.has_commit(parent)? => break,
                Err(error) => return Err(error),
            }
        }
        Ok(history)
    }
}
