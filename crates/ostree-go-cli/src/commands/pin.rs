use super::Context;
use super::deployments::{self, title};
use crate::error::CliError;
use crate::progress::Terminal;
use ostree_go_sdk::Arch;
use serde_json::json;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct PinArgs {
    /// A version, a channel, a ref or the beginning of a commit
    #[arg(value_name = "VERSION")]
    name: String,

    /// The machine the SDK is for
    #[arg(long, value_name = "ARCH")]
    arch: Option<Arch>,
}

pub fn run(context: &Context<'_>, args: &PinArgs, pinned: bool) -> Result<ExitCode, CliError> {
    let progress = Terminal::new(&context.global);
    let root = deployments::open(context)?;
    let mut locked = root.lock(&progress)?;
    let found = locked.find(&args.name, args.arch)?;
    locked.pin(found.commit, pinned)?;
    let word = if pinned { "is pinned" } else { "is not pinned" };
    context.output.say(&format!("{} {word}", title(&found)));
    let found = locked.find(&found.commit.to_string(), None)?;
    let document = json!({"deployment": deployments::json(&found)});
    context.output.data(&document, String::new)?;
    Ok(ExitCode::SUCCESS)
}
