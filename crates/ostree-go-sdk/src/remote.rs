//! Remotes: the servers that commits are fetched from, and the keys that are trusted to sign them.
//!
//! A remote is stored as in libostree: a group `[remote "NAME"]` in the repository's `config`, and
//! a keyring `NAME.trustedkeys.gpg` beside it. `ostree remote` reads and writes the same files.

mod address;
mod error;
mod follow;
mod state;
mod statement;
mod transition;

pub(crate) use address::{full_url, image_source};
pub use error::RemoteError;
pub use follow::{
    FollowResult, Followed, IgnoredTransition, TransitionProblem, apply_transitions, follow_keys,
    follows_keys, set_follow_keys,
};
#[cfg(feature = "fuzzing")]
pub(crate) use statement::key_transitions;
pub use statement::{AddedKey, InvalidTransitions, KeyTransition};
pub use transition::{NewTransition, TransitionPlan};

use crate::delta::DeltaTrust;
use crate::ffi;
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::progress::NoProgress;
use crate::registry::ImageReference;
use crate::repo::{RefMove, Repo, RepoError};
use crate::sign::gpg::{Keyring, PublicKey};
use crate::sign::{self, SignError};
use address::{checked_url, credentials_path, split_credentials, without_credentials};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The requirement for signatures of a remote's commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verification {
    /// Commits must be signed by a key of the remote's keyring.
    Signed,
    /// Commits are accepted without a signature.
    Unsigned,
}

/// A remote of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remote {
    /// The name.
    pub name: String,
    /// The URL, without credentials.
    pub url: String,
    /// The requirement for signatures.
    pub verification: Verification,
}

/// A remote to add.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewRemote {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) verification: Verification,
}

impl NewRemote {
    /// Creates a remote whose commits must be signed. It needs [keys](NewRemote::keys).
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            keys: Vec::new(),
            verification: Verification::Signed,
        }
    }

    /// Trusts the public GPG keys in the content of a file, armoured or binary, in addition to the
    /// keys of previous calls. Default: none.
    #[must_use]
    pub fn keys(mut self, file: impl Into<Vec<u8>>) -> Self {
        self.keys.push(file.into());
        self
    }

    /// Accepts commits without a signature. Default: no.
    #[must_use]
    pub fn unsigned(mut self, unsigned: bool) -> Self {
        self.verification = if unsigned {
            Verification::Unsigned
        } else {
            Verification::Signed
        };
        self
    }
}

/// A key of a remote's keyring. Its signatures are trusted unless it is expired or revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustedKey {
    /// The fingerprint of the primary key.
    pub fingerprint: String,
    /// The user IDs: names and e-mail addresses of its owner.
    pub users: Vec<String>,
    /// The creation time, in seconds since 1970.
    pub created: u64,
    /// The expiry time, in seconds since 1970; `None` if the key does not expire.
    pub expires: Option<u64>,
    /// True if the owner has revoked the key.
    pub revoked: bool,
    /// True if the expiry time has passed.
    pub expired: bool,
}

/// Adds a remote, durably.
///
/// The keyring is written before the remote: an error or a crash leaves no remote, and never a
/// remote whose signatures would be verified with the keyrings of the system.
///
/// # Errors
/// Returns an error if the name or the URL is invalid, a remote with this name exists, a key file
/// contains no keys, or there are no keys although commits must be signed.
pub fn add(repo: &Repo, new: &NewRemote) -> Result<Remote, RemoteError> {
    let name = &new.name;
    let (url, keyring) = validate(new)?;
    let _lock = lock(repo)?;
    if let Some(existing) = find(repo, name)? {
        return Err(RemoteError::Exists {
            name: existing.name,
            url: existing.url,
        });
    }
    let path = keyring_path(repo, name);
    match keyring {
        Some(keyring) => atomic::write(&path, &keyring),
        // A keyring that a crash left behind must not become the keyring of this remote.
        None if path.exists() => std::fs::remove_file(&path),
        None => Ok(()),
    }
    .context("write keyring", path)?;
    // The same is true of statements that an earlier remote has followed.
    state::forget(repo, name)?;
    let (url, credentials) = split_credentials(&url);
    write_credentials(repo, name, credentials)?;
    // The signature of the summary is not required. A summary only contains the commits that refs
    // point to and the available deltas. For every commit, its own signature, the refs that it is
    // bound to, and its age are verified. Therefore a replaced or outdated summary can only make a
    // pull fail, and a server does not have to sign its summary.
    let options = glib::VariantDict::new(None);
    options.insert("gpg-verify", new.verification == Verification::Signed);
    options.insert("gpg-verify-summary", false);
    repo.as_ostree()
        .remote_add(
            name,
            Some(&url),
            Some(&options.end()),
            gio::Cancellable::NONE,
        )
        .map_err(|source| repo.failed(&format!("add remote `{name}`"), source))?;
    repo.sync()?;
    get(repo, name)
}

