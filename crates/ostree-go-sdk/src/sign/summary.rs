//! Signatures of a summary. The file `summary.sig` is an `a{sv}` with the same keys as a commit's
//! detached metadata.
//!
//! Source: `ostree_repo_add_gpg_signature_summary` and `ostree_sign_summary` of libostree.

use super::bytes::{self, Identity, Made};
use super::error::SignError;
use super::key::SigningKey;
use super::subject::Subject;
use super::{GPG_SIGNATURES, ed25519, gpg_packets, packets};
use crate::metadata::Metadata;
use glib::prelude::*;

/// Signs a summary with each of the keys.
///
/// # Errors
/// Returns an error if a key cannot be used.
pub(crate) fn sign_summary(summary: &[u8], keys: &[SigningKey]) -> Result<Metadata, SignError> {
    let (mut gpg, mut ed25519) = (Vec::new(), Vec::new());
    for key in keys {
        match bytes::make(summary, key, Subject::Summary)? {
            Made::Gpg(packet) => gpg.push(packet),
            Made::Ed25519(made) => ed25519.push(made.signature.to_vec()),
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
        let identity = Identity::of(key, Subject::Summary)?;
        let holds = match &identity {
            Identity::Gpg { .. } => made_packets(&identity, summary, &gpg, key)?.contains(&true),
            Identity::Ed25519(public) => ed25519
                .iter()
                .any(|signature| ed25519::is_valid(summary, signature, public)),
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
        if key.is_ed25519() {
            continue;
        }
        let identity = Identity::of(key, Subject::Summary)?;
        let valid = made_packets(&identity, old_summary, &old_packets, key)?;
        let Identity::Gpg { key: secret, .. } = identity else {
            continue;
        };
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
fn made_packets(
    identity: &Identity,
    summary: &[u8],
    found: &[Vec<u8>],
    key: &SigningKey,
) -> Result<Vec<bool>, SignError> {
    let made = identity.made_packets(summary, found);
    made.map_err(|source| match key {
        SigningKey::Gpg { id, .. } => Subject::Summary.gpg_failed(id, source),
        _ => source,
    })
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
