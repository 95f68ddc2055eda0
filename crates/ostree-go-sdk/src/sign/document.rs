//! Signatures of documents, as text.

use super::bytes::{self, Made};
use super::error::SignError;
use super::gpg::Keyring;
use super::key::SigningKey;
use super::signature::SignatureStatus;
use super::subject::Subject;
use super::text::Signatures;
use super::verification::{Inner, VerificationKey};
use super::{check, ed25519};

/// Signs content with all keys, and returns the signatures in the form of a signature file.
///
/// # Errors
/// Returns an error if a key cannot be used.
pub(crate) fn sign_text(
    content: &[u8],
    keys: &[SigningKey],
    subject: Subject<'_>,
) -> Result<String, SignError> {
    let mut signatures = Signatures::default();
    for key in keys {
        match bytes::make(content, key, subject)? {
            Made::Gpg(packet) => signatures.gpg.push(packet),
            Made::Ed25519(made) => signatures.ed25519.push(made.signature.to_vec()),
        }
    }
    Ok(signatures.to_text())
}

/// Returns whether a key has made a valid signature.
///
/// # Errors
/// Returns an error if there are too many signatures, or GnuPG cannot be run.
pub(crate) fn is_signed_by(
    content: &[u8],
    signatures: &str,
    key: &VerificationKey,
) -> Result<bool, SignError> {
    let found = Signatures::parse(signatures.as_bytes());
    match &key.0 {
        Inner::Ed25519(public) => Ok(found
            .ed25519
            .iter()
            .any(|signature| ed25519::is_valid(content, signature, public))),
        Inner::Gpg { keyring, .. } => {
            let id = key.id();
            Ok(gpg_signers(content, signatures, keyring)?.contains(&id))
        }
    }
}

/// Returns the fingerprints of the primary keys in a keyring that have made a valid signature.
///
/// # Errors
/// Returns an error if there are too many signatures, or GnuPG cannot be run.
pub(crate) fn gpg_signers(
    content: &[u8],
    signatures: &str,
    keyring: &[u8],
) -> Result<Vec<String>, SignError> {
    let found = Signatures::parse(signatures.as_bytes());
    let found = check(&Keyring::of(keyring)?, content, &found.gpg)?;
    let valid = found.into_iter();
    let valid = valid.filter(|signature| signature.status == SignatureStatus::Valid);
    Ok(valid
        .map(|signature| signature.primary_key.unwrap_or(signature.key))
        .collect())
}
