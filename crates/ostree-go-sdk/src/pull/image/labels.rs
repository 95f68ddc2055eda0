//! Reads the labels of images, without their layers.
//!
//! Source: the OCI image specification, `config.md` (`config.Labels`), `manifest.md` and
//! `image-index.md`. Images in Docker's format have the same fields.

use super::layout::Layout;
use super::manifest::Descriptor;
use crate::id::Sha256;
use crate::oci::{ImageLocation, format};
use crate::progress::Progress;
use crate::pull::PullError;
use crate::registry::{Access, Registry, RegistryError, RegistryOptions};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Maximum size of a manifest, an index or a configuration in bytes. Registries have to accept manifests
/// of 4 MiB (OCI distribution specification, "Pushing Manifests").
const MAX_DOCUMENT: u64 = 4 << 20;
/// Maximum number of images of an index whose labels are read.
const MAX_IMAGES: usize = 16;
/// The media types of manifests and indexes. Source of Docker's: the `distribution` project,
/// `docs/content/spec/manifest-v2-2.md`.
const TYPES: [&str; 4] = [
    format::MANIFEST,
    format::INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// The labels of an image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageLabels {
    /// The platform in OCI's notation, such as `linux/amd64`, if an index names it.
    pub platform: Option<String>,
    /// The labels of its configuration.
    pub labels: BTreeMap<String, String>,
}

/// The fields that are used of a manifest or an index.
#[derive(Debug, Deserialize)]
struct Manifest {
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
}

/// The fields that are used of an image's configuration.
#[derive(Debug, Deserialize)]
struct Configuration {
    config: Option<RunConfiguration>,
}

#[derive(Debug, Deserialize)]
struct RunConfiguration {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

/// Reads the labels of the image at a location: one result for each platform of an index. No layer is
/// read. Every document but the one that a tag names is checked against its digest; nothing proves who
/// made the image.
///
/// # Errors
/// Returns an error if the image does not exist, or is not an OCI image; and if the file system or the
/// registry fails.
pub fn image_labels(
    location: &ImageLocation,
    options: &RegistryOptions,
    progress: &dyn Progress,
) -> Result<Vec<ImageLabels>, PullError> {
    let reader = Reader::open(location, options, progress)?;
    let top = reader.top()?;
    let Some(entries) = top.manifests else {
        return Ok(vec![reader.labels(None, top)?]);
    };
    let images: Vec<Descriptor> = entries
        .into_iter()
        .filter(|entry| !entry.is_attestation())
        .collect();
    if images.len() > MAX_IMAGES {
        let found = images.len();
        return Err(reader.refused(format!(
            "it has {found} images, at most {MAX_IMAGES} are read"
        )));
    }
    images
        .iter()
        .map(|entry| {
            let platform = entry.platform.as_ref().map(ToString::to_string);
            reader.labels(platform, reader.manifest(entry)?)
        })
        .collect()
}

/// The documents of an image.
struct Reader<'a> {
    location: &'a ImageLocation,
    progress: &'a dyn Progress,
    store: Store,
}

enum Store {
    Layout(Layout),
    Registry {
        client: Box<Registry>,
        /// The tag or the digest of the image.
        reference: String,
    },
}

impl<'a> Reader<'a> {
    fn open(
        location: &'a ImageLocation,
        options: &RegistryOptions,
        progress: &'a dyn Progress,
    ) -> Result<Self, PullError> {
        let store = match location {
            ImageLocation::Layout { path, .. } => Store::Layout(Layout::folder(path)),
            ImageLocation::Archive { path, .. } => Store::Layout(Layout::archive(path)?),
            ImageLocation::Registry(image) => {
                let opened = Registry::open(image, Access::Pull, options, progress);
                let reference = image.digest().or(image.tag()).unwrap_or("latest");
                let client = opened.map_err(|error| registry_error(location, error))?;
                Store::Registry {
                    client: Box::new(client),
                    reference: reference.to_owned(),
                }
            }
        };
        Ok(Self {
            location,
            progress,
            store,
        })
    }

