//! OCI images of releases: one for each architecture, and an index for several.
//!
//! Objects are copied from the repository into the layers' tar, without a tree on disk. A layer
//! that several architectures share is written once. The tag is written last. An encapsulated
//! image contains the same objects in the format of ostree-ext.

mod archive;
mod encapsulate;
mod error;
mod frame;
mod go_cache;
mod image;
mod layer;
mod layout;
mod push;
mod referrers;
mod simple_signing;
mod target;

use super::release::release;
use super::std_cache::{StdCacheTree, std_caches};
use super::tree::{Node, Tree};
use super::{Compression, ExportError};
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::fs::path::TreePath;
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, Sha256};
use crate::oci::{ImageLocation, is_name};
use crate::progress::{NoProgress, Progress};
use crate::registry::{RegistryOptions, is_tag};
use crate::repo::{Completeness, Repo};
use crate::setters::setters;
use frame::Coding;
use image::{Document, LayerBlob, Release};
use layer::{Part, Parts};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use target::{Image, Target};

pub use error::OciError;
pub(super) use image::goroot;
pub use referrers::{ExportedReferrer, Referrers};
pub use simple_signing::{LookasideSignature, check_lookaside_keys, sign_lookaside};

/// Options of an image export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OciOptions {
    compression: Compression,
    encapsulate: bool,
    std_caches: bool,
    workspace: Option<Sha256>,
    registry: RegistryOptions,
    scratch: Option<PathBuf>,
    progress: Arc<dyn Progress>,
}

impl Default for OciOptions {
    fn default() -> Self {
        Self {
            compression: Compression::Zstd,
            encapsulate: false,
            std_caches: true,
            workspace: None,
            registry: RegistryOptions::default(),
            scratch: None,
            progress: Arc::new(NoProgress),
        }
    }
}

impl OciOptions {
    setters! {
        /// Sets the compression of layers. Default: Zstandard.
        compression: Compression;
        /// Sets whether the layers contain the commit and its objects as encapsulated by
        /// ostree-ext, for `ostree container` and tools based on it. Default: no; they contain the
        /// SDK's trees.
        encapsulate: bool;
        /// Sets whether the image has the std caches of its version and architecture, as a build
        /// cache in `/var/cache/go-build` that `GOCACHE` names. Each is a layer, and none is part of the
        /// release. A pull restores their commits from these layers. An encapsulated image never has any.
        /// Default: yes, if the repository has them.
        std_caches: bool;
        /// Sets the SHA-256 of the lock file of the workspace that the image is for. It becomes the
        /// label and annotation `sdk.workspace`. Default: that in the release's commit, if there is one.
        workspace: Option<Sha256>;
        /// Sets the options for registries. Default: no credentials, encrypted connections.
        registry: RegistryOptions;
        /// Sets the existing folder for temporary blobs. Default: the repository's `tmp`.
        scratch: Option<PathBuf>;
        /// Sets the receiver of progress. Default: none.
        progress;
    }
}

/// An exported image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedOci {
    /// The location of the image, with its tag.
    pub location: ImageLocation,
    /// The digest that the tag refers to: of the index, or of the only image.
    pub digest: Sha256,
    /// The images, in the order of [`Arch::ALL`].
    pub images: Vec<ExportedImage>,
}

/// The image of one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedImage {
    /// The release's commit.
    pub commit: CommitId,
    /// The architecture.
    pub arch: Arch,
    /// The digest of the manifest.
    pub digest: Sha256,
    /// The digest of the configuration, which is the image ID in podman.
    pub config: Sha256,
    /// The layers, lowest first. In an encapsulated image, the first one is named `release` and
    /// contains the release's commit.
    pub layers: Vec<ExportedLayer>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedLayer {
    /// The name of the layer.
    pub name: String,
    /// The commit of the layer.
    pub commit: CommitId,
    /// The digest of the blob.
    pub digest: Sha256,
    /// The size of the blob in bytes.
    pub size: u64,
    /// The digest of the uncompressed tar.
    pub diff_id: Sha256,
    /// True if the blob was missing at the destination.
    pub sent: bool,
}

/// Exports releases as one image: one for each architecture, and an index if there are several.
/// If `location` has no tag, it is the last component of the first release's ref: `1.26.5`.
///
/// # Errors
/// Returns an error if a commit is not a release, two are for the same architecture, an object is
/// damaged or missing, or the file system or registry fails. No tag is changed then.
pub fn export_oci(
    repo: &Repo,
    commits: &[CommitId],
    location: &ImageLocation,
    options: &OciOptions,
) -> Result<ExportedOci, OciError> {
    let with_caches = options.std_caches && !options.encapsulate;
    let releases = releases(repo, commits, with_caches)?;
    let tag = tag(location, &releases)?;
    let progress = options.progress.as_ref();
    let own = repo.path().join("tmp");
    let scratch = options.scratch.as_ref().unwrap_or(&own);
    let mut target: Box<dyn Target + '_> = match location {
        ImageLocation::Layout { path, .. } => Box::new(layout::Layout::open(path, progress)?),
        ImageLocation::Archive { path, .. } => {
            Box::new(archive::Archive::create(path, scratch, progress)?)
        }
        ImageLocation::Registry(image) => {
            let registry = &options.registry;
            Box::new(push::Push::open(
                image,
                registry,
                scratch,
                &options.progress,
            )?)
        }
    };
    let exporter = Exporter {
        repo,
        compression: options.compression,
        encapsulate: options.encapsulate,
        workspace: options.workspace,
        progress,
    };
    exporter.run(&releases, tag, location, target.as_mut())
}

