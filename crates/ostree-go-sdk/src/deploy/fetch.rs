//! Fetches commits into a root's repository, before they are deployed.

use super::error::DeployError;
use super::found::{FoundCommit, FoundSdk};
use super::job::{Job, Origin};
use super::local;
use super::offered::{self, latest_of};
use crate::catalog::CommitInfo;
use crate::clock::Clock;
use crate::golang::std_cache::{StdCacheId, std_cache_ref};
use crate::http::HttpOptions;
use crate::id::{RefName, Sha256};
use crate::progress::{Event, Progress};
use crate::pull::{Download, Pull, PullPlan};
use crate::registry::{ImageReference, RegistryAuth};
use crate::remote::{self, FollowResult};
use crate::repo::{Completeness, Repo};
use crate::sign::TrustedKeys;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

    /// Follows the keys of the remotes of jobs that are configured for it. Returns the result for each
    /// of these remotes.
    pub(super) fn follow_keys(
        &self,
        jobs: &[Job],
    ) -> Result<Vec<(String, FollowResult)>, DeployError> {
        let mut results: BTreeMap<String, _> = BTreeMap::new();
        for job in jobs {
            let Origin::Remote(name) = &job.origin else {
                continue;
            };
            if !results.contains_key(name) && remote::follows_keys(&self.repo, name)? {
                let (clock, progress) = (&*self.clock, &*self.progress);
                let followed = remote::follow_keys(&self.repo, name, &self.http, clock, progress);
                results.insert(name.clone(), followed);
            }
        }
        Ok(results.into_iter().collect())
    }

    /// Fetches SDKs and their std caches into the root's repository and verifies their commits.
    pub(super) fn fetch(&self, job: &Job) -> Result<Vec<FoundSdk>, DeployError> {
        let Origin::Remote(remote) = &job.origin else {
            let source = LocalSource::open(self, job)?;
            let found = source.find(job, self.requested(job)?)?;
            for sdk in &found {
                source.import(&sdk.sdk)?;
                for (_, std_cache) in &sdk.std_caches {
                    source.import(std_cache)?;
                }
            }
            return Ok(found);
        };
        let refs = self.requested(job)?;
        let plan = self.pull(job, &refs, remote).plan(&self.repo)?;
        let mut found = found_by(&plan, job, &refs)?;
        let pulled = plan.execute()?;
        if pulled.bytes > 0 {
            self.progress.event(&Event::Downloaded {
                bytes: pulled.bytes,
                elapsed: pulled.elapsed,
                used_delta: pulled.used_delta,
            });
        }
        // The signatures are those that the repository has now.
        for sdk in &mut found {
            let of = |name: &RefName| pulled.commits.iter().find(|(found, _)| found == name);
            if let Some((_, verified)) = of(&sdk.sdk.name) {
                sdk.sdk.commit = verified.clone();
            }
        }
        Ok(found)
    }

    /// Finds the commits of SDKs and their std caches and verifies them, without their content.
    pub(super) fn look_up(&self, job: &Job) -> Result<Vec<FoundSdk>, DeployError> {
        let refs = self.requested(job)?;
        let Origin::Remote(remote) = &job.origin else {
            return LocalSource::open(self, job)?.find(job, refs);
        };
        let plan = self.pull(job, &refs, remote).plan(&self.repo)?;
        plan.check_limits()?;
        found_by(&plan, job, &refs)
    }

    fn pull(&self, job: &Job, refs: &[(RefName, Option<Sha256>)], remote: &str) -> Pull {
        let names = refs.iter().map(|(name, _)| name.clone());
        let pull = self
            .pull_from(remote, names)
            .expect_arch(Some(job.arch))
            .allow_downgrade(job.allow_downgrade);
        refs.iter().fold(pull, |pull, (name, pin)| {
            let wanted = job.std_caches.of(name).ids(job.arch);
            let pull = pull.std_caches(name.clone(), wanted);
            match pin {
                Some(pin) => pull.pin(name.clone(), *pin),
                None => pull,
            }
        })
    }

    fn pull_from(&self, remote: &str, names: impl IntoIterator<Item = RefName>) -> Pull {
        let auth = self.auth.get(remote).cloned();
        Pull::new(remote, names)
            .http(self.http.clone())
            .auth(auth.unwrap_or(RegistryAuth::Anonymous))
            .clock(self.clock.clone())
            .progress(self.progress.clone())
    }

    /// Returns the refs of a job, with the release that its rule selects. A ref that ends with
    /// `latest` and that the origin does not have is replaced by the newest release.
    fn requested(&self, job: &Job) -> Result<Vec<(RefName, Option<Sha256>)>, DeployError> {
        let has_latest = job.refs.iter().any(|(name, _)| latest_of(name).is_some());
        if !has_latest && job.rule.is_none() {
            return Ok(job.refs.clone());
        }
        let offered: Vec<RefName> = match &job.origin {
            Origin::Remote(remote) => {
                let offered = self.pull_from(remote, []).list(&self.repo)?;
                offered.into_iter().map(|offered| offered.name).collect()
            }
            Origin::Repo { path, .. } => Repo::open(path)?.refs()?.into_keys().collect(),
            Origin::Local => self.repo.refs()?.into_keys().collect(),
        };
        let requested = job.refs.iter().map(|(name, pin)| {
            let found = match latest_of(name) {
                Some(prefix) => offered::newest(name, prefix, &offered)
                    .ok_or_else(|| self.no_release(&job.origin, name))?,
                None => name.clone(),
            };
            Ok((found, *pin))
        });
        let mut requested = requested.collect::<Result<Vec<_>, DeployError>>()?;
        if let Some(rule) = &job.rule {
            let found = offered::select(rule, job.arch, &offered);
            requested.push((
                found.ok_or_else(|| offered::no_match(rule, job.arch, &offered))?,
                None,
            ));
        }
        Ok(requested)
    }

    /// Returns the error for an origin that has no release.
    fn no_release(&self, origin: &Origin, name: &RefName) -> DeployError {
        let name = name.clone();
        match origin {
            Origin::Local => DeployError::NoRemote {
                name,
                path: self.repo.path().to_owned(),
                nearest: Vec::new(),
            },
            _ => DeployError::NoRelease { name },
        }
    }
}

