//! Follows the statements of a publisher about its keys.
//!
//! A statement is applied to a remote if it is newer than all that were applied before, is for the URL
//! of the remote, has not expired, and is signed by a key that the remote trusts and that has no
//! successor yet. The rule about successors limits what a stolen old key can do: hosts that have
//! moved to the new key accept no statements of the old one.

use super::error::RemoteError;
use super::state::{ed25519_path, state_path};
use super::statement::{
    FILE, InvalidTransitions, KeyTransition, MAX_SIZE, Signed, comparable, parse_file,
};
use super::transition::read_limited;
use super::{
    delta_trust, full_url, get, has_keyring, keyring_failed, keyring_path, lock, read_keyring,
};
use crate::clock::{Clock, rfc3339};
use crate::failpoint;
use crate::ffi;
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::http::url::Url;
use crate::http::{HttpClient, HttpError, HttpOptions};
use crate::kind::ErrorKind;
use crate::oci::image_source::ImageSource;
use crate::progress::Progress;
use crate::repo::Repo;
use crate::sign::gpg::Keyring;
use crate::sign::{VerificationKey, gpg_signers, is_signed_by};
use serde::{Deserialize, Serialize};

/// The option of a remote in the repository's configuration. libostree ignores it.
const OPTION: &str = "ostree-go-follow-keys";

/// The result of following the keys of one remote.
pub type FollowResult = Result<Followed, RemoteError>;

/// The statements of a publisher that were applied, and those that were ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Followed {
    /// The statements that were applied, in their order.
    pub applied: Vec<KeyTransition>,
    /// The statements that were not applied. Those that had been applied before are not included.
    pub ignored: Vec<IgnoredTransition>,
}

/// A statement that was not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredTransition {
    /// The sequence number of the statement.
    pub sequence: u64,
    /// The reason.
    pub reason: TransitionProblem,
}

/// The reason why a statement is not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransitionProblem {
    /// It is for other repositories.
    #[error("it is for {}, not for {url}", found.join(", "))]
    OtherRepository {
        /// The URLs of the repositories.
        found: Vec<String>,
        /// The URL of the remote.
        url: String,
    },
    /// It has expired.
    #[error("it expired at {}", rfc3339(*at))]
    Expired {
        /// The time in seconds since 1970.
        at: u64,
    },
    /// It was made in the future, according to the clock of this machine.
    #[error("it was made at {}, the clock of this machine says {}", rfc3339(*created), rfc3339(*now))]
    InFuture {
        /// The time in seconds since 1970.
        created: u64,
        /// The time of this machine in seconds since 1970.
        now: u64,
    },
    /// The key that made it is not trusted, has expired or was revoked.
    #[error("it was made by key {key}, which the remote does not trust")]
    UnknownSigner {
        /// The key.
        key: String,
    },
    /// The key that made it has a successor already.
    #[error("it was made by key {key}, which has a successor already")]
    Superseded {
        /// The key.
        key: String,
    },
    /// The signature of the key that made it, or of the key that it introduces, is missing or not
    /// valid.
    #[error("it has no valid signature by key {key}")]
    NotSigned {
        /// The key.
        key: String,
    },
    /// The public key is not the one that the statement names.
    #[error("its public key is not key {key}")]
    WrongKey {
        /// The key.
        key: String,
    },
}

/// The record of the statements that a host has applied.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// The sequence number of the last statement.
    sequence: u64,
    /// The keys that have a successor.
    superseded: Vec<String>,
}

/// Returns whether the keys of a remote are [followed](follow_keys) by the command.
///
/// # Errors
/// Returns an error if there is no remote with this name.
pub fn follows_keys(repo: &Repo, name: &str) -> Result<bool, RemoteError> {
    get(repo, name)?;
    let value = repo.as_ostree().remote_option(name, OPTION, None);
    let value = value.map_err(|source| repo.failed(&format!("read remote `{name}`"), source))?;
    Ok(value.is_some_and(|value| value == "true"))
}

/// Sets whether the keys of a remote are followed, durably.
///
/// # Errors
/// Returns an error if there is no remote with this name, it does not verify signatures, its
/// repository is not on a web server or in a directory, or the configuration cannot be written.
pub fn set_follow_keys(repo: &Repo, name: &str, follow: bool) -> Result<(), RemoteError> {
    let _lock = lock(repo)?;
    let remote = get(repo, name)?;
    if follow && remote.verification == super::Verification::Unsigned {
        return Err(RemoteError::Unsigned { name: remote.name });
    }
    if follow && ImageSource::has_image_scheme(&remote.url) {
        return Err(RemoteError::NotFollowable { name: remote.name });
    }
    let value = if follow { "true" } else { "false" };
    set_option(repo, name, OPTION, value)
}

