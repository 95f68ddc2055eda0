//! Activation of deployments: switches the link `current`.

use super::error::DeployError;
use super::locked::LockedRoot;
use super::root::Root;
use super::state::{Action, Deployment};
use crate::arch::Arch;
use crate::failpoint;
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::id::CommitId;
use crate::progress::{NoProgress, Progress};
use crate::setters::setters;
use std::path::Path;
use std::sync::Arc;

/// An activation: makes a deployment the active one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Activate {
    name: String,
    progress: Arc<dyn Progress>,
}

impl Activate {
    /// Creates an activation of a deployment, by a name that [`Root::find`] accepts.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            progress: Arc::new(NoProgress),
        }
    }

    setters! {
        /// Sets the receiver of events, which may cancel the operation. Default: [`NoProgress`].
        progress;
    }

    /// Determines the deployment.
    ///
    /// # Errors
    /// Returns an error if there is no such deployment, or the root cannot be written.
    pub fn plan(&self, root: &Root) -> Result<ActivatePlan, DeployError> {
        let locked = root.lock(&*self.progress)?;
        Ok(ActivatePlan {
            deployment: locked.find(&self.name, None)?,
            active: locked.active()?.cloned(),
            root: root.clone(),
            progress: self.progress.clone(),
        })
    }
}

/// A planned activation.
#[derive(Debug)]
pub struct ActivatePlan {
    root: Root,
    progress: Arc<dyn Progress>,
    deployment: Deployment,
    active: Option<Deployment>,
}

/// The result of an activation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Activated {
    /// The deployment that is active now.
    pub deployment: Deployment,
    /// True if it was not active before.
    pub activated: bool,
}

impl ActivatePlan {
    /// Returns the deployment to activate.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Returns the deployment that is active at the time of planning.
    #[must_use]
    pub fn active(&self) -> Option<&Deployment> {
        self.active.as_ref()
    }

    /// Activates the deployment by renaming a link, durably when this returns. A deployment that
    /// was found to be damaged is checked again first.
    ///
    /// # Errors
    /// Returns an error if the deployment does not exist any more, is for another architecture, or
    /// is still damaged.
    pub fn execute(self) -> Result<Activated, DeployError> {
        let mut locked = self.root.lock(&*self.progress)?;
        let activated = locked.activate(self.deployment.commit, Action::Use)?;
        Ok(Activated {
            deployment: locked.get(self.deployment.commit)?,
            activated,
        })
    }
}

impl LockedRoot<'_> {
    /// Makes a deployment the active one by renaming a link, durably when this returns. Returns
    /// true if it was not active before.
    ///
    /// A deployment that was found to be damaged is checked again first.
    ///
    /// # Errors
    /// Returns an error if there is no such deployment, it is for another architecture, or it is
    /// still damaged.
    pub(super) fn activate(
        &mut self,
        commit: CommitId,
        action: Action,
    ) -> Result<bool, DeployError> {
        let deployment = self.get(commit)?;
        if Some(deployment.arch) != Arch::host() {
            return Err(DeployError::WrongArch {
                name: deployment.ref_name,
                found: Some(deployment.arch),
                expected: Arch::host().unwrap_or(deployment.arch),
            });
        }
        if deployment.damaged_at.is_some() {
            let files = self.check(commit)?;
            if !files.is_empty() {
                return Err(DeployError::Damaged { commit, files });
            }
        }
        if self.root.active_commit()? == Some(commit) {
            return Ok(false);
        }
        self.record(&deployment, action);
        self.save()?;
        failpoint::hit("switch.recorded");
        let target = Path::new("deployments").join(commit.to_string());
        let current = self.root.current();
        atomic::symlink(&target, &current).context("link", &current)?;
        failpoint::hit("switch.done");
        self.require_active(Some(commit))?;
        Ok(true)
    }

    /// Reads `current` after a change and checks that it points to the expected deployment.
    pub(super) fn require_active(&self, expected: Option<CommitId>) -> Result<(), DeployError> {
        let found = self.root.active_commit()?;
        if found == expected {
            return Ok(());
        }
        Err(DeployError::NotSwitched {
            path: self.root.current(),
            found,
            expected,
        })
    }
}
