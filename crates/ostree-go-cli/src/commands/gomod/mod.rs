//! Changes of Go's module files. Each file contains the arguments of an action and the function that runs it.

mod sync;

use crate::context::Context;
use crate::error::CliError;
use clap::Subcommand;
use std::process::ExitCode;

/// Change the Go that projects ask for in go.mod and go.work
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct GomodArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Sync(sync::SyncArgs),
}

pub fn run(context: &Context, args: &GomodArgs) -> Result<ExitCode, CliError> {
    match &args.action {
        Action::Sync(args) => sync::run(context, args),
    }
}
