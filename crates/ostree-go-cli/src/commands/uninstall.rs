use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::deployment_title;
use crate::views::deployment::DeploymentView;
use ostree_go_sdk::Arch;
use serde::Serialize;
use std::process::ExitCode;

/// Remove an installed SDK
///
/// `ostree-go gc` frees what it took in the repository.
#[derive(Debug, clap::Args)]
pub struct UninstallArgs {
    /// A version, a channel, a ref or the beginning of a commit
    #[arg(value_name = "VERSION")]
    name: String,

    /// The machine the SDK is for
    #[arg(long, value_name = "ARCH")]
    arch: Option<Arch>,

    /// Remove it even if it is the active one; none is active then
    #[arg(long)]
    active: bool,
}

pub fn run(context: &Context, args: &UninstallArgs) -> Result<ExitCode, CliError> {
    let progress = context.progress();
    let root = context.root()?;
    let mut locked = root.lock(&*progress)?;
    let found = locked.find(&args.name, args.arch)?;
    let removed = locked.uninstall(found.commit, args.active)?;
    context.say(&format!("{} is removed", deployment_title(&removed)));
    context.report(&UninstallReport {
        removed: DeploymentView::from(&removed),
        active: locked.active()?.map(Into::into),
    })
}

#[derive(Serialize)]
struct UninstallReport {
    removed: DeploymentView,
    active: Option<DeploymentView>,
}

impl Report for UninstallReport {}
