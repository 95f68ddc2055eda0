//! Functions that the commands about deployments have in common.

use super::{Context, signature_json};
use crate::error::CliError;
use crate::output::time;
use crate::settings::share_if_root;
use ostree_go_sdk::{Arch, DamagedFile, DeployError, Deployment, Root};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Opens the root directory, which must exist.
pub fn open(context: &Context<'_>) -> Result<Root, CliError> {
    Ok(Root::open(path(context)?)?)
}

/// Opens the root directory, and creates it if it does not exist.
pub fn open_or_create(context: &Context<'_>) -> Result<Root, CliError> {
    Ok(Root::create(path(context)?)?)
}

fn path(context: &Context<'_>) -> Result<PathBuf, CliError> {
    share_if_root();
    match &context.global.root {
        Some(path) => std::path::absolute(path).map_err(|source| CliError::File {
            action: "find",
            path: path.clone(),
            source,
        }),
        None => context.settings.root(),
    }
}

/// Returns the given architecture, or else that of this machine.
pub fn arch(named: Option<Arch>) -> Result<Arch, CliError> {
    named.or_else(Arch::host).ok_or_else(|| CliError::Usage {
        message: format!("no Go SDKs are composed for {}", std::env::consts::ARCH),
        hint: Some("select another architecture with --arch".to_owned()),
    })
}

/// Converts an error of a plan. An error about a remote counts as an error of the deployment;
/// others are errors of the root.
pub fn not_planned(root: &Root, error: DeployError) -> CliError {
    match error {
        DeployError::SeveralRemotes { names, .. } => CliError::Usage {
            message: "the root has several remotes".to_owned(),
            hint: Some(format!("name one with --remote: {}", names.join(", "))),
        },
        DeployError::Remote(_) => not_deployed(root, error),
        error => error.into(),
    }
}

/// Converts an error of a deployment, and adds the version that stays active.
pub fn not_deployed(root: &Root, error: DeployError) -> CliError {
    match error {
        DeployError::NoImage { .. } => CliError::usage(error.to_string()),
        // The SDK was deployed.
        DeployError::NotActivated { .. } => error.into(),
        error => CliError::NotDeployed {
            // If the active version cannot be read, it is left out, because the original error is
            // the one to report.
            active: root.active().ok().flatten().map(|d| d.version),
            error: Box::new(error.into()),
        },
    }
}

/// Formats a deployment as JSON.
pub fn json(deployment: &Deployment) -> Value {
    let proof = &deployment.proof;
    json!({
        "version": deployment.version,
        "arch": deployment.arch.basearch(),
        "ref": deployment.ref_name.as_str(),
        "commit": deployment.commit.to_string(),
        "timestamp": time(deployment.timestamp),
        "remote": proof.remote,
        "unsigned": proof.unsigned,
        "signatures": proof.signatures.iter().map(signature_json).collect::<Value>(),
        "verified_at": time(proof.at),
        "deployed_at": time(deployment.deployed_at),
        "pinned": deployment.pinned,
    })
}

/// Formats damaged files as JSON.
pub fn damaged_json(files: &[DamagedFile]) -> Value {
    let files = files
        .iter()
        .map(|file| json!({"path": format!("/{}", file.path), "problem": file.problem.as_str()}));
    files.collect()
}

/// Returns `go 1.26.5`, with the architecture if it is not that of this machine.
pub fn title(deployment: &Deployment) -> String {
    crate::output::title(&deployment.version, deployment.arch)
}