/// Fetches the statements of a remote's publisher, and applies those that a trusted key has made: new
/// keys are added to the remote's keys, and withdrawn ones are removed. A publisher without
/// statements is no error. Sources of images have no statements.
///
/// Call it before a pull if the remote [is configured](follows_keys) for it: it is a
/// decision of the administrator to trust the choice that the publisher makes later.
///
/// # Errors
/// Returns an error if there is no remote with this name, the file cannot be fetched or is malformed,
/// or the keys cannot be changed.
pub fn follow_keys(
    repo: &Repo,
    name: &str,
    http: &HttpOptions,
    clock: &dyn Clock,
    progress: &dyn Progress,
) -> Result<Followed, RemoteError> {
    get(repo, name)?;
    let url = full_url(repo, name)?;
    if ImageSource::has_image_scheme(&url) {
        return Ok(Followed::default());
    }
    let url = Url::parse(&url).and_then(|url| url.join(FILE));
    let url = url.map_err(|source| RemoteError::InvalidUrl {
        name: name.to_owned(),
        source,
    })?;
    let bytes = match url.local_path() {
        Some(path) => read_limited(&path)?,
        None => {
            let got = HttpClient::new(http).and_then(|client| client.get(&url, MAX_SIZE, progress));
            match got {
                Ok(bytes) => Some(bytes),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                // Servers such as S3 answer with 403 for files that do not exist.
                Err(HttpError::Status { status: 403, .. }) => None,
                Err(source) => {
                    return Err(RemoteError::FetchTransitions {
                        name: name.to_owned(),
                        source: Box::new(source),
                    });
                }
            }
        }
    };
    match bytes {
        Some(bytes) => apply_transitions(repo, name, &url.to_string(), &bytes, clock),
        None => Ok(Followed::default()),
    }
}

/// Applies the statements in the content of a file to a remote's keys, as [`follow_keys`] does. `from`
/// names the file in errors.
///
/// # Errors
/// Returns an error if there is no remote with this name, it does not verify signatures, the file is
/// malformed, or the keys cannot be changed.
pub fn apply_transitions(
    repo: &Repo,
    name: &str,
    from: &str,
    bytes: &[u8],
    clock: &dyn Clock,
) -> Result<Followed, RemoteError> {
    let statements = parse_file(bytes).map_err(|source| malformed(from, source))?;
    let _lock = lock(repo)?;
    let remote = get(repo, name)?;
    if remote.verification == super::Verification::Unsigned {
        return Err(RemoteError::Unsigned { name: remote.name });
    }
    let mut keys = Keys::read(repo, name)?;
    let mut followed = Followed::default();
    for (statement, signed) in statements {
        let sequence = statement.sequence;
        if sequence <= keys.state.sequence {
            continue;
        }
        match keys.check(&statement, &signed, &remote.url, clock.now())? {
            Some(
                TransitionProblem::UnknownSigner { .. }
                | TransitionProblem::Expired { .. }
                | TransitionProblem::InFuture { .. },
            ) if keys.has_successor(&statement)? => {}
            Some(reason) => followed
                .ignored
                .push(IgnoredTransition { sequence, reason }),
            None => {
                keys.apply(&statement)?;
                followed.applied.push(statement);
            }
        }
    }
    if !followed.applied.is_empty() {
        keys.write()?;
    }
    Ok(followed)
}

fn malformed(from: &str, source: InvalidTransitions) -> RemoteError {
    RemoteError::MalformedTransitions {
        from: from.to_owned(),
        source,
    }
}

/// The keys of a remote, which are changed in memory first.
struct Keys<'a> {
    repo: &'a Repo,
    name: &'a str,
    gpg: Vec<u8>,
    /// Ed25519 public keys, which verify static deltas.
    ed25519: Vec<String>,
    state: State,
    changed_gpg: bool,
    changed_ed25519: bool,
}

