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
use crate::repo::{Repo, RepoError, RepoMode};
use address::{checked_url, shown};
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
        /// libostree's error, if it had one.
        #[source]
        source: Option<glib::Error>,
    },
}

impl RemoteError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
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

/// Adds a remote.
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
        (Verification::Signed, false) => Some(keyring(name, &new.keys)?),
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
    for short in &refs {
        ostree
            .set_ref_immediate(Some(name), short, None, gio::Cancellable::NONE)
            .map_err(|source| repo.failed(&format!("remove ref {name}:{short}"), source))?;
    }
    // Last: who has refs of a remote that is gone cannot be told to delete them.
    ostree
        .remote_delete(name, gio::Cancellable::NONE)
        .map_err(|source| repo.failed(&format!("delete remote `{name}`"), source))?;
    Ok(refs)
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
    let keys = ffi::remote_gpg_keys(repo.as_ostree(), name)
        .map_err(|source| repo.failed(&format!("read the keys of remote `{name}`"), source))?;
    Ok(keys.iter().map(trusted_key).collect())
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
    // libostree takes a file without keys for one whose keys are all there.
    keyring(name, &[file.to_vec()])?;
    let _lock = lock(repo)?;
    import(repo, name, file)?;
    keys(repo, name)
}

/// Where a remote's keyring is (`ostree-remote.c`: `NAME.trustedkeys.gpg`).
pub(crate) fn keyring_path(repo: &Repo, name: &str) -> PathBuf {
    repo.path().join(format!("{name}.trustedkeys.gpg"))
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
    repo.as_ostree()
        .reload_config(gio::Cancellable::NONE)
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

/// Makes a keyring of files of keys, in a repository of the moment.
fn keyring(name: &str, files: &[Vec<u8>]) -> Result<Vec<u8>, RemoteError> {
    const REMOTE: &str = "keys";
    let invalid = |source| RemoteError::InvalidKeys {
        name: name.to_owned(),
        source,
    };
    let io = |path: &std::path::Path, source| RepoError::Io {
        action: "make a keyring in",
        path: path.to_owned(),
        source,
    };
    let folder = tempfile::tempdir().map_err(|source| io(&std::env::temp_dir(), source))?;
    let scratch = Repo::create(folder.path(), RepoMode::BareUserOnly)?;
    scratch
        .as_ostree()
        .remote_add(REMOTE, Some("file:///"), None, gio::Cancellable::NONE)
        .map_err(|source| scratch.failed("add a remote", source))?;
    let path = keyring_path(&scratch, REMOTE);
    for file in files {
        // A file may hold what another has held, so that nothing new says nothing: each starts
        // from nothing to see whether it holds keys, and then adds to the whole.
        let whole = std::fs::read(&path).ok();
        let _ = std::fs::remove_file(&path);
        import(&scratch, REMOTE, file).map_err(|error| match error {
            RemoteError::Repo(RepoError::Ostree { source, .. }) => invalid(Some(source)),
            other => other,
        })?;
        if keys(&scratch, REMOTE)?.is_empty() {
            return Err(invalid(None));
        }
        if let Some(whole) = whole {
            std::fs::write(&path, whole).map_err(|source| io(&path, source))?;
            import(&scratch, REMOTE, file)?;
        }
    }
    Ok(std::fs::read(&path).map_err(|source| io(&path, source))?)
}

fn import(repo: &Repo, name: &str, file: &[u8]) -> Result<u32, RemoteError> {
    let stream = gio::MemoryInputStream::from_bytes(&glib::Bytes::from(file));
    Ok(ffi::remote_gpg_import(repo.as_ostree(), name, &stream)
        .map_err(|source| repo.failed(&format!("import keys for remote `{name}`"), source))?)
}

/// Reads `OSTREE_GPG_KEY_GVARIANT_FORMAT` (`ostree-repo.h`): subkeys, the primary first, and
/// users. Times are big-endian.
fn trusted_key(key: &glib::Variant) -> TrustedKey {
    let dicts = |index: usize| {
        let list = key.child_value(index);
        let dicts: Vec<glib::VariantDict> = list
            .iter()
            .map(|dict| glib::VariantDict::new(Some(&dict)))
            .collect();
        dicts
    };
    let primary = dicts(0).into_iter().next();
    let primary = primary.unwrap_or_else(|| glib::VariantDict::new(None));
    let time = |name: &str| {
        let seconds = primary.lookup::<i64>(name).ok().flatten().map(i64::from_be);
        seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .unwrap_or_default()
    };
    let flag = |name: &str| {
        let flag = primary.lookup::<bool>(name).ok().flatten();
        flag.unwrap_or_default()
    };
    let text = |dict: &glib::VariantDict, name: &str| {
        let text = dict.lookup::<String>(name).ok().flatten();
        text.unwrap_or_default()
    };
    TrustedKey {
        fingerprint: text(&primary, "fingerprint"),
        users: dicts(1).iter().map(|user| text(user, "uid")).collect(),
        created: time("created"),
        expires: Some(time("expires")).filter(|seconds| *seconds > 0),
        revoked: flag("revoked"),
        expired: flag("expired"),
    }
}
