//! The std caches in images.

use super::manifest::{Image, Layer};
use crate::golang::std_cache::std_cache_ref;
use crate::id::RefName;
use std::collections::BTreeMap;

/// The std caches in the images of releases and channels, by their refs.
#[derive(Debug, Default)]
pub(super) struct StdCaches(BTreeMap<RefName, Layer>);

impl StdCaches {
    /// Adds the std caches in an image, beside the ref of a release or channel of the same version. The
    /// names in the image are taken as they are; the commits are compared with them later.
    pub(super) fn add(&mut self, release: &RefName, image: &Image) {
        let Some(version) = &image.version else {
            return;
        };
        for (id, layer) in &image.std_caches {
            // A version that no ref can contain has no std cache.
            if let Ok(name) = std_cache_ref(release, version, *id) {
                self.0.entry(name).or_insert_with(|| layer.clone());
            }
        }
    }

    /// Returns true if an image contains the std cache of a ref.
    pub(super) fn contains(&self, name: &RefName) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the std cache of a ref as an image with one layer.
    pub(super) fn image(&self, name: &RefName) -> Option<Box<Image>> {
        let layer = self.0.get(name)?;
        Some(Box::new(Image {
            commit: layer.embedded.clone(),
            name: Some(name.clone()),
            version: None,
            layers: vec![layer.clone()],
            std_caches: Vec::new(),
        }))
    }
}
