//! Removal of deployments.

use super::activation::Action;
use super::error::DeployError;
use super::locked::LockedRoot;
use super::root::Root;
use super::state::Deployment;
use crate::arch::Arch;
use crate::failpoint;
use crate::id::CommitId;
use crate::progress::{NoProgress, Progress};
use crate::setters::setters;
use std::sync::Arc;

/// A removal of a deployment. Its objects are deleted by the next [`Gc`](super::Gc).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Uninstall {
    name: String,
    arch: Option<Arch>,
    allow_active: bool,
    progress: Arc<dyn Progress>,
}

impl Uninstall {
    /// Creates a removal of a deployment, by a name that [`Root::find`] accepts.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            arch: None,
            allow_active: false,
            progress: Arc::new(NoProgress),
        }
    }

    setters! {
        /// Sets the architecture of the deployment. Default: this machine's, if there is such a
        /// deployment.
        arch: Option<Arch>;
        /// Allows the removal of the active deployment; none is active then. Default: no.
        allow_active: bool;
        /// Sets the receiver of events, which may cancel the operation. Default: [`NoProgress`].
        progress;
    }

    /// Determines the deployment.
    ///
    /// # Errors
    /// Returns an error if there is no such deployment, or the root cannot be written.
    pub fn plan(&self, root: &Root) -> Result<UninstallPlan, DeployError> {
        let locked = root.lock(&*self.progress)?;
        Ok(UninstallPlan {
            deployment: locked.find(&self.name, self.arch)?,
            root: root.clone(),
            allow_active: self.allow_active,
            progress: self.progress.clone(),
        })
    }
}

/// A planned removal of a deployment.
#[derive(Debug)]
pub struct UninstallPlan {
    root: Root,
    allow_active: bool,
    progress: Arc<dyn Progress>,
    deployment: Deployment,
}

/// The result of a removal of a deployment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Uninstalled {
    /// The deployment that was removed.
    pub deployment: Deployment,
    /// The deployment that is active now.
    pub active: Option<Deployment>,
}

impl UninstallPlan {
    /// Returns the deployment to remove.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Removes the deployment.
    ///
    /// # Errors
    /// Returns an error if the deployment does not exist any more, or it is active and
    /// [`Uninstall::allow_active`] is not set.
    pub fn execute(self) -> Result<Uninstalled, DeployError> {
        let mut locked = self.root.lock(&*self.progress)?;
        Ok(Uninstalled {
            deployment: locked.uninstall(self.deployment.commit, self.allow_active)?,
            active: locked.active()?.cloned(),
        })
    }
}

impl LockedRoot<'_> {
    /// Removes a deployment.
    ///
    /// # Errors
    /// Returns an error if there is no such deployment, or it is active and `allow_active` is not
    /// set.
    pub(super) fn uninstall(
        &mut self,
        commit: CommitId,
        allow_active: bool,
    ) -> Result<Deployment, DeployError> {
        let deployment = self.get(commit)?;
        if self.root.active_commit()? == Some(commit) {
            if !allow_active {
                return Err(DeployError::Active {
                    version: deployment.version,
                });
            }
            self.deactivate(&deployment, Action::Uninstall)?;
        }
        self.state.deployments.retain(|d| d.commit != commit);
        self.save()?;
        failpoint::hit("uninstall.recorded");
        self.clean_up()?;
        Ok(deployment)
    }
}
