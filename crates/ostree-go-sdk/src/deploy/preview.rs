//! Determines what an installation or an upgrade would do.

use super::error::DeployError;
use super::found::{FoundCommit, FoundSdk};
use super::install::{ActivationRule, InstallPlan};
use super::locked::accept;
use super::state::{DeployedStdCache, Deployment};
use super::std_caches::divide;
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, RefName};
use crate::pull::Download;
use crate::sign::Verified;

/// The change that the execution of a plan would make to one SDK.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedDeployment {
    /// The ref.
    pub ref_name: RefName,
    /// The verified commit that the ref points to.
    pub commit: Verified<CommitId>,
    /// The Go version, without `go`.
    pub version: String,
    /// The architecture.
    pub arch: Arch,
    /// The content that has to be downloaded, or copied from a repository on this machine.
    pub download: Download,
    /// Information from the commit's metadata.
    pub info: CommitInfo,
    /// The last deployment of the same ref and architecture, if there is one.
    pub current: Option<Deployment>,
    /// True if the commit has a deployment already.
    pub is_deployed: bool,
    /// True if the deployment would become active, and is not active now.
    pub activates: bool,
    /// The std caches that are installed with it.
    pub std_caches: Vec<PlannedStdCache>,
    /// The installed std caches that would be removed, because the selection does not name them, or
    /// because they would be replaced.
    pub removed_std_caches: Vec<DeployedStdCache>,
}

/// A std cache that an installation or an upgrade would install with an SDK.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedStdCache {
    /// The target and the mode.
    pub id: StdCacheId,
    /// The ref.
    pub ref_name: RefName,
    /// The verified commit that the ref points to.
    pub commit: Verified<CommitId>,
    /// The content that has to be downloaded, or copied from a repository on this machine.
    pub download: Download,
    /// The size of the files in bytes, if the commit declares it.
    pub bytes: Option<u64>,
    /// True if it is installed with the SDK already.
    pub is_deployed: bool,
}

impl PlannedDeployment {
    /// Returns true if the plan would deploy or activate the SDK, or change its std caches.
    #[must_use]
    pub fn changes(&self) -> bool {
        !self.is_deployed
            || self.activates
            || self.std_caches.iter().any(|cache| !cache.is_deployed)
            || !self.removed_std_caches.is_empty()
    }
}

impl InstallPlan {
    /// Fetches and verifies the commits without their content, and returns what [`execute`] would
    /// do, in the requested order. Nothing is deployed or activated.
    ///
    /// [`execute`]: InstallPlan::execute
    ///
    /// # Errors
    /// Returns an error if an SDK cannot be found or is refused, or if there is not enough space
    /// for its content.
    pub fn preview(&self) -> Result<Vec<PlannedDeployment>, DeployError> {
        let (state, active) = self.root.load()?;
        let mut planned = Vec::new();
        for job in &self.jobs {
            for found in self.fetcher.look_up(job)? {
                let (version, arch) = accept(&state, &found.sdk.name, &found.sdk.info, job)?;
                let installed = state.get(found.sdk.info.id);
                let std_caches = planned_std_caches(&found, installed);
                let removed_std_caches = removed_std_caches(&found, installed);
                let FoundCommit {
                    name,
                    commit,
                    info,
                    download,
                } = found.sdk;
                let mut deployments = state.deployments.iter().rev();
                let current = deployments.find(|d| d.ref_name == name && d.arch == arch);
                planned.push(PlannedDeployment {
                    current: current.cloned(),
                    is_deployed: installed.is_some(),
                    activates: false,
                    std_caches,
                    removed_std_caches,
                    ref_name: name,
                    commit,
                    version,
                    arch,
                    download,
                    info,
                });
            }
        }
        let next = match &self.activation {
            ActivationRule::None => None,
            ActivationRule::Last => planned.last_mut(),
            ActivationRule::Replace(old) => planned
                .iter_mut()
                .find(|planned| planned.ref_name == old.ref_name && planned.arch == old.arch),
        };
        if let Some(next) = next {
            next.activates = active != Some(next.info.id);
        }
        Ok(planned)
    }
}

fn planned_std_caches(found: &FoundSdk, installed: Option<&Deployment>) -> Vec<PlannedStdCache> {
    let is_deployed = |commit| {
        installed.is_some_and(|old| old.std_caches.iter().any(|cache| cache.commit == commit))
    };
    let planned = found.std_caches.iter().map(|(id, cache)| PlannedStdCache {
        id: *id,
        ref_name: cache.name.clone(),
        commit: cache.commit.clone(),
        download: cache.download,
        bytes: cache.info.bytes,
        is_deployed: is_deployed(cache.info.id),
    });
    planned.collect()
}

fn removed_std_caches(found: &FoundSdk, installed: Option<&Deployment>) -> Vec<DeployedStdCache> {
    let Some(installed) = installed else {
        return Vec::new();
    };
    let mut next = installed.clone();
    next.std_cache_selection.clone_from(&found.selection);
    let is_replaced = |cache: &DeployedStdCache| {
        let mut new = found.std_caches.iter();
        new.any(|(id, new)| *id == cache.id && new.info.id != cache.commit)
    };
    let (kept, mut removed) = divide(&next);
    removed.extend(kept.into_iter().filter(is_replaced));
    removed
}
