//! Parses an image's manifest and index.

use crate::arch::Arch;
use crate::fs::path::TreePath;
use crate::golang::std_cache::StdCacheId;
use crate::gvariant;
use crate::id::{CommitId, RefName, Sha256};
use crate::metadata as keys;
use crate::object::Commit;
use crate::oci::layer_list;
use crate::oci::{encapsulated, format};
use crate::version::GoVersion;
use serde::Deserialize;
use sha2::Digest;
use std::collections::BTreeMap;

/// Maximum uncompressed size of all layers of an image in bytes, as declared. Go 1.26 has 0.25 GiB.
const MAX_UNPACKED: u64 = 4 << 30;
/// Maximum compressed size of all layers of an image in bytes.
const MAX_COMPRESSED: u64 = 2 << 30;
/// Maximum number of layers of an image.
const MAX_LAYERS: usize = 100;

/// Prefix of the media types of Docker's format. Source: the `distribution` project,
/// `docs/content/spec/manifest-v2-2.md`.
const DOCKER: &str = "application/vnd.docker.";

/// The fields that are used of a manifest, an index or a layout's `index.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// A reference to another document or to a layer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    pub(super) size: u64,
    #[serde(default)]
    pub(super) platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The platform of an image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Platform {
    architecture: String,
    os: String,
}

impl Platform {
    pub(super) fn of(arch: Arch) -> Self {
        Self {
            architecture: arch.goarch().to_owned(),
            os: "linux".to_owned(),
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

impl Descriptor {
    /// Returns the digest. Other algorithms than SHA-256 are an error.
    pub(super) fn sha256(&self) -> Result<Sha256, String> {
        format::parse_digest(&self.digest).ok_or_else(|| {
            let found = self.digest.escape_debug();
            format!("it has the digest `{found}`, expected `sha256:` and 64 hexadecimal digits")
        })
    }

    /// Returns true if this is not an image, but an attestation about one, as `docker buildx`
    /// adds them to an index. Source: BuildKit, `docs/attestations/attestation-storage.md`.
    pub(super) fn is_attestation(&self) -> bool {
        let is_unknown =
            |platform: &Platform| platform.architecture == "unknown" && platform.os == "unknown";
        self.platform.as_ref().is_some_and(is_unknown)
            || self
                .annotations
                .get("vnd.docker.reference.type")
                .map(String::as_str)
                == Some("attestation-manifest")
    }

    /// Returns the tag in a layout.
    pub(super) fn tag(&self) -> Option<&str> {
        self.annotations.get(format::REF_NAME).map(String::as_str)
    }
}

/// A parsed document.
#[derive(Debug)]
pub(super) enum Document {
    /// The images for several platforms, or those of a layout.
    Index(Vec<Descriptor>),
    /// One image.
    Image(Box<Image>),
}

/// A release in an image. The checksums of its commits have been checked.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) commit: EmbeddedCommit,
    /// The ref that it was exported from.
    pub(super) name: Option<RefName>,
    /// The version of Go, if the commit has one.
    pub(super) version: Option<String>,
    /// Lowest first.
    pub(super) layers: Vec<Layer>,
    /// The std caches that the image contains besides the release, by their names.
    pub(super) std_caches: Vec<(StdCacheId, Layer)>,
}

/// A commit object and its detached metadata.
#[derive(Debug, Clone)]
pub(super) struct EmbeddedCommit {
    pub(super) id: CommitId,
    pub(super) object: Vec<u8>,
    pub(super) detached: Option<Vec<u8>>,
}

/// A layer and the blob with its tree.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) embedded: EmbeddedCommit,
    pub(super) commit: Commit,
    pub(super) digest: Sha256,
    pub(super) compression: Compression,
    /// The size of the blob in bytes.
    pub(super) size: u64,
    /// The declared size of the uncompressed archive in bytes.
    pub(super) unpacked: u64,
    /// The directory of a std cache in the tree of its commit, if the layer contains a std cache: in the
    /// form of a build cache.
    pub(super) std_cache_dir: Option<TreePath>,
}

/// The compression of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

/// The reason why a document is refused.
#[derive(Debug)]
pub(super) enum DocumentProblem {
    /// It is an image encapsulated by ostree-ext.
    Encapsulated,
    /// Another tool has changed it and dropped the annotations with commits.
    Repacked(String),
    /// It is invalid.
    Invalid(String),
}

impl From<String> for DocumentProblem {
    fn from(problem: String) -> Self {
        Self::Invalid(problem)
    }
}

impl Document {
    /// Parses a document.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, DocumentProblem> {
        let raw: RawDocument = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is not a valid manifest: {error}"))?;
        match (raw.manifests, raw.layers) {
            (Some(manifests), None) => Ok(Self::Index(manifests)),
            (None, Some(_)) if raw.annotations.contains_key(encapsulated::FINAL_DIFFID) => {
                Err(DocumentProblem::Encapsulated)
            }
            (None, Some(_)) if raw.media_type.starts_with(DOCKER) => {
                let problem = "its manifest has Docker's format, which has no annotations";
                Err(DocumentProblem::Repacked(problem.to_owned()))
            }
            (None, Some(layers)) => {
                let image = Image::read(&raw.annotations, &layers)?;
                Ok(Self::Image(Box::new(image)))
            }
            _ => Err("it is neither a manifest nor an index".to_owned().into()),
        }
    }
}

