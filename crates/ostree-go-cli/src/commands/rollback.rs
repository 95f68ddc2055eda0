use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{count, deployment_title};
use crate::views::damage::{DamagedFileView, damaged_files};
use crate::views::deployment::DeploymentView;
use ostree_go_sdk::deploy::Rollback;
use serde::Serialize;
use std::process::ExitCode;

/// Activate the SDK that was active before
///
/// A second rollback activates the SDK again that was active before the first one. Needs neither a
/// network connection nor keys.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// Verify all files before the switch, and skip damaged SDKs
    #[arg(long)]
    verified: bool,
}

pub fn run(context: &Context, args: &RollbackArgs) -> Result<ExitCode, CliError> {
    let root = context.root()?;
    let rollback = Rollback::new()
        .verified(args.verified)
        .progress(context.progress());
    let rolled = rollback.plan(&root)?.execute()?;
    for (deployment, files) in &rolled.damaged {
        let title = deployment_title(deployment);
        let files = count(files.len() as u64);
        context.say(&format!("note: {title} is damaged ({files} files)"));
    }
    let to = deployment_title(&rolled.to);
    context.say(&match &rolled.from {
        Some(from) => format!("{to} is active instead of {}", deployment_title(from)),
        None => format!("{to} is active"),
    });
    let damaged = rolled.damaged.iter();
    context.report(&RollbackReport {
        from: rolled.from.as_ref().map(Into::into),
        active: DeploymentView::from(&rolled.to),
        damaged: damaged
            .map(|(deployment, files)| DamagedView {
                deployment: DeploymentView::from(deployment),
                files: damaged_files(files),
            })
            .collect(),
    })
}

#[derive(Serialize)]
struct RollbackReport {
    from: Option<DeploymentView>,
    active: DeploymentView,
    damaged: Vec<DamagedView>,
}

#[derive(Serialize)]
struct DamagedView {
    deployment: DeploymentView,
    files: Vec<DamagedFileView>,
}

impl Report for RollbackReport {}
