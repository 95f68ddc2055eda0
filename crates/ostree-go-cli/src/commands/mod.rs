//! The verbs. Each file contains the arguments of a verb and the function that runs it.

mod checkout;
mod completions;
mod compose;
mod delta;
mod deployments;
mod diff;
mod env;
mod export;
mod fsck;
mod gc;
mod import;
mod init;
mod install;
mod key;
mod list;
mod log;
mod man;
mod overlay;
mod pin;
mod promote;
mod prune;
mod publish;
mod pull;
mod remote;
mod rollback;
mod show;
mod sign;
mod signing;
mod status;
mod transfer;
mod uninstall;
mod upgrade;
mod use_;
mod verify;

use crate::authfile;
use crate::cli::{Cli, GlobalArgs};
use crate::error::CliError;
use crate::output::Output;
use crate::settings::Settings;
use clap::Subcommand;
use ostree_go_sdk::{
    Arch, CommitId, CommitInfo, ImageReference, InvalidRef, RefName, RegistryAuth, Repo, RepoError,
    Sha256, Signature,
};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Exit code of a check that found damage.
const DAMAGED: u8 = 4;
/// Exit code of a command that changed nothing, with `--unchanged-exit-77`.
const UNCHANGED: u8 = 77;

#[derive(Debug, Subcommand)]
pub enum Command {
    Compose(compose::ComposeArgs),
    Promote(promote::PromoteArgs),
    Publish(publish::PublishArgs),
    Delta(delta::DeltaArgs),
    Sign(sign::SignArgs),
    Verify(verify::VerifyArgs),
    Key(key::KeyArgs),
    Prune(prune::PruneArgs),
    Init(init::InitArgs),
    List(list::ListArgs),
    Log(log::LogArgs),
    Show(show::ShowArgs),
    Diff(diff::DiffArgs),
    Fsck(fsck::FsckArgs),
    Checkout(checkout::CheckoutArgs),
    Export(export::ExportArgs),
    Overlay(overlay::OverlayArgs),
    Import(import::ImportArgs),
    Install(install::InstallArgs),
    Upgrade(upgrade::UpgradeArgs),
    Use(use_::UseArgs),
    Uninstall(uninstall::UninstallArgs),
    /// Protect an installed SDK from removal by `gc --superseded`
    Pin(pin::PinArgs),
    /// Allow `gc --superseded` to remove an SDK again
    Unpin(pin::PinArgs),
    Rollback(rollback::RollbackArgs),
    Status(status::StatusArgs),
    Gc(gc::GcArgs),
    Env(env::EnvArgs),
    Remote(remote::RemoteArgs),
    Pull(pull::PullArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Context of a verb: global options, settings and output.
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
        Command::Promote(args) => promote::run(&context, &args),
        Command::Publish(args) => publish::run(&context, &args),
        Command::Delta(args) => delta::run(&context, &args),
        Command::Sign(args) => sign::run(&context, &args),
        Command::Key(args) => key::run(&context, &args),
        Command::Verify(args) => verify::run(&context, &args),
        Command::Prune(args) => prune::run(&context, &args),
        Command::Init(args) => init::run(&context, &args),
        Command::List(args) => list::run(&context, &args),
        Command::Log(args) => log::run(&context, &args),
        Command::Show(args) => show::run(&context, &args),
        Command::Diff(args) => diff::run(&context, &args),
        Command::Fsck(args) => fsck::run(&context, &args),
        Command::Checkout(args) => checkout::run(&context, &args),
        Command::Export(args) => export::run(&context, &args),
        Command::Overlay(args) => overlay::run(&context, &args),
        Command::Import(args) => import::run(&context, &args),
        Command::Install(args) => install::run(&context, &args),
        Command::Upgrade(args) => upgrade::run(&context, &args),
        Command::Use(args) => use_::run(&context, &args),
        Command::Uninstall(args) => uninstall::run(&context, &args),
        Command::Pin(args) => pin::run(&context, &args, true),
        Command::Unpin(args) => pin::run(&context, &args, false),
        Command::Rollback(args) => rollback::run(&context, &args),
        Command::Status(args) => status::run(&context, &args),
        Command::Gc(args) => gc::run(&context, &args),
        Command::Env(args) => env::run(&context, &args),
        Command::Remote(args) => remote::run(&context, &args),
        Command::Pull(args) => pull::run(&context, &args),
        Command::Completions(args) => completions::run(&context, &args),
        Command::Man(args) => man::run(&context, &args),
    }
}