/// Adds a remote. If a remote with the same name, URL and requirement for signatures exists, adds
/// the keys to its keyring instead. Calling it again changes nothing.
///
/// # Errors
/// Returns the errors of [`add`]. A remote with this name and another URL or requirement for
/// signatures is not changed.
pub fn add_or_import_keys(repo: &Repo, new: &NewRemote) -> Result<Remote, RemoteError> {
    match add(repo, new) {
        Err(RemoteError::Exists { name, url }) => {
            let existing = get(repo, &name)?;
            let (wanted, _) = validate(new)?;
            if existing.url != without_credentials(&wanted)
                || existing.verification != new.verification
            {
                return Err(RemoteError::Exists { name, url });
            }
            for file in &new.keys {
                import_keys(repo, &name, file)?;
            }
            Ok(existing)
        }
        added => added,
    }
}

/// Validates a new remote, and returns its URL and keyring.
pub(crate) fn validate(new: &NewRemote) -> Result<(String, Option<Vec<u8>>), RemoteError> {
    let name = &new.name;
    check_name(name)?;
    let url = checked_url(name, &new.url)?;
    let keyring = match (new.verification, new.keys.is_empty()) {
        (Verification::Signed, true) => {
            return Err(RemoteError::NoKeys { name: name.clone() });
        }
        (Verification::Signed, false) => Some(with_keys(name, &[], &new.keys)?),
        (Verification::Unsigned, true) => None,
        (Verification::Unsigned, false) => {
            return Err(RemoteError::Unsigned { name: name.clone() });
        }
    };
    Ok((url, keyring))
}

/// Returns the remotes of a repository, sorted by name.
///
/// # Errors
/// Returns an error if the repository's configuration cannot be read.
pub fn list(repo: &Repo) -> Result<Vec<Remote>, RemoteError> {
    let mut names = names(repo)?;
    names.sort();
    names.iter().map(|name| read(repo, name)).collect()
}

/// Returns the remote with a name.
///
/// # Errors
/// Returns [`RemoteError::NotFound`] with the existing remotes if there is none with this name.
pub fn get(repo: &Repo, name: &str) -> Result<Remote, RemoteError> {
    find(repo, name)?.ok_or_else(|| RemoteError::NotFound {
        name: name.to_owned(),
        path: repo.path().to_owned(),
        known: names(repo).unwrap_or_default(),
    })
}

/// Returns the repository of a remote in a registry, if its URL does not contain credentials, so
/// that the caller has to find them elsewhere.
///
/// # Errors
/// Returns an error if there is no remote with this name.
pub fn registry(repo: &Repo, name: &str) -> Result<Option<ImageReference>, RemoteError> {
    get(repo, name)?;
    let source = image_source(repo, name)?;
    Ok(source.and_then(|source| source.unknown_registry().cloned()))
}

