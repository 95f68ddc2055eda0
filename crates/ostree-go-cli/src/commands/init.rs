use super::Context;
use crate::error::CliError;
use clap::ValueEnum;
use ostree_go_sdk::{Repo, RepoMode};
use serde_json::json;
use std::process::ExitCode;

/// Make an empty repository
///
/// `compose` makes one by itself, in archive mode; this is for the other modes. Making a
/// repository where one is changes nothing.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// How the repository stores files
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Mode {
    /// Compressed, to be served over HTTP
    #[default]
    Archive,
    /// Plain files, owner and mode in a user xattr; needs no root
    BareUser,
    /// Plain files, no ownership; needs no root and no xattrs
    BareUserOnly,
    /// Plain files with their real owner; needs root
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

/// What is said of a new repository.
pub fn made(repo: &Repo) -> String {
    format!(
        "made repository {} in {} mode",
        repo.path().display(),
        repo.mode()
    )
}

pub fn run(context: &Context<'_>, args: &InitArgs) -> Result<ExitCode, CliError> {
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
    context.output.say(&if created {
        made(&repo)
    } else {
        let path = path.display();
        format!("repository {path} is there already, in {wanted} mode")
    });
    let document = json!({"repo": path, "mode": wanted.as_str(), "created": created});
    context.output.data(&document, String::new)?;
    Ok(ExitCode::SUCCESS)
}
