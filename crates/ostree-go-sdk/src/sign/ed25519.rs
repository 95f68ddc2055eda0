//! Ed25519 signatures as libostree keeps them, so that `ostree sign` reads and writes the same.
//!
//! Made here and not by libostree, which may be built without them (Debian 12's is). Source of
//! the format: `ostree-sign-ed25519.c`: detached metadata `ostree.sign.ed25519`, type `aay`,
//! 64 bytes each, over the commit object's bytes; around a static delta's superblock the same. A
//! secret key is the 32 bytes of the seed and then the 32 of the public key.

use super::{SignError, Signature, SignatureStatus};
use crate::fs::atomic;
use crate::id::CommitId;
use crate::metadata::Metadata;
use crate::object::sorted_dict;
use crate::repo::{Repo, RepoError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use glib::prelude::*;
use std::path::Path;

/// The key of the signatures in detached metadata.
const KEY: &str = "ostree.sign.ed25519";

/// Makes a key pair from 32 random bytes: the secret and the public key, each in base64.
pub(crate) fn key_pair(seed: &[u8; 32]) -> (String, String) {
    let key = SigningKey::from_bytes(seed);
    let public = key.verifying_key();
    (
        STANDARD.encode(key.to_keypair_bytes()),
        STANDARD.encode(public.as_bytes()),
    )
}

fn signing_key(secret: &str) -> Result<SigningKey, SignError> {
    let bytes: Option<[u8; 64]> = STANDARD
        .decode(secret.trim())
        .ok()
        .and_then(|bytes| bytes.try_into().ok());
    let key = bytes.and_then(|bytes| SigningKey::from_keypair_bytes(&bytes).ok());
    key.ok_or(SignError::InvalidEd25519Secret)
}

/// Adds a signature to `summary.sig`, an `a{sv}` of the same keys as detached metadata.
pub(super) fn sign_summary(repo: &Repo, secret: &str) -> Result<(), SignError> {
    let key = signing_key(secret)?;
    let (summary, signatures) = (repo.path().join("summary"), repo.path().join("summary.sig"));
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| {
            SignError::Repo(RepoError::Io {
                action: "sign",
                path,
                source,
            })
        }
    };
    let signature = key.sign(&std::fs::read(&summary).map_err(io(&summary))?);
    let before = match std::fs::read(&signatures) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(io(&signatures))?,
    };
    let before = glib::Bytes::from_owned(before);
    let before = glib::Variant::from_bytes_with_type(&before, glib::VariantTy::VARDICT);
    let mut after: Metadata = before
        .iter()
        .filter_map(|e| Some((e.child_value(0).get()?, e.child_value(1).as_variant()?)))
        .collect();
    let mut all = stored(&after);
    all.push(signature.to_bytes().to_vec());
    after.insert(KEY.to_owned(), all.to_variant());
    atomic::write(&signatures, sorted_dict(&after).data()).map_err(io(&signatures))
}

pub(super) fn sign(repo: &Repo, commit: CommitId, secret: &str) -> Result<bool, SignError> {
    let key = signing_key(secret)?;
    let signature = key.sign(&commit_bytes(repo, commit)?).to_bytes().to_vec();

    let mut detached = repo.detached(commit)?;
    let mut signatures = stored(&detached);
    // Ed25519 is deterministic: the same key gives the same signature.
    if signatures.contains(&signature) {
        return Ok(false);
    }
    signatures.push(signature);
    detached.insert(KEY.to_owned(), signatures.to_variant());
    repo.write_detached(commit, &sorted_dict(&detached))?;
    Ok(true)
}

pub(super) fn signatures(
    repo: &Repo,
    commit: CommitId,
    public: &[String],
) -> Result<Vec<Signature>, SignError> {
    check(
        &commit_bytes(repo, commit)?,
        &repo.detached(commit)?,
        public,
    )
}

/// Signatures of bytes by several keys, as metadata.
pub(super) fn sign_bytes<'k>(
    data: &[u8],
    secrets: impl IntoIterator<Item = &'k String>,
) -> Result<Metadata, SignError> {
    let signatures = secrets
        .into_iter()
        .map(|secret| Ok(signing_key(secret)?.sign(data).to_bytes().to_vec()))
        .collect::<Result<Vec<Vec<u8>>, SignError>>()?;
    Ok(Metadata::from([(KEY.to_owned(), signatures.to_variant())]))
}

/// Checks the signatures in metadata, which are over `data`.
pub(super) fn check(
    data: &[u8],
    signatures: &Metadata,
    public: &[String],
) -> Result<Vec<Signature>, SignError> {
    let keys = public
        .iter()
        .map(|text| Ok((text, verifying_key(text)?)))
        .collect::<Result<Vec<_>, SignError>>()?;
    let check = |bytes: Vec<u8>| {
        let signature = ed25519_dalek::Signature::from_slice(&bytes).ok();
        let by = signature.and_then(|signature| {
            keys.iter()
                .find(|(_, key)| key.verify_strict(data, &signature).is_ok())
        });
        Signature {
            // A signature by another key and one over another content look the same.
            status: by.map_or(SignatureStatus::UnknownKey, |_| SignatureStatus::Valid),
            kind: "ed25519",
            key: by.map_or_else(String::new, |(text, _)| text.trim().to_owned()),
            primary_key: None,
            user: None,
            created: None,
            expires: None,
            key_expires: None,
        }
    };
    Ok(stored(signatures).into_iter().map(check).collect())
}

fn stored(detached: &Metadata) -> Vec<Vec<u8>> {
    detached
        .get(KEY)
        .and_then(glib::Variant::get)
        .unwrap_or_default()
}

fn commit_bytes(repo: &Repo, commit: CommitId) -> Result<Vec<u8>, RepoError> {
    let action = || format!("read commit {commit}");
    repo.commit_bytes(commit)
        .map_err(|source| repo.failed(&action(), source))
}

fn verifying_key(text: &str) -> Result<VerifyingKey, SignError> {
    STANDARD
        .decode(text.trim())
        .ok()
        .and_then(|bytes| VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok())
        .ok_or_else(|| SignError::InvalidEd25519Key {
            found: text.to_owned(),
        })
}
