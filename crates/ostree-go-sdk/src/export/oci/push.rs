//! Images into a registry: blobs, then the images, then what the tag names.

use super::super::writer::counted;
use super::{Blob, Failure, Image, Make, OciError, Target};
use crate::oci::format;
use crate::progress::Progress;
use crate::registry::{Access, ImageReference, Registry, RegistryOptions};
use std::path::{Path, PathBuf};

/// A registry that an image is being pushed to.
pub(super) struct Push<'a> {
    registry: Registry,
    /// Where a blob is until its digest is known.
    scratch: PathBuf,
    progress: &'a dyn Progress,
}

impl<'a> Push<'a> {
    /// Asks the registry whether it is there.
    pub(super) fn open(
        image: &ImageReference,
        options: &RegistryOptions,
        scratch: &Path,
        progress: &'a dyn Progress,
    ) -> Result<Self, OciError> {
        let registry = Registry::open(image, Access::Push, options, progress)?;
        // What will not be allowed is refused before anything is compressed.
        registry.has_blob(&format::digest_of(b""), 0, progress)?;
        Ok(Self {
            registry,
            scratch: scratch.to_owned(),
            progress,
        })
    }
}

impl Target for Push<'_> {
    fn blob(&mut self, make: Make<'_>) -> Result<Blob, OciError> {
        let write = || -> Result<_, Failure> {
            let mut file = tempfile::tempfile_in(&self.scratch)?;
            let (size, sha256) = counted(&mut file, make)?;
            Ok((file, size, sha256))
        };
        let (file, size, sha256) = write().map_err(|failure| failure.at(&self.scratch))?;
        let digest = format::digest(sha256);
        let sent = self
            .registry
            .push_blob(&digest, &file, size, self.progress)?;
        Ok(Blob { sha256, size, sent })
    }

    fn publish(&mut self, image: &Image) -> Result<(), OciError> {
        let push = |reference: &str, document: &super::image::Document| {
            let (digest, bytes) = (document.digest(), &document.bytes);
            let media_type = document.media_type;
            self.registry
                .push_manifest(reference, media_type, &digest, bytes, self.progress)
        };
        for manifest in &image.manifests {
            push(&manifest.digest(), manifest)?;
        }
        push(&image.tag, image.top_document())?;
        Ok(())
    }
}