    /// Returns the document that the location names.
    fn top(&self) -> Result<Manifest, PullError> {
        match &self.store {
            Store::Registry { client, reference } => {
                let bytes = self.request(client, reference)?;
                match format::parse_digest(reference) {
                    Some(digest) => self.parse(&self.checked(bytes, digest, None)?),
                    None => self.parse(&bytes),
                }
            }
            Store::Layout(layout) => {
                let index: Manifest = self.parse(&layout.document(format::INDEX_FILE)?)?;
                let entries = index.manifests.unwrap_or_default();
                self.manifest(self.selected(&entries, self.location.tag())?)
            }
        }
    }

    /// Returns the entry of a layout with a tag, or the only one.
    fn selected<'d>(
        &self,
        entries: &'d [Descriptor],
        tag: Option<&str>,
    ) -> Result<&'d Descriptor, PullError> {
        let url = self.location.to_string();
        let found = || {
            let tags = entries.iter().filter_map(Descriptor::tag);
            tags.map(str::to_owned).collect()
        };
        match (tag, entries) {
            (None, [only]) => Ok(only),
            (None, _) => Err(PullError::SeveralImages {
                url,
                found: found(),
            }),
            (Some(tag), _) => entries
                .iter()
                .find(|entry| entry.tag() == Some(tag))
                .ok_or_else(|| PullError::NoSuchImage {
                    tag: tag.to_owned(),
                    url,
                    found: found(),
                }),
        }
    }

    /// Reads the manifest or index that a descriptor names.
    fn manifest(&self, entry: &Descriptor) -> Result<Manifest, PullError> {
        let digest = entry.sha256().map_err(|problem| self.refused(problem))?;
        let bytes = match &self.store {
            Store::Layout(layout) => layout.document(&Layout::blob(digest))?,
            Store::Registry { client, .. } => self.request(client, &format::digest(digest))?,
        };
        self.parse(&self.checked(bytes, digest, Some(entry.size))?)
    }

    /// Reads the labels of the image with a manifest.
    fn labels(
        &self,
        platform: Option<String>,
        manifest: Manifest,
    ) -> Result<ImageLabels, PullError> {
        let Some(entry) = manifest.config else {
            return Err(self.refused("its manifest has no configuration".to_owned()));
        };
        let digest = entry.sha256().map_err(|problem| self.refused(problem))?;
        if entry.size > MAX_DOCUMENT {
            let size = entry.size;
            return Err(self.refused(format!(
                "its configuration has {size} bytes, at most {MAX_DOCUMENT} are read"
            )));
        }
        let bytes = match &self.store {
            Store::Layout(layout) => layout.document(&Layout::blob(digest))?,
            Store::Registry { client, .. } => {
                let mut bytes = Vec::new();
                let digest = format::digest(digest);
                let received = client.blob(&digest, entry.size, self.progress, &mut |piece| {
                    bytes.extend_from_slice(piece);
                    !self.progress.is_cancelled()
                });
                received.map_err(|error| registry_error(self.location, error))?;
                bytes
            }
        };
        let bytes = self.checked(bytes, digest, Some(entry.size))?;
        let configuration: Configuration = self.parse(&bytes)?;
        let labels = configuration.config.and_then(|config| config.labels);
        Ok(ImageLabels {
            platform,
            labels: labels.unwrap_or_default(),
        })
    }

    /// Requests the manifest or index with a tag or a digest.
    fn request(&self, client: &Registry, reference: &str) -> Result<Vec<u8>, PullError> {
        let go_on = |_| !self.progress.is_cancelled();
        let found = client.manifest(reference, &TYPES, MAX_DOCUMENT, self.progress, &go_on);
        let found = found.map_err(|error| registry_error(self.location, error))?;
        found.ok_or_else(|| PullError::NoSuchImage {
            tag: reference.to_owned(),
            url: self.location.to_string(),
            found: Vec::new(),
        })
    }

    /// Checks the digest of a document, and its size if that is known.
    fn checked(
        &self,
        bytes: Vec<u8>,
        expected: Sha256,
        size: Option<u64>,
    ) -> Result<Vec<u8>, PullError> {
        let (found, length) = (format::sha256(&bytes), bytes.len() as u64);
        match size.filter(|size| *size != length) {
            _ if found != expected => Err(self.refused(format!(
                "a document has the SHA-256 {found}, expected {expected}"
            ))),
            Some(size) => Err(self.refused(format!(
                "the document {expected} has {length} bytes, expected {size}"
            ))),
            None => Ok(bytes),
        }
    }

    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, PullError> {
        let parsed = serde_json::from_slice(bytes);
        parsed.map_err(|error| self.refused(format!("it is not a valid image: {error}")))
    }

    fn refused(&self, problem: String) -> PullError {
        let url = self.location.to_string();
        let remote = url.clone();
        PullError::Refused {
            remote,
            url,
            problem,
        }
    }
}

