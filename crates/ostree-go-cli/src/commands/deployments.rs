//! What the verbs about deployments share.

use super::{Context, signature_json};
use crate::error::CliError;
use crate::output::time;
use crate::settings::share_if_root;
use ostree_go_sdk::{Arch, DamagedFile, Deployment, Error, LockedRoot, Root};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The root the command is about, which must be there.
pub fn open(context: &Context<'_>) -> Result<Root, CliError> {
    Ok(Root::open(path(context)?)?)
}

/// The root the command is about, made where there is none.
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

/// The architecture to install for: the one named, else this machine's.
pub fn arch(named: Option<Arch>) -> Result<Arch, CliError> {
    named.or_else(Arch::host).ok_or_else(|| CliError::Usage {
        message: format!("no Go SDKs are composed for {}", std::env::consts::ARCH),
        hint: Some("name another machine's with --arch".to_owned()),
    })
}

/// Says what stays active when a deployment failed.
pub fn not_deployed(locked: &LockedRoot<'_>, error: CliError) -> CliError {
    match error {
        CliError::Library(error) => CliError::NotDeployed {
            active: locked.active().map(|d| d.version.clone()),
            error: Box::new(error),
        },
        other => other,
    }
}

/// Whether trying once more can help: the damaged objects are gone from the repository then.
pub fn is_damaged(error: &CliError) -> bool {
    use ostree_go_sdk::DeployError::Damaged;
    matches!(error, CliError::Library(Error::Deploy(Damaged { .. })))
}

/// A deployment in JSON.
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

/// Damaged files in JSON.
pub fn damaged_json(files: &[DamagedFile]) -> Value {
    let files = files
        .iter()
        .map(|file| json!({"path": format!("/{}", file.path), "problem": file.problem.as_str()}));
    files.collect()
}

/// `go 1.26.5`, with its architecture where that is not this machine's.
pub fn title(deployment: &Deployment) -> String {
    if Some(deployment.arch) == Arch::host() {
        format!("go {}", deployment.version)
    } else {
        format!("go {} {}", deployment.version, deployment.arch)
    }
}
