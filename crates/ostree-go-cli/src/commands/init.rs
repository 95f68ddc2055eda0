use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::views::value::PathText;
use clap::ValueEnum;
use ostree_go_sdk::{Repo, RepoMode};
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// Create an empty repository
///
/// `compose` creates a repository in archive mode automatically; use `init` for the other modes. If
/// the repository already exists, it is not changed.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// Storage mode of the repository
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Mode {
    /// Compressed files, for serving over HTTP
    #[default]
    Archive,
    /// Uncompressed files, with owner and mode in a user xattr; does not need root
    BareUser,
    /// Uncompressed files without ownership; needs neither root nor xattrs
    BareUserOnly,
    /// Uncompressed files with their real owner; needs root
    Bare,
}

impl From<Mode> for RepoMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Archive => Self::Archive,
            Mode::BareUser => Self::BareUser,
            Mode::BareUserOnly => Self::BareUserOnly,
            Mode::Bare => Self::Bare,
        }
    }
}

pub fn run(context: &Context, args: &InitArgs) -> Result<ExitCode, CliError> {
    let path = context.repo_path()?;
    let wanted = RepoMode::from(args.mode);
    let created = Repo::is_absent(path);
    let repo = if created {
        Repo::create(path, wanted)?
    } else {
        Repo::open(path)?
    };
    if repo.mode() != wanted {
        return Err(CliError::usage(format!(
            "repository {} has mode {}, expected {wanted}",
            path.display(),
            repo.mode(),
        )));
    }
    if created {
        context.say_created(&repo);
    } else {
        let path = path.display();
        context.say(&format!(
            "repository {path} already exists, in {wanted} mode"
        ));
    }
    context.report(&InitReport {
        repo: PathText(path),
        mode: wanted.as_str(),
        created,
    })
}

#[derive(Serialize)]
struct InitReport<'a> {
    repo: PathText<&'a Path>,
    mode: &'static str,
    created: bool,
}

impl Report for InitReport<'_> {}
