use crate::completion;
use crate::context::Context;
use crate::error::CliError;
use clap_complete::Shell;
use std::process::ExitCode;

/// Print the completion script for a shell
///
/// The script runs `ostree-go` for each completion, which also completes refs, installed SDKs,
/// remotes and what they offer.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(context: &Context, args: &CompletionsArgs) -> Result<ExitCode, CliError> {
    let name = args.shell.to_string();
    let script = completion::script(&name);
    let script = script.ok_or_else(|| CliError::usage(format!("no completions for {name}")))?;
    context.output.raw(&script.map_err(CliError::Output)?)?;
    Ok(ExitCode::SUCCESS)
}
