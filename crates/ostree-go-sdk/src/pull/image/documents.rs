//! Finds images: the documents under a tag or a digest, and the images that they refer to.

use super::manifest::{Descriptor, Document, DocumentProblem, Image, Platform};
use super::store::Store;
use crate::arch::Arch;
use crate::id::Sha256;
use crate::oci::format;
use crate::oci::image_source::ImageSource;
use crate::pull::PullError;
use crate::pull::monitor::Monitor;
use crate::pull::session::Session;
use crate::repo;
use sha2::Digest;
use std::sync::Arc;

/// Maximum number of images that are read from an index. Each one is kept in memory.
const MAX_IMAGES: usize = 16;
/// The name of a layout's index.
const INDEX: &str = "index.json";

/// The documents of an image source.
#[derive(Debug)]
pub(super) struct Documents {
    monitor: Arc<Monitor>,
    pub(super) source: ImageSource,
    pub(super) store: Store,
}

impl Documents {
    pub(super) fn open(session: &Session, source: ImageSource) -> Result<Self, PullError> {
        Ok(Self {
            store: Store::open(session, &source)?,
            monitor: session.monitor.clone(),
            source,
        })
    }

    /// Returns the images under a tag, or with a digest: all, or the one for an architecture.
    pub(super) fn images(
        &self,
        tag: Option<&str>,
        pin: Option<Sha256>,
        arch: Option<Arch>,
    ) -> Result<Vec<(String, Box<Image>)>, PullError> {
        let (location, document) = self.resolve(tag, pin)?;
        self.read_images(location, document, arch)
    }

    /// Returns the document that a tag or a digest names, and its location for errors.
    fn resolve(
        &self,
        tag: Option<&str>,
        pin: Option<Sha256>,
    ) -> Result<(String, Document), PullError> {
        let source_digest = self.source.digest().and_then(format::parse_digest);
        let pin = match (pin, source_digest) {
            (Some(one), Some(other)) if one != other => {
                let (one, other) = (format::digest(one), format::digest(other));
                let problem = format!("{one} is requested, but the image source only has {other}");
                return Err(self.monitor.refused(self.source.to_string(), problem));
            }
            (one, other) => one.or(other),
        };
        if let Some(pin) = pin {
            return self.read_document(pin, None);
        }
        match &self.store {
            Store::Registry(registry) => {
                let tag = tag.unwrap_or("latest");
                let bytes = registry.manifest(tag)?;
                let bytes = bytes.ok_or_else(|| self.no_such_image(tag))?;
                let location = registry.manifest_location(tag);
                let document = self.parse_document(&location, &bytes)?;
                Ok((location, document))
            }
            Store::Layout(layout) => {
                let location = layout.location(INDEX);
                let entries = match self.parse_document(&location, &layout.document(INDEX)?)? {
                    Document::Index(entries) => entries,
                    Document::Image(_) => {
                        let problem = "it is not an index".to_owned();
                        return Err(self.monitor.refused(location, problem));
                    }
                };
                let found = self.select_entry(&entries, tag)?;
                let digest = found.sha256();
                let digest = digest.map_err(|problem| self.monitor.refused(location, problem))?;
                self.read_document(digest, Some(found.size))
            }
        }
    }

    /// Returns all tags.
    pub(super) fn tags(&self) -> Result<Vec<String>, PullError> {
        let layout = match &self.store {
            Store::Registry(registry) => return registry.tags(),
            Store::Layout(layout) => layout,
        };
        let location = layout.location(INDEX);
        match self.parse_document(&location, &layout.document(INDEX)?)? {
            Document::Index(entries) => {
                let tags = entries.iter().filter_map(Descriptor::tag);
                Ok(tags.map(str::to_owned).collect())
            }
            Document::Image(_) => Err(self
                .monitor
                .refused(location, "it is not an index".to_owned())),
        }
    }

