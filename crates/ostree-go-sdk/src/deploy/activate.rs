//! Switching the link `current`.

use super::error::{DeployError, io};
use super::locked::LockedRoot;
use super::state::{Action, Deployment};
use super::verify::DamagedFile;
use crate::arch::Arch;
use crate::failpoint;
use crate::fs::atomic;
use crate::id::CommitId;
use std::path::Path;

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
    /// Makes a deployment the active one by renaming a link, durably when this returns. Returns
    /// true if it was not active before.
    ///
    /// A deployment that was found to be damaged is checked again first.
    ///
    /// # Errors
    /// Returns an error if there is no such deployment, it is for another architecture, or it is
    /// still damaged.
    pub fn activate(&mut self, commit: CommitId, action: Action) -> Result<bool, DeployError> {
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
        atomic::symlink(&target, &current).map_err(io("link", &current))?;
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

    /// Activates the deployment that was active before the current one; a second rollback undoes
    /// the first. Only the state is read: no network, no keys, no hashing.
    ///
    /// With `verified`, the files of the active deployment and of each candidate are checked, and
    /// the undamaged candidate that was active last is activated. A deployment that is found to be
    /// damaged is recorded as such and skipped from then on, until it is deployed again.
    ///
    /// # Errors
    /// Returns an error if there is no other undamaged deployment that was active before.
    pub fn rollback(&mut self, verified: bool) -> Result<RolledBack, DeployError> {
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

    /// Compares a deployment with its commit, records the result in the state, and returns the
    /// damaged files.
    ///
    /// # Errors
    /// Returns an error if there is no such deployment, or the state cannot be written.
    pub fn check(&mut self, commit: CommitId) -> Result<Vec<DamagedFile>, DeployError> {
        self.get(commit)?;
        let files = self.compare(commit)?;
        self.record_damage(commit, files)
    }

    fn record_damage(
        &mut self,
        commit: CommitId,
        files: Vec<DamagedFile>,
    ) -> Result<Vec<DamagedFile>, DeployError> {
        let known = self.get(commit)?.damaged_at;
        let found = (!files.is_empty()).then(|| known.unwrap_or(self.root.clock.now()));
        if found != known {
            if let Some(deployment) = self.state.get_mut(commit) {
                deployment.damaged_at = found;
            }
            self.save()?;
        }
        Ok(files)
    }
}
