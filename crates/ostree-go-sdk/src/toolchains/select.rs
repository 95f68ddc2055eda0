//! Selects one of the installed SDKs.

use super::error::ToolchainError;
use super::project::{Workspace, requirement};
use super::required::Requirement;
use crate::arch::Arch;
use crate::deploy::{DeployError, Deployment, Install, Root};
use crate::golang::release_number::ReleaseNumber;
use crate::golang::version_rule::VersionRule;
use crate::id::CommitId;
use crate::version::GoVersion;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The SDK that was selected for a project.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Selection {
    /// The deployment.
    pub deployment: Deployment,
    /// The directory of its programs. Its path has the version, so that a later switch of the active
    /// SDK does not change what it contains.
    pub bin: PathBuf,
    /// The requirement of the project; `None` if it has none.
    pub requirement: Option<Requirement>,
    /// The reason why this SDK was selected.
    pub reason: Reason,
}

impl Selection {
    /// Returns the path of the go command.
    #[must_use]
    pub fn go(&self) -> PathBuf {
        self.bin.join("go")
    }
}

/// The reason why an SDK was selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It has the lowest version that is high enough.
    Lowest,
    /// It has the version that is named.
    Exact,
    /// It is the newest of those that are allowed.
    Newest,
    /// It is active, and the project does not select another one.
    Active,
}

impl Reason {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lowest => "lowest",
            Self::Exact => "exact",
            Self::Newest => "newest",
            Self::Active => "active",
        }
    }
}

/// Selects an installed SDK for the project in a directory, which has to be an absolute path. Uses no
/// network and takes no lock.
///
/// # Errors
/// Returns [`ToolchainError::NoSdk`] if no installed SDK fulfils the requirement of the project.
/// Returns an error if there is no requirement and no SDK is active, or a file of the project or the
/// root cannot be read.
pub fn select(root: &Root, dir: &Path, workspace: &Workspace) -> Result<Selection, ToolchainError> {
    select_for(root, dir, requirement(dir, workspace)?)
}

/// Selects an installed SDK for a requirement, which was read from the files of `dir`.
///
/// # Errors
/// Returns the same errors as [`select`], except those of the files of the project.
pub fn select_for(
    root: &Root,
    dir: &Path,
    requirement: Option<Requirement>,
) -> Result<Selection, ToolchainError> {
    let active = root.active()?;
    let selection = |deployment: Deployment, requirement, reason| Selection {
        bin: root.bin_of(&deployment),
        deployment,
        requirement,
        reason,
    };
    let Some(requirement) = requirement else {
        let path = root.path().to_owned();
        let active = active.ok_or(DeployError::NothingActive { path })?;
        return Ok(selection(active, None, Reason::Active));
    };
    let usable = usable(root.deployments()?);
    let rule = &requirement.rule;
    let prefers_active = requirement.prefers_active || *rule == VersionRule::Any;
    if let Some(active) = active.as_ref().filter(|_| prefers_active)
        && usable.contains(active)
        && rule.allows(&active.version)
    {
        return Ok(selection(active.clone(), Some(requirement), Reason::Active));
    }
    let channels = one_of_each_channel(&usable, active.map(|active| active.commit));
    let candidates = match rule {
        VersionRule::Exact(_) => usable.clone(),
        _ => channels,
    };
    let found = rule.select(candidates, |one| &one.version);
    // Those that an upgrade has replaced are better than none.
    let found = found.or_else(|| rule.select(usable.clone(), |one| &one.version));
    let reason = match rule {
        VersionRule::AtLeast(_) => Reason::Lowest,
        VersionRule::Exact(_) => Reason::Exact,
        _ => Reason::Newest,
    };
    match found {
        Some(found) => Ok(selection(found, Some(requirement), reason)),
        None => Err(ToolchainError::NoSdk {
            dir: dir.to_owned(),
            requirement: Box::new(requirement),
            installed: sorted(usable.into_iter().map(|one| one.version).collect()),
        }),
    }
}

/// Returns the deployments that can be run on this machine and are not known to be damaged.
fn usable(mut deployments: Vec<Deployment>) -> Vec<Deployment> {
    deployments.retain(|one| Some(one.arch) == Arch::host() && one.damaged_at.is_none());
    deployments
}

/// Returns one deployment of each ref: the active one, or else the one that was deployed last. The
/// others were replaced by an upgrade, or left by a rollback.
fn one_of_each_channel(usable: &[Deployment], active: Option<CommitId>) -> Vec<Deployment> {
    let mut channels: BTreeMap<&str, &Deployment> = BTreeMap::new();
    for one in usable {
        let current = channels.entry(one.ref_name.as_str()).or_insert(one);
        if Some(current.commit) != active {
            *current = one;
        }
    }
    channels.into_values().cloned().collect()
}

/// Sorts versions as Go does, without repetitions.
fn sorted(mut versions: Vec<String>) -> Vec<String> {
    versions.sort_by(|one, other| {
        let of = ReleaseNumber::of_version;
        of(one).cmp(&of(other)).then_with(|| one.cmp(other))
    });
    versions.dedup();
    versions
}

/// Returns an installation of the release that a requirement selects of those that a remote offers. It
/// is not made active: it is for this project.
#[must_use]
pub fn install_for(requirement: &Requirement) -> Install {
    Install::for_version(requirement.rule.clone()).activate(false)
}

/// Returns the deployment with a name, as [`Root::find`] does.
///
/// # Errors
/// Returns [`ToolchainError::NotInstalled`] with the most similar versions if there is none, or an
/// error if the state cannot be read.
pub fn find(root: &Root, name: &str, arch: Option<Arch>) -> Result<Deployment, ToolchainError> {
    match root.find(name, arch) {
        Err(DeployError::NoSuchDeployment { path, .. }) => {
            let versions = root.deployments()?.into_iter();
            let versions = versions.filter(|one| arch.is_none_or(|arch| arch == one.arch));
            let versions: Vec<String> = versions.map(|one| one.version).collect();
            let name = name.strip_prefix("go").unwrap_or(name);
            Err(ToolchainError::NotInstalled {
                nearest: nearest(name, &versions),
                name: name.to_owned(),
                root: path,
            })
        }
        found => Ok(found?),
    }
}

/// Returns the versions on either side of one, lowest first; all if `name` is not a version.
fn nearest(name: &str, versions: &[String]) -> Vec<String> {
    let known = versions.iter().filter_map(|version| version.parse().ok());
    let known: Vec<GoVersion> = known.collect();
    match name.parse::<GoVersion>() {
        Ok(wanted) => {
            let near = wanted.neighbours(known).into_iter();
            near.map(|version| version.to_string()).collect()
        }
        Err(_) => sorted(versions.to_vec()),
    }
}
