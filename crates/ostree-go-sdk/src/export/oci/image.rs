//! The documents of an image: configuration, manifest and index.

use super::super::tree::Tree;
use super::super::{Compression, ExportError};
use super::OciError;
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::clock::rfc3339;
use crate::fs::path::TreePath;
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, Sha256};
use crate::metadata as keys;
use crate::oci::go_cache::GO_CACHE;
use crate::oci::layer_list::{self, LayerRecord};
use crate::oci::{encapsulated, format};
use crate::repo::Repo;
use oci_spec::OciSpecError;
use oci_spec::image::{
    ConfigBuilder, Descriptor, DescriptorBuilder, HistoryBuilder, ImageConfigurationBuilder,
    ImageIndexBuilder, ImageManifestBuilder, PlatformBuilder, RootFsBuilder,
};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Default `PATH` of images, as in podman and docker.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Schema version of manifests and indexes. Source: the image specification, `manifest.md`.
pub(super) const SCHEMA: u32 = 2;

/// A document and its media type.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) media_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

impl Document {
    pub(super) fn new(
        media_type: &'static str,
        document: &impl Serialize,
    ) -> Result<Self, OciError> {
        let bytes = format::to_json(document).map_err(|source| spec(source.into()))?;
        Ok(Self { media_type, bytes })
    }

    pub(super) fn sha256(&self) -> Sha256 {
        format::sha256(&self.bytes)
    }

    pub(super) fn digest(&self) -> String {
        format::digest(self.sha256())
    }

    /// Returns a builder of the descriptor for other documents.
    pub(super) fn descriptor(&self) -> Result<DescriptorBuilder, OciError> {
        descriptor(self.media_type, self.sha256(), self.bytes.len() as u64)
    }
}

/// The blob of a layer.
#[derive(Debug, Clone)]
pub(super) struct LayerBlob {
    pub(super) name: String,
    pub(super) commit: CommitId,
    pub(super) sha256: Sha256,
    pub(super) size: u64,
    /// Digest and size of the uncompressed tar.
    pub(super) diff_id: Sha256,
    pub(super) tar_bytes: u64,
    /// The name of the std cache, if the layer contains one and is not part of the release.
    pub(super) std_cache: Option<StdCacheId>,
}

/// The metadata of a release.
pub(super) struct Release<'a> {
    pub(super) info: &'a CommitInfo,
    pub(super) arch: Arch,
    pub(super) version: &'a str,
    pub(super) tree: &'a Tree,
    /// The SHA-256 of the workspace's lock file.
    pub(super) workspace: Option<Sha256>,
    /// True if the image is encapsulated: the first layer holds the commit, the others objects.
    pub(super) encapsulated: bool,
}

