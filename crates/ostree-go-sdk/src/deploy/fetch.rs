//! Fetches commits into a root's repository, before they are deployed.

use super::error::DeployError;
use super::local;
use crate::arch::Arch;
use crate::clock::Clock;
use crate::http::HttpOptions;
use crate::id::{CommitId, RefName, Sha256};
use crate::progress::{Event, Progress};
use crate::pull::Pull;
use crate::registry::{ImageReference, RegistryAuth};
use crate::remote;
use crate::repo::Repo;
use crate::sign::{TrustedKeys, Verified};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The source of SDKs to install.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum InstallSource {
    /// The only remote of the root's repository; if it has no remotes, the repository itself, to
    /// which the user copied the SDK in another way.
    #[default]
    Default,
    /// A remote of the root's repository.
    Remote(String),
    /// An OSTree repository on this machine.
    Repo {
        /// The path of the repository.
        path: PathBuf,
        /// The keys, one of which must have signed each commit. Without keys, commits are trusted
        /// because of their location and count as unsigned.
        keys: Option<TrustedKeys>,
    },
}

/// Refs that are fetched together from one source.
#[derive(Debug)]
pub(super) struct Job {
    /// The refs, and the digests that their images must have, if given.
    pub(super) refs: Vec<(RefName, Option<Sha256>)>,
    pub(super) origin: Origin,
    pub(super) arch: Arch,
    pub(super) allow_downgrade: bool,
}

/// A resolved [`InstallSource`].
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Remote(String),
    Repo {
        path: PathBuf,
        keys: Option<TrustedKeys>,
    },
    /// The root's own repository.
    Local,
}

impl Origin {
    /// Resolves a source.
    ///
    /// # Errors
    /// Returns an error if the remote does not exist, or if none was given and there are several.
    pub(super) fn of(source: &InstallSource, repo: &Repo) -> Result<Self, DeployError> {
        match source {
            InstallSource::Remote(name) => Ok(Self::Remote(remote::get(repo, name)?.name)),
            InstallSource::Repo { path, keys } => Ok(Self::Repo {
                path: path.clone(),
                keys: keys.clone(),
            }),
            InstallSource::Default => {
                let known = remote::list(repo)?.into_iter().map(|remote| remote.name);
                match known.collect::<Vec<_>>().as_slice() {
                    [] => Ok(Self::Local),
                    [only] => Ok(Self::Remote(only.clone())),
                    names => Err(DeployError::SeveralRemotes {
                        path: repo.path().to_owned(),
                        names: names.to_vec(),
                    }),
                }
            }
        }
    }
}

/// Fetches jobs into the root's repository.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) repo: Repo,
    pub(super) http: HttpOptions,
    /// The credentials for registries, by name of the remote.
    pub(super) auth: BTreeMap<String, RegistryAuth>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) progress: Arc<dyn Progress>,
}

impl Fetcher {
    /// Returns the registries that jobs fetch from, with the names of their remotes. The caller
    /// finds the credentials for them.
    pub(super) fn registries(
        &self,
        jobs: &[Job],
    ) -> Result<Vec<(String, ImageReference)>, DeployError> {
        let mut registries = BTreeMap::new();
        for job in jobs {
            if let Origin::Remote(name) = &job.origin
                && let Some(image) = remote::registry(&self.repo, name)?
            {
                registries.insert(name.clone(), image);
            }
        }
        Ok(registries.into_iter().collect())
    }

    /// Fetches refs into the root's repository and verifies their commits.
    pub(super) fn fetch(
        &self,
        job: &Job,
    ) -> Result<Vec<(RefName, Verified<CommitId>)>, DeployError> {
        let names = job.refs.iter().map(|(name, _)| name);
        let now = self.clock.now();
        match &job.origin {
            Origin::Remote(remote) => self.pull(job, remote),
            Origin::Repo { path, keys } => {
                require_no_digest(job)?;
                let source = Repo::open(path)?;
                let import = |name: &RefName| {
                    let commit = {
                        let progress = &*self.progress;
                        local::import(&self.repo, &source, name, keys.as_ref(), now, progress)?
                    };
                    Ok((name.clone(), commit))
                };
                names.map(import).collect()
            }
            Origin::Local => {
                require_no_digest(job)?;
                let resolve = |name: &RefName| {
                    let commit = local::resolve_local(&self.repo, name, now)?;
                    Ok((name.clone(), commit))
                };
                names.map(resolve).collect()
            }
        }
    }

    fn pull(
        &self,
        job: &Job,
        remote: &str,
    ) -> Result<Vec<(RefName, Verified<CommitId>)>, DeployError> {
        let auth = self.auth.get(remote).cloned();
        let mut pull = Pull::new(remote, job.refs.iter().map(|(name, _)| name.clone()))
            .expect_arch(Some(job.arch))
            .allow_downgrade(job.allow_downgrade)
            .http(self.http.clone())
            .auth(auth.unwrap_or(RegistryAuth::Anonymous))
            .clock(self.clock.clone())
            .progress(self.progress.clone());
        for (name, pin) in &job.refs {
            if let Some(digest) = pin {
                pull = pull.pin(name.clone(), *digest);
            }
        }
        let pulled = pull.plan(&self.repo)?.execute()?;
        if pulled.bytes > 0 {
            self.progress.event(&Event::Downloaded {
                bytes: pulled.bytes,
                elapsed: pulled.elapsed,
                used_delta: pulled.used_delta,
            });
        }
        Ok(pulled.commits)
    }
}

/// Checks that no image digest is given, because only registries have images.
fn require_no_digest(job: &Job) -> Result<(), DeployError> {
    match job.refs.iter().find(|(_, pin)| pin.is_some()) {
        Some((name, _)) => Err(DeployError::NoImage { name: name.clone() }),
        None => Ok(()),
    }
}
