//! What an image's documents say.

use crate::arch::Arch;
use crate::id::{CommitId, RefName, Sha256};
use crate::metadata as keys;
use crate::object::Commit;
use crate::oci::{encapsulated, format};
use crate::pull::commits::variant;
use serde::Deserialize;
use sha2::Digest;
use std::collections::BTreeMap;

/// The most bytes that the layers of an image may make, each by its own word. Go 1.26 has 0.25.
const UNPACKED: u64 = 4 << 30;
/// The most bytes of the layers as they are.
const PACKED: u64 = 2 << 30;
/// How many layers an image may have.
const LAYERS: usize = 100;

/// A manifest, an index or a layout's `index.json`, as far as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// What leads from one document to the next, or to a layer.
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

/// The machine that an image is for.
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
    /// The digest. Another algorithm is an error.
    pub(super) fn sha256(&self) -> Result<Sha256, String> {
        format::parse_digest(&self.digest).ok_or_else(|| {
            let found = self.digest.escape_debug();
            format!("it names `{found}`, expected `sha256:` and 64 hexadecimal digits")
        })
    }

    /// The tag that a layout gives it.
    pub(super) fn tag(&self) -> Option<&str> {
        self.annotations.get(format::REF_NAME).map(String::as_str)
    }
}

/// A document.
#[derive(Debug)]
pub(super) enum Document {
    /// Images for several machines, or those of a layout.
    Index(Vec<Descriptor>),
    /// One image.
    Image(Box<Image>),
}

/// A release as its image has it. All that is said of commits is what their checksums say.
#[derive(Debug)]
pub(in crate::pull) struct Image {
    pub(super) commit: PackedCommit,
    /// The ref it was exported from.
    pub(super) name: Option<RefName>,
    /// Lowest first.
    pub(super) layers: Vec<Layer>,
}

/// A commit object and its detached metadata.
#[derive(Debug, Clone)]
pub(super) struct PackedCommit {
    pub(super) id: CommitId,
    pub(super) object: Vec<u8>,
    pub(super) detached: Option<Vec<u8>>,
}

/// A layer and the blob that has its tree.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) packed: PackedCommit,
    pub(super) commit: Commit,
    pub(super) digest: Sha256,
    pub(super) compression: Compression,
    /// Bytes of the blob.
    pub(super) size: u64,
    /// Bytes of the archive in it.
    pub(super) unpacked: u64,
}

/// How a blob is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

/// Why a document is not taken.
#[derive(Debug)]
pub(super) enum Problem {
    /// It is an image of ostree-ext's form.
    Encapsulated,
    /// What is wrong with it.
    Invalid(String),
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Invalid(problem)
    }
}

