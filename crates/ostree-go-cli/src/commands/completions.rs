use crate::context::Context;
use crate::error::CliError;
use clap_complete::Shell;
use std::process::ExitCode;

/// Print the completion script for a shell
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(
    context: &Context,
    args: &CompletionsArgs,
    parser: fn() -> clap::Command,
) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut parser(), "ostree-go", &mut script);
    context.output.raw(&script)?;
    Ok(ExitCode::SUCCESS)
}
