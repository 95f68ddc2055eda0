use super::Context;
use crate::cli::Cli;
use crate::error::CliError;
use clap::CommandFactory;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print the manual page, or write those of every verb
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write ostree-go.1 and a page per verb into this folder
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

pub fn run(context: &Context<'_>, args: &ManArgs) -> Result<ExitCode, CliError> {
    let mut command = Cli::command();
    // Gives every verb the global options, and its page its own name.
    command.build();
    match &args.output_dir {
        Some(folder) => {
            let failed = |source| CliError::File {
                action: "write manual pages into",
                path: folder.clone(),
                source,
            };
            std::fs::create_dir_all(folder).map_err(failed)?;
            clap_mangen::generate_to(command, folder).map_err(failed)?;
        }
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(command).render(&mut page);
            rendered.map_err(CliError::Output)?;
            context.output.raw(&page)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
