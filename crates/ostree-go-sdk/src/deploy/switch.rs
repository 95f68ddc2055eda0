//! Moving `current`.

use super::error::{DeployError, io};
use super::locked::LockedRoot;
use super::state::{Action, Deployment};
use super::verify::DamagedFile;
use crate::arch::Arch;
use crate::failpoint;
use crate::fs::atomic;
use crate::id::CommitId;
use std::path::Path;

/// What a rollback has done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RolledBack {
    /// What was active before.
    pub from: Option<Deployment>,
    /// What is active now.
    pub to: Deployment,
    /// Deployments that were found damaged, the active one among them, with what is damaged.
    pub damaged: Vec<(Deployment, Vec<DamagedFile>)>,
}

impl LockedRoot<'_> {
    /// Makes a deployment the active one: by one rename, durable when this returns. Returns
    /// whether it was not active before.
    ///
    /// A deployment that was found damaged is checked again first.
    ///
    /// # Errors
    /// When it is not there, is for another machine, or is still damaged.
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
        self.confirm(Some(commit))?;
        Ok(true)
    }

    /// Reads back what is active after a change.
    pub(super) fn confirm(&self, expected: Option<CommitId>) -> Result<(), DeployError> {
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

    /// Goes back to the deployment that was active before the present one; again, and it goes
    /// forward. It reads nothing but the state: no network, no keys, no hashing.
    ///
    /// With `verified`, the files of each candidate are checked, as are the active one's, and
    /// the last that was active and is whole is taken. What is found damaged is remembered and
    /// passed over from then on, until it is deployed anew.
    ///
    /// # Errors
    /// When there is none to go back to.
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

    /// Compares a deployment with its commit and remembers the result.
    ///
    /// # Errors
    /// When it is not there, or the state cannot be written.
    pub fn check(&mut self, commit: CommitId) -> Result<Vec<DamagedFile>, DeployError> {
        self.get(commit)?;
        let files = self.compare(commit)?;
        self.remember(commit, files)
    }

    fn remember(
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
