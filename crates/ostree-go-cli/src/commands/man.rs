mod examples;
mod sections;

use crate::context::Context;
use crate::error::CliError;
use clap_mangen::Man;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[cfg(test)]
pub use examples::examples;

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
            write_all(&command, folder).map_err(failed)?;
        }
        None => {
            let (_, page) = render(&command).map_err(CliError::Output)?;
            context.output.raw(&page)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages of a verb and of the verbs below it.
fn write_all(command: &clap::Command, folder: &Path) -> io::Result<()> {
    let (name, page) = render(command)?;
    std::fs::write(folder.join(name), page)?;
    command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .try_for_each(|verb| write_all(verb, folder))
}

/// Renders the page of a verb, and returns it with the name of its file.
fn render(command: &clap::Command) -> io::Result<(String, Vec<u8>)> {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    let mut page = break_alternatives(&page);
    // The name of the whole command line: `ostree-go key generate`.
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let verb = name.strip_prefix("ostree-go").unwrap_or(name).trim_start();
    sections::render(verb, &mut page)?;
    Ok((man.get_filename(), page))
}

/// Allows line breaks between the alternatives in the synopsis, which has no spaces there, and does not justify it.
fn break_alternatives(page: &[u8]) -> Vec<u8> {
    let page = String::from_utf8_lossy(page);
    let mut is_synopsis = false;
    let lines = page.split_inclusive('\n').map(|line| {
        if line.starts_with(".SH") {
            is_synopsis = line.starts_with(".SH SYNOPSIS");
            line.to_owned()
        } else if is_synopsis {
            format!(".na\n{}.ad\n", line.replace("\\fR|", "\\fR|\\:"))
        } else {
            line.to_owned()
        }
    });
    lines.collect::<String>().into_bytes()
}
