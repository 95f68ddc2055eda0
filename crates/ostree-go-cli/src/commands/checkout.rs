use super::{Context, resolve};
use crate::error::CliError;
use crate::output::count;
use clap::ValueEnum;
use ostree_go_sdk::{CheckoutOptions, TreePath, Union, checkout};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Check a commit's tree out to a directory
///
/// Files are hard links into the repository where that can be: writing to one damages the
/// repository. Use --copy for a tree that is going to be changed.
#[derive(Debug, clap::Args)]
pub struct CheckoutArgs {
    /// A ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "REF")]
    rev: String,

    /// Where to; it must not exist without --union
    #[arg(value_name = "DEST")]
    dest: PathBuf,

    /// Only this directory of the tree: /usr/lib/sdk/go-1.26
    #[arg(long, value_name = "PATH")]
    subpath: Option<String>,

    /// What to do about files that are at DEST already
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    union: How,

    /// Copy every file
    #[arg(long)]
    copy: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum How {
    /// DEST must not exist
    #[default]
    None,
    /// They stay
    Add,
    /// They have to be the same
    Identical,
}

pub fn run(context: &Context<'_>, args: &CheckoutArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let commit = resolve(&repo, &args.rev)?;
    let subpath = match args.subpath.as_deref().map(|path| path.trim_matches('/')) {
        None | Some("") => None,
        Some(path) => Some(
            path.parse::<TreePath>()
                .map_err(|error| CliError::usage(error.to_string()))?,
        ),
    };
    let options = CheckoutOptions::default()
        .subpath(subpath)
        .copy(args.copy)
        .union(match args.union {
            How::None => Union::None,
            How::Add => Union::Add,
            How::Identical => Union::Identical,
        });
    let made = checkout(&repo, commit, &args.dest, &options)?;
    let dest = args.dest.display();
    context.output.say(&format!(
        "{dest}: {} files linked, {} copied",
        count(made.linked),
        count(made.copied)
    ));
    if made.crossed {
        let repo = repo.path().display();
        context.output.say(&format!(
            "note: files are copies: {repo} is on another file system"
        ));
    }
    let document = json!({
        "commit": commit.to_string(), "path": args.dest,
        "linked_files": made.linked, "copied_files": made.copied,
        "other_file_system": made.crossed,
    });
    context.output.data(&document, String::new)?;
    Ok(ExitCode::SUCCESS)
}
