use crate::args::hooks::HookArgs;
use crate::args::source::FromArgs;
use crate::args::std_cache::StdCacheArgs;
use crate::context::Context;
use crate::deploy::{self, Mode};
use crate::error::CliError;
use ostree_go_sdk::deploy::Upgrade;
use std::process::ExitCode;

/// Upgrade the active SDK, or others, to the newest of its channel
///
/// If the old SDK was active, the new one is activated; otherwise it is only installed. Either all
/// SDKs are upgraded or none. The source of each is that of the old SDK: its remote, or the
/// repository on this machine. After the activation, the hooks run; if a required one fails, the old
/// SDK is activated again.
#[derive(Debug, clap::Args)]
pub struct UpgradeArgs {
    /// Installed channels to upgrade (default: that of the active SDK)
    #[arg(value_name = "CHANNEL", conflicts_with = "all")]
    channels: Vec<String>,

    /// Upgrade all installed channels
    #[arg(long)]
    all: bool,

    /// Exit with 77 if nothing changed
    #[arg(long, conflicts_with_all = ["check", "dry_run"])]
    unchanged_exit_77: bool,

    /// Only show whether there is something new: exit with 0 if everything is up to date, with 77 if
    /// an upgrade would change something
    #[arg(long)]
    check: bool,

    /// Show what would be upgraded and the sizes, without changing anything
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,

    #[command(flatten)]
    hooks: HookArgs,

    #[command(flatten)]
    std_caches: StdCacheArgs,

    #[command(flatten)]
    from: FromArgs,
}

pub fn run(context: &Context, args: &UpgradeArgs) -> Result<ExitCode, CliError> {
    let root = context.root()?;
    if args.channels.is_empty() && !args.all && args.from.arch.is_some() {
        return Err(CliError::usage("--arch needs a channel, or --all"));
    }
    let upgrade = Upgrade::new()
        .channels(args.channels.iter().cloned())
        .all(args.all)
        .arch(args.from.arch)
        .source(args.from.source())
        .std_caches(args.std_caches.selection())
        .allow_downgrade(args.from.allow_downgrade)
        .hooks(args.hooks.hooks(&context.settings, &root))
        .inside_hook(context.settings.is_inside_hook())
        .http(args.from.transfer.http(context.settings.http()?))
        .progress(context.progress());
    let mode = match (args.check, args.dry_run) {
        (true, _) => Mode::Check,
        (_, true) => Mode::DryRun,
        _ => Mode::Execute {
            unchanged_exit_77: args.unchanged_exit_77,
        },
    };
    deploy::execute(context, &root, upgrade.plan(&root), mode)
}
