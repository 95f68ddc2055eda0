//! Upgrades deployments to the newest commits of their channels.

use super::error::DeployError;
use super::fetch::Fetcher;
use super::hooks::Hooks;
use super::install::{ActivationRule, InstallPlan};
use super::job::{InstallSource, Job, Origin};
use super::local;
use super::locked::LockedRoot;
use super::root::Root;
use super::selection::{StdCacheChoice, StdCacheSelection};
use super::state::Deployment;
use crate::arch::Arch;
use crate::catalog::{CommitInfo, CommitKind};
use crate::http::HttpOptions;
use crate::progress::{NoProgress, Progress};
use crate::remote;
use crate::repo::Repo;
use crate::setters::setters;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An upgrade of deployments to the newest SDKs of their channels. Either all or none are upgraded.
/// If the old SDK was active, the new one becomes active; otherwise it is only installed. The old
/// SDK is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Upgrade {
    channels: Vec<String>,
    all: bool,
    arch: Option<Arch>,
    source: InstallSource,
    std_caches: Option<StdCacheSelection>,
    allow_downgrade: bool,
    hooks: Option<Hooks>,
    inside_hook: bool,
    http: HttpOptions,
    progress: Arc<dyn Progress>,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            channels: Vec::new(),
            all: false,
            arch: None,
            source: InstallSource::Default,
            std_caches: None,
            allow_downgrade: false,
            hooks: None,
            inside_hook: false,
            http: HttpOptions::new(),
            progress: Arc::new(NoProgress),
        }
    }
}

impl Upgrade {
    /// Creates an upgrade of the active deployment.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets the deployments to upgrade, by names that [`Root::find`] accepts. Default: the
        /// active one.
        channels: Vec<String>;
        /// Upgrades all channels that have a deployment. Default: no.
        all: bool;
        /// Restricts the upgrade to deployments for an architecture. Default: all architectures.
        arch: Option<Arch>;
        /// Sets the source of the SDKs. Default: for each deployment, the source that it was
        /// installed from, if that still exists.
        source: InstallSource;
        /// Sets the std caches to install with the SDKs, and with those of later upgrades. Default:
        /// for each deployment, the selection with which it was installed; a target for which the
        /// source has no std cache any more is left out then, and reported.
        std_caches: Option<StdCacheSelection>;
        /// Accepts a commit that is older than the last deployed one of the same ref. Default: no.
        allow_downgrade: bool;
        /// Sets the hooks that run if the active deployment is replaced, or if its hooks have not
        /// finished. Default: none.
        hooks: Option<Hooks>;
        /// Refuses an upgrade of the active deployment, because the process was started by a hook.
        /// Default: no.
        inside_hook: bool;
        /// Sets the options of HTTP requests. Default: [`HttpOptions::new`].
        http: HttpOptions;
        /// Sets the receiver of events, which may cancel the operation. Default: [`NoProgress`].
        progress;
    }

    /// Determines the deployments to upgrade and their sources. Uses no network.
    ///
    /// # Errors
    /// Returns an error if the root cannot be written, no deployment has a given name, no name is
    /// given and no deployment is active, the remote is ambiguous, or a hook is refused.
    pub fn plan(&self, root: &Root) -> Result<InstallPlan, DeployError> {
        let locked = root.lock(&*self.progress)?;
        let selected = self.selected(&locked)?;
        let active = locked.active()?;
        let active = active.filter(|active| selected.iter().any(|d| d.commit == active.commit));
        let activation = match active {
            Some(active) => ActivationRule::Replace(Box::new(active.clone())),
            None => ActivationRule::None,
        };
        let hooks = activation.plan_hooks(self.hooks.as_ref())?;
        let repo = locked.repo.clone();
        let jobs = selected.iter().map(|old| {
            Ok(Job {
                refs: vec![(old.ref_name.clone(), None)],
                rule: None,
                origin: Origin::of(&self.source_of(&repo, old)?, &repo)?,
                arch: old.arch,
                allow_downgrade: self.allow_downgrade,
                std_caches: StdCacheChoice {
                    requested: self.std_caches.clone(),
                    recorded: BTreeMap::from([(
                        old.ref_name.clone(),
                        old.std_cache_selection.clone(),
                    )]),
                },
            })
        });
        let jobs = jobs.collect::<Result<_, DeployError>>()?;
        let fetcher = Fetcher {
            repo,
            http: self.http.clone(),
            auth: BTreeMap::new(),
            clock: root.clock.clone(),
            progress: self.progress.clone(),
        };
        Ok(InstallPlan {
            root: root.clone(),
            fetcher,
            jobs,
            activation,
            hooks,
            inside_hook: self.inside_hook,
        })
    }

    /// Returns the deployments to upgrade: for each channel and architecture the active deployment,
    /// or the latest one.
    fn selected(&self, locked: &LockedRoot<'_>) -> Result<Vec<Deployment>, DeployError> {
        let active = locked.active()?;
        if self.channels.is_empty() && !self.all {
            let path = locked.root.path().to_owned();
            let active = active.ok_or(DeployError::NothingActive { path })?;
            return Ok(vec![active.clone()]);
        }
        let named = if self.all {
            channels(locked)
        } else {
            let find = |name: &String| locked.find(name, self.arch);
            self.channels.iter().map(find).collect::<Result<_, _>>()?
        };
        let mut selected: Vec<Deployment> = Vec::new();
        for one in named {
            let is_wanted = self.arch.is_none_or(|arch| arch == one.arch);
            if is_wanted && !selected.iter().any(|d| d.is_same_channel(&one)) {
                let active = active.filter(|active| active.is_same_channel(&one));
                selected.push(active.cloned().unwrap_or(one));
            }
        }
        Ok(selected)
    }

    /// Returns the source of the newest SDK of a deployment's channel.
    fn source_of(&self, repo: &Repo, old: &Deployment) -> Result<InstallSource, DeployError> {
        if !matches!(self.source, InstallSource::Default) {
            return Ok(self.source.clone());
        }
        // For a signed SDK from a repository on this machine, the caller has to provide the keys
        // again.
        let path = local::path_of(&old.proof.remote);
        if let Some(path) = path.filter(|_| old.proof.unsigned) {
            return Ok(InstallSource::Repo { path, keys: None });
        }
        let mut known = remote::list(repo)?.into_iter();
        let same = known.find(|remote| remote.name == old.proof.remote);
        Ok(same.map_or(InstallSource::Default, |remote| {
            InstallSource::Remote(remote.name)
        }))
    }
}

/// Returns the deployments of channels, latest first.
fn channels(locked: &LockedRoot<'_>) -> Vec<Deployment> {
    let mut all = locked.state.deployments.clone();
    // The ref of a release never moves. A deployment whose commit cannot be read is fetched again.
    all.retain(|one| {
        let info = CommitInfo::read(&locked.repo, one.commit);
        info.map_or(true, |info| info.kind != CommitKind::Release)
    });
    all.reverse();
    all
}
