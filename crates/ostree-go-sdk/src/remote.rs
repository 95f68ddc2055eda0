//! Remotes: where commits come from, and whose signatures are believed.
//!
//! A remote is libostree's: a group `[remote "NAME"]` in the repository's `config`, and a
//! keyring `NAME.trustedkeys.gpg` beside it. The stock `ostree remote` reads and writes the same.

mod address;

pub use address::registry;
pub(crate) use address::{full_url, place};

use crate::delta::DeltaTrust;
use crate::ffi;
use crate::fs::atomic;
use crate::http::InvalidUrl;
use crate::kind::ErrorKind;
use crate::oci::image_source::InvalidImageSource;
use crate::progress::NoProgress;
use crate::repo::{RefMove, Repo, RepoError};
use crate::sign::gpg::{Keyring, PublicKey};
use crate::sign::{self, SignError};
use address::{checked_url, credentials_path, shown, split_credentials};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Whether commits of a remote have to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verification {
    /// By a key of the remote's own keyring.
    Signed,
    /// Commits are taken as they come.
    Unsigned,
}

/// A remote of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// Where it is, without credentials.
    pub url: String,
    /// Whether commits have to be signed.
    pub verification: Verification,
}

/// A remote to be added.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewRemote {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) verification: Verification,
}

impl NewRemote {
    /// A remote whose commits have to be signed; it needs [keys](NewRemote::keys).
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            keys: Vec::new(),
            verification: Verification::Signed,
        }
    }

    /// Believes the public GPG keys of a file's content, armoured or not, beside those that were
    /// given before. Default: none.
    #[must_use]
    pub fn keys(mut self, file: impl Into<Vec<u8>>) -> Self {
        self.keys.push(file.into());
        self
    }

    /// Takes commits as they come. Default: no.
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

/// A key whose signatures are believed, as far as it is neither expired nor revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustedKey {
    /// The fingerprint of the primary key.
    pub fingerprint: String,
    /// Names and addresses of its owner.
    pub users: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// When it ends to be valid, in seconds since 1970, if it does.
    pub expires: Option<u64>,
    /// Whether its owner has revoked it.
    pub revoked: bool,
    /// Whether that end has passed.
    pub expired: bool,
}

/// Why a remote could not be added, changed or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A name that no remote can have.
    #[error(
        "`{}` is not a name for a remote, expected letters, digits, `.`, `_` and `-`", found.escape_debug()
    )]
    InvalidName {
        /// The name as given.
        found: String,
    },
    /// A URL that nothing can be pulled from.
    #[error("remote `{name}` cannot be added")]
    InvalidUrl {
        /// The remote.
        name: String,
        /// Why.
        #[source]
        source: InvalidUrl,
    },
    /// A URL that names no images.
    #[error("remote `{name}` cannot be added")]
    InvalidImageSource {
        /// The remote.
        name: String,
        /// Why.
        #[source]
        source: InvalidImageSource,
    },
    /// A URL that names one image, where refs tell which.
    #[error("remote `{name}` cannot be added: {url} has a tag, and refs say which one")]
    Tagged {
        /// The remote.
        name: String,
        /// Its URL.
        url: String,
    },
    /// There is such a remote.
    #[error("remote `{name}` is there already, with URL {url}")]
    Exists {
        /// The remote.
        name: String,
        /// Its URL.
        url: String,
    },
    /// There is no such remote.
    #[error("no remote `{name}` in repository {}", path.display())]
    NotFound {
        /// The name as given.
        name: String,
        /// The repository.
        path: PathBuf,
        /// The remotes there are.
        known: Vec<String>,
    },
    /// Commits have to be signed, and no key is there to check them with.
    #[error("remote `{name}` has no keys to check signatures with")]
    NoKeys {
        /// The remote.
        name: String,
    },
    /// Keys are given to a remote that checks no signatures.
    #[error("remote `{name}` checks no signatures, so keys would do nothing")]
    Unsigned {
        /// The remote.
        name: String,
    },
    /// What was given as keys holds none.
    #[error("there are no public GPG keys in what was given for remote `{name}`")]
    InvalidKeys {
        /// The remote.
        name: String,
    },
    /// GnuPG cannot read or write the keyring of a remote.
    #[error("cannot read or change the keys of remote `{name}`")]
    Keyring {
        /// The remote.
        name: String,
        /// Why.
        #[source]
        source: Box<SignError>,
    },
}

