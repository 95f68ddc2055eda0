//! The std caches of deployments: checked out beside the SDKs, and found by programs that use them.

use super::error::DeployError;
use super::found::FoundCommit;
use super::locked::{Deployed, LockedRoot, PlacedStdCache};
use super::root::Root;
use super::state::{DeployedStdCache, Deployment};
use crate::failpoint;
use crate::golang::std_cache::StdCacheId;
use crate::stdcache::{StdCache, VERIFIED_DIR, record_verified};
use crate::version::GoVersion;
use std::path::PathBuf;

impl Root {
    /// Returns the std caches of a deployment, and their directories, which contain an index and
    /// the outputs. Reads nothing and takes no lock.
    #[must_use]
    pub fn std_caches(&self, deployment: &Deployment) -> Vec<(StdCacheId, PathBuf)> {
        let caches = deployment.std_caches.iter();
        caches
            .filter_map(|cache| Some((cache.id, self.std_cache_path(deployment, cache)?)))
            .collect()
    }

    /// Returns the directory of a std cache; `None` if the version of its SDK is not a Go version.
    pub(super) fn std_cache_path(
        &self,
        deployment: &Deployment,
        cache: &DeployedStdCache,
    ) -> Option<PathBuf> {
        let version: GoVersion = deployment.version.parse().ok()?;
        let dir = cache.id.dir(&version).ok()?;
        let top = self.deployment_path(cache.commit);
        Some(top.join(dir.as_str()))
    }
}

impl LockedRoot<'_> {
    /// Checks out the std caches of an SDK, as [`LockedRoot::deploy`] does with the SDK. They count
    /// as deployed when the state lists them: until then, the next process that takes the lock
    /// removes them.
    pub(super) fn place_std_caches(
        &self,
        found: &[(StdCacheId, FoundCommit)],
    ) -> Result<Vec<PlacedStdCache>, DeployError> {
        let place = |(id, found): &(StdCacheId, FoundCommit)| {
            let (outcome, _) = self.place(found.info.id)?;
            failpoint::hit("deploy.std-cache-placed");
            self.record_verified(*id, found);
            Ok(PlacedStdCache {
                cache: DeployedStdCache {
                    id: *id,
                    commit: found.info.id,
                    ref_name: found.name.clone(),
                    bytes: found.info.bytes,
                },
                outcome,
            })
        };
        found.iter().map(place).collect()
    }

    /// Records that the outputs of a std cache were verified, so that the first build does not have to. Without
    /// the record, it hashes them.
    fn record_verified(&self, id: StdCacheId, found: &FoundCommit) {
        let commit = found.info.id;
        let version = found.info.version.as_deref().unwrap_or_default();
        let version = version.parse::<GoVersion>().ok();
        let dir = version.and_then(|version| id.dir(&version).ok());
        let cache = dir.and_then(|dir| {
            StdCache::open(self.root.deployment_path(commit).join(dir.as_str())).ok()
        });
        let top = self.root.path().join(VERIFIED_DIR);
        if let Some(cache) = cache {
            let _ = std::fs::create_dir(&top);
            let _ = record_verified(&cache, &top.join(commit.to_string()));
        }
    }

    /// Removes the std caches that the selections of deployments do not name, and those that were
    /// replaced.
    pub(super) fn drop_std_caches(&mut self, deployed: &mut [Deployed]) -> Result<(), DeployError> {
        let mut changed = false;
        for one in deployed {
            let Some(deployment) = self.state.get_mut(one.deployment.commit) else {
                continue;
            };
            let (kept, removed) = divide(deployment);
            changed |= kept != deployment.std_caches;
            deployment.std_caches.clone_from(&kept);
            one.missing_targets
                .retain(|target| kept.iter().all(|cache| cache.id.target != *target));
            (one.deployment.std_caches, one.removed_std_caches) = (kept, removed);
        }
        if changed {
            self.save()?;
            failpoint::hit("deploy.std-caches-dropped");
            self.clean_up()?;
        }
        Ok(())
    }

    /// Makes the std caches of a deployment again those before [`LockedRoot::deploy`].
    pub(super) fn restore_std_caches(&mut self, one: &Deployed) -> Result<(), DeployError> {
        if let Some(before) = &one.before
            && let Some(deployment) = self.state.get_mut(before.commit)
        {
            deployment.std_caches.clone_from(&before.std_caches);
            deployment
                .std_cache_selection
                .clone_from(&before.std_cache_selection);
            self.save()?;
            self.clean_up()?;
        }
        Ok(())
    }
}

/// Divides the std caches of a deployment into those that its selection names, the first of each
/// name, and the others.
pub(super) fn divide(deployment: &Deployment) -> (Vec<DeployedStdCache>, Vec<DeployedStdCache>) {
    let selected = deployment.std_cache_selection.ids(deployment.arch);
    let (mut kept, mut others) = (Vec::<DeployedStdCache>::new(), Vec::new());
    for cache in &deployment.std_caches {
        let is_first = kept.iter().all(|other| other.id != cache.id);
        match is_first && selected.contains(&cache.id) {
            true => kept.push(cache.clone()),
            false => others.push(cache.clone()),
        }
    }
    kept.sort_by_key(|cache| cache.id);
    (kept, others)
}
