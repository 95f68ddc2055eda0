//! Ed25519 signatures in the format of libostree, so that `ostree sign` reads and writes the same.
//!
//! They are implemented here because libostree may be built without them (as in Debian 12). Source
//! of the format: `ostree-sign-ed25519.c`: detached metadata `ostree.sign.ed25519`, type `aay`, 64
//! bytes each, for the bytes of the commit object; the same for a static delta's superblock. A
//! secret key consists of the 32 bytes of the seed and the 32 bytes of the public key.

use super::error::SignError;
use super::packets;
use super::signature::{Signature, SignatureStatus};
use crate::metadata::Metadata;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

/// The key of the signatures in detached metadata.
pub(super) const KEY: &str = "ostree.sign.ed25519";

/// Creates a key pair from 32 random bytes, and returns the secret and the public key in base64.
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

/// Signs bytes with a key, and returns the signature and the public key.
pub(super) fn sign_with_public(
    data: &[u8],
    secret: &str,
) -> Result<([u8; 64], [u8; 32]), SignError> {
    let key = signing_key(secret)?;
    Ok((key.sign(data).to_bytes(), key.verifying_key().to_bytes()))
}

/// Returns the public key of a secret key.
pub(super) fn public_of(secret: &str) -> Result<[u8; 32], SignError> {
    Ok(signing_key(secret)?.verifying_key().to_bytes())
}

/// Returns true if the bytes are a public key.
pub(super) fn is_key(public: &[u8; 32]) -> bool {
    VerifyingKey::from_bytes(public).is_ok()
}

/// Returns true if the signature is that of `data` by a key.
pub(super) fn is_valid(data: &[u8], signature: &[u8], public: &[u8; 32]) -> bool {
    let signature = ed25519_dalek::Signature::from_slice(signature).ok();
    let key = VerifyingKey::from_bytes(public).ok();
    let both = signature.zip(key);
    both.is_some_and(|(signature, key)| key.verify_strict(data, &signature).is_ok())
}

/// Verifies the signatures of `data` in metadata. Repeated signatures are verified once.
///
/// # Errors
/// Returns an error if a key is malformed, or there are too many different signatures.
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
            // A signature by another key cannot be distinguished from one for other content.
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
    let distinct = packets::deduplicated(stored(signatures))?;
    Ok(distinct.into_iter().map(check).collect())
}

/// Returns the signatures in metadata.
pub(super) fn stored(detached: &Metadata) -> Vec<Vec<u8>> {
    detached
        .get(KEY)
        .and_then(glib::Variant::get)
        .unwrap_or_default()
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
