//! Signatures of a summary. The file `summary.sig` is an `a{sv}` with the same keys as a commit's
//! detached metadata.
//!
//! Source: `ostree_repo_add_gpg_signature_summary` and `ostree_sign_summary` of libostree.

use super::gpg::Keyring;
use super::secret::{self, SecretKey};
use super::{
    GPG_SIGNATURES, SignError, SignatureStatus, SigningKey, ed25519, gpg_packets, packets,
};
use crate::metadata::Metadata;
use glib::prelude::*;

/// Signs a summary with each of the keys.
///
/// # Errors
/// Returns an error if a key cannot be used.
pub(crate) fn sign_summary(summary: &[u8], keys: &[SigningKey]) -> Result<Metadata, SignError> {
    let (mut gpg, mut ed25519) = (Vec::new(), Vec::new());
    for key in keys {
        match key {
            SigningKey::Gpg { id, homedir } => {
                let home = homedir.as_deref();
                let packet =
                    SecretKey::find(id, home).and_then(|key| secret::sign(summary, &key, home));
                gpg.push(packet.map_err(|source| failed(id, source))?);
            }
            SigningKey::Ed25519 { secret } => ed25519.push(ed25519::sign_bytes(summary, secret)?),
        }
    }
    Ok(metadata(&gpg, &ed25519))
}

/// Returns true if `found` has exactly one valid signature of a summary by each of the keys, and no
/// other.
///
/// # Errors
/// Returns an error if a key cannot be used.
pub(crate) fn has_exactly_signatures_of(
    summary: &[u8],
    found: &Metadata,
    keys: &[SigningKey],
) -> Result<bool, SignError> {
    let (gpg, ed25519) = (gpg_packets(found), ed25519::stored(found));
    if gpg.len() + ed25519.len() != keys.len() {
        return Ok(false);
    }
    for key in keys {
        let holds = match key {
            SigningKey::Gpg { .. } => valid_by(summary, &gpg, key)?.contains(&true),
            SigningKey::Ed25519 { secret } => {
                ed25519.contains(&ed25519::sign_bytes(summary, secret)?)
            }
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Merges the signatures of two summaries, so that both summaries can be verified. Signatures of
/// the old file are kept if they are valid for the old summary, or were not made by any of the
/// keys; others were left by an interrupted run.
///
/// # Errors
/// Returns an error if a key cannot be used.
pub(crate) fn merge_signatures(
    old_summary: &[u8],
    old: &Metadata,
    new: &Metadata,
    keys: &[SigningKey],
) -> Result<Metadata, SignError> {
    let old_packets = packets::deduplicated(gpg_packets(old)).unwrap_or_default();
    let mut is_kept = vec![true; old_packets.len()];
    for key in keys {
        let SigningKey::Gpg { id, homedir } = key else {
            continue;
        };
        let secret = SecretKey::find(id, homedir.as_deref());
        let secret = secret.map_err(|source| failed(id, source))?;
        let valid = valid_by(old_summary, &old_packets, key)?;
        for (index, packet) in old_packets.iter().enumerate() {
            let issuer = packets::issuer(packet).unwrap_or_default();
            let is_by_key = secret.is_issuer(&issuer);
            is_kept[index] &= !is_by_key || valid[index];
        }
    }
    let kept = old_packets
        .into_iter()
        .zip(is_kept)
        .filter(|(_, is_kept)| *is_kept);
    let mut gpg: Vec<Vec<u8>> = kept.map(|(packet, _)| packet).collect();
    gpg.extend(gpg_packets(new));
    let mut ed25519 = packets::deduplicated(ed25519::stored(old)).unwrap_or_default();
    ed25519.extend(ed25519::stored(new));
    Ok(metadata(&gpg, &ed25519))
}

/// Returns for each packet whether it is a valid signature of a summary by a GPG key.
fn valid_by(summary: &[u8], found: &[Vec<u8>], key: &SigningKey) -> Result<Vec<bool>, SignError> {
    let SigningKey::Gpg { id, homedir } = key else {
        return Ok(vec![false; found.len()]);
    };
    let check = || {
        let home = homedir.as_deref();
        let key = SecretKey::find(id, home)?;
        let keyring = Keyring::of(&secret::export(&key, home)?)?;
        let check = |packet: &Vec<u8>| match packets::split(packet).packets[..] {
            [packet] => Ok(keyring.verify(summary, &[packet])?[0].status == SignatureStatus::Valid),
            _ => Ok(false),
        };
        found
            .iter()
            .map(check)
            .collect::<Result<Vec<bool>, SignError>>()
    };
    check().map_err(|source| failed(id, source))
}

fn failed(key: &str, source: SignError) -> SignError {
    SignError::SignSummary {
        key: key.to_owned(),
        source: Box::new(source),
    }
}

fn metadata(gpg: &[Vec<u8>], ed25519: &[Vec<u8>]) -> Metadata {
    let mut metadata = Metadata::new();
    for (key, signatures) in [(GPG_SIGNATURES, gpg), (ed25519::KEY, ed25519)] {
        if !signatures.is_empty() {
            metadata.insert(key.to_owned(), signatures.to_variant());
        }
    }
    metadata
}
