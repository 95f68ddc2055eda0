//! Creation and verification of signatures.
//!
//! GPG signatures are created and verified by the program `gpg`. Ed25519 signatures are
//! created and verified by this library, in the format of `ostree sign` (secret key of 64 bytes,
//! public key of 32 bytes, both in base64). Both kinds are stored in a commit's detached metadata.

mod bytes;
mod command;
mod document;
mod ed25519;
mod error;
mod external;
mod file;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod generate;
pub(crate) mod gpg;
mod home;
mod key;
mod message;
mod packets;
#[cfg(feature = "pkcs11")]
mod pkcs11;
#[cfg(any(feature = "pkcs11", feature = "fuzzing"))]
mod pkcs11_uri;
mod secret;
mod signature;
mod subject;
mod summary;
mod text;
mod verification;
mod verified;

pub(crate) use bytes::sign_bytes;
pub(crate) use document::{gpg_signers, is_signed_by, sign_text};
pub use error::{HomeProblem, SignError};
pub use external::SignerError;
pub use file::{FileSignatures, remove_signatures, signature_path, verify_file};
pub use generate::{GeneratedKey, generate_ed25519_key, generate_gpg_key};
pub use key::{CommandKey, SigningKey};
pub(crate) use message::MessageSigner;
#[cfg(feature = "pkcs11")]
pub use pkcs11::Pkcs11Key;
#[cfg(feature = "pkcs11")]
pub use pkcs11_uri::InvalidPkcs11Uri;
pub(crate) use signature::statuses;
pub use signature::{Signature, SignatureStatus};
pub(crate) use subject::Subject;
pub(crate) use summary::{has_exactly_signatures_of, merge_signatures, sign_summary};
pub use verification::VerificationKey;
pub use verified::{Proof, Verified};

use crate::clock::{Clock, SystemClock};
use crate::id::CommitId;
use crate::metadata::Metadata;
use crate::object::sorted_dict;
use crate::repo::{Repo, RepoError};
use bytes::{Identity, Made};
use glib::prelude::*;
use gpg::Keyring;
use std::path::{Path, PathBuf};

/// Public keys for the verification of signatures.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TrustedKeys {
    /// The GPG keyring of a remote, without the keyrings of the system.
    Remote(String),
    /// The public GPG keys in a file.
    GpgFile(PathBuf),
    /// Ed25519 public keys: 32 bytes in base64 each.
    Ed25519(Vec<String>),
}

impl Repo {
    /// Adds a signature to a commit, unless it has a signature by the same key or one of its
    /// subkeys. Returns true if a signature was added.
    ///
    /// # Errors
    /// Returns an error if the key cannot be used, or the repository cannot be written.
    pub fn sign(&self, commit: CommitId, key: &SigningKey) -> Result<bool, SignError> {
        let subject = Subject::Commit(commit);
        let data = commit_bytes(self, commit)?;
        let mut detached = self.detached(commit)?;
        let has_signature = match Identity::of(key, subject)? {
            Identity::Gpg { key, .. } => {
                let signers = signers(self, commit)?;
                signers.iter().any(|issuer| key.is_issuer(issuer))
            }
            Identity::Ed25519(public) => {
                let stored = ed25519::stored(&detached);
                stored
                    .iter()
                    .any(|signature| ed25519::is_valid(&data, signature, &public))
            }
        };
        if has_signature {
            return Ok(false);
        }
        match bytes::make(&data, key, subject)? {
            Made::Gpg(packet) => {
                let mut packets = gpg_packets(&detached);
                packets.push(packet);
                detached.insert(GPG_SIGNATURES.to_owned(), packets.to_variant());
            }
            Made::Ed25519(made) => {
                let mut signatures = ed25519::stored(&detached);
                signatures.push(made.signature.to_vec());
                detached.insert(ed25519::KEY.to_owned(), signatures.to_variant());
            }
        }
        self.write_detached(commit, &sorted_dict(&detached))?;
        Ok(true)
    }
}

