use crate::cli::Format;
use crate::commands::{Context, resolve};
use crate::error::CliError;
use crate::output::{bytes, count};
use crate::progress::Terminal;
use ostree_go_sdk::{Compression, TarOptions, export_tar, write_tar};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Write a tar archive of the release's tree
#[derive(Debug, clap::Args)]
pub struct TarArgs {
    /// A ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "RELEASE")]
    release: String,

    /// Output file; `.tar.gz`, `.tgz` and `.tar.zst` are compressed, `-` is standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(context: &Context<'_>, args: &TarArgs) -> Result<ExitCode, CliError> {
    let to_stdout = args.file == Path::new("-");
    if to_stdout && context.global.format == Format::Json {
        return Err(CliError::usage(
            "the archive and a JSON document cannot both be written to standard output",
        ));
    }
    let repo = context.repo()?;
    let commit = resolve(&repo, &args.release)?;
    let options = TarOptions::default()
        .compression(Compression::of_name(&args.file))
        .progress(Arc::new(Terminal::new(&context.global)));
    if to_stdout {
        let name = Path::new("standard output");
        write_tar(&repo, commit, &mut std::io::stdout(), name, &options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let made = export_tar(&repo, commit, &args.file, &options)?;
    context.output.say(&format!(
        "{}: {}, {} files",
        args.file.display(),
        bytes(made.bytes),
        count(made.files)
    ));
    let document = json!({
        "commit": commit.to_string(),
        "path": args.file,
        "bytes": made.bytes,
        "sha256": made.sha256.to_string(),
        "files": made.files,
    });
    context.output.data(&document, String::new)?;
    Ok(ExitCode::SUCCESS)
}
