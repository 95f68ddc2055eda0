//! Signatures: made, and checked.
//!
//! GPG goes through libostree and the GnuPG it uses; Ed25519 is made here, in the form of
//! `ostree sign` (secret key 64 bytes, public key 32, in base64).
//! Both kinds live in a commit's detached metadata and can stand side by side.

mod ed25519;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod generate;
mod issuer;
mod verified;

pub use generate::{GeneratedKey, generate_ed25519_key, generate_gpg_key};
pub use verified::{Proof, Verified};

use crate::ffi::remote_gpg_import;
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::metadata::Metadata;
use crate::process::ProcessError;
use crate::repo::{Repo, RepoError, RepoMode};
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
        /// libostree's error.
        #[source]
        source: glib::Error,
    },
    /// The summary cannot be signed.
    #[error("cannot sign the summary with GPG key {key}")]
    SignSummary {
        /// The key's id.
        key: String,
        /// libostree's error.
        #[source]
        source: glib::Error,
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
    /// GnuPG cannot make a key.
    #[error("cannot make a GPG key")]
    Gpg(#[from] ProcessError),
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
        /// libostree's error.
        #[source]
        source: glib::Error,
    },
    /// What should be signatures is none.
    #[error("the signatures cannot be read")]
    Malformed {
        /// libostree's error.
        #[source]
        source: glib::Error,
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
            Self::Sign { .. }
            | Self::SignSummary { .. }
            | Self::InvalidEd25519Secret
            | Self::InvalidEd25519Key { .. }
            | Self::NoKeys { .. } => ErrorKind::InvalidInput,
            Self::Malformed { .. } => ErrorKind::Corrupt,
            Self::Keys { source, .. } | Self::Generate { source, .. } => ErrorKind::of_io(source),
            Self::Gpg(error) => error.kind(),
            Self::Unsigned { .. } | Self::Refused { .. } => ErrorKind::Mismatch,
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
        };
        // Who made one by Ed25519 is not known unless it is checked with the key.
        let by = [signature.kind, &signature.key, words];
        let by: Vec<&str> = by.into_iter().filter(|word| !word.is_empty()).collect();
        by.join(" ")
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Adds a signature to a commit. One by the same key that is there already is kept, and that is
/// no error. Says whether a signature was added.
///
/// # Errors
/// When the key cannot be used, or the repository cannot be written.
pub fn sign(repo: &Repo, commit: CommitId, key: &SigningKey) -> Result<bool, SignError> {
    let id = commit.to_string();
    match key {
        SigningKey::Gpg { id: key, homedir } => {
            if is_signed_by(repo, commit, key)? {
                return Ok(false);
            }
            let homedir = homedir.as_ref().map(|path| path.to_string_lossy());
            let signed =
                repo.as_ostree()
                    .sign_commit(&id, key, homedir.as_deref(), gio::Cancellable::NONE);
            match signed {
                Ok(()) => Ok(true),
                Err(error) if error.matches(gio::IOErrorEnum::Exists) => Ok(false),
                Err(source) => Err(SignError::Sign {
                    commit,
                    key: key.clone(),
                    source,
                }),
            }
        }
        SigningKey::Ed25519 { secret } => ed25519::sign(repo, commit, secret),
    }
}

/// Signs the summary of a repository.
pub(crate) fn sign_summary(repo: &Repo, key: &SigningKey) -> Result<(), SignError> {
    match key {
        SigningKey::Gpg { id, homedir } => {
            let homedir = homedir.as_ref().map(|path| path.to_string_lossy());
            repo.as_ostree()
                .add_gpg_signature_summary(&[id], homedir.as_deref(), gio::Cancellable::NONE)
                .map_err(|source| SignError::SignSummary {
                    key: id.clone(),
                    source,
                })
        }
        SigningKey::Ed25519 { secret } => ed25519::sign_summary(repo, secret),
    }
}

/// The signatures of a static delta's superblock by those keys that are Ed25519's: libostree
/// knows none by GPG there.
pub(crate) fn sign_superblock(bytes: &[u8], keys: &[SigningKey]) -> Result<Metadata, SignError> {
    ed25519::sign_bytes(
        bytes,
        keys.iter().filter_map(|key| match key {
            SigningKey::Ed25519 { secret } => Some(secret),
            SigningKey::Gpg { .. } => None,
        }),
    )
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
/// signature says no more.
pub(crate) fn signers(repo: &Repo, commit: CommitId) -> Result<Vec<String>, SignError> {
    let packets = gpg_packets(repo, commit)?;
    Ok(packets
        .iter()
        .flat_map(|packet| issuer::issuers(packet))
        .collect())
}

/// Whether a commit has a signature by a GPG key, given by fingerprint or key id.
///
/// libostree's own check needs the key in a keyring of the system's.
fn is_signed_by(repo: &Repo, commit: CommitId, key: &str) -> Result<bool, SignError> {
    let key = key.trim_start_matches("0x").to_uppercase();
    // Anything shorter than the shortest key id is a name, and says nothing.
    let names = |id: &String| id.len() >= 8 && (id.ends_with(&key) || key.ends_with(id.as_str()));
    Ok(key.len() >= 8 && signers(repo, commit)?.iter().any(names))
}

/// Checks the signatures of a commit and says all of them.
///
/// # Errors
/// When the keys or the commit cannot be read; signatures that are not good are in the result.
pub fn signatures(
    repo: &Repo,
    commit: CommitId,
    keys: &TrustedKeys,
) -> Result<Vec<Signature>, SignError> {
    match keys {
        TrustedKeys::Remote(remote) => {
            if gpg_packets(repo, commit)?.is_empty() {
                return Ok(Vec::new());
            }
            let result = repo.as_ostree().verify_commit_for_remote(
                &commit.to_string(),
                remote,
                gio::Cancellable::NONE,
            );
            gpg_signatures(repo, commit, result)
        }
        TrustedKeys::GpgFile(path) => gpg_with_file(repo, commit, path),
        TrustedKeys::Ed25519(public) => ed25519::signatures(repo, commit, public),
    }
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

/// Checks against the keys of one file, and no keyring of the system's.
///
/// libostree adds the system's keyrings unless it verifies for a remote that has its own; so
/// the keys become those of a remote, in a repository of the moment.
fn gpg_with_file(repo: &Repo, commit: CommitId, path: &Path) -> Result<Vec<Signature>, SignError> {
    let keys = Keyring::of(&[path])?;
    let signatures = gpg_packets(repo, commit)?;
    if signatures.is_empty() {
        return Ok(Vec::new());
    }
    let verified = repo
        .commit_bytes(commit)
        .and_then(|bytes| keys.verify(bytes, signatures.concat()));
    gpg_signatures(repo, commit, verified)
}

/// Checks OpenPGP signatures of bytes that are no commit, against the keys of files, and says all
/// of them.
pub(crate) fn signatures_of_bytes(
    bytes: &[u8],
    signatures: &[u8],
    keys: &[PathBuf],
) -> Result<Vec<Signature>, SignError> {
    let keys = Keyring::of(&keys.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
    let verified = keys.verify(bytes.to_vec(), signatures.to_vec());
    verified
        .map(|found| all(&found))
        .map_err(|source| SignError::Malformed { source })
}

/// The keys of files, as those of a remote in a repository of the moment.
struct Keyring {
    repo: Repo,
    /// Removed at the end.
    _folder: tempfile::TempDir,
}

impl Keyring {
    const REMOTE: &str = "keys";

    fn of(paths: &[&Path]) -> Result<Self, SignError> {
        let first = paths.first().copied().unwrap_or("".as_ref());
        let folder = tempfile::tempdir().map_err(|source| SignError::Keys {
            path: first.to_owned(),
            source,
        })?;
        let repo = Repo::create(folder.path(), RepoMode::BareUserOnly)?;
        let cannot = |source| SignError::NoKeys {
            path: first.to_owned(),
            source,
        };
        repo.as_ostree()
            .remote_add(Self::REMOTE, Some("file:///"), None, gio::Cancellable::NONE)
            .map_err(cannot)?;
        for path in paths {
            let unreadable = |source| SignError::Keys {
                path: path.to_path_buf(),
                source,
            };
            let no_keys = |source| SignError::NoKeys {
                path: path.to_path_buf(),
                source,
            };
            let keys = std::fs::read(path).map_err(unreadable)?;
            let keys = gio::MemoryInputStream::from_bytes(&glib::Bytes::from_owned(keys));
            remote_gpg_import(repo.as_ostree(), Self::REMOTE, &keys).map_err(no_keys)?;
        }
        Ok(Self {
            repo,
            _folder: folder,
        })
    }

    fn verify(
        &self,
        bytes: Vec<u8>,
        signatures: Vec<u8>,
    ) -> Result<ostree::GpgVerifyResult, glib::Error> {
        self.repo.as_ostree().gpg_verify_data(
            Some(Self::REMOTE),
            &glib::Bytes::from_owned(bytes),
            &glib::Bytes::from_owned(signatures),
            gio::File::NONE,
            gio::File::NONE,
            gio::Cancellable::NONE,
        )
    }
}

/// Where libostree keeps GPG signatures in detached metadata: `aay`, a packet each.
/// Source: `ostree-repo-private.h`, `_OSTREE_METADATA_GPGSIGS_NAME`.
const GPG_SIGNATURES: &str = "ostree.gpgsigs";

fn gpg_packets(repo: &Repo, commit: CommitId) -> Result<Vec<Vec<u8>>, RepoError> {
    let detached = repo.detached(commit)?;
    let packets = detached.get(GPG_SIGNATURES);
    Ok(packets.and_then(glib::Variant::get).unwrap_or_default())
}

fn gpg_signatures(
    repo: &Repo,
    commit: CommitId,
    result: Result<ostree::GpgVerifyResult, glib::Error>,
) -> Result<Vec<Signature>, SignError> {
    match result {
        Ok(result) => Ok(all(&result)),
        Err(error) => Err(repo
            .failed(&format!("check the signatures of {commit}"), error)
            .into()),
    }
}

fn all(result: &ostree::GpgVerifyResult) -> Vec<Signature> {
    (0..result.count_all())
        .map(|index| gpg_signature(&result.all(index)))
        .collect()
}

/// Reads what libostree says of one signature: a tuple in the order of
/// `OstreeGpgSignatureAttr` (`ostree-gpg-verify-result.h`).
fn gpg_signature(attributes: &glib::Variant) -> Signature {
    let at =
        |index: usize| (index < attributes.n_children()).then(|| attributes.child_value(index));
    let flag = |index| at(index).and_then(|v| v.get::<bool>()).unwrap_or(false);
    let text = |index| {
        let text = at(index)?.get::<String>()?;
        (!text.is_empty()).then_some(text)
    };
    let time = |index| {
        let seconds = u64::try_from(at(index)?.get::<i64>()?).ok()?;
        (seconds > 0).then_some(seconds)
    };
    let (valid, expired, key_expired, key_revoked, key_missing) =
        (flag(0), flag(1), flag(2), flag(3), flag(4));
    let status = if valid {
        SignatureStatus::Valid
    } else if key_missing {
        SignatureStatus::UnknownKey
    } else if key_revoked {
        SignatureStatus::KeyRevoked
    } else if key_expired {
        SignatureStatus::KeyExpired
    } else if expired {
        SignatureStatus::Expired
    } else {
        SignatureStatus::Bad
    };
    let user = match (text(10), text(11)) {
        (Some(name), Some(email)) => Some(format!("{name} <{email}>")),
        (name, email) => name.or(email),
    };
    let key = text(5).unwrap_or_default();
    Signature {
        status,
        kind: "gpg",
        primary_key: text(12).filter(|primary| *primary != key),
        key,
        user,
        created: time(6),
        expires: time(7),
        key_expires: time(14).or_else(|| time(13)),
    }
}