/// Signs the superblock of the delta `name` with the Ed25519 keys among `keys`: libostree does not support
/// GPG signatures there. Valid signatures in `existing` are kept.
pub(crate) fn sign_superblock(
    bytes: &[u8],
    name: &str,
    existing: &Metadata,
    keys: &[SigningKey],
) -> Result<Metadata, SignError> {
    let subject = Subject::Delta(name);
    let mut signatures = Vec::new();
    for key in keys.iter().filter(|key| key.is_ed25519()) {
        let Identity::Ed25519(public) = Identity::of(key, subject)? else {
            continue;
        };
        let mut stored = ed25519::stored(existing).into_iter();
        let signature = stored.find(|signature| ed25519::is_valid(bytes, signature, &public));
        signatures.push(match signature {
            Some(signature) => signature,
            None => match bytes::make(bytes, key, subject)? {
                Made::Ed25519(made) => made.signature.to_vec(),
                Made::Gpg(_) => continue,
            },
        });
    }
    Ok(Metadata::from([(
        ed25519::KEY.to_owned(),
        signatures.to_variant(),
    )]))
}

#[cfg(test)]
pub(crate) use ed25519::key_pair as ed25519_key_pair;

/// Verifies the Ed25519 signatures of a static delta's superblock.
pub(crate) fn superblock_signatures(
    bytes: &[u8],
    found: &Metadata,
    public: &[String],
) -> Result<Vec<Signature>, SignError> {
    ed25519::check(bytes, found, public)
}

/// Verifies Ed25519 signatures of arbitrary bytes.
pub(crate) fn ed25519_signatures(
    bytes: &[u8],
    signatures: &[Vec<u8>],
    public: &[String],
) -> Result<Vec<Signature>, SignError> {
    let stored = Metadata::from([(ed25519::KEY.to_owned(), signatures.to_variant())]);
    ed25519::check(bytes, &stored, public)
}

/// Returns whether a commit has a signature of any kind, valid or not.
pub(crate) fn is_signed(repo: &Repo, commit: CommitId) -> Result<bool, RepoError> {
    let detached = repo.detached(commit)?;
    Ok(!gpg_packets(&detached).is_empty() || !ed25519::stored(&detached).is_empty())
}

/// Returns the keys of a commit's GPG signatures, valid or not: fingerprints, or key IDs if a
/// signature contains no fingerprint. Returns at most as many as are [verified](signatures).
pub(crate) fn signers(repo: &Repo, commit: CommitId) -> Result<Vec<String>, SignError> {
    let mut found: Vec<String> = Vec::new();
    for issuer in gpg_packets(&repo.detached(commit)?)
        .iter()
        .flat_map(|bytes| packets::issuers(bytes))
    {
        if !found.contains(&issuer) && found.len() < packets::MAX_SIGNATURES {
            found.push(issuer);
        }
    }
    Ok(found)
}

impl Repo {
    /// Verifies the signatures of a commit and returns the result for each. Repeated signatures are
    /// verified once.
    ///
    /// # Errors
    /// Returns an error if the keys or the commit cannot be read, GnuPG cannot be run, or there are
    /// more than 64 different signatures. Invalid signatures are not errors but part of the result.
    pub fn signatures(
        &self,
        commit: CommitId,
        keys: &TrustedKeys,
    ) -> Result<Vec<Signature>, SignError> {
        let keyring = match keys {
            TrustedKeys::Remote(remote) => Keyring::of(&gpg::read(&remote_keyring(self, remote))?)?,
            TrustedKeys::GpgFile(path) => keyring(&[path])?,
            TrustedKeys::Ed25519(public) => {
                let data = commit_bytes(self, commit)?;
                return ed25519::check(&data, &self.detached(commit)?, public);
            }
        };
        let found = gpg_packets(&self.detached(commit)?);
        check(&keyring, &commit_bytes(self, commit)?, &found)
    }
}

