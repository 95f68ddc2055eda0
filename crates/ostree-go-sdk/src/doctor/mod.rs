//! Examines a machine for everything that keeps SDKs from being installed, upgraded or run.
//!
//! Nothing is changed: the file system is tried in a temporary directory, remotes are only asked
//! for the list of their refs, and bubblewrap runs a command that does nothing.

mod environment;
mod file_system;
mod finding;
mod hooks;
mod sandboxes;
mod std_caches;
mod text;
mod topic;

pub use environment::GoEnvironment;
pub use finding::Finding;
pub use topic::{Severity, Topic};

use crate::clock::{Clock, SystemClock};
use crate::deploy::{DeployError, Hooks, Root};
use crate::http::HttpOptions;
use crate::id::RefName;
use crate::progress::{NoProgress, Progress};
use crate::pull::{Pull, PullError};
use crate::registry::RegistryAuth;
use crate::remote::{self, Remote, Verification};
use crate::repo::Repo;
use crate::sandbox;
use crate::setters::setters;
use crate::sign::gpg;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

/// The time before the expiry of a key at which it is reported, in seconds: 30 days.
const EXPIRES_SOON: u64 = 30 * 24 * 60 * 60;
/// The difference between clocks that is accepted, in seconds.
const CLOCK_TOLERANCE: u64 = 5 * 60;

/// An examination of a root directory and of the machine that it is on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Doctor {
    root: PathBuf,
    environment: Option<GoEnvironment>,
    sandbox: Option<sandbox::Host>,
    hooks: Option<Hooks>,
    ask_remotes: bool,
    auth: BTreeMap<String, RegistryAuth>,
    http: HttpOptions,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
}

