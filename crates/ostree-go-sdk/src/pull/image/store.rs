//! Stores of images: a layout on this machine, or a registry.

use super::layout::Layout;
use super::manifest::Layer;
use super::registry::{BlobStream, Registry};
use crate::id::Sha256;
use crate::oci::ImageLocation;
use crate::oci::format;
use crate::oci::image_source::ImageSource;
use crate::pull::PullError;
use crate::pull::session::Session;
use std::io::Read;

/// A store of images.
#[derive(Debug)]
pub(super) enum Store {
    Layout(Layout),
    Registry(Registry),
}

/// The bytes of a blob.
pub(super) enum Input<'a> {
    /// A request on another thread.
    Stream(BlobStream<'a>),
    /// A file.
    File(Box<dyn Read + 'a>),
}

impl Store {
    /// Opens a store. Nothing is requested yet from a registry; the entries of an archive are
    /// listed.
    pub(super) fn open(session: &Session, source: &ImageSource) -> Result<Self, PullError> {
        Ok(match &source.location {
            ImageLocation::Layout { path, .. } => Self::Layout(Layout::folder(path)),
            ImageLocation::Archive { path, .. } => Self::Layout(Layout::archive(path)?),
            ImageLocation::Registry(image) => {
                Self::Registry(Registry::new(session, source, image)?)
            }
        })
    }

    /// Returns the location of the document with a digest, and the document; `None` if it does not
    /// exist in a registry.
    pub(super) fn document(&self, digest: Sha256) -> Result<(String, Option<Vec<u8>>), PullError> {
        Ok(match self {
            Self::Registry(registry) => {
                let name = format::digest(digest);
                (registry.manifest_location(&name), registry.manifest(&name)?)
            }
            Self::Layout(layout) => {
                let file = Layout::blob(digest);
                (layout.location(&file), Some(layout.document(&file)?))
            }
        })
    }

    /// Opens a layer's blob for reading.
    pub(super) fn blob(&self, layer: &Layer) -> Result<Input<'_>, PullError> {
        Ok(match self {
            Self::Layout(layout) => Input::File(layout.open(&Layout::blob(layer.digest))?),
            Self::Registry(registry) => Input::Stream(registry.blob(layer.digest, layer.size)?),
        })
    }

    /// Returns the location of a blob for errors.
    pub(super) fn blob_location(&self, digest: Sha256) -> String {
        match self {
            Self::Layout(layout) => layout.location(&Layout::blob(digest)),
            Self::Registry(registry) => registry.blob_location(digest),
        }
    }
}
