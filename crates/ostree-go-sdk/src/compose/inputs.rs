//! The input hash: the digest of everything that decides a release.

use super::Compose;
use crate::id::Sha256;
use crate::layer::LayerError;
use crate::treefile::{AddContent, ArchTreefile, Pin};
use serde_json::json;
use sha2::Digest;
use std::collections::BTreeMap;

/// Raised whenever the same inputs give another commit than before.
const FORMAT: u32 = 1;

/// What identifies a source's content without looking at it, if a pin does. The content's own
/// hash comes first: it is the same for every form.
pub(super) fn pinned(pin: &Pin) -> Option<String> {
    let h1 = pin.h1.as_ref().map(ToString::to_string);
    h1.or_else(|| pin.sha256.map(archive))
}

/// What identifies the content of an archive.
pub(super) fn archive(sha256: Sha256) -> String {
    format!("sha256:{sha256}")
}

/// The input hash of a release whose source has this identity. Where the bytes come from, and
/// which channels the release goes to, is not part of it.
pub(super) fn hash(
    compose: &Compose,
    release: &ArchTreefile,
    content: &str,
) -> Result<String, LayerError> {
    let mut files = BTreeMap::new();
    for layer in &release.layers {
        for file in &layer.add_files {
            if let AddContent::From(path) = &file.content {
                let bytes = std::fs::read(path).map_err(|source| LayerError::AddFile {
                    layer: layer.name.clone(),
                    path: path.clone(),
                    source,
                })?;
                let digest = Sha256(sha2::Sha256::digest(&bytes).into());
                files.insert(file.path.as_str(), digest.to_string());
            }
        }
    }
    let inputs = json!({
        "format": FORMAT,
        "treefile": release.fingerprint(),
        "content": content,
        "files": files,
        "metadata": compose.metadata,
        "timestamp": compose.source_date_epoch,
        "parent": compose.parent.map(|id| id.to_string()),
    });
    Ok(Sha256(sha2::Sha256::digest(inputs.to_string()).into()).to_string())
}