impl Image {
    fn read(annotations: &Annotations, layers: &[Descriptor]) -> Result<Self, DocumentProblem> {
        let (embedded, commit) =
            EmbeddedCommit::read(annotations, format::COMMIT, format::COMMITMETA)
                .map_err(|problem| format!("it does not contain a release: {problem}"))?;
        let expected: Vec<(String, String)> = commit
            .metadata
            .get(keys::SDK_LAYERS)
            .and_then(glib::Variant::get)
            .unwrap_or_default();
        if layers.len() > MAX_LAYERS {
            let found = layers.len();
            return Err(format!("it has {found} layers, at most {MAX_LAYERS} are read").into());
        }
        let (of_release, caches) = split(annotations, layers)?;
        let layers = complete(annotations, format::LAYERS, of_release)?
            .iter()
            .map(Layer::read)
            .collect::<Result<Vec<_>, String>>()?;
        let std_caches = std_caches(annotations, caches)?;
        let found = layers.iter();
        let found: Vec<(String, String)> = found
            .map(|layer| (layer.name.clone(), layer.embedded.id.to_string()))
            .collect();
        if found != expected {
            return Err(format!(
                "its layers are {}, expected those of commit {}: {}",
                format_layers(&found),
                embedded.id,
                format_layers(&expected)
            )
            .into());
        }
        let all = || {
            layers
                .iter()
                .chain(std_caches.iter().map(|(_, layer)| layer))
        };
        let sum = |of: fn(&Layer) -> u64| all().map(of).fold(0, u64::saturating_add);
        for (suffix, sum, limit) in [
            ("", sum(|layer| layer.size), MAX_COMPRESSED),
            (" uncompressed", sum(|layer| layer.unpacked), MAX_UNPACKED),
        ] {
            if sum > limit {
                return Err(format!(
                    "its layers have {sum} bytes{suffix}, at most {limit} are read"
                )
                .into());
            }
        }
        let name = annotations.get(format::REF);
        Ok(Self {
            commit: embedded,
            name: name.and_then(|name| name.parse().ok()),
            version: version(&commit),
            layers,
            std_caches,
        })
    }
}

/// Returns the layers of the release, and those with std caches, which are the last ones.
fn split<'d>(
    annotations: &Annotations,
    layers: &'d [Descriptor],
) -> Result<(&'d [Descriptor], &'d [Descriptor]), DocumentProblem> {
    let caches = annotations.get(format::STD_CACHE);
    let caches = caches.map_or(0, |names| names.split(',').count());
    let of_release = layers.len().checked_sub(caches);
    of_release
        .and_then(|count| layers.split_at_checked(count))
        .ok_or_else(|| {
            let found = layers.len();
            format!("it has {found} layers, expected {caches} std caches among them").into()
        })
}

/// Returns the std caches in the last layers, without those that this version does not know. Images by
/// earlier versions do not contain their commits; none is returned then.
fn std_caches(
    annotations: &Annotations,
    layers: &[Descriptor],
) -> Result<Vec<(StdCacheId, Layer)>, DocumentProblem> {
    let (Some(names), true) = (
        annotations.get(format::STD_CACHE),
        annotations.contains_key(format::STD_CACHE_LAYERS),
    ) else {
        return Ok(Vec::new());
    };
    let layers = complete(annotations, format::STD_CACHE_LAYERS, layers)?;
    let mut found = Vec::new();
    for (name, descriptor) in names.split(',').zip(&layers) {
        let Ok(id) = name.parse::<StdCacheId>() else {
            continue;
        };
        let mut layer = Layer::read(descriptor)?;
        let version: Option<GoVersion> = version(&layer.commit).and_then(|v| v.parse().ok());
        layer.std_cache_dir = version.and_then(|version| id.dir(&version).ok());
        if layer.std_cache_dir.is_none() {
            let digest = descriptor.digest.escape_debug();
            let problem = format!("its layer {digest} is invalid: its commit has no version of Go");
            return Err(problem.into());
        }
        found.push((id, layer));
    }
    Ok(found)
}

/// Returns the version of Go in the metadata of a commit.
fn version(commit: &Commit) -> Option<String> {
    commit.metadata.get(keys::SDK_VERSION)?.get()
}

