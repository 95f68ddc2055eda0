use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::revision::resolve;
use crate::text::{bytes, count};
use crate::views::value::{PathText, Text};
use ostree_go_sdk::export::Compression;
use ostree_go_sdk::export::tar::{TarOptions, export_tar, write_tar};
use ostree_go_sdk::{CommitId, Sha256};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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

pub fn run(context: &Context, args: &TarArgs) -> Result<ExitCode, CliError> {
    let to_stdout = context.output.is_stdout_taken([&args.file])?;
    let repo = context.repo()?;
    let commit = resolve(&repo, &args.release)?;
    let options = TarOptions::default()
        .compression(Compression::of_name(&args.file))
        .progress(context.progress());
    if to_stdout {
        let name = Path::new("standard output");
        write_tar(&repo, commit, &mut std::io::stdout(), name, &options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let made = export_tar(&repo, commit, &args.file, &options)?;
    context.say(&format!(
        "{}: {}, {} files",
        args.file.display(),
        bytes(made.bytes),
        count(made.files)
    ));
    context.report(&TarReport {
        commit: Text(commit),
        path: PathText(&args.file),
        bytes: made.bytes,
        sha256: Text(made.sha256),
        files: made.files,
    })
}

#[derive(Serialize)]
struct TarReport<'a> {
    commit: Text<CommitId>,
    path: PathText<&'a Path>,
    bytes: u64,
    sha256: Text<Sha256>,
    files: u64,
}

impl Report for TarReport<'_> {}
