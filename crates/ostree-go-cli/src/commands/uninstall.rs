use super::Context;
use super::deployments::{self, title};
use crate::error::CliError;
use crate::progress::Terminal;
use ostree_go_sdk::Arch;
use serde_json::json;
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

pub fn run(context: &Context<'_>, args: &UninstallArgs) -> Result<ExitCode, CliError> {
    let progress = Terminal::new(&context.global);
    let root = deployments::open(context)?;
    let mut locked = root.lock(&progress)?;
    let found = locked.find(&args.name, args.arch)?;
    let removed = locked.uninstall(found.commit, args.active)?;
    context
        .output
        .say(&format!("{} is removed", title(&removed)));
    let document = json!({
        "removed": deployments::json(&removed), "active": locked.active()?.map(deployments::json),
    });
    context.output.data(&document, String::new)?;
    Ok(ExitCode::SUCCESS)
}