fn registry_error(location: &ImageLocation, source: RegistryError) -> PullError {
    PullError::Registry {
        remote: location.to_string(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;
    use serde_json::{Value, json};
    use std::path::Path;

    /// Writes a blob of a layout, and returns its descriptor.
    fn blob(layout: &Path, document: &Value) -> Value {
        let bytes = document.to_string();
        let digest = format::sha256(bytes.as_bytes());
        let folder = layout.join(format::BLOBS);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(digest.to_string()), &bytes).unwrap();
        json!({"digest": format::digest(digest), "size": bytes.len()})
    }

    fn image(layout: &Path, labels: &Value) -> Value {
        let config = blob(layout, &json!({"config": {"Labels": labels}}));
        blob(layout, &json!({"config": config, "layers": []}))
    }

    fn read(layout: &Path, tag: Option<&str>) -> Result<Vec<ImageLabels>, PullError> {
        let location = ImageLocation::Layout {
            path: layout.to_owned(),
            tag: tag.map(str::to_owned),
        };
        image_labels(&location, &RegistryOptions::default(), &NoProgress)
    }

    #[test]
    fn labels_of_all_platforms_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let layout = dir.path();
        let mut entries = Vec::new();
        for arch in ["amd64", "arm64"] {
            let mut entry = image(layout, &json!({"arch": arch}));
            entry["platform"] = json!({"architecture": arch, "os": "linux"});
            entries.push(entry);
        }
        let mut index = blob(layout, &json!({"manifests": entries}));
        index["annotations"] = json!({format::REF_NAME: "all"});
        let mut bare = image(layout, &Value::Null);
        bare["annotations"] = json!({format::REF_NAME: "bare"});
        let top = json!({"manifests": [index, bare]});
        std::fs::write(layout.join(format::INDEX_FILE), top.to_string()).unwrap();

        let found = read(layout, Some("all")).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.platform.as_deref().unwrap(), &*one.labels["arch"]))
            .collect();
        assert_eq!(found, [("linux/amd64", "amd64"), ("linux/arm64", "arm64")]);
        assert!(read(layout, Some("bare")).unwrap()[0].labels.is_empty());
        let error = read(layout, Some("none")).unwrap_err();
        assert!(
            matches!(&error, PullError::NoSuchImage { found, .. } if found.len() == 2),
            "{error}"
        );
        let error = read(layout, None).unwrap_err();
        assert!(matches!(error, PullError::SeveralImages { .. }), "{error}");
        let error = read(&layout.join("none"), None).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::NotFound);
    }

    #[test]
    fn changed_documents_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let layout = dir.path();
        let entry = image(layout, &json!({"a": "b"}));
        let top = json!({"manifests": [entry]}).to_string();
        std::fs::write(layout.join(format::INDEX_FILE), &top).unwrap();
        assert_eq!(read(layout, None).unwrap()[0].labels["a"], "b");
        for name in std::fs::read_dir(layout.join(format::BLOBS)).unwrap() {
            let path = name.unwrap().path();
            let bytes = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, bytes.clone() + " ").unwrap();
            let error = read(layout, None).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Mismatch, "{error}");
            std::fs::write(&path, bytes).unwrap();
        }
        std::fs::write(layout.join(format::INDEX_FILE), "[]").unwrap();
        assert!(
            read(layout, None)
                .unwrap_err()
                .to_string()
                .contains("is not a valid image")
        );
    }
}
