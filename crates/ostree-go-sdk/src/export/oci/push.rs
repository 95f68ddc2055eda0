//! Pushes images to a registry: blobs, then the manifests, then the tag.

use super::super::writer::counted;
use super::OciError;
use super::target::{Blob, Failure, Image, Make, Target};
use crate::http::HttpError;
use crate::oci::format;
use crate::parallel;
use crate::progress::Progress;
use crate::registry::{Access, ImageReference, Registry, RegistryError, RegistryOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A registry that an image is being pushed to.
pub(super) struct Push {
    registry: Arc<Registry>,
    /// The name of the image, for progress.
    name: String,
    /// The folder for blobs until their digests are known.
    scratch: PathBuf,
    progress: Arc<dyn Progress>,
}

impl Push {
    /// Connects to the registry.
    pub(super) fn open(
        image: &ImageReference,
        options: &RegistryOptions,
        scratch: &Path,
        progress: &Arc<dyn Progress>,
    ) -> Result<Self, OciError> {
        let (name, image, options) = (image.to_string(), image.clone(), options.clone());
        let registry = run(&name, progress, move |progress| {
            let registry = Registry::open(&image, Access::Push, &options, progress)?;
            // Detects missing permissions before anything is compressed.
            registry.has_blob(&format::digest_of(b""), 0, progress)?;
            Ok(Arc::new(registry))
        })?;
        Ok(Self {
            registry,
            name,
            scratch: scratch.to_owned(),
            progress: progress.clone(),
        })
    }

    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Registry, &dyn Progress) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let registry = self.registry.clone();
        run(&self.name, &self.progress, move |progress| {
            work(&registry, progress)
        })
    }
}

/// Runs requests on a thread that is abandoned if the caller cancels.
fn run<T: Send + 'static>(
    name: &str,
    progress: &Arc<dyn Progress>,
    work: impl FnOnce(&dyn Progress) -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, RegistryError> {
    parallel::run_abandonable(progress, work).unwrap_or_else(|| {
        let url = name.to_owned();
        Err(HttpError::Cancelled { url }.into())
    })
}

impl Target for Push {
    fn blob(&mut self, make: Make<'_>) -> Result<Blob, OciError> {
        let write = || -> Result<_, Failure> {
            let mut file = tempfile::tempfile_in(&self.scratch)?;
            let (size, sha256) = counted(&mut file, make)?;
            Ok((file, size, sha256))
        };
        let (file, size, sha256) = write().map_err(|failure| failure.at(&self.scratch))?;
        let digest = format::digest(sha256);
        let sent =
            self.run(move |registry, progress| registry.push_blob(&digest, &file, size, progress))?;
        Ok(Blob { sha256, size, sent })
    }

    fn publish(&mut self, image: &Image) -> Result<(), OciError> {
        let push = |reference: &str, document: &super::image::Document| {
            let (digest, bytes) = (document.digest(), document.bytes.clone());
            let (media_type, reference) = (document.media_type, reference.to_owned());
            self.run(move |registry, progress| {
                registry.push_manifest(&reference, media_type, &digest, &bytes, progress)
            })
        };
        for manifest in &image.manifests {
            push(&manifest.digest(), manifest)?;
        }
        push(&image.tag, image.top_document())?;
        Ok(())
    }
}
