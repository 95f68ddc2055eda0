use crate::context::Context;
use crate::deploy::not_deployed;
use crate::error::CliError;
use crate::report::Report;
use crate::text::deployment_title;
use crate::views::deployment::DeploymentView;
use crate::views::value::PathText;
use ostree_go_sdk::deploy::Activate;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Activate an installed SDK
#[derive(Debug, clap::Args)]
pub struct UseArgs {
    /// Installed SDK: a version, a channel, a ref, or the first digits of a commit
    #[arg(value_name = "VERSION")]
    name: String,
}

pub fn run(context: &Context, args: &UseArgs) -> Result<ExitCode, CliError> {
    let root = context.root()?;
    let activate = Activate::new(&args.name).progress(context.progress());
    let done = activate
        .plan(&root)?
        .execute()
        .map_err(|error| not_deployed(&root, error))?;
    let state = match done.activated {
        true => "is active",
        false => "is already active",
    };
    context.say(&format!("{} {state}", deployment_title(&done.deployment)));
    context.report(&UseReport {
        active: DeploymentView::from(&done.deployment),
        activated: done.activated,
        bin: PathText(root.bin()),
    })
}

#[derive(Serialize)]
struct UseReport {
    active: DeploymentView,
    activated: bool,
    bin: PathText<PathBuf>,
}

impl Report for UseReport {}