impl Release<'_> {
    /// Returns the labels of the configuration and annotations of the manifest.
    fn labels(&self, layers: &[LayerBlob]) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([
            (format::VERSION, self.version.to_owned()),
            (format::CREATED, rfc3339(self.info.timestamp)),
            (format::TITLE, format!("Go {}", self.version)),
            (keys::SDK_VERSION, self.version.to_owned()),
            (keys::SDK_LANG, "go".to_owned()),
            (keys::SDK_ARCH, self.arch.goarch().to_owned()),
            (format::OSTREE_COMMIT, self.info.id.to_string()),
        ]);
        if let Some(h1) = &self.info.h1 {
            labels.insert(keys::SDK_H1, h1.clone());
        }
        if let Some(workspace) = self.workspace {
            labels.insert(keys::SDK_WORKSPACE, workspace.to_string());
        }
        if let (true, Some(last)) = (self.encapsulated, layers.last()) {
            let diff_id = format::digest(last.diff_id);
            labels.insert(encapsulated::FINAL_DIFFID, diff_id);
        }
        let owned = |(key, value): (&str, _)| (key.to_owned(), value);
        labels.into_iter().map(owned).collect()
    }

    /// Returns the configuration: the layers' digests and how to run the image.
    pub(super) fn config(&self, layers: &[LayerBlob]) -> Result<Document, OciError> {
        let created = rfc3339(self.info.timestamp);
        let history = layers.iter().map(|layer| {
            HistoryBuilder::default()
                .created(created.clone())
                .created_by(match self.encapsulated {
                    // `ostree container image history` shows this field, and not the comment.
                    true => self.comment(layer),
                    false => "ostree-go export oci".to_owned(),
                })
                .comment(self.comment(layer))
                .build()
                .map_err(spec)
        });
        let diff_ids = layers.iter().map(|layer| format::digest(layer.diff_id));
        let root = RootFsBuilder::default()
            .typ("layers")
            .diff_ids(diff_ids.collect::<Vec<_>>());
        let mut env = vec![format!("PATH={}", path(self.tree))];
        if layers.iter().any(|layer| layer.std_cache.is_some()) {
            env.push(format!("GOCACHE=/{GO_CACHE}"));
        }
        let config = ConfigBuilder::default()
            .env(env)
            .labels(self.labels(layers).into_iter().collect::<HashMap<_, _>>());
        let document = ImageConfigurationBuilder::default()
            .architecture(self.arch.oci())
            .os("linux")
            .created(created.clone())
            .config(config.build().map_err(spec)?)
            .rootfs(root.build().map_err(spec)?)
            .history(history.collect::<Result<Vec<_>, _>>()?)
            .build()
            .map_err(spec)?;
        Document::new(format::CONFIG, &document)
    }

    /// Returns the manifest: the configuration, the layers, and annotations to restore the
    /// commits.
    pub(super) fn manifest(
        &self,
        repo: &Repo,
        config: &Document,
        layers: &[LayerBlob],
        compression: Compression,
    ) -> Result<Document, OciError> {
        let mut annotations = self.labels(layers);
        let (commit, detached) = objects(repo, self.info.id)?;
        annotations.insert(format::COMMIT.to_owned(), commit);
        annotations.extend(detached.map(|detached| (format::COMMITMETA.to_owned(), detached)));
        annotations.extend(self.ref_name().map(|name| (format::REF.to_owned(), name)));
        let (of_sdk, caches) = split(layers);
        let records = of_sdk.iter().map(|layer| self.record(repo, layer));
        let records = records.collect::<Result<Vec<_>, OciError>>()?;
        let caches = caches.iter().map(|layer| (layer, self.record(repo, layer)));
        let caches = caches.map(|(layer, record)| Ok((layer, record?)));
        let caches: Vec<(&LayerBlob, LayerRecord)> = caches.collect::<Result<_, OciError>>()?;
        if !caches.is_empty() {
            let names = caches.iter().filter_map(|(layer, _)| layer.std_cache);
            let names: Vec<String> = names.map(|id| id.to_string()).collect();
            annotations.insert(format::STD_CACHE.to_owned(), names.join(","));
            let list: Vec<LayerRecord> = caches.iter().map(|(_, record)| record.clone()).collect();
            let list = layer_list::to_annotation(&list).map_err(|e| spec(e.into()))?;
            annotations.insert(format::STD_CACHE_LAYERS.to_owned(), list);
        }
        if !self.encapsulated {
            let list = layer_list::to_annotation(&records).map_err(|e| spec(e.into()))?;
            annotations.insert(format::LAYERS.to_owned(), list);
        }
        let annotated = of_sdk.iter().zip(records);
        let annotated = annotated.map(|(layer, record)| {
            let annotations = self.layer_annotations(layer, &record);
            (layer, annotations)
        });
        let of_caches = caches.iter();
        let of_caches = of_caches.map(|(layer, record)| (*layer, of_std_cache(layer, record)));
        let annotated = annotated.chain(of_caches);
        let layers = annotated.map(|(layer, annotations)| {
            let media_type = media_type(compression);
            let descriptor = descriptor(media_type, layer.sha256, layer.size)?;
            descriptor.annotations(annotations).build().map_err(spec)
        });
        let document = ImageManifestBuilder::default()
            .schema_version(SCHEMA)
            .media_type(format::MANIFEST)
            .config(config.descriptor()?.build().map_err(spec)?)
            .layers(layers.collect::<Result<Vec<_>, OciError>>()?)
            .annotations(annotations.into_iter().collect::<HashMap<_, _>>())
            .build()
            .map_err(spec)?;
        Document::new(format::MANIFEST, &document)
    }

    /// Describes a layer for the image's history.
    fn comment(&self, layer: &LayerBlob) -> String {
        match layer.commit == self.info.id {
            true => format!("commit {}", layer.commit),
            false if layer.std_cache.is_some() => layer.name.clone(),
            false => format!("layer {}", layer.name),
        }
    }

    /// Reads the commit of a layer.
    fn record(&self, repo: &Repo, layer: &LayerBlob) -> Result<LayerRecord, OciError> {
        let (commit, commitmeta) = objects(repo, layer.commit)?;
        Ok(LayerRecord {
            name: layer.name.clone(),
            id: layer.commit.to_string(),
            commit,
            commitmeta,
            size: layer.tar_bytes,
        })
    }

    fn layer_annotations(
        &self,
        layer: &LayerBlob,
        record: &LayerRecord,
    ) -> HashMap<String, String> {
        let mut annotations: HashMap<String, String> = record.annotations().collect();
        if layer.commit == self.info.id {
            // The commit of an encapsulated release is in the manifest's annotations already.
            annotations
                .retain(|key, _| [format::OSTREE_COMMIT, format::LAYER_SIZE].contains(&&**key));
        } else if self.encapsulated {
            annotations.insert(encapsulated::COMPONENTS.to_owned(), layer.name.clone());
        }
        annotations
    }

    /// Returns the image's descriptor for an index.
    pub(super) fn descriptor(&self, manifest: &Document) -> Result<Descriptor, OciError> {
        let commit = self.info.id.to_string();
        let mut annotations = HashMap::from([(format::OSTREE_COMMIT.to_owned(), commit)]);
        annotations.extend(self.ref_name().map(|name| (format::REF.to_owned(), name)));
        let platform = PlatformBuilder::default()
            .architecture(self.arch.oci())
            .os("linux")
            .build()
            .map_err(spec)?;
        let descriptor = manifest.descriptor()?;
        let descriptor = descriptor.platform(platform).annotations(annotations);
        descriptor.build().map_err(spec)
    }

    /// Returns the first ref that the commit is bound to.
    pub(super) fn ref_name(&self) -> Option<String> {
        Some(self.info.bound_to.first()?.to_string())
    }
}

