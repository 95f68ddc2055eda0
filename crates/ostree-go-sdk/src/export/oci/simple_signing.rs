//! Signatures of images that podman and skopeo verify with GnuPG.
//!
//! Source of the format: `containers-signature(5)` (the document), and `containers-registries.d(5)` with
//! `lookasideStorageURL` in `docker/registries_d.go` of containers/image (the names of the files).

use super::{ExportedOci, OciError};
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::id::Sha256;
use crate::oci::format;
use crate::registry::ImageReference;
use crate::sign::{MessageSigner, SignError, SigningKey};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The type of a signature.
const TYPE: &str = "atomic container signature";
/// The largest number of signatures of one manifest that are looked at.
const MAX_SIGNATURES: usize = 128;

/// A signature in a lookaside folder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookasideSignature {
    /// The digest of the signed manifest or index.
    pub digest: Sha256,
    /// The file with the signature.
    pub path: PathBuf,
    /// True if the file was written; false if there was one by the same key.
    pub is_new: bool,
}

/// Checks that the GPG keys for [`sign_lookaside`] can sign, by a signature that is not stored, so that an image that
/// cannot be signed is not exported first.
///
/// # Errors
/// Returns an error if a key cannot be used.
pub fn check_lookaside_keys(
    identity: &ImageReference,
    keys: &[SigningKey],
) -> Result<(), OciError> {
    for key in keys {
        let signer = MessageSigner::find(key).map_err(|source| failed(identity, source))?;
        if let Some(signer) = signer {
            // Only GnuPG knows whether the key has expired, or its passphrase is missing.
            let tried = signer.sign(TYPE.as_bytes());
            tried.map_err(|source| failed(identity, source))?;
        }
    }
    Ok(())
}

/// Signs the manifests of an exported image and its index with GPG keys, and writes the signatures into a
/// lookaside folder, as `NAME@sha256=DIGEST/signature-1` and so on. Keys of other kinds are not used.
/// Signatures by other keys are kept.
///
/// `identity` is the name of the image with its tag, under which others will pull it.
///
/// # Errors
/// Returns an error if a key cannot be used, or a file cannot be written.
pub fn sign_lookaside(
    image: &ExportedOci,
    identity: &ImageReference,
    folder: &Path,
    keys: &[SigningKey],
) -> Result<Vec<LookasideSignature>, OciError> {
    // The index comes last: it is signed when everything that it refers to is.
    let digests: BTreeSet<Sha256> = image.images.iter().map(|one| one.digest).collect();
    let top = (!digests.contains(&image.digest)).then_some(image.digest);
    let mut signatures = Vec::new();
    for digest in digests.into_iter().chain(top) {
        let payload = payload(identity, digest);
        let name = format!("{}@sha256={digest}", identity.name());
        let folder = folder.join(name);
        fs::create_dir_all(&folder).context("create directory", &folder)?;
        for key in keys {
            let signer = MessageSigner::find(key).map_err(|source| failed(identity, source))?;
            let Some(signer) = signer else {
                continue;
            };
            let (path, is_signed) = place(&folder, |message| signer.has_signed(message, &payload))?;
            if !is_signed {
                let message = signer.sign(&payload);
                let message = message.map_err(|source| failed(identity, source))?;
                atomic::write_public(&path, &message).context("write", &path)?;
            }
            signatures.push(LookasideSignature {
                digest,
                path,
                is_new: !is_signed,
            });
        }
    }
    Ok(signatures)
}

fn failed(identity: &ImageReference, source: SignError) -> OciError {
    OciError::Sign {
        image: identity.to_string(),
        source: Box::new(source),
    }
}

/// Returns the signed document. Readers demand the keys in `critical` and no others.
fn payload(identity: &ImageReference, digest: Sha256) -> Vec<u8> {
    let mut document = json!({
        "critical": {
            "identity": { "docker-reference": identity.to_string() },
            "image": { "docker-manifest-digest": format::digest(digest) },
            "type": TYPE,
        },
        "optional": { "creator": "ostree-go" },
    });
    document.sort_all_objects();
    document.to_string().into_bytes()
}

/// Returns the path of the signature that `is_own` accepts and true, or the first free path and false.
/// Readers stop at the first number without a file.
fn place(folder: &Path, is_own: impl Fn(&[u8]) -> bool) -> Result<(PathBuf, bool), OciError> {
    let mut path = PathBuf::new();
    for number in 1..=MAX_SIGNATURES {
        path = folder.join(format!("signature-{number}"));
        match fs::read(&path) {
            Ok(message) if is_own(&message) => return Ok((path, true)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error).context("read", &path)?,
        }
    }
    Ok((path, false))
}