impl Document {
    /// Reads one.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let raw: Raw =
            serde_json::from_slice(bytes).map_err(|error| format!("it is no manifest: {error}"))?;
        match (raw.manifests, raw.layers) {
            (Some(manifests), None) => Ok(Self::Index(manifests)),
            (None, Some(_)) if raw.annotations.contains_key(encapsulated::FINAL_DIFFID) => {
                Err(Problem::Encapsulated)
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
    fn read(annotations: &Annotations, layers: &[Descriptor]) -> Result<Self, String> {
        let (packed, commit) = PackedCommit::read(annotations, format::COMMIT, format::COMMITMETA)
            .map_err(|problem| format!("it is no release: {problem}"))?;
        let expected: Vec<(String, String)> = commit
            .metadata
            .get(keys::SDK_LAYERS)
            .and_then(glib::Variant::get)
            .unwrap_or_default();
        if layers.len() > LAYERS {
            let found = layers.len();
            return Err(format!("it has {found} layers, at most {LAYERS} are read"));
        }
        let layers = layers
            .iter()
            .map(Layer::read)
            .collect::<Result<Vec<_>, String>>()?;
        let found = layers.iter();
        let found: Vec<(String, String)> = found
            .map(|layer| (layer.name.clone(), layer.packed.id.to_string()))
            .collect();
        if found != expected {
            return Err(format!(
                "its layers are {}, expected those of commit {}: {}",
                listed(&found),
                packed.id,
                listed(&expected)
            ));
        }
        let sum = |of: fn(&Layer) -> u64| layers.iter().map(of).fold(0, u64::saturating_add);
        for (what, sum, limit) in [
            ("have", sum(|layer| layer.size), PACKED),
            ("make", sum(|layer| layer.unpacked), UNPACKED),
        ] {
            if sum > limit {
                return Err(format!(
                    "its layers {what} {sum} bytes, at most {limit} are read"
                ));
            }
        }
        let name = annotations.get(format::REF);
        Ok(Self {
            commit: packed,
            name: name.and_then(|name| name.parse().ok()),
            layers,
        })
    }
}

fn listed(layers: &[(String, String)]) -> String {
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
        let of = |problem: String| format!("its layer {} is none: {problem}", descriptor.digest);
        let (packed, commit) =
            PackedCommit::read(annotations, format::LAYER_COMMIT, format::LAYER_COMMITMETA)
                .map_err(of)?;
        let compression = match descriptor.media_type.as_str() {
            format::LAYER_ZSTD => Compression::Zstd,
            format::LAYER_GZIP => Compression::Gzip,
            other => {
                return Err(of(format!(
                    "it has the media type `{}`, expected {} or {}",
                    other.escape_debug(),
                    format::LAYER_ZSTD,
                    format::LAYER_GZIP
                )));
            }
        };
        let unpacked = text(annotations, format::LAYER_SIZE).map_err(of)?;
        let unpacked = unpacked
            .parse()
            .map_err(|_| of(format!("`{}` is no size", unpacked.escape_debug())))?;
        Ok(Self {
            name: text(annotations, format::LAYER).map_err(of)?.to_owned(),
            packed,
            commit,
            digest,
            compression,
            size: descriptor.size,
            unpacked,
        })
    }

    /// The ref that it says it may be found on, if that has the checksum of what is in it: such
    /// a ref never moves.
    pub(super) fn ref_name(&self) -> Option<RefName> {
        let bound = self.commit.metadata.get(keys::OSTREE_REF_BINDING)?;
        let content = self.commit.content_id().to_string();
        let bound: Vec<String> = bound.get()?;
        let name = bound.iter().find(|name| name.contains(&content))?;
        name.parse().ok()
    }
}

type Annotations = BTreeMap<String, String>;

impl PackedCommit {
    fn read(
        annotations: &Annotations,
        object: &str,
        detached: &str,
    ) -> Result<(Self, Commit), String> {
        let bytes = decoded(annotations, object)?
            .ok_or_else(|| format!("it has no annotation `{object}`"))?;
        let expected = text(annotations, format::OSTREE_COMMIT)?;
        let found = Sha256(sha2::Sha256::digest(&bytes).into()).to_string();
        if found != expected {
            return Err(format!(
                "its commit has the checksum {found}, expected {}",
                expected.escape_debug()
            ));
        }
        let commit = variant(&bytes, "(a{sv}aya(say)sstayay)");
        let commit = commit.and_then(|commit| Commit::parse(&commit));
        let commit = commit.ok_or_else(|| format!("`{object}` is no commit object"))?;
        let detached_bytes = decoded(annotations, detached)?;
        if let Some(bytes) = &detached_bytes
            && variant(bytes, "a{sv}").is_none()
        {
            return Err(format!("`{detached}` is no metadata"));
        }
        let id = Sha256(sha2::Sha256::digest(&bytes).into()).into();
        let packed = Self {
            id,
            object: bytes,
            detached: detached_bytes,
        };
        Ok((packed, commit))
    }
}

fn text<'a>(annotations: &'a Annotations, key: &str) -> Result<&'a str, String> {
    let found = annotations.get(key).map(String::as_str);
    found.ok_or_else(|| format!("it has no annotation `{key}`"))
}

fn decoded(annotations: &Annotations, key: &str) -> Result<Option<Vec<u8>>, String> {
    let Some(text) = annotations.get(key) else {
        return Ok(None);
    };
    let bytes = format::decode(text);
    bytes
        .map(Some)
        .ok_or_else(|| format!("annotation `{key}` is not in base64"))
}
