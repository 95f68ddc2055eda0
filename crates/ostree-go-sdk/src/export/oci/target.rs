//! The interface of the destinations of images.

use super::OciError;
use super::image::Document;
use crate::export::writer;
use crate::id::Sha256;
use oci_spec::image::Descriptor;
use std::io::Write;

/// A destination of images.
pub(super) trait Target {
    /// Writes a blob, whose digest is known only afterwards.
    fn blob(&mut self, make: Make<'_>) -> Result<Blob, OciError>;

    /// Writes the documents and then the tag.
    fn publish(&mut self, image: &Image) -> Result<(), OciError>;
}

/// An error while writing a blob or producing its content.
pub(super) type Failure = writer::Failure<OciError>;

/// A callback that writes the content of a blob.
pub(super) type Make<'a> = &'a mut dyn FnMut(&mut dyn Write) -> Result<(), Failure>;

/// A blob at a destination.
pub(super) struct Blob {
    pub(super) sha256: Sha256,
    pub(super) size: u64,
    /// True if the blob was missing before.
    pub(super) sent: bool,
}

/// The documents of an image and its top-level descriptor.
pub(super) struct Image {
    pub(super) tag: String,
    pub(super) manifests: Vec<Document>,
    /// The index, if there are several manifests.
    pub(super) index: Option<Document>,
    /// The descriptor of the index, or of the only manifest.
    pub(super) top: Descriptor,
}

impl Image {
    pub(super) fn documents(&self) -> impl Iterator<Item = &Document> {
        self.manifests.iter().chain(&self.index)
    }

    pub(super) fn top_document(&self) -> &Document {
        // There is always at least one manifest.
        self.index.as_ref().unwrap_or_else(|| &self.manifests[0])
    }
}
