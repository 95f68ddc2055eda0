use crate::args::arch;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::deployment_title;
use crate::views::deployment::DeploymentView;
use ostree_go_sdk::Arch;
use ostree_go_sdk::deploy::Uninstall;
use serde::Serialize;
use std::process::ExitCode;

/// Uninstall an SDK
///
/// Deletes the deployment. To delete its objects from the repository as well, run `ostree-go gc`
/// afterwards.
#[derive(Debug, clap::Args)]
pub struct UninstallArgs {
    /// Installed SDK: a version, a channel, a ref, or the first digits of a commit
    #[arg(value_name = "VERSION")]
    name: String,

    /// Architecture of the SDK
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    arch: Option<Arch>,

    /// Allow uninstalling the active SDK; afterwards, no SDK is active
    #[arg(long)]
    active: bool,
}

pub fn run(context: &Context, args: &UninstallArgs) -> Result<ExitCode, CliError> {
    let root = context.root()?;
    let uninstall = Uninstall::new(&args.name)
        .arch(args.arch)
        .allow_active(args.active)
        .progress(context.progress());
    let done = uninstall.plan(&root)?.execute()?;
    context.say(&format!(
        "{} is removed",
        deployment_title(&done.deployment)
    ));
    context.report(&UninstallReport {
        removed: DeploymentView::from(&done.deployment),
        active: done.active.as_ref().map(Into::into),
    })
}

#[derive(Serialize)]
struct UninstallReport {
    removed: DeploymentView,
    active: Option<DeploymentView>,
}

impl Report for UninstallReport {}
