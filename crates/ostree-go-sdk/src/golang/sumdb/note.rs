//! Signed notes: texts with Ed25519 signatures. Source: `golang.org/x/mod/sumdb/note`.

use super::error::SumdbError;
use super::tree::TreeHead;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::Digest;
use std::fmt;

/// Source: `algEd25519`.
const ED25519: u8 = 1;

/// A public key that verifies tree heads.
#[derive(Debug, Clone)]
pub struct VerifierKey {
    name: String,
    pub(super) hash: [u8; 4],
    key: VerifyingKey,
}

impl VerifierKey {
    /// Parses `name+hash+base64`; returns `None` if it is malformed or the hash does not match.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (hash, base64) = rest.split_once('+')?;
        let bytes = STANDARD.decode(base64).ok()?;
        let (&ED25519, key) = bytes.split_first()? else {
            return None;
        };
        let digest = sha2::Sha256::new_with_prefix(name)
            .chain_update("\n")
            .chain_update(&bytes)
            .finalize();
        let found = digest.first_chunk::<4>()?;
        (format!("{:08x}", u32::from_be_bytes(*found)) == hash).then_some(())?;
        Some(Self {
            name: name.to_owned(),
            hash: *found,
            key: VerifyingKey::from_bytes(key.try_into().ok()?).ok()?,
        })
    }

    /// Returns the name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Parses a signed head of a tree, and verifies the signature by this key.
    ///
    /// # Errors
    /// Returns an error if the key did not sign the note, or the note is not the head of a tree.
    pub fn open_head(&self, note: &str) -> Result<SignedHead, SumdbError> {
        let text = self.open(note).ok_or_else(|| SumdbError::Signature {
            expected: self.to_string(),
        })?;
        let head = TreeHead::parse(text).ok_or(SumdbError::Malformed {
            missing: "head of the tree",
        })?;
        let note = note.to_owned();
        Ok(SignedHead { head, note })
    }

    /// Returns the text of a signed note, before the signatures, if this key signed it.
    pub(super) fn open<'n>(&self, note: &'n str) -> Option<&'n str> {
        let (text, signatures) = note.split_at(note.rfind("\n\n")? + 1);
        signatures
            .lines()
            .filter_map(|line| line.strip_prefix("— ")?.split_once(' '))
            .filter(|(name, _)| *name == self.name)
            .filter_map(|(_, base64)| STANDARD.decode(base64).ok())
            .filter_map(|bytes| Signature::from_slice(bytes.strip_prefix(&self.hash)?).ok())
            .any(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
            .then_some(text)
    }
}

/// Formats the name and hash of the key.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}", self.name, u32::from_be_bytes(self.hash))
    }
}

/// The head of a tree with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedHead {
    /// The number of records and the root hash.
    pub head: TreeHead,
    /// The signed note.
    pub note: String,
}
