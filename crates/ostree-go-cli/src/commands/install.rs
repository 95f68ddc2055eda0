use crate::args::source::FromArgs;
use crate::context::Context;
use crate::deploy::{self, Mode};
use crate::error::CliError;
use crate::revision::pinned;
use ostree_go_sdk::deploy::Install;
use std::process::ExitCode;

/// Install SDKs and activate the last one
///
/// All files are verified before anything changes. After an error, the active SDK is unchanged. An
/// SDK for another architecture is installed but not activated.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// Version, channel or ref, or `latest` for the newest release; optionally followed by
    /// `@sha256:DIGEST` to require an image in a registry
    #[arg(value_name = "CHANNEL-or-VERSION", required = true)]
    names: Vec<String>,

    /// Install without activating
    #[arg(long)]
    no_activate: bool,

    /// Show what would be installed and the sizes, without changing anything
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    from: FromArgs,
}

pub fn run(context: &Context, args: &InstallArgs) -> Result<ExitCode, CliError> {
    let arch = args.from.arch_or_host()?;
    let names = args.names.iter().map(|name| pinned(name, Some(arch)));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let mut install = Install::new(names.iter().map(|(name, _)| name.clone()))
        .arch(Some(arch))
        .activate(!args.no_activate)
        .source(args.from.source())
        .allow_downgrade(args.from.allow_downgrade)
        .http(args.from.transfer.http(context.settings.http()?))
        .progress(context.progress());
    for (name, pin) in &names {
        if let Some(digest) = pin {
            install = install.pin(name, *digest);
        }
    }
    let (root, mode) = match args.dry_run {
        true => (context.root()?, Mode::DryRun),
        false => {
            let unchanged_exit_77 = false;
            let mode = Mode::Execute { unchanged_exit_77 };
            (context.open_or_create_root()?, mode)
        }
    };
    deploy::execute(context, &root, install.plan(&root), mode)
}
