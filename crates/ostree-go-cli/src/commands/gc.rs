use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{bytes, count, deployment_title};
use crate::views::deployment::DeploymentView;
use ostree_go_sdk::GcOptions;
use serde::Serialize;
use std::process::ExitCode;

/// Remove what no installed SDK needs
///
/// Whatever is in the root's repository and not installed is removed. Waits for an install
/// that is under way.
#[derive(Debug, clap::Args)]
pub struct GcArgs {
    /// Uninstall SDKs that a later one of the same channel has replaced, too; the active one,
    /// the one that a rollback goes to and pinned ones stay
    #[arg(long)]
    superseded: bool,
}

pub fn run(context: &Context, args: &GcArgs) -> Result<ExitCode, CliError> {
    let root = context.root()?;
    let options = GcOptions::default().superseded(args.superseded);
    let removed = root.gc(&options, &*context.progress())?;
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
