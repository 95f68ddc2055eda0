//! Making and checking signatures.
//!
//! GPG signatures are made and checked by the program `gpg` ([`gpg`]); Ed25519 signatures by this
//! library, in the form of `ostree sign` (secret key 64 bytes, public key 32, in base64). Both
//! kinds are kept in a commit's detached metadata, side by side.

mod ed25519;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod generate;
pub(crate) mod gpg;
mod packets;
mod summary;
mod verified;

pub use generate::{GeneratedKey, generate_ed25519_key, generate_gpg_key};
pub(crate) use summary::{holds_exactly, merged, sign_summary};
pub use verified::{Proof, Verified};

use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::metadata::Metadata;
use crate::object::sorted_dict;
use crate::process::ProcessError;
use crate::repo::{Repo, RepoError};
use glib::prelude::*;
use gpg::Keyring;
use std::fmt;
use std::path::{Path, PathBuf};

/// A key to sign with.
#[derive(Clone)]
#[non_exhaustive]
pub enum SigningKey {
    /// A GPG secret key, by id or fingerprint.
    Gpg {
        /// Its id or fingerprint.
        id: String,
        /// The GnuPG home that holds it; GnuPG's default without.
        homedir: Option<PathBuf>,
    },
    /// An Ed25519 secret key: 64 bytes in base64, as libostree's `ostree sign` takes it.
    Ed25519 {
        /// The key.
        secret: String,
    },
}

/// Without the secret.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpg { id, .. } => write!(f, "Gpg({id})"),
            Self::Ed25519 { .. } => f.write_str("Ed25519"),
        }
    }
}

/// Keys to check signatures against.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TrustedKeys {
    /// The GPG keyring of a remote, and nothing of the system's.
    Remote(String),
    /// The public GPG keys in a file.
    GpgFile(PathBuf),
    /// Ed25519 public keys: 32 bytes in base64 each.
    Ed25519(Vec<String>),
}

/// A signature on a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// What checking it said.
    pub status: SignatureStatus,
    /// `gpg` or `ed25519`.
    pub kind: &'static str,
    /// The fingerprint of the key that made it, or an Ed25519 public key in base64.
    pub key: String,
    /// The fingerprint of the primary key, where a subkey signed.
    pub primary_key: Option<String>,
    /// The name and address of the key's owner.
    pub user: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created: Option<u64>,
    /// When it ends to be valid, if it does.
    pub expires: Option<u64>,
    /// When the key ends to be valid, if it does.
    pub key_expires: Option<u64>,
}

/// What checking a signature said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureStatus {
    /// Good, by a trusted key.
    Valid,
    /// Made by a key that is not among the trusted ones.
    UnknownKey,
    /// Made by a key that has expired.
    KeyExpired,
    /// Made by a key that was revoked.
    KeyRevoked,
    /// It has expired itself.
    Expired,
    /// It is over something else.
    Bad,
    /// It is not a well-formed signature.
    Malformed,
}

impl SignatureStatus {
    /// A stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::UnknownKey => "unknown-key",
            Self::KeyExpired => "key-expired",
            Self::KeyRevoked => "key-revoked",
            Self::Expired => "expired",
            Self::Bad => "bad",
            Self::Malformed => "malformed",
        }
    }
}

/// Why signing or checking failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A commit cannot be signed.
    #[error("cannot sign commit {commit} with GPG key {key}")]
    Sign {
        /// The commit.
        commit: CommitId,
        /// The key's id.
        key: String,
        /// GnuPG's error.
        #[source]
        source: Box<Self>,
    },
    /// The summary cannot be signed.
    #[error("cannot sign the summary with GPG key {key}")]
    SignSummary {
        /// The key's id.
        key: String,
        /// GnuPG's error.
        #[source]
        source: Box<Self>,
    },
    /// An Ed25519 secret key is not well-formed. It is not shown.
    #[error("the Ed25519 secret key is not well-formed, expected 64 bytes in base64")]
    InvalidEd25519Secret,
    /// An Ed25519 public key is not well-formed.
    #[error("`{found}` is not an Ed25519 public key, expected 32 bytes in base64")]
    InvalidEd25519Key {
        /// The key as given.
        found: String,
    },
    /// A new key cannot be written.
    #[error("cannot write the new key to {}", path.display())]
    Generate {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// GnuPG cannot be run or failed. This says nothing about any signature.
    #[error("cannot use GnuPG")]
    Gpg(#[from] ProcessError),
    /// A temporary file for GnuPG cannot be used.
    #[error("cannot use temporary file {}", path.display())]
    Scratch {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A file of keys cannot be used.
    #[error("cannot read public keys from {}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file has no public keys in it.
    #[error("there are no public GPG keys in {}", path.display())]
    NoKeys {
        /// The file.
        path: PathBuf,
    },
    /// There are more different signatures than are checked. None was checked.
    #[error("there are {found} different signatures, at most {limit} are checked")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many are checked.
        limit: usize,
    },
    /// A commit has no signature at all.
    #[error("commit {commit} is not signed")]
    Unsigned {
        /// The commit.
        commit: CommitId,
    },
    /// No signature on a commit is good.
    #[error(
        "commit {commit} has no valid signature by a trusted key: {}",
        statuses(found)
    )]
    Refused {
        /// The commit.
        commit: CommitId,
        /// The signatures it has.
        found: Vec<Signature>,
    },
}