/// A release with its tree and those of its layers.
struct Read {
    info: CommitInfo,
    arch: Arch,
    version: String,
    tree: Tree,
    layers: Vec<(String, CommitId, Tree)>,
    std_caches: Vec<StdCacheTree>,
}

impl Read {
    fn release(&self, workspace: Option<Sha256>, encapsulated: bool) -> Release<'_> {
        Release {
            workspace: workspace.or(self.info.workspace),
            info: &self.info,
            arch: self.arch,
            version: &self.version,
            tree: &self.tree,
            encapsulated,
        }
    }
}

/// Reads the releases, and checks that each equals the union of its layers.
fn releases(repo: &Repo, commits: &[CommitId], with_caches: bool) -> Result<Vec<Read>, OciError> {
    let mut releases: Vec<Read> = Vec::new();
    for &commit in commits {
        let read = read(repo, commit, with_caches)?;
        if let Some(other) = releases.iter().find(|other| other.arch == read.arch) {
            if other.info.id == commit {
                continue;
            }
            return Err(OciError::SameArch {
                arch: read.arch,
                one: other.info.id,
                other: commit,
            });
        }
        releases.push(read);
    }
    releases.sort_by_key(|read| read.arch);
    Ok(releases)
}

fn read(repo: &Repo, commit: CommitId, with_caches: bool) -> Result<Read, OciError> {
    let info = release(repo, commit)?;
    let (Some(arch), Some(version), false) =
        (info.arch, info.version.clone(), info.layers.is_empty())
    else {
        let kind = info.kind;
        return Err(ExportError::NotARelease { commit, kind }.into());
    };
    let tree = Tree::read(repo, commit)?;
    let mut union: BTreeMap<TreePath, Node> = BTreeMap::new();
    let mut layers = Vec::new();
    let complete = Completeness::of(repo).map_err(ExportError::from)?;
    for (name, layer) in &info.layers {
        if !complete.is_complete(*layer).map_err(ExportError::from)? {
            return Err(OciError::NoLayer {
                commit,
                layer: name.clone(),
                missing: *layer,
            });
        }
        let tree = Tree::read(repo, *layer)?;
        union.extend(
            tree.entries
                .iter()
                .map(|(path, node)| (path.clone(), *node)),
        );
        layers.push((name.clone(), *layer, tree));
    }
    if union != tree.entries {
        return Err(OciError::NotItsLayers { commit });
    }
    let std_caches = match with_caches {
        true => std_caches(repo, &info, arch)?,
        false => Vec::new(),
    };
    for cache in &std_caches {
        cache.require_restorable()?;
    }
    Ok(Read {
        info,
        arch,
        version,
        tree,
        layers,
        std_caches,
    })
}

/// Returns the tag of the image.
fn tag(location: &ImageLocation, releases: &[Read]) -> Result<String, OciError> {
    if let Some(tag) = location.tag() {
        return Ok(tag.to_owned());
    }
    let first = releases.first().ok_or(OciError::Nothing)?;
    let bound_to = first.info.bound_to.first();
    let tag = bound_to.and_then(|name| name.as_str().rsplit('/').next());
    let tag = tag.unwrap_or(&first.version).to_owned();
    let is_valid = match location {
        ImageLocation::Registry(_) => is_tag(&tag),
        _ => is_name(&tag),
    };
    is_valid.then_some(tag.clone()).ok_or(OciError::Tag { tag })
}

struct Exporter<'a> {
    repo: &'a Repo,
    compression: Compression,
    encapsulate: bool,
    workspace: Option<Sha256>,
    progress: &'a dyn Progress,
}

/// Name of the layer with the commit of an encapsulated release.
const RELEASE: &str = "release";

