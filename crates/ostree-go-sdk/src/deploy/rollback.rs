//! Rollback to the deployment that was active before.

use super::activation::Action;
use super::error::DeployError;
use super::locked::LockedRoot;
use super::root::Root;
use super::state::Deployment;
use super::verify::DamagedFile;
use crate::progress::{NoProgress, Progress};
use crate::setters::setters;
use std::sync::Arc;

/// A rollback: activates the deployment that was active before the current one. A second rollback
/// undoes the first. Uses no network and no keys.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rollback {
    verified: bool,
    progress: Arc<dyn Progress>,
}

impl Default for Rollback {
    fn default() -> Self {
        Self {
            verified: false,
            progress: Arc::new(NoProgress),
        }
    }
}

impl Rollback {
    /// Creates the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Checks the files of the active deployment and of each candidate, and activates the
        /// undamaged candidate that was active last. A deployment that is found to be damaged is
        /// recorded as such and skipped from then on, until it is deployed again. Default: no;
        /// only the state is read.
        verified: bool;
        /// Sets the receiver of events, which may cancel the operation. Default: [`NoProgress`].
        progress;
    }

    /// Determines the deployment to activate, without checking its files.
    ///
    /// # Errors
    /// Returns an error if the root cannot be written.
    pub fn plan(&self, root: &Root) -> Result<RollbackPlan, DeployError> {
        let locked = root.lock(&*self.progress)?;
        let active = root.active_commit()?;
        let target = locked.state.rollback_targets(active).into_iter().next();
        Ok(RollbackPlan {
            active: locked.active()?.cloned(),
            target: target.map(|target| locked.get(target)).transpose()?,
            root: root.clone(),
            rollback: self.clone(),
        })
    }
}

/// A planned rollback.
#[derive(Debug)]
pub struct RollbackPlan {
    root: Root,
    rollback: Rollback,
    active: Option<Deployment>,
    target: Option<Deployment>,
}

impl RollbackPlan {
    /// Returns the deployment that is active at the time of planning.
    #[must_use]
    pub fn active(&self) -> Option<&Deployment> {
        self.active.as_ref()
    }

    /// Returns the deployment to activate; `None` if there is none. If it turns out to be damaged,
    /// a [verified](Rollback::verified) rollback activates an earlier one.
    #[must_use]
    pub fn target(&self) -> Option<&Deployment> {
        self.target.as_ref()
    }

    /// Activates the deployment that was active before the current one. It is determined again
    /// while the root is locked.
    ///
    /// # Errors
    /// Returns an error if there is no other undamaged deployment that was active before.
    pub fn execute(self) -> Result<RolledBack, DeployError> {
        let mut locked = self.root.lock(&*self.rollback.progress)?;
        locked.rollback(self.rollback.verified)
    }
}

/// The result of a rollback.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RolledBack {
    /// The deployment that was active before; `None` if there was none.
    pub from: Option<Deployment>,
    /// The deployment that is active now.
    pub to: Deployment,
    /// Deployments that were found to be damaged, possibly including the one that was active, and
    /// their damaged files.
    pub damaged: Vec<(Deployment, Vec<DamagedFile>)>,
}

impl LockedRoot<'_> {
    /// Activates the deployment that was active before the current one; with `verified`, the latest
    /// one that is undamaged.
    fn rollback(&mut self, verified: bool) -> Result<RolledBack, DeployError> {
        let active = self.root.active_commit()?;
        let from = active.and_then(|active| self.state.get(active)).cloned();
        let mut damaged = Vec::new();
        if verified && let Some(from) = &from {
            let files = self.check(from.commit)?;
            if !files.is_empty() {
                damaged.push((from.clone(), files));
            }
        }
        for target in self.state.rollback_targets(active) {
            let deployment = self.get(target)?;
            if verified {
                let files = self.check(target)?;
                if !files.is_empty() {
                    damaged.push((deployment, files));
                    continue;
                }
            }
            self.activate(target, Action::Rollback)?;
            return Ok(RolledBack {
                from,
                to: self.get(target)?,
                damaged,
            });
        }
        Err(DeployError::NoRollback {
            path: self.root.path().to_owned(),
        })
    }
}