impl Doctor {
    /// Creates an examination of a root directory, which need not exist.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            environment: None,
            sandbox: None,
            hooks: None,
            ask_remotes: true,
            auth: BTreeMap::new(),
            http: HttpOptions::new(),
            clock: Arc::new(SystemClock),
            progress: Arc::new(NoProgress),
        }
    }

    /// Sets the credentials for the registry of a remote. Default: none.
    #[must_use]
    pub fn auth(mut self, remote: impl Into<String>, auth: RegistryAuth) -> Self {
        self.auth.insert(remote.into(), auth);
        self
    }

    setters! {
        /// Sets the environment of the user who runs Go. Default: it is not examined.
        environment: Option<GoEnvironment>;
        /// Sets what sandboxes use of the machine. Default: they are not examined.
        sandbox: Option<sandbox::Host>;
        /// Sets the directories of hooks. Default: they are not examined.
        hooks: Option<Hooks>;
        /// Asks the remotes for their refs. Default: yes.
        ask_remotes: bool;
        /// Sets the options of HTTP requests. Default: [`HttpOptions::new`].
        http: HttpOptions;
        /// Sets the clock that is examined. Default: [`SystemClock`].
        clock;
        /// Sets the receiver of events, which may cancel the operation. Default: [`NoProgress`].
        progress;
    }

    /// Makes all checks. Whatever is wrong is part of the result.
    ///
    /// # Errors
    /// Returns [`PullError::Cancelled`] if the operation is cancelled.
    pub fn examine(&self) -> Result<Vec<Finding>, PullError> {
        let mut findings = Vec::new();
        let root = match Root::open(&self.root) {
            Ok(root) => Some(root),
            Err(DeployError::NoRoot { path }) => {
                findings.push(Finding::NoRoot { path });
                None
            }
            Err(error) => {
                findings.push(self.unusable(error));
                None
            }
        };
        if let Some(root) = &root {
            findings.extend(self.examine_root(root));
        }
        findings.extend(file_system::examine(&self.root));
        findings.push(self.examine_clock(root.as_ref()));
        if let Some(root) = &root {
            let mut offered = Offered::new();
            match root.repo() {
                Ok(repo) => findings.extend(self.examine_remotes(&repo, &mut offered)?),
                Err(error) => findings.push(self.unusable(error)),
            }
            if let Ok(Some(active)) = root.active() {
                let refs = offered.remove(&active.proof.remote).unwrap_or_default();
                findings.extend(std_caches::examine(root, &active, &refs));
                if let Some(environment) = &self.environment {
                    findings.extend(environment::examine(root, &active, environment));
                }
            }
        }
        if let Some(hooks) = &self.hooks {
            findings.extend(hooks::examine(hooks));
        }
        if let Some(host) = &self.sandbox {
            findings.extend(sandboxes::examine(host, &*self.progress));
            if self.progress.is_cancelled() {
                return Err(PullError::Cancelled);
            }
        }
        findings.push(match gpg::version() {
            Ok(gpg) => Finding::SoftwareGood {
                libostree: libostree_version(),
                gpg,
            },
            Err(source) => Finding::NoGpg { source },
        });
        Ok(findings)
    }

    fn unusable(&self, error: DeployError) -> Finding {
        Finding::UnusableRoot {
            path: self.root.clone(),
            source: Box::new(error),
        }
    }

    fn examine_root(&self, root: &Root) -> Vec<Finding> {
        let path = root.path();
        let mut findings = Vec::new();
        for folder in ["", "repo", "deployments"] {
            let folder = if folder.is_empty() {
                path.to_owned()
            } else {
                path.join(folder)
            };
            // A folder that does not exist yet has no wrong mode.
            let mode = folder
                .metadata()
                .map_or(0, |metadata| metadata.permissions().mode());
            if mode & 0o002 != 0 {
                findings.push(Finding::WritableByAll {
                    path: folder,
                    mode: mode & 0o7777,
                });
            }
        }
        if rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err() {
            let path = path.to_owned();
            findings.push(Finding::NotWritable { path });
        }
        let read = root
            .deployments()
            .and_then(|all| Ok((all.len(), root.active()?)));
        match read {
            Ok((deployments, active)) if findings.is_empty() => findings.push(Finding::RootGood {
                path: path.to_owned(),
                deployments,
                active: active.map(|active| active.version),
            }),
            Ok(_) => {}
            Err(error) => findings.push(self.unusable(error)),
        }
        findings
    }

    /// Compares the clock with the times in the state of a root.
    fn examine_clock(&self, root: Option<&Root>) -> Finding {
        let now = self.clock.now();
        let deployments = root.and_then(|root| root.deployments().ok());
        let times = deployments.iter().flatten().flat_map(|deployment| {
            let signed = deployment.proof.signatures.iter();
            let signed = signed.filter_map(|signature| signature.created);
            signed
                .map(|at| (at, "the signature of an installed SDK"))
                .chain([
                    (deployment.timestamp, "the commit of an installed SDK"),
                    (deployment.deployed_at, "the last installation"),
                ])
        });
        match times.max() {
            Some((known, what)) if known > now + CLOCK_TOLERANCE => {
                Finding::ClockBehind { now, known, what }
            }
            _ => Finding::ClockGood { now },
        }
    }

    /// Examines the remotes, and adds the refs that they offer.
    fn examine_remotes(
        &self,
        repo: &Repo,
        offered: &mut Offered,
    ) -> Result<Vec<Finding>, PullError> {
        let remotes = remote::list(repo)?;
        let mut findings = Vec::new();
        for remote in &remotes {
            findings.push(self.examine_keys(repo, remote));
        }
        for remote in remotes.iter().filter(|_| self.ask_remotes) {
            let name = &remote.name;
            let auth = self.auth.get(name).cloned();
            let listed = Pull::new(name, [])
                .http(self.http.clone())
                .auth(auth.unwrap_or(RegistryAuth::Anonymous))
                .progress(self.progress.clone())
                .list(repo);
            let (remote, url) = (name.clone(), remote.url.clone());
            findings.push(match listed {
                Ok(listed) => {
                    let refs: Vec<RefName> = listed.into_iter().map(|one| one.name).collect();
                    let number = refs.len();
                    offered.insert(remote.clone(), refs);
                    Finding::RemoteGood {
                        remote,
                        url,
                        refs: number,
                    }
                }
                Err(PullError::Cancelled) => return Err(PullError::Cancelled),
                Err(source) => Finding::Unreachable {
                    remote,
                    url,
                    source: Box::new(source),
                },
            });
        }
        if remotes.is_empty() {
            let path = repo.path().to_owned();
            findings.push(Finding::NoRemotes { path });
        }
        Ok(findings)
    }

    fn examine_keys(&self, repo: &Repo, remote: &Remote) -> Finding {
        let name = remote.name.clone();
        if remote.verification == Verification::Unsigned {
            return Finding::Unsigned { remote: name };
        }
        let keys = match remote::keys(repo, &name) {
            Ok(keys) => keys,
            Err(source) => {
                return Finding::UnreadableKeys {
                    remote: name,
                    source: Box::new(source),
                };
            }
        };
        let now = self.clock.now();
        let (valid, invalid): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| {
            !key.revoked && !key.expired && key.expires.is_none_or(|expires| expires > now)
        });
        let last = valid
            .iter()
            .max_by_key(|key| key.expires.unwrap_or(u64::MAX));
        match last.map(|key| (key, key.expires)) {
            None => Finding::NoValidKey {
                remote: name,
                expired: invalid.into_iter().map(|key| key.fingerprint).collect(),
            },
            Some((key, Some(expires))) if expires < now + EXPIRES_SOON => Finding::KeyExpiresSoon {
                remote: name,
                fingerprint: key.fingerprint.clone(),
                expires,
            },
            Some(_) => Finding::KeysGood {
                remote: name,
                valid: valid.len(),
            },
        }
    }
}

/// The refs that remotes offer, by the names of the remotes.
type Offered = BTreeMap<String, Vec<RefName>>;

/// Returns the version of libostree that this process uses, like `2026.4`.
fn libostree_version() -> String {
    // `ostree_check_version` is the only function that knows the version of the shared library.
    let year = (2022..2100)
        .rev()
        .find(|year| ostree::check_version(*year, 0));
    let Some(year) = year else {
        return "older than 2022".to_owned();
    };
    let release = (0..100)
        .rev()
        .find(|release| ostree::check_version(year, *release));
    format!("{year}.{}", release.unwrap_or(0))
}
