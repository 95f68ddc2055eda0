//! The verbs of workspaces. Each file contains the arguments of a verb and the function that runs it.

mod against;
mod check;
mod findings;
mod lock;
mod write;

use crate::args::global::Format;
use crate::context::Context;
use crate::error::CliError;
use clap::Subcommand;
use std::process::ExitCode;

/// Lock what a workspace is built from, and check that nothing has changed
///
/// A lock records the SDK, the build settings, go.work and go.mod, the modules with their hashes, the commits of
/// replacements, and the vendored files.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct WorkspaceArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Lock(lock::LockArgs),
    Check(check::CheckArgs),
}

impl WorkspaceArgs {
    /// Returns whether the result of the verb has a format.
    pub const fn has_format(&self, format: Format) -> bool {
        match self.verb {
            Verb::Check(_) => true,
            Verb::Lock(_) => !format.is_of_findings(),
        }
    }
}

pub fn run(context: &Context, args: &WorkspaceArgs) -> Result<ExitCode, CliError> {
    match &args.verb {
        Verb::Lock(args) => lock::run(context, args),
        Verb::Check(args) => check::run(context, args),
    }
}
