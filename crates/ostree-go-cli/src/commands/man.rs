use crate::context::Context;
use crate::error::CliError;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print the man page, or write the man pages of all verbs
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write ostree-go.1 and one page for each verb into this directory
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

pub fn run(
    context: &Context,
    args: &ManArgs,
    parser: fn() -> clap::Command,
) -> Result<ExitCode, CliError> {
    let mut command = parser();
    // Adds the global options to every verb, and sets the names of the pages.
    command.build();
    match &args.output_dir {
        Some(folder) => {
            let failed = CliError::file("write man pages to", folder);
            std::fs::create_dir_all(folder).map_err(&failed)?;
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
