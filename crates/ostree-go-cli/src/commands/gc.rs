use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{bytes, count, deployment_title};
use crate::views::deployment::DeploymentView;
use ostree_go_sdk::deploy::Gc;
use serde::Serialize;
use std::process::ExitCode;

/// Delete content that no installed SDK needs
///
/// Deletes all refs and objects in the repository of the root directory that do not belong to an
/// installed SDK. If an installation is in progress, the command waits until it has finished.
#[derive(Debug, clap::Args)]
pub struct GcArgs {
    /// Also uninstall SDKs that were replaced by a newer one of the same channel, except for the
    /// active SDK, the target of a rollback, and pinned SDKs
    #[arg(long)]
    superseded: bool,
}

pub fn run(context: &Context, args: &GcArgs) -> Result<ExitCode, CliError> {
    let root = context.root()?;
    let gc = Gc::new()
        .superseded(args.superseded)
        .progress(context.progress());
    let removed = gc.plan(&root)?.execute()?;
    for deployment in &removed.deployments {
        context.say(&format!("{} is removed", deployment_title(deployment)));
    }
    context.say(&format!(
        "{} refs and {} objects ({}) removed",
        count(removed.refs.len() as u64),
        count(removed.objects),
        bytes(removed.bytes),
    ));
    context.report(&GcReport {
        deployments: removed.deployments.iter().map(Into::into).collect(),
        refs: removed.refs,
        objects: removed.objects,
        bytes: removed.bytes,
    })
}

#[derive(Serialize)]
struct GcReport {
    deployments: Vec<DeploymentView>,
    refs: Vec<String>,
    objects: u64,
    bytes: u64,
}

impl Report for GcReport {}
