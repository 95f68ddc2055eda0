use super::Context;
use super::deployments::{self, not_deployed, title};
use crate::error::CliError;
use crate::progress::Terminal;
use ostree_go_sdk::Action;
use serde_json::json;
use std::process::ExitCode;

/// Make an installed SDK the active one
#[derive(Debug, clap::Args)]
pub struct UseArgs {
    /// A version, a channel, a ref or the beginning of a commit
    #[arg(value_name = "VERSION")]
    name: String,
}

pub fn run(context: &Context<'_>, args: &UseArgs) -> Result<ExitCode, CliError> {
    let progress = Terminal::new(&context.global);
    let root = deployments::open(context)?;
    let mut locked = root.lock(&progress)?;
    let deployment = locked.find(&args.name, None)?;
    let changed = locked
        .activate(deployment.commit, Action::Use)
        .map_err(|error| not_deployed(&root, error))?;
    let word = if changed {
        "is active"
    } else {
        "was active already"
    };
    context
        .output
        .say(&format!("{} {word}", title(&deployment)));
    let document = json!({
        "active": deployments::json(&deployment), "activated": changed, "bin": root.bin(),
    });
    context.output.data(&document, String::new)?;
    Ok(ExitCode::SUCCESS)
}