/// Returns the layers with their annotations, which a tool that compresses layers again drops: they
/// are taken from the annotation `list` of the manifest then.
fn complete(
    annotations: &Annotations,
    list: &str,
    layers: &[Descriptor],
) -> Result<Vec<Descriptor>, DocumentProblem> {
    let mut layers = layers.to_vec();
    let is_bare = |layer: &Descriptor| !layer.annotations.contains_key(format::LAYER_COMMIT);
    let Some(bare) = layers.iter().find(|layer| is_bare(layer)) else {
        return Ok(layers);
    };
    let Some(text) = annotations.get(list) else {
        let digest = bare.digest.escape_debug();
        return Err(DocumentProblem::Repacked(format!(
            "its layer {digest} has no annotation `{}`",
            format::LAYER_COMMIT
        )));
    };
    let records = layer_list::from_annotation(text)
        .map_err(|error| format!("its annotation `{list}` is invalid: {error}"))?;
    if records.len() != layers.len() {
        let (found, expected) = (layers.len(), records.len());
        return Err(format!("it has {found} layers, expected {expected}").into());
    }
    for (layer, record) in layers.iter_mut().zip(&records) {
        if is_bare(layer) {
            layer.annotations.extend(record.annotations());
        }
    }
    Ok(layers)
}

fn format_layers(layers: &[(String, String)]) -> String {
    if layers.is_empty() {
        return "none".to_owned();
    }
    let each = layers.iter();
    let each = each.map(|(name, commit)| format!("{} {}", name.escape_debug(), commit));
    each.collect::<Vec<_>>().join(", ")
}

impl Layer {
    fn read(descriptor: &Descriptor) -> Result<Self, String> {
        let annotations = &descriptor.annotations;
        let digest = descriptor.sha256()?;
        let of = |problem: String| format!("its layer {} is invalid: {problem}", descriptor.digest);
        let (embedded, commit) =
            EmbeddedCommit::read(annotations, format::LAYER_COMMIT, format::LAYER_COMMITMETA)
                .map_err(of)?;
        let compression = match descriptor.media_type.as_str() {
            format::LAYER_ZSTD => Compression::Zstd,
            format::LAYER_GZIP => Compression::Gzip,
            format::LAYER_TAR => Compression::None,
            other => {
                return Err(of(format!(
                    "it has the media type `{}`, expected {}, {} or {}",
                    other.escape_debug(),
                    format::LAYER_ZSTD,
                    format::LAYER_GZIP,
                    format::LAYER_TAR
                )));
            }
        };
        let unpacked = annotation(annotations, format::LAYER_SIZE).map_err(of)?;
        let unpacked = unpacked.parse().map_err(|_| {
            of(format!(
                "the size `{}` is not a number of bytes",
                unpacked.escape_debug()
            ))
        })?;
        Ok(Self {
            name: annotation(annotations, format::LAYER)
                .map_err(of)?
                .to_owned(),
            embedded,
            commit,
            digest,
            compression,
            size: descriptor.size,
            unpacked,
            std_cache_dir: None,
        })
    }

    /// Returns the ref that the layer is bound to, if it contains the checksum of the layer's
    /// content: such a ref never changes.
    pub(super) fn ref_name(&self) -> Option<RefName> {
        let bound = self.commit.metadata.get(keys::OSTREE_REF_BINDING)?;
        let content = self.commit.content_id().to_string();
        let bound: Vec<String> = bound.get()?;
        let name = bound.iter().find(|name| name.contains(&content))?;
        name.parse().ok()
    }
}

type Annotations = BTreeMap<String, String>;

impl EmbeddedCommit {
    fn read(
        annotations: &Annotations,
        object: &str,
        detached: &str,
    ) -> Result<(Self, Commit), String> {
        let bytes = decode_annotation(annotations, object)?
            .ok_or_else(|| format!("it has no annotation `{object}`"))?;
        let expected = annotation(annotations, format::OSTREE_COMMIT)?;
        let found = Sha256(sha2::Sha256::digest(&bytes).into()).to_string();
        if found != expected {
            return Err(format!(
                "its commit has the checksum {found}, expected {}",
                expected.escape_debug()
            ));
        }
        let commit = gvariant::parse(&bytes, "(a{sv}aya(say)sstayay)");
        let commit = commit.and_then(|commit| Commit::parse(&commit));
        let commit = commit.ok_or_else(|| format!("`{object}` is not a valid commit object"))?;
        let detached_bytes = decode_annotation(annotations, detached)?;
        if let Some(bytes) = &detached_bytes
            && gvariant::parse(bytes, "a{sv}").is_none()
        {
            return Err(format!("`{detached}` is not valid detached metadata"));
        }
        let id = Sha256(sha2::Sha256::digest(&bytes).into()).into();
        let embedded = Self {
            id,
            object: bytes,
            detached: detached_bytes,
        };
        Ok((embedded, commit))
    }
}

fn annotation<'a>(annotations: &'a Annotations, key: &str) -> Result<&'a str, String> {
    let found = annotations.get(key).map(String::as_str);
    found.ok_or_else(|| format!("it has no annotation `{key}`"))
}

fn decode_annotation(annotations: &Annotations, key: &str) -> Result<Option<Vec<u8>>, String> {
    let Some(text) = annotations.get(key) else {
        return Ok(None);
    };
    let bytes = format::decode(text);
    bytes
        .map(Some)
        .ok_or_else(|| format!("annotation `{key}` is not in base64"))
}
