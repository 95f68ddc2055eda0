use super::Context;
use crate::cli::Cli;
use crate::error::CliError;
use clap::CommandFactory;
use clap_complete::Shell;
use std::process::ExitCode;

/// Print the completion script for a shell
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(context: &Context<'_>, args: &CompletionsArgs) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ostree-go", &mut script);
    context.output.raw(&script)?;
    Ok(ExitCode::SUCCESS)
}