impl Exporter<'_> {
    fn run(
        &self,
        releases: &[Read],
        tag: String,
        location: &ImageLocation,
        target: &mut dyn Target,
    ) -> Result<ExportedOci, OciError> {
        let first = releases.first().ok_or(OciError::Nothing)?;
        let mut made = BTreeMap::new();
        let (mut images, mut manifests, mut descriptors) = (Vec::new(), Vec::new(), Vec::new());
        for read in releases {
            let (exported, manifest) = self.image(read, &mut made, target)?;
            let release = read.release(self.workspace, self.encapsulate);
            descriptors.push(release.descriptor(&manifest)?);
            images.push(exported);
            manifests.push(manifest);
        }
        let (index, top) = match descriptors.as_slice() {
            [only] => (None, only.clone()),
            _ => {
                let index = image::index(descriptors, &first.version)?;
                let top = index.descriptor()?.build().map_err(image::spec)?;
                (Some(index), top)
            }
        };
        let image = Image {
            tag,
            manifests,
            index,
            top,
        };
        target.publish(&image)?;
        Ok(ExportedOci {
            location: tagged(location, &image.tag)?,
            digest: image.top_document().sha256(),
            images,
        })
    }

    /// Writes the blobs of one architecture's image, and creates its manifest.
    fn image(
        &self,
        read: &Read,
        made: &mut BTreeMap<CommitId, (LayerBlob, bool)>,
        target: &mut dyn Target,
    ) -> Result<(ExportedImage, Document), OciError> {
        let release = read.release(self.workspace, self.encapsulate);
        let (mut layers, mut exported) = (Vec::new(), Vec::new());
        let own = self
            .encapsulate
            .then_some((RELEASE, read.info.id, &read.tree));
        let of_sdk = read.layers.iter();
        let of_sdk = of_sdk.map(|(name, commit, tree)| (name.as_str(), *commit, tree));
        for (name, commit, tree) in own.into_iter().chain(of_sdk) {
            let parts = || match (self.encapsulate, commit == read.info.id) {
                (false, _) => Ok(layer::plain(tree)),
                (true, true) => Ok(encapsulate::release(self.repo, commit, tree)?),
                (true, false) => encapsulate::content(commit, tree),
            };
            let of_layer = Source {
                name,
                commit,
                std_cache: None,
            };
            let layer = self.layer_once(of_layer, parts, made, target)?;
            exported.push(exported_layer(&layer));
            layers.push(layer.0);
        }
        for cache in &read.std_caches {
            let name = format!("stdcache/{}", cache.id);
            let of_cache = Source {
                name: &name,
                commit: cache.commit,
                std_cache: Some(cache.id),
            };
            let layer = self.layer_once(of_cache, || Ok(go_cache::parts(cache)), made, target)?;
            exported.push(exported_layer(&layer));
            layers.push(layer.0);
        }
        let config = release.config(&layers)?;
        target.blob(&mut |out| Ok(out.write_all(&config.bytes)?))?;
        let manifest = release.manifest(self.repo, &config, &layers, self.compression)?;
        let exported = ExportedImage {
            commit: read.info.id,
            arch: read.arch,
            digest: manifest.sha256(),
            config: config.sha256(),
            layers: exported,
        };
        Ok((exported, manifest))
    }

    /// Writes a layer, unless the image of another architecture has it already.
    fn layer_once(
        &self,
        source: Source<'_>,
        parts: impl FnOnce() -> Result<Vec<Part>, OciError>,
        made: &mut BTreeMap<CommitId, (LayerBlob, bool)>,
        target: &mut dyn Target,
    ) -> Result<(LayerBlob, bool), OciError> {
        if let Some(made) = made.get(&source.commit) {
            return Ok(made.clone());
        }
        let commit = source.commit;
        let layer = self.layer(source, parts()?, target)?;
        Ok(made.entry(commit).or_insert(layer).clone())
    }

    fn layer(
        &self,
        source: Source<'_>,
        list: Vec<Part>,
        target: &mut dyn Target,
    ) -> Result<(LayerBlob, bool), OciError> {
        let Self { repo, progress, .. } = *self;
        let Source {
            name,
            commit,
            std_cache,
        } = source;
        let time = if std_cache.is_some() {
            go_cache::TIME
        } else {
            0
        };
        let parts = Parts { list, time };
        let coding = Coding::of(self.compression, self.encapsulate);
        let mut written = None;
        let blob = target.blob(&mut |out| {
            let layer = layer::write(repo, commit, &parts, coding, out, progress)?;
            written = Some(layer);
            Ok(())
        })?;
        let written = written.ok_or(OciError::Nothing)?;
        let layer = LayerBlob {
            name: name.to_owned(),
            commit,
            sha256: blob.sha256,
            size: blob.size,
            diff_id: written.diff_id,
            tar_bytes: written.bytes,
            std_cache,
        };
        Ok((layer, blob.sent))
    }
}

/// The origin of a layer.
#[derive(Clone, Copy)]
struct Source<'a> {
    name: &'a str,
    commit: CommitId,
    std_cache: Option<StdCacheId>,
}

fn exported_layer((layer, sent): &(LayerBlob, bool)) -> ExportedLayer {
    ExportedLayer {
        name: layer.name.clone(),
        commit: layer.commit,
        digest: layer.sha256,
        size: layer.size,
        diff_id: layer.diff_id,
        sent: *sent,
    }
}

/// Returns the location with its tag.
fn tagged(location: &ImageLocation, tag: &str) -> Result<ImageLocation, OciError> {
    let invalid = |_| OciError::Tag {
        tag: tag.to_owned(),
    };
    let named = Some(tag.to_owned());
    Ok(match location {
        ImageLocation::Registry(image) => {
            ImageLocation::Registry(image.with_tag(tag).map_err(invalid)?)
        }
        ImageLocation::Layout { path, .. } => ImageLocation::Layout {
            path: path.clone(),
            tag: named,
        },
        ImageLocation::Archive { path, .. } => ImageLocation::Archive {
            path: path.clone(),
            tag: named,
        },
    })
}