impl RemoteError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Keyring { source, .. } => source.kind(),
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::InvalidName { .. }
            | Self::InvalidUrl { .. }
            | Self::InvalidImageSource { .. }
            | Self::Tagged { .. }
            | Self::Exists { .. }
            | Self::NoKeys { .. }
            | Self::Unsigned { .. }
            | Self::InvalidKeys { .. } => ErrorKind::InvalidInput,
        }
    }
}

/// Adds a remote, durably.
///
/// The keys are read first and the keyring is in place before the remote is: an error or a crash
/// leaves no remote, and never one that would check signatures against the system's keyrings.
///
/// # Errors
/// When the name or the URL is not well-formed, there is a remote of this name, a file of keys
/// holds none, or there is none where commits have to be signed.
pub fn add(repo: &Repo, new: &NewRemote) -> Result<Remote, RemoteError> {
    let name = &new.name;
    let (url, keyring) = check(new)?;
    let _lock = lock(repo)?;
    if let Some(there) = find(repo, name)? {
        return Err(RemoteError::Exists {
            name: there.name,
            url: there.url,
        });
    }
    let path = keyring_path(repo, name);
    match keyring {
        Some(keyring) => atomic::write(&path, &keyring),
        // What a crash has left must not become the keys of this one.
        None if path.exists() => std::fs::remove_file(&path),
        None => Ok(()),
    }
    .map_err(|source| RepoError::Io {
        action: "write keyring",
        path,
        source,
    })?;
    let (url, credentials) = split_credentials(&url);
    write_credentials(repo, name, credentials)?;
    // The summary's signature is not asked for. A summary only says which commit a ref names
    // and which deltas there are. Every commit is checked for its own signature, for the ref it
    // is bound to and for its age, so a summary that was stolen, swapped or kept from yesterday
    // can make a pull fail and nothing else. And a server may then do without one.
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

/// Adds a remote, or where there is one of this name, with the same URL and the same need of
/// signatures, adds the keys to its keyring: calling it once more changes nothing.
///
/// # Errors
/// As [`add`] does; a remote of this name with another URL, or with another need of signatures,
/// is left as it is.
pub fn add_or_import_keys(repo: &Repo, new: &NewRemote) -> Result<Remote, RemoteError> {
    match add(repo, new) {
        Err(RemoteError::Exists { name, url }) => {
            let there = get(repo, &name)?;
            let (wanted, _) = check(new)?;
            if there.url != shown(&wanted) || there.verification != new.verification {
                return Err(RemoteError::Exists { name, url });
            }
            for file in &new.keys {
                import_keys(repo, &name, file)?;
            }
            Ok(there)
        }
        added => added,
    }
}

/// What is to be written for a remote, once it is known to be well-formed: its URL and keyring.
pub(crate) fn check(new: &NewRemote) -> Result<(String, Option<Vec<u8>>), RemoteError> {
    let name = &new.name;
    check_name(name)?;
    let url = checked_url(new)?;
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

/// Whether there is a remote of this name.
pub(crate) fn is_set_up(repo: &Repo, name: &str) -> bool {
    names(repo).is_ok_and(|names| names.iter().any(|known| known == name))
}

/// The remotes of a repository, by name.
///
/// # Errors
/// When the repository's configuration cannot be read.
pub fn list(repo: &Repo) -> Result<Vec<Remote>, RemoteError> {
    let mut names = names(repo)?;
    names.sort();
    names.iter().map(|name| read(repo, name)).collect()
}

/// A remote.
///
/// # Errors
/// When there is none of this name, with those there are.
pub fn get(repo: &Repo, name: &str) -> Result<Remote, RemoteError> {
    find(repo, name)?.ok_or_else(|| RemoteError::NotFound {
        name: name.to_owned(),
        path: repo.path().to_owned(),
        known: names(repo).unwrap_or_default(),
    })
}

/// Deletes a remote, its keyring and its refs; returns these, without the remote's name. Commits
/// that no other ref reaches go with the next prune; those of deployments have refs that keep
/// them.
///
/// # Errors
/// When there is none of this name, or the repository cannot be written. The remote is there
/// still, then.
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
    // Last: who has refs of a remote that is gone cannot be told to delete them.
    ostree
        .remote_delete(name, gio::Cancellable::NONE)
        .map_err(|source| repo.failed(&format!("delete remote `{name}`"), source))?;
    write_credentials(repo, name, None)?;
    repo.sync()?;
    Ok(refs)
}

/// Keeps the credentials of a remote's URL in a file that only its owner can read, or removes it.
fn write_credentials(repo: &Repo, name: &str, credentials: Option<&str>) -> Result<(), RepoError> {
    let path = credentials_path(repo, name);
    let write = |text: &str| {
        let mut pending = atomic::Pending::new(&path)?;
        let mode = std::fs::Permissions::from_mode(0o600);
        pending.file.set_permissions(mode)?;
        pending.file.write_all(text.as_bytes())?;
        pending.put()
    };
    let done = match credentials {
        Some(credentials) => write(&format!("{credentials}\n")),
        None => match std::fs::remove_file(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        },
    };
    done.map_err(|source| RepoError::Io {
        action: "write the credentials to",
        path: path.clone(),
        source,
    })
}

/// What was pulled from a remote, in order.
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

/// The keys of a remote's own keyring.
///
/// # Errors
/// When there is no such remote, or its keyring cannot be read.
pub fn keys(repo: &Repo, name: &str) -> Result<Vec<TrustedKey>, RemoteError> {
    get(repo, name)?;
    if !has_keyring(repo, name) {
        return Ok(Vec::new());
    }
    let failed = keyring_failed(name);
    let keys = Keyring::of(&read_keyring(repo, name)?).and_then(|keyring| keyring.keys());
    Ok(keys.map_err(failed)?.into_iter().map(trusted_key).collect())
}

/// Adds every key of a file's content to a remote's keyring, and to keys that are there what is
/// new in it, as a revocation or a later expiry. Returns the keys there are then.
///
/// # Errors
/// When there is no such remote, it checks no signatures, or the file holds no keys.
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
    atomic::write(&path, &after).map_err(|source| RepoError::Io {
        action: "write keyring",
        path,
        source,
    })?;
    keys(repo, name)
}