/// Deletes a remote, its keyring and its refs, and returns the names of these refs without the
/// remote. The next prune deletes commits that are not reachable from another ref. Deployed commits
/// are kept, because deployments have refs of their own.
///
/// # Errors
/// Returns an error if there is no remote with this name, or the repository cannot be written. The
/// remote still exists then.
pub fn delete(repo: &Repo, name: &str) -> Result<Vec<String>, RemoteError> {
    let _lock = lock(repo)?;
    get(repo, name)?;
    let refs = refs(repo, name)?;
    let ostree = repo.as_ostree();
    let removed = refs.iter().map(|short| RefMove {
        remote: Some(name.to_owned()),
        name: short.clone(),
        to: None,
    });
    repo.move_refs(&removed.collect::<Vec<_>>())?;
    // The remote is deleted last, because the refs of a deleted remote could not be deleted with
    // this function.
    ostree
        .remote_delete(name, gio::Cancellable::NONE)
        .map_err(|source| repo.failed(&format!("delete remote `{name}`"), source))?;
    write_credentials(repo, name, None)?;
    state::forget(repo, name)?;
    repo.sync()?;
    Ok(refs)
}

/// Writes the credentials of a remote's URL to a file that only its owner can read, or removes this
/// file.
fn write_credentials(repo: &Repo, name: &str, credentials: Option<&str>) -> Result<(), RepoError> {
    let path = credentials_path(repo, name);
    let write = |text: &str| {
        let mut pending = atomic::Pending::new(&path)?;
        let mode = std::fs::Permissions::from_mode(0o600);
        pending.file.set_permissions(mode)?;
        pending.file.write_all(text.as_bytes())?;
        pending.persist()
    };
    let done = match credentials {
        Some(credentials) => write(&format!("{credentials}\n")),
        None => match std::fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        },
    };
    Ok(done.context("write the credentials to", &path)?)
}

/// Returns the refs that were pulled from a remote, sorted.
fn refs(repo: &Repo, name: &str) -> Result<Vec<String>, RemoteError> {
    let all = repo
        .as_ostree()
        .list_refs_ext(
            None,
            ostree::RepoListRefsExtFlags::NONE,
            gio::Cancellable::NONE,
        )
        .map_err(|source| repo.failed("list refs", source))?;
    let of = |full: &String| {
        let (remote, short) = full.split_once(':')?;
        (remote == name).then(|| short.to_owned())
    };
    let mut refs: Vec<String> = all.keys().filter_map(of).collect();
    refs.sort();
    Ok(refs)
}

/// Returns the keys of a remote's keyring.
///
/// # Errors
/// Returns an error if there is no remote with this name, or its keyring cannot be read.
pub fn keys(repo: &Repo, name: &str) -> Result<Vec<TrustedKey>, RemoteError> {
    get(repo, name)?;
    if !has_keyring(repo, name) {
        return Ok(Vec::new());
    }
    let failed = keyring_failed(name);
    let keys = Keyring::of(&read_keyring(repo, name)?).and_then(|keyring| keyring.keys());
    Ok(keys.map_err(failed)?.into_iter().map(trusted_key).collect())
}

/// Adds all keys in the content of a file to a remote's keyring, and updates existing keys, for
/// example with a revocation or a later expiry. Returns all keys of the keyring.
///
/// # Errors
/// Returns an error if there is no remote with this name, it does not verify signatures, or the
/// file contains no keys.
pub fn import_keys(repo: &Repo, name: &str, file: &[u8]) -> Result<Vec<TrustedKey>, RemoteError> {
    if get(repo, name)?.verification == Verification::Unsigned {
        return Err(RemoteError::Unsigned {
            name: name.to_owned(),
        });
    }
    let _lock = lock(repo)?;
    let before = match has_keyring(repo, name) {
        true => read_keyring(repo, name)?,
        false => Vec::new(),
    };
    let after = with_keys(name, &before, &[file.to_vec()])?;
    let path = keyring_path(repo, name);
    atomic::write(&path, &after).context("write keyring", path)?;
    keys(repo, name)
}

/// Returns the path of a remote's keyring.
pub(crate) fn keyring_path(repo: &Repo, name: &str) -> PathBuf {
    sign::remote_keyring(repo, name)
}

fn read_keyring(repo: &Repo, name: &str) -> Result<Vec<u8>, RepoError> {
    let path = keyring_path(repo, name);
    Ok(std::fs::read(&path).context("read keyring", path)?)
}

/// Returns true if a remote has a keyring. Without one, libostree would trust the keys of the
/// system.
pub(crate) fn has_keyring(repo: &Repo, name: &str) -> bool {
    keyring_path(repo, name).exists()
}

