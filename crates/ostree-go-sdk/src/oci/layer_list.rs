//! The commits of an image's layers as an annotation of the manifest.
//!
//! Tools that compress layers again drop the annotations of the layers' descriptors, but keep
//! those of the manifest.

use super::format;
use serde::{Deserialize, Serialize};

/// The record about a layer besides its blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    /// The SDK layer's name.
    pub(crate) name: String,
    /// The checksum of the layer's commit.
    pub(crate) id: String,
    /// The commit object, see [`format::encode`].
    pub(crate) commit: String,
    /// Its detached metadata, see [`format::encode`]; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commitmeta: Option<String>,
    /// The size in bytes of the tar when it is not compressed.
    pub(crate) size: u64,
}

impl LayerRecord {
    /// Returns the annotations of the layer's descriptor.
    pub(crate) fn annotations(&self) -> impl Iterator<Item = (String, String)> {
        let detached = self.commitmeta.clone();
        let present = [
            (format::OSTREE_COMMIT, self.id.clone()),
            (format::LAYER, self.name.clone()),
            (format::LAYER_COMMIT, self.commit.clone()),
            (format::LAYER_SIZE, self.size.to_string()),
        ];
        let detached = detached.map(|detached| (format::LAYER_COMMITMETA, detached));
        let all = present.into_iter().chain(detached);
        all.map(|(key, value)| (key.to_owned(), value))
    }
}

/// Formats the value of [`format::LAYERS`] or [`format::STD_CACHE_LAYERS`], given the layers in the order of the manifest.
pub(crate) fn to_annotation(layers: &[LayerRecord]) -> Result<String, serde_json::Error> {
    serde_json::to_string(layers)
}

/// Parses the value of [`format::LAYERS`] or [`format::STD_CACHE_LAYERS`].
pub(crate) fn from_annotation(text: &str) -> Result<Vec<LayerRecord>, serde_json::Error> {
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_has_a_fixed_form() {
        let layer = |commitmeta| LayerRecord {
            name: "common".to_owned(),
            id: "00".to_owned(),
            commit: "AAE=".to_owned(),
            commitmeta,
            size: 1024,
        };
        let layers = [layer(None), layer(Some("AAI=".to_owned()))];
        let text = to_annotation(&layers).unwrap();
        insta::assert_snapshot!(text, @r#"[{"name":"common","id":"00","commit":"AAE=","size":1024},{"name":"common","id":"00","commit":"AAE=","commitmeta":"AAI=","size":1024}]"#);
        assert_eq!(from_annotation(&text).unwrap(), layers);
        assert_eq!(layers[0].annotations().count(), 4);
        assert_eq!(layers[1].annotations().count(), 5);
        assert!(from_annotation("{}").is_err());
    }
}