impl Repo {
    /// Checks that a commit has a valid signature by a trusted key.
    ///
    /// # Errors
    /// Returns [`SignError::Unsigned`] if it has no signatures, [`SignError::Refused`] with the
    /// signatures if none is valid, [`SignError::ClockBehind`] if the clock of this machine does not
    /// allow one to be verified, and the errors of [`Repo::signatures`].
    pub fn verify(
        &self,
        commit: CommitId,
        keys: &TrustedKeys,
    ) -> Result<Vec<Signature>, SignError> {
        let found = self.signatures(commit, keys)?;
        if found.is_empty() {
            return Err(SignError::Unsigned { commit });
        }
        if found.iter().any(|s| s.status == SignatureStatus::Valid) {
            return Ok(found);
        }
        let of_future = found.iter();
        let of_future = of_future.filter(|s| s.status == SignatureStatus::InFuture);
        match of_future.filter_map(|s| s.created).max() {
            Some(signed) => Err(SignError::ClockBehind {
                commit,
                signed,
                now: SystemClock.now(),
            }),
            None => Err(SignError::Refused { commit, found }),
        }
    }
}

/// Verifies OpenPGP signatures of arbitrary bytes with the keys in files, and returns the result
/// for each.
///
/// # Errors
/// Returns the errors of [`Repo::signatures`].
pub(crate) fn signatures_of_bytes(
    bytes: &[u8],
    signatures: &[u8],
    keys: &[PathBuf],
) -> Result<Vec<Signature>, SignError> {
    let paths: Vec<&Path> = keys.iter().map(PathBuf::as_path).collect();
    check(&keyring(&paths)?, bytes, &[signatures.to_vec()])
}

/// Returns a keyring with the keys in files.
fn keyring(paths: &[&Path]) -> Result<Keyring, SignError> {
    let keyring = Keyring::new()?;
    for path in paths {
        if keyring.import(&gpg::read(path)?)? == 0 {
            return Err(SignError::NoKeys {
                path: path.to_path_buf(),
            });
        }
    }
    Ok(keyring)
}

/// Verifies GPG signatures of `data`. Each item of `found` contains OpenPGP packets; if any is not
/// a signature, the result includes a malformed one.
fn check(keyring: &Keyring, data: &[u8], found: &[Vec<u8>]) -> Result<Vec<Signature>, SignError> {
    let mut all = Vec::new();
    let mut has_others = false;
    for bytes in found {
        let split = packets::split(bytes);
        has_others |= split.has_others || bytes.is_empty();
        all.extend(split.packets);
    }
    let mut results = keyring.verify(data, &packets::deduplicated(all)?)?;
    if has_others {
        results.push(Signature {
            status: SignatureStatus::Malformed,
            kind: "gpg",
            key: String::new(),
            primary_key: None,
            user: None,
            created: None,
            expires: None,
            key_expires: None,
        });
    }
    Ok(results)
}

/// Returns the path of a remote's keyring (`ostree-remote.c`: `NAME.trustedkeys.gpg`).
pub(crate) fn remote_keyring(repo: &Repo, remote: &str) -> PathBuf {
    repo.path().join(format!("{remote}.trustedkeys.gpg"))
}

/// Reads the bytes of a commit object, which are the data that signatures sign.
fn commit_bytes(repo: &Repo, commit: CommitId) -> Result<Vec<u8>, RepoError> {
    let bytes = repo.commit_bytes(commit);
    bytes.map_err(|source| repo.failed(&format!("read commit {commit}"), source))
}

/// The key of GPG signatures in detached metadata: type `aay`, one OpenPGP packet each. Source:
/// `ostree-repo-private.h`, `_OSTREE_METADATA_GPGSIGS_NAME`.
const GPG_SIGNATURES: &str = "ostree.gpgsigs";

/// Returns the GPG signatures in detached metadata or in a summary's signature file.
fn gpg_packets(metadata: &Metadata) -> Vec<Vec<u8>> {
    let packets = metadata.get(GPG_SIGNATURES);
    packets.and_then(glib::Variant::get).unwrap_or_default()
}
