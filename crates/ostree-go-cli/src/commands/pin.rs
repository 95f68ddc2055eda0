use crate::args::arch;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::deployment_title;
use crate::views::deployment::DeploymentView;
use ostree_go_sdk::Arch;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct PinArgs {
    /// Installed SDK: a version, a channel, a ref, or the first digits of a commit
    #[arg(value_name = "VERSION")]
    name: String,

    /// Architecture of the SDK
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    arch: Option<Arch>,
}

pub fn run(context: &Context, args: &PinArgs, pinned: bool) -> Result<ExitCode, CliError> {
    let progress = context.progress();
    let root = context.root()?;
    let found = root.pin(&args.name, args.arch, pinned, &*progress)?;
    let state = if pinned { "is pinned" } else { "is not pinned" };
    context.say(&format!("{} {state}", deployment_title(&found)));
    context.report(&PinReport {
        deployment: DeploymentView::from(&found),
    })
}

#[derive(Serialize)]
struct PinReport {
    deployment: DeploymentView,
}

impl Report for PinReport {}
