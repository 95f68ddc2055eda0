//! Determines what an installation or an upgrade would do.

use super::error::DeployError;
use super::fetch::FoundSdk;
use super::install::{ActivationRule, InstallPlan};
use super::locked::accept;
use super::state::Deployment;
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::id::{CommitId, RefName};
use crate::pull::Download;
use crate::sign::Verified;

/// The change that the execution of a plan would make to one SDK.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedDeployment {
    /// The ref.
    pub ref_name: RefName,
    /// The verified commit that the ref points to.
    pub commit: Verified<CommitId>,
    /// The Go version, without `go`.
    pub version: String,
    /// The architecture.
    pub arch: Arch,
    /// The content that has to be downloaded, or copied from a repository on this machine.
    pub download: Download,
    /// Information from the commit's metadata.
    pub info: CommitInfo,
    /// The last deployment of the same ref and architecture, if there is one.
    pub current: Option<Deployment>,
    /// True if the commit has a deployment already.
    pub is_deployed: bool,
    /// True if the deployment would become active, and is not active now.
    pub activates: bool,
}

impl PlannedDeployment {
    /// Returns true if the plan would deploy or activate the SDK.
    #[must_use]
    pub const fn changes(&self) -> bool {
        !self.is_deployed || self.activates
    }
}

impl InstallPlan {
    /// Fetches and verifies the commits without their content, and returns what [`execute`] would
    /// do, in the requested order. Nothing is deployed or activated.
    ///
    /// [`execute`]: InstallPlan::execute
    ///
    /// # Errors
    /// Returns an error if an SDK cannot be found or is refused, or if there is not enough space
    /// for its content.
    pub fn preview(&self) -> Result<Vec<PlannedDeployment>, DeployError> {
        let (state, active) = self.root.load()?;
        let mut planned = Vec::new();
        for job in &self.jobs {
            for found in self.fetcher.look_up(job)? {
                let FoundSdk {
                    name,
                    commit,
                    info,
                    download,
                } = found;
                let (version, arch) = accept(&state, &name, &info, job)?;
                let mut deployments = state.deployments.iter().rev();
                let current = deployments.find(|d| d.ref_name == name && d.arch == arch);
                planned.push(PlannedDeployment {
                    current: current.cloned(),
                    is_deployed: state.get(info.id).is_some(),
                    activates: false,
                    ref_name: name,
                    commit,
                    version,
                    arch,
                    download,
                    info,
                });
            }
        }
        let next = match &self.activation {
            ActivationRule::None => None,
            ActivationRule::Last => planned.last_mut(),
            ActivationRule::Replace(old) => planned
                .iter_mut()
                .find(|planned| planned.ref_name == old.ref_name && planned.arch == old.arch),
        };
        if let Some(next) = next {
            next.activates = active != Some(next.info.id);
        }
        Ok(planned)
    }
}
