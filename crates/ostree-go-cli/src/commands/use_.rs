use crate::args::hooks::HookArgs;
use crate::context::Context;
use crate::deploy::{not_deployed, not_planned};
use crate::error::CliError;
use crate::hooks;
use crate::report::Report;
use crate::text::deployment_title;
use crate::views::deployment::DeploymentView;
use crate::views::hook::HookView;
use crate::views::value::PathText;
use ostree_go_sdk::deploy::Activate;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Activate an installed SDK
///
/// Afterwards, the hooks run; if a required one fails, the previous SDK is activated again. The hooks of the
/// active SDK that have not finished, because the machine was switched off for example, run now.
#[derive(Debug, clap::Args)]
pub struct UseArgs {
    /// Installed SDK: a version, a channel, a ref, or the first digits of a commit
    #[arg(value_name = "VERSION")]
    name: String,

    #[command(flatten)]
    hooks: HookArgs,
}

pub fn run(context: &Context, args: &UseArgs) -> Result<ExitCode, CliError> {
    let root = context.root()?;
    let activate = Activate::new(&args.name)
        .hooks(args.hooks.hooks(&context.settings, &root))
        .inside_hook(context.settings.is_inside_hook())
        .progress(context.progress());
    let plan = activate.plan(&root);
    let done = plan
        .map_err(|error| not_planned(&root, error))?
        .execute()
        .map_err(|error| not_deployed(&root, error))?;
    let state = match done.activated {
        true => "is active",
        false => "is already active",
    };
    context.say(&format!("{} {state}", deployment_title(&done.deployment)));
    hooks::print_warnings(context, &done.hooks);
    context.report(&UseReport {
        active: DeploymentView::from(&done.deployment),
        activated: done.activated,
        hooks: done.hooks.iter().map(Into::into).collect(),
        bin: PathText(root.bin()),
    })
}

#[derive(Serialize)]
struct UseReport {
    active: DeploymentView,
    activated: bool,
    hooks: Vec<HookView>,
    bin: PathText<PathBuf>,
}

impl Report for UseReport {}