/// The file with a remote's keys.
pub(crate) fn keyring_path(repo: &Repo, name: &str) -> PathBuf {
    sign::remote_keyring(repo, name)
}

fn read_keyring(repo: &Repo, name: &str) -> Result<Vec<u8>, RepoError> {
    let path = keyring_path(repo, name);
    std::fs::read(&path).map_err(|source| RepoError::Io {
        action: "read keyring",
        path,
        source,
    })
}

/// Whether a remote has a keyring of its own. For one that has not, libostree would believe the
/// keys of the whole system.
pub(crate) fn has_keyring(repo: &Repo, name: &str) -> bool {
    keyring_path(repo, name).exists()
}

/// Whose static deltas are believed of a remote: the Ed25519 keys that libostree's own options name
/// (`verification-ed25519-key`, and `verification-ed25519-file` with one a line), and whether there
/// has to be a signature: `sign-verify-deltas` in the repository's `[core]`.
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
        let text = std::fs::read_to_string(&path).map_err(|source| RepoError::Io {
            action: "read Ed25519 keys from",
            path,
            source,
        })?;
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
    // What another process has added since this repository was opened must not be written over.
    ffi::reload_config(repo.as_ostree())
        .map_err(|source| repo.failed("read the configuration", source))?;
    Ok(lock)
}

/// libostree's rule (`ostree_validate_remote_name`): one component of a ref.
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
    // libostree counts wrongly what it does not have.
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
        url: shown(&url),
        verification: if signed {
            Verification::Signed
        } else {
            Verification::Unsigned
        },
    })
}

/// A keyring with the keys of files added. Each file has to hold keys.
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
