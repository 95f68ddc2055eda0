//! Moving deployments to what their channels have now.

use super::Root;
use super::error::DeployError;
use super::fetch::{Fetcher, InstallSource, Job, Origin};
use super::install::{Activation, InstallPlan};
use super::locked::LockedRoot;
use super::state::Deployment;
use crate::arch::Arch;
use crate::catalog::{CommitInfo, CommitKind};
use crate::http::HttpOptions;
use crate::progress::{NoProgress, Progress};
use crate::remote;
use crate::repo::Repo;
use crate::setters::setters;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// An upgrade of deployments to the newest SDKs of their channels: all of them, or none. The new
/// SDK becomes active where the old one was, and is installed beside it otherwise.
#[derive(Clone)]
pub struct Upgrade {
    channels: Vec<String>,
    all: bool,
    arch: Option<Arch>,
    source: InstallSource,
    allow_downgrade: bool,
    http: HttpOptions,
    progress: Arc<dyn Progress>,
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("channels", &self.channels)
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            channels: Vec::new(),
            all: false,
            arch: None,
            source: InstallSource::Default,
            allow_downgrade: false,
            http: HttpOptions::new(),
            progress: Arc::new(NoProgress),
        }
    }
}

impl Upgrade {
    /// An upgrade of the active deployment.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The deployments to upgrade, by names as [`Root::find`] knows them. Default: the active one.
    #[must_use]
    pub fn channels(mut self, channels: impl IntoIterator<Item = String>) -> Self {
        self.channels = channels.into_iter().collect();
        self
    }

    /// Upgrades every channel that something is deployed from. Default: no.
    #[must_use]
    pub fn all(mut self, all: bool) -> Self {
        self.all = all;
        self
    }

    /// Upgrades only deployments for this machine. Default: any machine.
    #[must_use]
    pub fn arch(mut self, arch: Option<Arch>) -> Self {
        self.arch = arch;
        self
    }

    /// The place that the SDKs come from. Default: for each, where the deployed one came from, if
    /// that is there still.
    #[must_use]
    pub fn source(mut self, source: InstallSource) -> Self {
        self.source = source;
        self
    }

    /// Accepts a commit that is older than the last deployed one of the same ref. Default: no.
    #[must_use]
    pub fn allow_downgrade(mut self, allow: bool) -> Self {
        self.allow_downgrade = allow;
        self
    }

    /// Sets the options of HTTP requests. Default: [`HttpOptions::new`].
    #[must_use]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    setters! {
        /// Receives events, and may ask for a stop. Default: [`NoProgress`].
        progress;
    }

    /// Finds out what to upgrade, and from where. Uses no network.
    ///
    /// # Errors
    /// When the root cannot be written, a name has no deployment, nothing is active where nothing is
    /// named, or it is not clear which remote is meant.
    pub fn plan(&self, root: &Root) -> Result<InstallPlan, DeployError> {
        let locked = root.lock(&*self.progress)?;
        let chosen = self.chosen(&locked)?;
        let active = locked.active()?;
        let active = active.filter(|active| chosen.iter().any(|d| d.commit == active.commit));
        let activation = match active {
            Some(active) => Activation::After(Box::new(active.clone())),
            None => Activation::None,
        };
        let repo = locked.repo().clone();
        let jobs = chosen.iter().map(|old| {
            Ok(Job {
                refs: vec![(old.ref_name.clone(), None)],
                origin: Origin::of(&self.source_of(&repo, old)?, &repo)?,
                arch: old.arch,
                allow_downgrade: self.allow_downgrade,
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
        })
    }

    /// Returns the deployments to upgrade, one for each channel and machine: the active one, or the
    /// latest.
    fn chosen(&self, locked: &LockedRoot<'_>) -> Result<Vec<Deployment>, DeployError> {
        let active = locked.active()?;
        if self.channels.is_empty() && !self.all {
            let path = locked.root().path().to_owned();
            let active = active.ok_or(DeployError::NothingActive { path })?;
            return Ok(vec![active.clone()]);
        }
        let named = if self.all {
            channels(locked)
        } else {
            let find = |name: &String| locked.find(name, self.arch);
            self.channels.iter().map(find).collect::<Result<_, _>>()?
        };
        let mut chosen: Vec<Deployment> = Vec::new();
        for one in named {
            let is_wanted = self.arch.is_none_or(|arch| arch == one.arch);
            if is_wanted && !chosen.iter().any(|d| d.is_of_channel(&one)) {
                let active = active.filter(|active| active.is_of_channel(&one));
                chosen.push(active.cloned().unwrap_or(one));
            }
        }
        Ok(chosen)
    }

    /// Returns the place that the newest SDK of a deployed one's channel comes from.
    fn source_of(&self, repo: &Repo, old: &Deployment) -> Result<InstallSource, DeployError> {
        if !matches!(self.source, InstallSource::Default) {
            return Ok(self.source.clone());
        }
        // A signed SDK from a repository on this machine needs the keys named again.
        let path = old.proof.remote.strip_prefix("file://");
        if let Some(path) = path.filter(|_| old.proof.unsigned) {
            let (path, keys) = (PathBuf::from(path), None);
            return Ok(InstallSource::Repo { path, keys });
        }
        let mut known = remote::list(repo)?.into_iter();
        let same = known.find(|remote| remote.name == old.proof.remote);
        Ok(same.map_or(InstallSource::Default, |remote| {
            InstallSource::Remote(remote.name)
        }))
    }
}

/// Returns what was deployed from a channel, the latest first.
fn channels(locked: &LockedRoot<'_>) -> Vec<Deployment> {
    let mut all = locked.state.deployments.clone();
    // A release never moves. What cannot be read is fetched anew.
    all.retain(|one| {
        let info = CommitInfo::read(locked.repo(), one.commit);
        info.map_or(true, |info| info.kind != CommitKind::Release)
    });
    all.reverse();
    all
}
