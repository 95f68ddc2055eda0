//! The SDK of a workspace.

use super::drift::{Drift, DriftKind};
use super::error::WorkspaceError;
use super::lock::{LockedDeployment, LockedSdk};
use super::options::Workspace;
use super::units::{Survey, Unit};
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::deploy::{DeployError, Deployment, Root};
use crate::golang::modfile::Value;
use crate::golang::release_number::ReleaseNumber;
use crate::toolchains::{self, Requirement, ToolchainError};
use std::collections::BTreeMap;

/// The SDK that was selected for all projects.
#[derive(Debug)]
pub(super) struct SelectedSdk {
    pub(super) deployment: Deployment,
    requirement: Option<Requirement>,
}

/// Selects one SDK for all projects: the highest of those that are selected for each of them.
pub(super) fn select(options: &Workspace, survey: &Survey) -> Result<SelectedSdk, WorkspaceError> {
    let mut highest: Option<SelectedSdk> = None;
    for project in &survey.projects {
        let selected = toolchains::select(&options.root, &project.directory, &options.go_work)?;
        let is_higher = highest.as_ref().is_none_or(|best| {
            let number = ReleaseNumber::of_version;
            number(&selected.deployment.version) > number(&best.deployment.version)
        });
        if is_higher {
            highest = Some(SelectedSdk {
                deployment: selected.deployment,
                requirement: selected.requirement,
            });
        }
    }
    highest.ok_or_else(|| WorkspaceError::NoProject {
        directory: options.directory.clone(),
    })
}

/// Describes the SDK for a lock: also the installed releases of the same version for other architectures.
pub(super) fn locked(root: &Root, selected: &Deployment) -> Result<LockedSdk, WorkspaceError> {
    let mut deployments = BTreeMap::new();
    let all = root.deployments()?;
    // The one that was deployed last counts, and the selected one before all others.
    for one in all.iter().chain([selected]) {
        if one.version == selected.version && one.damaged_at.is_none() {
            let deployment = LockedDeployment {
                commit: one.commit.to_string(),
                ref_name: one.ref_name.to_string(),
            };
            deployments.insert(one.arch.to_string(), deployment);
        }
    }
    let info = root.repo().ok();
    let info = info.and_then(|repo| CommitInfo::read(&repo, selected.commit).ok());
    Ok(LockedSdk {
        deployments,
        h1: info.and_then(|info| info.h1),
        version: selected.version.clone(),
    })
}

/// Compares the SDK of a lock with the installed ones. Also returns the one to run: the one of the lock, or else the
/// one that is selected now.
pub(super) fn compare(
    options: &Workspace,
    survey: &Survey,
    locked: &LockedSdk,
) -> Result<(Vec<Drift>, Option<Deployment>), WorkspaceError> {
    let installed: Vec<Deployment> = options.root.deployments()?;
    let host = Arch::host();
    let usable = |one: &&Deployment| Some(one.arch) == host && one.damaged_at.is_none();
    let expected = host.and_then(|host| locked.deployments.get(&host.to_string()));
    let wanted = expected.and_then(|expected| {
        let mut usable = installed.iter().filter(usable);
        usable.find(|one| one.commit.to_string() == expected.commit)
    });
    let selected = match select(options, survey) {
        Ok(selected) => Some(selected),
        Err(WorkspaceError::Toolchain(error)) if is_missing(&error) => None,
        Err(error) => return Err(error),
    };
    let commit = expected.map(|expected| expected.commit.as_str());
    let name = |version: &str, commit: Option<&str>| match commit {
        Some(commit) => format!("{version} at {commit}"),
        None => version.to_owned(),
    };
    let of = |one: &Deployment| name(&one.version, Some(&one.commit.to_string()));
    let mut same_version = installed.iter().filter(usable);
    let same_version = same_version.rfind(|one| one.version == locked.version);
    let mut drift = Vec::new();
    match (wanted, same_version, &selected) {
        (None, None, _) => {
            let usable = installed.iter().filter(usable);
            let versions: Vec<&str> = usable.map(|one| one.version.as_str()).collect();
            let found = (!versions.is_empty()).then(|| versions.join(", "));
            let missing = Drift::new(".", DriftKind::SdkNotInstalled);
            drift.push(missing.values(Some(name(&locked.version, commit)), found));
        }
        (None, Some(other), _) => {
            let changed = Drift::new(".", DriftKind::SdkCommitChanged);
            let expected = commit.map(|commit| name(&locked.version, Some(commit)));
            drift.push(changed.values(expected, Some(of(other))));
        }
        (Some(wanted), _, Some(selected)) if selected.deployment.commit != wanted.commit => {
            let is_same_version = selected.deployment.version == wanted.version;
            let what = match is_same_version {
                true => DriftKind::SdkCommitChanged,
                false => DriftKind::SdkVersionChanged,
            };
            let mut changed = Drift::new(".", what);
            if let Some(requirement) = &selected.requirement {
                changed = changed.at(survey.shown(&requirement.file), requirement.line);
            }
            drift.push(changed.expected(of(wanted)).found(of(&selected.deployment)));
        }
        _ => {}
    }
    let other = selected.map(|selected| selected.deployment);
    Ok((drift, wanted.cloned().or(other)))
}

fn is_missing(error: &ToolchainError) -> bool {
    match error {
        ToolchainError::NoSdk { .. } => true,
        ToolchainError::Deploy(error) => matches!(**error, DeployError::NothingActive { .. }),
        _ => false,
    }
}

/// Returns the `go` lines that name a higher version than that of the locked SDK.
pub(super) fn above(survey: &Survey, locked: &LockedSdk) -> Vec<Drift> {
    let sdk = ReleaseNumber::of_version(&locked.version);
    let mut drift = Vec::new();
    let mut check = |unit: &str, path: &str, go: Option<&Value>| {
        if let Some(go) = go
            && ReleaseNumber::of_version(&go.text) > sdk
        {
            let above = Drift::new(unit, DriftKind::GoLineAboveSdk).at(path, go.line);
            drift.push(above.expected(&locked.version).found(&go.text));
        }
    };
    for project in &survey.projects {
        if let Some(work) = &project.work {
            check(&project.name, &work.shown, work.file.go.as_ref());
        }
        for Unit {
            name, shown, file, ..
        } in &project.units
        {
            check(name, shown, file.go.as_ref());
        }
    }
    drift
}