impl SignError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            // A key that GnuPG does not have, or may not use.
            Self::Sign { source, .. } | Self::SignSummary { source, .. } => match source.kind() {
                ErrorKind::Io => ErrorKind::InvalidInput,
                kind => kind,
            },
            Self::InvalidEd25519Secret | Self::InvalidEd25519Key { .. } | Self::NoKeys { .. } => {
                ErrorKind::InvalidInput
            }
            Self::Keys { source, .. }
            | Self::Generate { source, .. }
            | Self::Scratch { source, .. } => ErrorKind::of_io(source),
            Self::Gpg(error) => error.kind(),
            Self::Unsigned { .. } | Self::Refused { .. } | Self::TooMany { .. } => {
                ErrorKind::Mismatch
            }
        }
    }
}

/// What is said of signatures of which none is good.
pub(crate) fn statuses(found: &[Signature]) -> String {
    let each = found.iter().map(|signature| {
        let words = match signature.status {
            SignatureStatus::Valid => "valid",
            SignatureStatus::UnknownKey => "made by an unknown key",
            SignatureStatus::KeyExpired => "made by an expired key",
            SignatureStatus::KeyRevoked => "made by a revoked key",
            SignatureStatus::Expired => "expired",
            SignatureStatus::Bad => "over another content",
            SignatureStatus::Malformed => "malformed",
        };
        // Who made one by Ed25519 is not known unless it is checked with the key.
        let by = [signature.kind, &signature.key, words];
        let by: Vec<&str> = by.into_iter().filter(|word| !word.is_empty()).collect();
        by.join(" ")
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Adds a signature to a commit. One by the same key that is there already is kept, and that is
/// no error. Returns whether a signature was added.
///
/// # Errors
/// When the key cannot be used, or the repository cannot be written.
pub fn sign(repo: &Repo, commit: CommitId, key: &SigningKey) -> Result<bool, SignError> {
    match key {
        SigningKey::Gpg { id, homedir } => {
            let failed = |source: SignError| SignError::Sign {
                commit,
                key: id.clone(),
                source: Box::new(source),
            };
            let home = homedir.as_deref();
            let fingerprints = gpg::fingerprints(id, home).map_err(failed)?;
            // The id of a key is the end of its fingerprint.
            let is_ours = |issuer: &String| fingerprints.iter().any(|own| own.ends_with(issuer));
            if signers(repo, commit)?.iter().any(is_ours) {
                return Ok(false);
            }
            let packet = gpg::sign(&commit_bytes(repo, commit)?, id, home).map_err(failed)?;
            let mut detached = repo.detached(commit)?;
            let mut packets = gpg_packets(&detached);
            packets.push(packet);
            detached.insert(GPG_SIGNATURES.to_owned(), packets.to_variant());
            repo.write_detached(commit, &sorted_dict(&detached))?;
            Ok(true)
        }
        SigningKey::Ed25519 { secret } => ed25519::sign(repo, commit, secret),
    }
}

/// Signs a static delta's superblock with those keys that are Ed25519's: libostree knows no GPG
/// signatures there.
pub(crate) fn sign_superblock(bytes: &[u8], keys: &[SigningKey]) -> Result<Metadata, SignError> {
    let mut signatures = Vec::new();
    for key in keys {
        if let SigningKey::Ed25519 { secret } = key {
            signatures.push(ed25519::sign_bytes(bytes, secret)?);
        }
    }
    Ok(Metadata::from([(
        ed25519::KEY.to_owned(),
        signatures.to_variant(),
    )]))
}

#[cfg(test)]
pub(crate) use ed25519::key_pair as ed25519_key_pair;

/// Checks the Ed25519 signatures around a static delta's superblock.
pub(crate) fn superblock_signatures(
    bytes: &[u8],
    found: &Metadata,
    public: &[String],
) -> Result<Vec<Signature>, SignError> {
    ed25519::check(bytes, found, public)
}

/// The keys whose signatures a commit has, good or not: GPG fingerprints, or key ids where the
/// signature has no more. No more than are [checked](signatures).
pub(crate) fn signers(repo: &Repo, commit: CommitId) -> Result<Vec<String>, SignError> {
    let mut found: Vec<String> = Vec::new();
    for issuer in gpg_packets(&repo.detached(commit)?)
        .iter()
        .flat_map(|bytes| packets::issuers(bytes))
    {
        if !found.contains(&issuer) && found.len() < packets::MOST {
            found.push(issuer);
        }
    }
    Ok(found)
}

/// Checks the signatures of a commit and returns the result for each. Repeated signatures are
/// checked once.
///
/// # Errors
/// When the keys or the commit cannot be read, GnuPG cannot be run, or there are more than 64
/// different signatures; signatures that are not good are in the result.
pub fn signatures(
    repo: &Repo,
    commit: CommitId,
    keys: &TrustedKeys,
) -> Result<Vec<Signature>, SignError> {
    let keyring = match keys {
        TrustedKeys::Remote(remote) => Keyring::of(&gpg::read(&remote_keyring(repo, remote))?)?,
        TrustedKeys::GpgFile(path) => keyring(&[path])?,
        TrustedKeys::Ed25519(public) => return ed25519::signatures(repo, commit, public),
    };
    let found = gpg_packets(&repo.detached(commit)?);
    check(&keyring, &commit_bytes(repo, commit)?, &found)
}

/// Checks that a commit has a valid signature by a trusted key.
///
/// # Errors
/// When it has not, with what it has instead.
pub fn verify(
    repo: &Repo,
    commit: CommitId,
    keys: &TrustedKeys,
) -> Result<Vec<Signature>, SignError> {
    let found = signatures(repo, commit, keys)?;
    if found.is_empty() {
        return Err(SignError::Unsigned { commit });
    }
    if found.iter().any(|s| s.status == SignatureStatus::Valid) {
        return Ok(found);
    }
    Err(SignError::Refused { commit, found })
}

/// Checks OpenPGP signatures of bytes that are no commit against the keys of files, and returns the
/// result for each.
///
/// # Errors
/// As [`signatures`] does.
pub(crate) fn signatures_of_bytes(
    bytes: &[u8],
    signatures: &[u8],
    keys: &[PathBuf],
) -> Result<Vec<Signature>, SignError> {
    let paths: Vec<&Path> = keys.iter().map(PathBuf::as_path).collect();
    check(&keyring(&paths)?, bytes, &[signatures.to_vec()])
}

/// The keys of files.
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

/// Checks what stands for GPG signatures of `data`.
fn check(keyring: &Keyring, data: &[u8], found: &[Vec<u8>]) -> Result<Vec<Signature>, SignError> {
    let mut all = Vec::new();
    let mut has_others = false;
    for bytes in found {
        let split = packets::split(bytes);
        has_others |= split.has_others || bytes.is_empty();
        all.extend(split.packets);
    }
    let mut results = keyring.verify(data, &packets::distinct(all)?)?;
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

/// The keyring of a remote (`ostree-remote.c`: `NAME.trustedkeys.gpg`).
pub(crate) fn remote_keyring(repo: &Repo, remote: &str) -> PathBuf {
    repo.path().join(format!("{remote}.trustedkeys.gpg"))
}

/// A commit object's bytes: what signatures are over.
fn commit_bytes(repo: &Repo, commit: CommitId) -> Result<Vec<u8>, RepoError> {
    let bytes = repo.commit_bytes(commit);
    bytes.map_err(|source| repo.failed(&format!("read commit {commit}"), source))
}

/// Where libostree keeps GPG signatures in detached metadata: `aay`, a packet each.
/// Source: `ostree-repo-private.h`, `_OSTREE_METADATA_GPGSIGS_NAME`.
const GPG_SIGNATURES: &str = "ostree.gpgsigs";

/// The GPG signatures in detached metadata or a summary's signature file.
fn gpg_packets(metadata: &Metadata) -> Vec<Vec<u8>> {
    let packets = metadata.get(GPG_SIGNATURES);
    packets.and_then(glib::Variant::get).unwrap_or_default()
}
