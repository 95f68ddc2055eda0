//! The input hash: the digest of all inputs that determine a release.

use super::{Compose, ComposeError};
use crate::id::{CommitId, Sha256};
use crate::layer::LayerError;
use crate::metadata;
use crate::repo::Repo;
use crate::treefile::{AddContent, ArchTreefile, Pin};
use serde_json::json;
use sha2::Digest;
use std::collections::BTreeMap;

/// The version of the input hash. It is incremented when the same inputs result in a different
/// commit.
const FORMAT: u32 = 1;

/// Returns the identity of a source's content according to a pin, without opening the source;
/// `None` without a pin. The `h1:` hash is preferred, because it is the same for all forms.
pub(super) fn pinned_content(pin: &Pin) -> Option<String> {
    let h1 = pin.h1.as_ref().map(ToString::to_string);
    h1.or_else(|| pin.sha256.map(archive_content))
}

/// Returns the identity of an archive's content.
pub(super) fn archive_content(sha256: Sha256) -> String {
    format!("sha256:{sha256}")
}

/// Returns the input hash of a release whose source has the given content identity. The location of
/// the source and the channels of the release are not included.
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
    let mut metadata = compose.metadata.clone();
    metadata.extend(compose.workspace_metadata());
    let inputs = json!({
        "format": FORMAT,
        "treefile": release.fingerprint(),
        "content": content,
        "files": files,
        "metadata": metadata,
        "timestamp": compose.source_date_epoch,
        "parent": compose.parent.map(|id| id.to_string()),
    });
    Ok(Sha256(sha2::Sha256::digest(inputs.to_string()).into()).to_string())
}

/// Returns true if a ref has a complete commit with this input hash.
pub(super) fn is_unchanged(
    compose: &Compose,
    repo: &Repo,
    current: Option<CommitId>,
    input_hash: Option<&str>,
) -> Result<bool, ComposeError> {
    let (Some(current), Some(expected), false) = (current, input_hash, compose.force) else {
        return Ok(false);
    };
    let found = repo.detached(current)?;
    let found = found.get(metadata::SDK_INPUTHASH).and_then(|v| v.str());
    // A commit that lacks objects is composed again.
    Ok(found == Some(expected) && repo.is_complete(current)?)
}
