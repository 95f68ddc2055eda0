//! Signatures of static deltas.
//!
//! libostree's `ostree static-delta apply-offline`, `show` and `verify` support them; its
//! `ostree pull` (`on_superblock_fetched`) regards a signed superblock as damaged.

use super::folder::{DeltaWriter, SUPERBLOCK};
use super::format::{DeltaFormatError, Signatures, unwrap_signed, wrap_signed};
use super::{DeltaError, DeltaName, folder, superblock_bytes};
use crate::repo::Repo;
use crate::sign::{self, Signature, SignatureStatus, SigningKey};

/// Signs a delta with the Ed25519 keys among `keys` and removes all other signatures; without keys
/// it becomes unsigned. Returns whether anything changed.
pub(crate) fn sign(repo: &Repo, name: &DeltaName, keys: &[SigningKey]) -> Result<bool, DeltaError> {
    let current = superblock_bytes(repo, name)?;
    let (inner, existing) = unwrap_signed(&current).map_err(|source| DeltaError::Format {
        path: folder(repo, name).join(SUPERBLOCK),
        source,
    })?;
    let wanted = match keys.is_empty() {
        true => inner.to_vec(),
        false => {
            let signatures = sign::sign_superblock(&inner, &name.to_string(), &existing, keys)?;
            wrap_signed(&inner, &signatures)
        }
    };
    if wanted == current {
        return Ok(false);
    }
    DeltaWriter::new(repo, name)?.replace_superblock(&wanted)?;
    Ok(true)
}

/// Verifies that a delta has a valid signature of one of these Ed25519 public keys, each 32 bytes in
/// base64. Returns all signatures.
///
/// # Errors
/// Returns an error if there is none, the delta cannot be read, or a key is malformed.
pub fn verify_delta(
    repo: &Repo,
    name: &DeltaName,
    keys: &[String],
) -> Result<Vec<Signature>, DeltaError> {
    let trust = DeltaTrust {
        keys: keys.to_vec(),
        required: true,
    };
    let bytes = superblock_bytes(repo, name)?;
    let (_, found) = trust.unwrap(name, &bytes)?.map_err(|source| {
        let path = folder(repo, name).join(SUPERBLOCK);
        DeltaError::Format { path, source }
    })?;
    Ok(found)
}

/// The trust policy for deltas.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeltaTrust {
    /// Ed25519 public keys. If there are any, one of them must have made a signature.
    pub(crate) keys: Vec<String>,
    /// Set if deltas must be signed.
    pub(crate) required: bool,
}

/// The bytes of a superblock, and its signatures.
type Unwrapped = (Vec<u8>, Vec<Signature>);

impl DeltaTrust {
    /// Removes and verifies the signatures of a superblock's file. The inner result is an error if
    /// the file is malformed.
    pub(crate) fn unwrap(
        &self,
        name: &DeltaName,
        file: &[u8],
    ) -> Result<Result<Unwrapped, DeltaFormatError>, DeltaError> {
        let (bytes, signatures): (_, Signatures) = match unwrap_signed(file) {
            Ok(unwrapped) => unwrapped,
            Err(error) => return Ok(Err(error)),
        };
        let found = sign::superblock_signatures(&bytes, &signatures, &self.keys)?;
        let is_valid = |signature: &Signature| signature.status == SignatureStatus::Valid;
        let is_signed = !signatures.is_empty();
        if self.required && !is_signed {
            return Err(DeltaError::Unsigned { name: *name });
        }
        let checked = self.required || !self.keys.is_empty();
        if is_signed && checked && !found.iter().any(is_valid) {
            return Err(DeltaError::Refused { name: *name, found });
        }
        Ok(Ok((bytes.into_owned(), found)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::CommitId;
    use crate::metadata::Metadata;
    use proptest::prelude::*;

    fn key_pair(seed: u8) -> (SigningKey, String) {
        let (secret, public) = sign::ed25519_key_pair(&[seed; 32]);
        (SigningKey::Ed25519 { secret }, public)
    }

    fn name() -> DeltaName {
        DeltaName {
            from: None,
            to: CommitId::from([7; 32]),
        }
    }

    fn unwrap(keys: &[&str], required: bool, file: &[u8]) -> Result<usize, DeltaError> {
        let trust = DeltaTrust {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            required,
        };
        let unwrapped = trust.unwrap(&name(), file)?;
        Ok(unwrapped.map_or(0, |(_, found)| found.len()))
    }

    #[test]
    fn the_trust_policy_decides() {
        let ((key, public), (_, other)) = (key_pair(1), key_pair(2));
        let plain = b"a superblock, or none".to_vec();
        let signatures = sign::sign_superblock(&plain, "", &Metadata::new(), &[key]).unwrap();
        let signed = wrap_signed(&plain, &signatures);
        // Unsigned deltas are valid if no signature is required.
        assert_eq!(unwrap(&[], false, &plain).unwrap(), 0);
        assert_eq!(unwrap(&[&public], false, &plain).unwrap(), 0);
        let refused = unwrap(&[&public], true, &plain).unwrap_err();
        assert!(matches!(refused, DeltaError::Unsigned { .. }));
        // A signed delta must be signed by one of the keys, if there are any.
        assert_eq!(unwrap(&[], false, &signed).unwrap(), 1);
        assert_eq!(unwrap(&[&other, &public], true, &signed).unwrap(), 1);
        for (keys, required) in [(&[other.as_str()][..], false), (&[], true)] {
            let refused = unwrap(keys, required, &signed).unwrap_err();
            assert!(matches!(refused, DeltaError::Refused { .. }), "{refused}");
            assert_eq!(refused.kind(), crate::ErrorKind::Mismatch);
        }
        // A wrapper without signatures of a supported type counts as not signed by a key.
        let unsupported = wrap_signed(&plain, &Signatures::from([("x".to_owned(), 1u8.into())]));
        assert!(unwrap(&[&public], false, &unsupported).is_err());
    }

    proptest! {
        /// Checks that every change to a signed superblock is detected.
        #[test]
        fn a_flipped_bit_is_detected(plain in proptest::collection::vec(any::<u8>(), 1..300), at in any::<prop::sample::Index>(), bit in 0..8) {
            let (key, public) = key_pair(3);
            let signed = wrap_signed(&plain, &sign::sign_superblock(&plain, "", &Metadata::new(), &[key]).unwrap());
            prop_assert!(unwrap(&[&public], true, &signed).is_ok());
            let mut changed = signed.clone();
            changed[at.index(signed.len())] ^= 1u8 << bit;
            let trust = DeltaTrust { keys: vec![public], required: true };
            match trust.unwrap(&name(), &changed) {
                Err(_) | Ok(Err(_)) => {}
                // Padding and unused names may differ, but not the superblock.
                Ok(Ok((bytes, _))) => prop_assert_eq!(bytes, plain),
            }
        }
    }
}
