use super::deployments::{self, not_planned};
use super::install::{FromArgs, execute, report};
use super::{Context, UNCHANGED};
use crate::error::CliError;
use crate::progress::Terminal;
use ostree_go_sdk::{Outcome, Upgrade};
use std::process::ExitCode;
use std::sync::Arc;

/// Upgrade the active SDK, or others, to the newest of its channel
///
/// If the old SDK was active, the new one is activated; otherwise it is only installed. Either all
/// SDKs are upgraded or none. The source of each is that of the old SDK: its remote, or the
/// repository on this machine.
#[derive(Debug, clap::Args)]
pub struct UpgradeArgs {
    /// Installed channels to upgrade (default: that of the active SDK)
    #[arg(value_name = "CHANNEL", conflicts_with = "all")]
    channels: Vec<String>,

    /// Upgrade all installed channels
    #[arg(long)]
    all: bool,

    /// Exit with 77 if nothing changed
    #[arg(long)]
    unchanged_exit_77: bool,

    #[command(flatten)]
    from: FromArgs,
}

pub fn run(context: &Context<'_>, args: &UpgradeArgs) -> Result<ExitCode, CliError> {
    let root = deployments::open(context)?;
    if args.channels.is_empty() && !args.all && args.from.arch.is_some() {
        return Err(CliError::usage("--arch needs a channel, or --all"));
    }
    let upgrade = Upgrade::new()
        .channels(args.channels.iter().cloned())
        .all(args.all)
        .arch(args.from.arch)
        .source(args.from.source())
        .allow_downgrade(args.from.allow_downgrade)
        .http(args.from.transfer.http(context.settings.http()))
        .progress(Arc::new(Terminal::new(&context.global)));
    let plan = upgrade.plan(&root);
    let plan = plan.map_err(|error| not_planned(&root, error))?;
    let installed = execute(context, &root, plan)?;
    report(context, &root, &installed)?;
    let mut deployed = installed.deployed.iter();
    let unchanged = deployed.all(|one| one.outcome == Outcome::Unchanged);
    Ok(
        if args.unchanged_exit_77 && unchanged && !installed.activated {
            ExitCode::from(UNCHANGED)
        } else {
            ExitCode::SUCCESS
        },
    )
}
