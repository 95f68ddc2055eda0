//! Activation of a deployment that the user selects.

use super::activation::Action;
use super::error::DeployError;
use super::hooks::{self, HookPlan, HookResult, Hooks, require_outside_hook};
use super::root::Root;
use super::state::Deployment;
use crate::progress::{NoProgress, Progress};
use crate::setters::setters;
use std::sync::Arc;

/// An activation: makes a deployment the active one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Activate {
    name: String,
    hooks: Option<Hooks>,
    inside_hook: bool,
    progress: Arc<dyn Progress>,
}

impl Activate {
    /// Creates an activation of a deployment, by a name that [`Root::find`] accepts.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            hooks: None,
            inside_hook: false,
            progress: Arc::new(NoProgress),
        }
    }

    setters! {
        /// Sets the hooks that run if the deployment was not active before, or if its hooks have not
        /// finished since. Default: none.
        hooks: Option<Hooks>;
        /// Refuses the activation, because the process was started by a hook. Default: no.
        inside_hook: bool;
        /// Sets the receiver of events, which may cancel the operation. Default: [`NoProgress`].
        progress;
    }

    /// Determines the deployment.
    ///
    /// # Errors
    /// Returns an error if there is no such deployment, the root cannot be written, or a hook is
    /// refused.
    pub fn plan(&self, root: &Root) -> Result<ActivatePlan, DeployError> {
        let hooks = self.hooks.as_ref().map(Hooks::plan).transpose()?;
        let locked = root.lock(&*self.progress)?;
        Ok(ActivatePlan {
            deployment: locked.find(&self.name, None)?,
            active: locked.active()?.cloned(),
            root: root.clone(),
            hooks,
            inside_hook: self.inside_hook,
            progress: self.progress.clone(),
        })
    }
}

/// A planned activation.
#[derive(Debug)]
pub struct ActivatePlan {
    root: Root,
    hooks: Option<HookPlan>,
    inside_hook: bool,
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
    /// The hooks, if some ran.
    pub hooks: Vec<HookResult>,
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
    /// was found to be damaged is checked again first. Afterwards, the hooks run.
    ///
    /// # Errors
    /// Returns an error if the deployment does not exist any more, is for another architecture, or
    /// is still damaged; or [`HookError::Failed`](super::HookError::Failed) if it was activated and
    /// a required hook failed.
    pub fn execute(self) -> Result<Activated, DeployError> {
        require_outside_hook(self.inside_hook)?;
        let commit = self.deployment.commit;
        let mut locked = self.root.lock(&*self.progress)?;
        let cause = hooks::cause(Action::Use, self.hooks.as_ref());
        let activated = locked.activate(commit, cause)?;
        let deployment = locked.get(commit)?;
        drop(locked);
        let hooks = self.hooks.as_ref();
        let hooks = hooks.map(|hooks| hooks.run(&self.root, commit, &*self.progress));
        Ok(Activated {
            deployment,
            activated,
            hooks: hooks.transpose()?.unwrap_or_default(),
        })
    }
}