    /// Returns the entry of a layout with the given tag, or the only entry.
    fn select_entry<'d>(
        &self,
        entries: &'d [Descriptor],
        tag: Option<&str>,
    ) -> Result<&'d Descriptor, PullError> {
        let tags = || {
            entries
                .iter()
                .filter_map(Descriptor::tag)
                .map(str::to_owned)
        };
        match (tag, entries) {
            (Some(tag), _) => {
                let found = entries.iter().find(|entry| entry.tag() == Some(tag));
                found.ok_or_else(|| PullError::NoSuchImage {
                    tag: tag.to_owned(),
                    url: self.source.to_string(),
                    found: tags().collect(),
                })
            }
            (None, entries) => {
                let mut images = entries.iter().filter(|entry| {
                    let tag = entry.tag();
                    !entry.is_attestation() && !tag.is_some_and(format::is_referrers_tag)
                });
                match (images.next(), images.next()) {
                    (Some(only), None) => Ok(only),
                    _ => Err(PullError::SeveralImages {
                        url: self.source.to_string(),
                        found: tags().collect(),
                    }),
                }
            }
        }
    }

    /// Reads the document with a digest, and checks its digest and size.
    fn read_document(
        &self,
        digest: Sha256,
        size: Option<u64>,
    ) -> Result<(String, Document), PullError> {
        let (location, bytes) = self.store.document(digest)?;
        let bytes = bytes.ok_or_else(|| self.no_such_image(&format::digest(digest)))?;
        let found = Sha256(sha2::Sha256::digest(&bytes).into());
        let length = bytes.len() as u64;
        if found != digest || size.is_some_and(|size| size != length) {
            let problem = match found == digest {
                false => format!("it has the SHA-256 {found}, expected {digest}"),
                true => format!("it has {length} bytes, expected {}", size.unwrap_or(0)),
            };
            return Err(self.monitor.refused(location, problem));
        }
        let document = self.parse_document(&location, &bytes)?;
        Ok((location, document))
    }

    fn parse_document(&self, location: &str, bytes: &[u8]) -> Result<Document, PullError> {
        Document::parse(bytes).map_err(|problem| match problem {
            DocumentProblem::Encapsulated => PullError::Encapsulated {
                url: location.to_owned(),
            },
            DocumentProblem::Repacked(problem) => PullError::Repacked {
                url: location.to_owned(),
                problem,
            },
            DocumentProblem::Invalid(problem) => self.monitor.refused(location.to_owned(), problem),
        })
    }

    /// Returns the images that a document refers to: all, or the one for an architecture.
    fn read_images(
        &self,
        location: String,
        document: Document,
        arch: Option<Arch>,
    ) -> Result<Vec<(String, Box<Image>)>, PullError> {
        let entries = match document {
            Document::Image(image) => return Ok(vec![(location, image)]),
            Document::Index(entries) => entries,
        };
        let wanted = arch.map(Platform::of);
        let is_wanted = |entry: &&Descriptor| {
            let platform = entry.platform.as_ref();
            match &wanted {
                Some(wanted) => platform == Some(wanted),
                None => !entry.is_attestation(),
            }
        };
        let count = entries.iter().filter(is_wanted).count();
        if count > MAX_IMAGES {
            let problem = format!("it has {count} matching images, at most {MAX_IMAGES} are read");
            return Err(self.monitor.unsafe_content(location, problem));
        }
        let mut images = Vec::new();
        for entry in entries.iter().filter(is_wanted) {
            let digest = entry.sha256();
            let digest =
                digest.map_err(|problem| self.monitor.refused(location.clone(), problem))?;
            match self.read_document(digest, Some(entry.size))? {
                (location, Document::Image(image)) => images.push((location, image)),
                (location, Document::Index(_)) => {
                    let problem = "it is an index, expected an image".to_owned();
                    return Err(self.monitor.refused(location, problem));
                }
            }
        }
        if images.is_empty() {
            let images = entries.iter().filter(|entry| !entry.is_attestation());
            let platforms = images.filter_map(|entry| entry.platform.as_ref());
            return Err(PullError::NoSuchPlatform {
                url: location,
                expected: wanted.map_or_else(|| "any platform".to_owned(), |w| w.to_string()),
                found: platforms.map(ToString::to_string).collect(),
            });
        }
        Ok(images)
    }

    /// Returns the error for a missing image. For a missing tag, it names the nearest ones.
    pub(super) fn no_such_image(&self, tag: &str) -> PullError {
        // The missing image is the error to report.
        let known = match tag.contains(':') {
            true => Vec::new(),
            false => self.tags().unwrap_or_default(),
        };
        PullError::NoSuchImage {
            tag: tag.to_owned(),
            url: self.source.to_string(),
            found: repo::nearest(tag, known),
        }
    }
}