/// Returns the trust settings for a remote's static deltas: the Ed25519 keys of libostree's options
/// (`verification-ed25519-key`, and `verification-ed25519-file` with one key per line), and whether
/// a signature is required (`sign-verify-deltas` in `[core]` of the repository).
///
/// Source: `_signapi_load_public_keys` (`ostree-repo-pull-verify.c`),
/// `ostree_repo_static_delta_execute_offline_with_signature`.
pub(crate) fn delta_trust(repo: &Repo, name: &str) -> Result<DeltaTrust, RepoError> {
    let ostree = repo.as_ostree();
    let option = |key| {
        let value = ostree.remote_option(name, key, None);
        value.map_err(|source| repo.failed(&format!("read remote `{name}`"), source))
    };
    let mut keys: Vec<String> = option("verification-ed25519-key")?
        .into_iter()
        .map(Into::into)
        .collect();
    if let Some(path) = option("verification-ed25519-file")? {
        let path = PathBuf::from(path.as_str());
        let text = std::fs::read_to_string(&path).context("read Ed25519 keys from", path)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        keys.extend(lines.map(str::to_owned));
    }
    let required = ostree.config().boolean("core", "sign-verify-deltas");
    Ok(DeltaTrust {
        keys,
        required: required.unwrap_or(false),
    })
}

fn lock(repo: &Repo) -> Result<crate::fs::lock::Lock, RemoteError> {
    let lock = repo.lock(&NoProgress)?;
    // Changes that another process made after this repository was opened must not be overwritten.
    ffi::reload_config(repo.as_ostree())
        .map_err(|source| repo.failed("read the configuration", source))?;
    Ok(lock)
}

/// Checks a name by libostree's rule (`ostree_validate_remote_name`): a single component of a ref.
fn check_name(name: &str) -> Result<(), RemoteError> {
    let is_valid = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !name.is_empty()
        && name.len() <= 100
        && !name.starts_with(['.', '-']);
    if is_valid {
        Ok(())
    } else {
        Err(RemoteError::InvalidName {
            found: name.to_owned(),
        })
    }
}

fn names(repo: &Repo) -> Result<Vec<String>, RemoteError> {
    // The count that libostree returns for an empty list is wrong.
    let names = repo.as_ostree().remote_list();
    Ok(names.into_iter().map(Into::into).collect())
}

fn find(repo: &Repo, name: &str) -> Result<Option<Remote>, RemoteError> {
    names(repo)?
        .iter()
        .find(|known| *known == name)
        .map(|name| read(repo, name))
        .transpose()
}

fn read(repo: &Repo, name: &str) -> Result<Remote, RemoteError> {
    let ostree = repo.as_ostree();
    let failed = |source| repo.failed(&format!("read remote `{name}`"), source);
    let url = ostree.remote_get_url(name).map_err(failed)?;
    let signed = ostree.remote_get_gpg_verify(name).map_err(failed)?;
    Ok(Remote {
        name: name.to_owned(),
        url: without_credentials(&url),
        verification: if signed {
            Verification::Signed
        } else {
            Verification::Unsigned
        },
    })
}

/// Returns a keyring with the keys of files added. Each file must contain keys.
fn with_keys(name: &str, before: &[u8], files: &[Vec<u8>]) -> Result<Vec<u8>, RemoteError> {
    let failed = keyring_failed(name);
    let keyring = Keyring::of(before).map_err(&failed)?;
    for file in files {
        if keyring.import(file).map_err(&failed)? == 0 {
            return Err(RemoteError::InvalidKeys {
                name: name.to_owned(),
            });
        }
    }
    keyring.bytes().map_err(failed)
}

fn keyring_failed(name: &str) -> impl Fn(SignError) -> RemoteError {
    move |source| RemoteError::Keyring {
        name: name.to_owned(),
        source: Box::new(source),
    }
}

fn trusted_key(key: PublicKey) -> TrustedKey {
    TrustedKey {
        fingerprint: key.fingerprints.into_iter().next().unwrap_or_default(),
        users: key.users,
        created: key.created,
        expires: key.expires,
        revoked: key.revoked,
        expired: key.expired,
    }
}
