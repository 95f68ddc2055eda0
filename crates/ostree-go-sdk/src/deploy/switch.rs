//! Switches the link `current`, which determines the active deployment.

use super::activation::Cause;
use super::error::DeployError;
use super::locked::LockedRoot;
use super::state::Deployment;
use crate::arch::Arch;
use crate::failpoint;
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::id::CommitId;
use std::path::Path;

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
        cause: impl Into<Cause>,
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
        self.record(&deployment, cause);
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
    fn require_active(&self, expected: Option<CommitId>) -> Result<(), DeployError> {
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

    /// Removes the link to the active deployment, durably when this returns; none is active then.
    pub(super) fn deactivate(
        &mut self,
        deployment: &Deployment,
        cause: impl Into<Cause>,
    ) -> Result<(), DeployError> {
        self.record(deployment, cause);
        self.save()?;
        let current = self.root.current();
        std::fs::remove_file(&current)
            .and_then(|()| atomic::sync_directory(current.parent()))
            .context("remove", &current)?;
        failpoint::hit("uninstall.deactivated");
        self.require_active(None)
    }
}