impl<'a> Keys<'a> {
    fn read(repo: &'a Repo, name: &'a str) -> Result<Self, RemoteError> {
        let path = state_path(repo, name);
        let state = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => State::default(),
            bytes => {
                let bytes = bytes.context("read", &path)?;
                serde_json::from_slice(&bytes).map_err(|error| {
                    let problem = format!("the file is not in the expected format: {error}");
                    malformed(&path.display().to_string(), InvalidTransitions { problem })
                })?
            }
        };
        Ok(Self {
            repo,
            name,
            gpg: match has_keyring(repo, name) {
                true => read_keyring(repo, name)?,
                false => Vec::new(),
            },
            ed25519: delta_trust(repo, name)?.keys,
            state,
            changed_gpg: false,
            changed_ed25519: false,
        })
    }

    /// Returns the reason not to apply a statement.
    fn check(
        &self,
        statement: &KeyTransition,
        signed: &Signed,
        url: &str,
        now: u64,
    ) -> Result<Option<TransitionProblem>, RemoteError> {
        let url = comparable(url);
        if !statement
            .repositories
            .iter()
            .any(|listed| comparable(listed) == url)
        {
            return Ok(Some(TransitionProblem::OtherRepository {
                found: statement.repositories.clone(),
                url: url.to_owned(),
            }));
        }
        if now >= statement.expires {
            let at = statement.expires;
            return Ok(Some(TransitionProblem::Expired { at }));
        }
        if now < statement.created {
            let created = statement.created;
            return Ok(Some(TransitionProblem::InFuture { created, now }));
        }
        let key = statement.signer.clone();
        if !self.trusts(&statement.kind, &key)? {
            return Ok(Some(TransitionProblem::UnknownSigner { key }));
        }
        if self.state.superseded.contains(&key) {
            return Ok(Some(TransitionProblem::Superseded { key }));
        }
        if !self.is_signed_by_signer(statement, signed)? {
            return Ok(Some(TransitionProblem::NotSigned { key }));
        }
        let Some(added) = &statement.adds else {
            return Ok(None);
        };
        let key = added.key.clone();
        let Some(public) = added.verification_key() else {
            return Ok(Some(TransitionProblem::WrongKey { key }));
        };
        let content = signed.statement.as_bytes();
        let is_signed = is_signed_by(content, &signed.signatures, &public);
        match is_signed.map_err(keyring_failed(self.name))? {
            true => Ok(None),
            false => Ok(Some(TransitionProblem::NotSigned { key })),
        }
    }

    fn trusts(&self, kind: &str, key: &str) -> Result<bool, RemoteError> {
        if kind == "ed25519" {
            return Ok(self.ed25519.iter().any(|known| known.trim() == key));
        }
        let keys = Keyring::of(&self.gpg).and_then(|keyring| keyring.keys());
        let keys = keys.map_err(keyring_failed(self.name))?;
        Ok(keys.iter().any(|known| {
            let is_key = known.fingerprints.first().is_some_and(|id| id == key);
            is_key && !known.revoked && !known.expired
        }))
    }

    fn is_signed_by_signer(
        &self,
        statement: &KeyTransition,
        signed: &Signed,
    ) -> Result<bool, RemoteError> {
        let content = signed.statement.as_bytes();
        let found = match statement.kind.as_str() {
            "ed25519" => VerificationKey::parse(statement.signer.as_bytes())
                .and_then(|key| is_signed_by(content, &signed.signatures, &key)),
            _ => gpg_signers(content, &signed.signatures, &self.gpg)
                .map(|signers| signers.contains(&statement.signer)),
        };
        found.map_err(keyring_failed(self.name))
    }

    /// Returns whether the key that a statement introduces is trusted already: the host got it in
    /// another way, and has no use for the statement.
    fn has_successor(&self, statement: &KeyTransition) -> Result<bool, RemoteError> {
        match &statement.adds {
            Some(added) => self.trusts(&statement.kind, &added.key),
            None => Ok(false),
        }
    }

    fn apply(&mut self, statement: &KeyTransition) -> Result<(), RemoteError> {
        let added = statement.adds.as_ref();
        if statement.kind == "ed25519" {
            self.ed25519.extend(added.map(|added| added.key.clone()));
            let removes = &statement.removes;
            self.ed25519
                .retain(|key| !removes.iter().any(|removed| removed == key.trim()));
            self.changed_ed25519 = true;
        } else {
            let change = || {
                let keyring = Keyring::of(&self.gpg)?;
                if let Some(added) = added {
                    keyring.import(&added.public)?;
                }
                for key in &statement.removes {
                    keyring.remove(key)?;
                }
                keyring.bytes()
            };
            self.gpg = change().map_err(keyring_failed(self.name))?;
            self.changed_gpg = true;
        }
        if added.is_some() {
            self.state.superseded.push(statement.signer.clone());
        }
        self.state.sequence = statement.sequence;
        Ok(())
    }

    /// Writes the changed keys, and then what was applied: after a crash between the two, the same
    /// statements are applied again, which changes nothing.
    fn write(&self) -> Result<(), RemoteError> {
        if self.changed_gpg {
            let path = keyring_path(self.repo, self.name);
            atomic::write(&path, &self.gpg).context("write keyring", path)?;
        }
        if self.changed_ed25519 {
            let path = ed25519_path(self.repo, self.name);
            let mut text = self.ed25519.join("\n");
            text.push('\n');
            atomic::write_public(&path, text.as_bytes()).context("write", &path)?;
            let config = self.repo.as_ostree().copy_config();
            let group = format!("remote \"{}\"", self.name);
            // The file contains the key of this option as well.
            let _ = config.remove_key(&group, "verification-ed25519-key");
            config.set_string(&group, "verification-ed25519-file", &path.to_string_lossy());
            write_config(self.repo, &config)?;
        }
        failpoint::hit("remote.keys-followed");
        let path = state_path(self.repo, self.name);
        let text = serde_json::to_string(&self.state).unwrap_or_default() + "\n";
        atomic::write_public(&path, text.as_bytes()).context("write", path)?;
        Ok(())
    }
}

fn set_option(repo: &Repo, name: &str, key: &str, value: &str) -> Result<(), RemoteError> {
    let config = repo.as_ostree().copy_config();
    config.set_string(&format!("remote \"{name}\""), key, value);
    write_config(repo, &config)
}

fn write_config(repo: &Repo, config: &glib::KeyFile) -> Result<(), RemoteError> {
    ffi::write_config(repo.as_ostree(), config)
        .map_err(|source| repo.failed("write the configuration", source))?;
    // A pull that follows in this process uses the new options.
    ffi::reload_config(repo.as_ostree())
        .map_err(|source| repo.failed("read the configuration", source))?;
    Ok(repo.sync()?)
}