/// Returns the SDKs of a planned pull, in the requested order.
fn found_by(
    plan: &PullPlan,
    job: &Job,
    refs: &[(RefName, Option<Sha256>)],
) -> Result<Vec<FoundSdk>, DeployError> {
    let commit_on = |name: &RefName| {
        let planned = plan.refs().iter().find(|planned| planned.name == *name)?;
        Some(FoundCommit {
            name: planned.name.clone(),
            commit: planned.verified.clone(),
            info: planned.info.clone(),
            download: planned.download,
        })
    };
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (name, _) in refs {
        let Some(sdk) = commit_on(name).filter(|_| seen.insert(name)) else {
            continue;
        };
        let of_sdk = plan.std_caches().iter().find(|caches| caches.of == *name);
        let pulled = of_sdk.iter().flat_map(|caches| &caches.pulled);
        let std_caches = pulled.filter_map(|(id, name)| Some((*id, commit_on(name)?)));
        let offered = of_sdk.map_or(&[][..], |caches| &caches.offered);
        found.push(FoundSdk::new(job, sdk, std_caches.collect(), offered)?);
    }
    Ok(found)
}

/// A repository on this machine to install from: another one, or the root's own.
struct LocalSource<'f> {
    fetcher: &'f Fetcher,
    /// The other repository, and the keys that commits have to be signed with.
    other: Option<(Repo, Option<&'f TrustedKeys>)>,
    now: u64,
}

impl<'f> LocalSource<'f> {
    fn open(fetcher: &'f Fetcher, job: &'f Job) -> Result<Self, DeployError> {
        job.require_no_digest()?;
        let other = match &job.origin {
            Origin::Repo { path, keys } => Some((Repo::open(path)?, keys.as_ref())),
            Origin::Remote(_) | Origin::Local => None,
        };
        Ok(Self {
            fetcher,
            other,
            now: fetcher.clock.now(),
        })
    }

    fn repo(&self) -> &Repo {
        self.other
            .as_ref()
            .map_or(&self.fetcher.repo, |(repo, _)| repo)
    }

    /// Finds the commits of SDKs and their std caches and verifies them.
    fn find(
        &self,
        job: &Job,
        refs: Vec<(RefName, Option<Sha256>)>,
    ) -> Result<Vec<FoundSdk>, DeployError> {
        let mut found = Vec::new();
        for (name, _) in refs {
            let sdk = self.commit(&name)?;
            let wanted = job.std_caches.of(&name).ids(job.arch);
            let (mut offered, mut std_caches) = (Vec::new(), Vec::new());
            let all = match wanted.is_empty() {
                true => Vec::new(),
                false => StdCacheId::all(),
            };
            for id in all {
                let version = sdk.info.version.as_deref().unwrap_or_default();
                let Ok(of_id) = std_cache_ref(&name, version, id) else {
                    continue;
                };
                if self.repo().find(&of_id)?.is_some() {
                    offered.push(id);
                    if wanted.contains(&id) {
                        std_caches.push((id, self.commit(&of_id)?));
                    }
                }
            }
            found.push(FoundSdk::new(job, sdk, std_caches, &offered)?);
        }
        Ok(found)
    }

    /// Finds the commit of a ref and verifies it.
    fn commit(&self, name: &RefName) -> Result<FoundCommit, DeployError> {
        let commit = match &self.other {
            Some((source, keys)) => local::find(source, name, *keys, self.now)?,
            None => local::resolve_local(&self.fetcher.repo, name, self.now)?,
        };
        let info = CommitInfo::read(self.repo(), *commit.value())?;
        let complete = Completeness::of(&self.fetcher.repo)?;
        let download = match complete.is_complete(info.id)? {
            true => Download::Nothing,
            false => Download::Objects { tree: info.bytes },
        };
        Ok(FoundCommit {
            name: name.clone(),
            commit,
            info,
            download,
        })
    }

    /// Copies a commit into the root's repository, if it comes from another one.
    fn import(&self, found: &FoundCommit) -> Result<(), DeployError> {
        let Some((source, _)) = &self.other else {
            return Ok(());
        };
        let (repo, progress) = (&self.fetcher.repo, &*self.fetcher.progress);
        local::import(repo, source, &found.name, *found.commit.value(), progress)
    }
}
