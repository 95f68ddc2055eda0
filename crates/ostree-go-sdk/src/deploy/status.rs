//! What there is under a root.

use super::Root;
use super::error::DeployError;
use super::state::{Activation, Deployment};
use super::verify::DamagedFile;
use crate::progress::Progress;
use std::path::PathBuf;

/// Which deployments a status compares with their commits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verify {
    /// None: quick.
    None,
    /// The active one.
    #[default]
    Active,
    /// Every one.
    All,
}

/// What there is under a root.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// The root's directory.
    pub root: PathBuf,
    /// Every deployment, the latest first.
    pub deployments: Vec<DeploymentStatus>,
    /// What was active and when, oldest first.
    pub history: Vec<Activation>,
}

/// A deployment and how it stands.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeploymentStatus {
    /// The deployment.
    pub deployment: Deployment,
    /// Its folder.
    pub path: PathBuf,
    /// Whether it is the active one.
    pub active: bool,
    /// Whether a rollback would go to it.
    pub rollback_target: bool,
    /// What comparing it with its commit says.
    pub check: Check,
}

/// What comparing a deployment with its commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// It was not compared.
    NotDone,
    /// Every file is what the commit says.
    Good,
    /// Some are not.
    Damaged(Vec<DamagedFile>),
}

impl Root {
    /// Returns the deployments and the history. Takes no lock and changes nothing; the link
    /// `current` decides which deployment is active. A deployment that another process removes
    /// meanwhile is left out.
    ///
    /// # Errors
    /// When the state or the repository cannot be read, or the caller asks for a stop.
    pub fn status(&self, verify: Verify, progress: &dyn Progress) -> Result<Status, DeployError> {
        let (state, active) = self.look()?;
        let repo = self.repo()?;
        let target = state.rollback_targets(active).into_iter().next();
        let mut deployments = Vec::new();
        for deployment in state.deployments.into_iter().rev() {
            let commit = deployment.commit;
            let path = self.deployment_path(commit);
            let is_active = active == Some(commit);
            let check = match verify {
                Verify::All => true,
                Verify::Active => is_active,
                Verify::None => false,
            };
            let check = if check {
                match self.compare(&repo, commit, progress)? {
                    // It was removed since the state was read.
                    None => continue,
                    Some(damaged) if damaged.is_empty() => Check::Good,
                    Some(damaged) => Check::Damaged(damaged),
                }
            } else {
                Check::NotDone
            };
            deployments.push(DeploymentStatus {
                path,
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
}
