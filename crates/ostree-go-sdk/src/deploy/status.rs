//! The status of a root.

use super::activation::Activation;
use super::error::DeployError;
use super::hooks::HookResult;
use super::root::Root;
use super::state::{DeployedStdCache, Deployment};
use super::verify::DamagedFile;
use crate::id::CommitId;
use crate::progress::Progress;
use crate::repo::Repo;
use std::path::PathBuf;

/// The deployments that [`Root::status`] compares with their commits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verify {
    /// No deployment. This is fast.
    None,
    /// The active deployment.
    #[default]
    Active,
    /// All deployments.
    All,
}

/// The status of a root.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// The root's directory.
    pub root: PathBuf,
    /// All deployments, latest first.
    pub deployments: Vec<DeploymentStatus>,
    /// The history of activations, oldest first.
    pub history: Vec<Activation>,
}

/// A deployment and its status.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeploymentStatus {
    /// The deployment.
    pub deployment: Deployment,
    /// The folder of the deployment.
    pub path: PathBuf,
    /// True if the deployment is active.
    pub active: bool,
    /// True if a rollback would activate the deployment.
    pub rollback_target: bool,
    /// The result of comparing it with its commit.
    pub check: Check,
    /// Its std caches.
    pub std_caches: Vec<StdCacheStatus>,
    /// The hooks of its latest activation.
    pub hooks: Vec<HookResult>,
    /// True if its latest activation was undone, because a required hook failed.
    pub switched_back: bool,
}

/// A std cache of a deployment and its status.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StdCacheStatus {
    /// The std cache.
    pub cache: DeployedStdCache,
    /// Its directory, which contains an index and the outputs; `None` if the version of its SDK is
    /// not a Go version.
    pub path: Option<PathBuf>,
    /// The result of comparing it with its commit. It is compared if its deployment is.
    pub check: Check,
}

/// The result of comparing a deployment with its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// The deployment was not compared.
    NotDone,
    /// All files match the commit.
    Good,
    /// Some files differ from the commit.
    Damaged(Vec<DamagedFile>),
}

impl Root {
    /// Returns the deployments and the history. Does not lock or change the root; the link
    /// `current` determines which deployment is active. A deployment that another process removes
    /// meanwhile is left out.
    ///
    /// # Errors
    /// Returns an error if the state or the repository cannot be read, or the operation is
    /// cancelled.
    pub fn status(&self, verify: Verify, progress: &dyn Progress) -> Result<Status, DeployError> {
        let (state, active) = self.load()?;
        let repo = self.repo()?;
        let target = state.rollback_targets(active).into_iter().next();
        let mut deployments = Vec::new();
        for deployment in state.deployments.iter().rev().cloned() {
            let commit = deployment.commit;
            let path = self.deployment_path(commit);
            let is_active = active == Some(commit);
            let check = match verify {
                Verify::All => true,
                Verify::Active => is_active,
                Verify::None => false,
            };
            let check_of = |commit| match check {
                true => self.check(&repo, commit, progress),
                false => Ok(Some(Check::NotDone)),
            };
            let Some(check) = check_of(commit)? else {
                continue;
            };
            let mut std_caches = Vec::new();
            for cache in &deployment.std_caches {
                if let Some(check) = check_of(cache.commit)? {
                    std_caches.push(StdCacheStatus {
                        path: self.std_cache_path(&deployment, cache),
                        cache: cache.clone(),
                        check,
                    });
                }
            }
            let (hooks, switched_back) = state.hooks_of(commit);
            deployments.push(DeploymentStatus {
                path,
                hooks,
                switched_back,
                std_caches,
                active: is_active,
                rollback_target: target == Some(commit),
                check,
                deployment,
            });
        }
        Ok(Status {
            root: self.path().to_owned(),
            deployments,
            history: state.history,
        })
    }

    /// Compares a tree with its commit; returns `None` if it was removed after the state was read.
    fn check(
        &self,
        repo: &Repo,
        commit: CommitId,
        progress: &dyn Progress,
    ) -> Result<Option<Check>, DeployError> {
        let found = self.compare(repo, commit, progress)?;
        Ok(found.map(|damaged| match damaged.is_empty() {
            true => Check::Good,
            false => Check::Damaged(damaged),
        }))
    }
}
