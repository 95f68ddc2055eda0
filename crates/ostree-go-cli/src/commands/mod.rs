//! The verbs, one file each: arguments and one function.

mod completions;
mod compose;
mod diff;
mod fsck;
mod init;
mod list;
mod log;
mod man;
mod pull;
mod remote;
mod show;

use crate::cli::{Cli, GlobalArgs};
use crate::error::CliError;
use crate::output::Output;
use crate::settings::Settings;
use clap::Subcommand;
use ostree_go_sdk::{Arch, CommitId, CommitInfo, Repo};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Exit code of a check that found damage.
const DRIFT: u8 = 4;
/// Exit code of a compose that changed nothing, where the caller asked to be told.
const UNCHANGED: u8 = 77;

#[derive(Debug, Subcommand)]
pub enum Command {
    Compose(compose::ComposeArgs),
    Init(init::InitArgs),
    List(list::ListArgs),
    Log(log::LogArgs),
    Show(show::ShowArgs),
    Diff(diff::DiffArgs),
    Fsck(fsck::FsckArgs),
    Remote(remote::RemoteArgs),
    Pull(pull::PullArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// What every verb works with.
pub struct Context<'a> {
    pub global: GlobalArgs,
    pub settings: &'a Settings,
    pub output: &'a Output,
}

pub fn run(cli: Cli, settings: &Settings, output: &Output) -> Result<ExitCode, CliError> {
    let context = Context {
        global: cli.global,
        settings,
        output,
    };
    match cli.command {
        Command::Compose(args) => compose::run(&context, &args),
        Command::Init(args) => init::run(&context, &args),
        Command::List(args) => list::run(&context, &args),
        Command::Log(args) => log::run(&context, &args),
        Command::Show(args) => show::run(&context, &args),
        Command::Diff(args) => diff::run(&context, &args),
        Command::Fsck(args) => fsck::run(&context, &args),
        Command::Remote(args) => remote::run(&context, &args),
        Command::Pull(args) => pull::run(&context, &args),
        Command::Completions(args) => completions::run(&context, &args),
        Command::Man(args) => man::run(&context, &args),
    }
}

impl Context<'_> {
    /// The path of the repository the command is about.
    fn repo_path(&self) -> Result<&Path, CliError> {
        self.global.repo.as_deref().ok_or_else(|| CliError::Usage {
            message: "no repository given".to_owned(),
            hint: Some("name one with --repo PATH, or in OSTREE_REPO".to_owned()),
        })
    }

    fn repo(&self) -> Result<Repo, CliError> {
        Ok(Repo::open(self.repo_path()?)?)
    }
}

/// The commit that a ref, a commit or a short ref names: `1.26.5` means
/// `go-sdk/<this machine's basearch>/1.26.5`.
fn resolve(repo: &Repo, rev: &str) -> Result<CommitId, CliError> {
    let error = match repo.resolve(rev) {
        Ok(id) => return Ok(id),
        Err(error) => error,
    };
    if let (Some(arch), false) = (Arch::host(), rev.contains('/'))
        && let Ok(id) = repo.resolve(&format!("go-sdk/{arch}/{rev}"))
    {
        return Ok(id);
    }
    Err(error.into())
}

/// A commit in JSON, as `list`, `log`, `show` and `diff` print it.
fn commit_json(commit: &CommitInfo) -> Value {
    let layers = commit
        .layers
        .iter()
        .map(|(name, id)| json!({"name": name, "commit": id.to_string()}));
    json!({
        "commit": commit.id.to_string(),
        "kind": commit.kind.as_str(),
        "content": commit.content.to_string(),
        "parent": commit.parent.map(|id| id.to_string()),
        "subject": commit.subject,
        "timestamp": crate::output::time(commit.timestamp),
        "version": commit.version,
        "arch": commit.arch.map(Arch::basearch),
        "layer": commit.layer,
        "layers": layers.collect::<Value>(),
        "h1": commit.h1,
        "bytes": commit.bytes,
        "files": commit.files,
        "bound_to": commit.bound_to.iter().map(ToString::to_string).collect::<Value>(),
        "metadata": commit.extra,
        "source": commit.source,
        "input_hash": commit.input_hash,
    })
}
