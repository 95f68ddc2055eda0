//! The command line: its tree, and the way from arguments to an exit code.

use crate::commands::{self, Command};
use crate::error::CliError;
use crate::output::Output;
use crate::progress::ProgressMode;
use crate::settings::Settings;
use clap::{ColorChoice, CommandFactory, Parser, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// Go toolchains for immutable hosts, delivered as signed OSTree commits.
#[derive(Debug, Parser)]
#[command(name = "ostree-go", version, propagate_version = true)]
#[command(
    disable_help_subcommand = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,

    #[command(subcommand)]
    pub command: Command,
}

/// Options that every verb takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// The OSTree repository to work on
    #[arg(long, global = true, value_name = "PATH", env = "OSTREE_REPO")]
    pub repo: Option<PathBuf>,

    /// The directory that holds the deployments (default: /var/lib/ostree-go for root,
    /// $XDG_DATA_HOME/ostree-go for a user)
    #[arg(long, global = true, value_name = "PATH", env = "OSTREE_GO_ROOT")]
    pub root: Option<PathBuf>,

    /// How to print what was asked for on standard output
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub format: Format,

    /// How to show progress on standard error
    #[arg(long, global = true, value_enum, default_value_t, value_name = "MODE")]
    pub progress: ProgressMode,

    /// Say more: sources that were passed over, requests that are tried again
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Say nothing on standard error but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// When to use colour (NO_COLOR is honoured)
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub color: ColorChoice,
}

/// What standard output holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    #[default]
    Human,
    /// One JSON document
    Json,
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let settings = Settings::from_env();
    // Asking for usage errors on our own terms gives them our exit code.
    let cli = match Cli::command()
        .color(settings.color_from_args())
        .try_get_matches()
        .and_then(|matches| <Cli as clap::FromArgMatches>::from_arg_matches(&matches))
    {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let output = Output::new(&cli.global);
    match commands::run(cli, &settings, &output) {
        Ok(code) => code,
        Err(error) => report(&error, &output),
    }
}

fn report(error: &CliError, output: &Output) -> ExitCode {
    output.error(error);
    ExitCode::from(error.exit_code())
}