impl Context<'_> {
    /// Returns the path of the repository that was given on the command line.
    fn repo_path(&self) -> Result<&Path, CliError> {
        self.global.repo.as_deref().ok_or_else(|| CliError::Usage {
            message: "no repository given".to_owned(),
            hint: Some("specify one with --repo PATH or OSTREE_REPO".to_owned()),
        })
    }

    fn repo(&self) -> Result<Repo, CliError> {
        Ok(Repo::open(self.repo_path()?)?)
    }

    /// Returns the credentials for the registry of an image.
    fn registry_auth(&self, image: Option<&ImageReference>) -> Result<RegistryAuth, CliError> {
        let found = image.map(|image| authfile::credentials(self.settings, None, image));
        found.unwrap_or(Ok(RegistryAuth::Anonymous))
    }

    /// Opens the repository that remotes belong to: the one given on the command line, or that of
    /// the root directory.
    fn client_repo(&self) -> Result<Repo, CliError> {
        match &self.global.repo {
            Some(path) => Ok(Repo::open(path)?),
            None => Ok(deployments::open(self)?.repo()?),
        }
    }
}

/// Resolves a ref, a commit or an abbreviated ref: `1.26.5` means
/// `go-sdk/<this machine's basearch>/1.26.5`.
fn resolve(repo: &Repo, rev: &str) -> Result<CommitId, CliError> {
    let error = match repo.resolve(rev) {
        Ok(id) => return Ok(id),
        Err(error) => error,
    };
    let (Some(arch), false) = (Arch::host(), rev.contains('/')) else {
        return Err(error.into());
    };
    match repo.resolve(&whole_ref(rev, arch)) {
        Ok(id) => Ok(id),
        // A suggestion for the full name is the better hint.
        Err(RepoError::NoSuchRev {
            path,
            nearest: Some(nearest),
            ..
        }) => Err(CliError::from(RepoError::NoSuchRev {
            rev: rev.to_owned(),
            path,
            nearest: Some(nearest),
        })),
        Err(_) => Err(error.into()),
    }
}

/// Expands an abbreviated ref: `1.26` means `go-sdk/<basearch>/1.26`. A name with a slash is returned
/// unchanged.
fn whole_ref(word: &str, arch: Arch) -> String {
    match word.contains('/') {
        true => word.to_owned(),
        false => format!("go-sdk/{arch}/{word}"),
    }
}

/// Returns the ref for a version, a channel or a full ref name.
fn ref_name(word: &str, arch: Option<Arch>) -> Result<RefName, CliError> {
    let whole = arch.map_or_else(|| word.to_owned(), |arch| whole_ref(word, arch));
    let parsed = whole.parse();
    parsed.map_err(|error: InvalidRef| CliError::usage(error.to_string()))
}

/// Returns the same, and the expected digest of the image after an `@`: `1.26.5@sha256:00ff…`.
fn pinned(word: &str, arch: Option<Arch>) -> Result<(RefName, Option<Sha256>), CliError> {
    let Some((name, pin)) = word.split_once('@') else {
        return Ok((ref_name(word, arch)?, None));
    };
    let digest = pin.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
    match digest {
        Some(digest) => Ok((ref_name(name, arch)?, Some(digest))),
        None => Err(CliError::usage(format!(
            "`{}` is not a digest, expected `sha256:` and 64 hexadecimal digits",
            pin.escape_debug()
        ))),
    }
}

/// Formats a signature as JSON.
fn signature_json(signature: &Signature) -> Value {
    use crate::output::time;
    json!({
        "status": signature.status.as_str(),
        "kind": signature.kind,
        "key": signature.key,
        "primary_key": signature.primary_key,
        "user": signature.user,
        "created": signature.created.map(time),
        "expires": signature.expires.map(time),
        "key_expires": signature.key_expires.map(time),
    })
}

/// Formats a commit as JSON, for `list`, `log`, `show` and `diff`.
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
        "source": commit.source.as_ref().map(|source| json!({
            "name": source["name"],
            "form": source["form"],
            "sha256": source["sha256"],
            "bytes": source["size"],
        })),
        "input_hash": commit.input_hash,
    })
}