/// Splits layers into those of the release and those with std caches, which are the last ones.
fn split(layers: &[LayerBlob]) -> (&[LayerBlob], &[LayerBlob]) {
    let of_sdk = layers.iter().take_while(|layer| layer.std_cache.is_none());
    layers.split_at(of_sdk.count())
}

/// Returns the annotations of a layer with a std cache.
fn of_std_cache(layer: &LayerBlob, record: &LayerRecord) -> HashMap<String, String> {
    let name = layer.std_cache.map(|id| id.to_string());
    let name = name.map(|name| (format::STD_CACHE.to_owned(), name));
    record.annotations().chain(name).collect()
}

/// Returns the index of images for several architectures.
pub(super) fn index(images: Vec<Descriptor>, version: &str) -> Result<Document, OciError> {
    let annotations = HashMap::from([(format::VERSION.to_owned(), version.to_owned())]);
    let document = ImageIndexBuilder::default()
        .schema_version(SCHEMA)
        .media_type(format::INDEX)
        .manifests(images)
        .annotations(annotations)
        .build()
        .map_err(spec)?;
    Document::new(format::INDEX, &document)
}

/// Returns the folder of the SDK in a release: the one with `bin/go`.
pub(in crate::export) fn goroot(tree: &Tree) -> Option<TreePath> {
    let is_tool = |path: &&TreePath| path.as_str().ends_with("/bin/go");
    let bins = tree.entries.keys().filter(is_tool);
    let mut tops = bins.filter_map(|bin| bin.parent()?.parent());
    tops.find(|top| tree.entries.contains_key(&top.join("src")))
}

/// Returns the image's `PATH`, with go's own folder first unless go is linked into `/usr/bin`.
fn path(tree: &Tree) -> String {
    let linked = tree
        .entries
        .keys()
        .any(|path| path.as_str() == "usr/bin/go");
    match goroot(tree) {
        Some(top) if !linked => format!("/{top}/bin:{PATH}"),
        _ => PATH.to_owned(),
    }
}

/// Returns a commit object and its detached metadata, encoded for annotations.
fn objects(repo: &Repo, commit: CommitId) -> Result<(String, Option<String>), OciError> {
    let failed = |source| ExportError::from(repo.failed(&format!("read commit {commit}"), source));
    let object = repo.commit_bytes(commit).map_err(failed)?;
    let detached = repo
        .as_ostree()
        .read_commit_detached_metadata(&commit.to_string(), gio::Cancellable::NONE)
        .map_err(failed)?;
    let detached = detached.filter(|dict| dict.n_children() > 0);
    let detached = detached.map(|dict| format::encode(dict.data()));
    Ok((format::encode(&object), detached))
}

fn media_type(compression: Compression) -> &'static str {
    match compression {
        Compression::None => format::LAYER_TAR,
        Compression::Gzip => format::LAYER_GZIP,
        Compression::Zstd => format::LAYER_ZSTD,
    }
}

fn descriptor(media_type: &str, sha256: Sha256, size: u64) -> Result<DescriptorBuilder, OciError> {
    let digest: oci_spec::image::Digest = format::digest(sha256).parse().map_err(spec)?;
    Ok(DescriptorBuilder::default()
        .media_type(media_type)
        .digest(digest)
        .size(size))
}

pub(super) fn spec(source: OciSpecError) -> OciError {
    OciError::Document { source }
}
