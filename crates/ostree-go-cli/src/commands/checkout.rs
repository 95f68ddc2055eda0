use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::revision::{resolve, tree_path};
use crate::text::count;
use crate::views::value::{PathText, Text};
use clap::ValueEnum;
use ostree_go_sdk::CommitId;
use ostree_go_sdk::checkout::{CheckoutOptions, Union};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check out the tree of a commit to a directory
///
/// If possible, files are hard links into the repository, and writing to one damages the
/// repository. Use --copy for a tree that will be modified.
#[derive(Debug, clap::Args)]
pub struct CheckoutArgs {
    /// A ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "REF")]
    rev: String,

    /// Target directory; it must not exist, except with --union
    #[arg(value_name = "DEST")]
    dest: PathBuf,

    /// Check out only this directory of the tree, for example /usr/lib/sdk/go-1.26
    #[arg(long, value_name = "PATH")]
    subpath: Option<String>,

    /// Handling of files that already exist in DEST
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    union: UnionMode,

    /// Copy all files instead of creating hard links
    #[arg(long)]
    copy: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum UnionMode {
    /// DEST must not exist
    #[default]
    None,
    /// Keep existing files
    Add,
    /// Fail if existing files differ
    Identical,
}

pub fn run(context: &Context, args: &CheckoutArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let commit = resolve(&repo, &args.rev)?;
    let subpath = args
        .subpath
        .as_deref()
        .map(tree_path)
        .transpose()?
        .flatten();
    let options = CheckoutOptions::default()
        .subpath(subpath)
        .copy(args.copy)
        .progress(context.progress())
        .union(match args.union {
            UnionMode::None => Union::None,
            UnionMode::Add => Union::Add,
            UnionMode::Identical => Union::Identical,
        });
    let made = repo.checkout(commit, &args.dest, &options)?;
    let dest = args.dest.display();
    context.output.say(&format!(
        "{dest}: {} files linked, {} copied",
        count(made.linked),
        count(made.copied)
    ));
    if made.crossed {
        let repo = repo.path().display();
        context.output.say(&format!(
            "note: files were copied because {repo} is on another file system"
        ));
    }
    context.report(&CheckoutReport {
        commit: Text(commit),
        path: PathText(&args.dest),
        linked_files: made.linked,
        copied_files: made.copied,
        other_file_system: made.crossed,
    })
}

#[derive(Serialize)]
struct CheckoutReport<'a> {
    commit: Text<CommitId>,
    path: PathText<&'a Path>,
    linked_files: u64,
    copied_files: u64,
    other_file_system: bool,
}

impl Report for CheckoutReport<'_> {}
