use super::deployments::{self, not_deployed, title};
use super::install::{FromArgs, deploy, report};
use super::{Context, UNCHANGED};
use crate::error::CliError;
use crate::output::count;
use crate::progress::Terminal;
use ostree_go_sdk::{Action, Deployment, LockedRoot, Repo, remote};
use std::path::PathBuf;
use std::process::ExitCode;

/// Move to the newest SDK of the active one's channel
///
/// An SDK that was installed from a repository on this machine is looked for there again.
#[derive(Debug, clap::Args)]
pub struct UpgradeArgs {
    /// Exit with 77 if there was nothing to do
    #[arg(long)]
    unchanged_exit_77: bool,

    #[command(flatten)]
    from: FromArgs,
}

pub fn run(context: &Context<'_>, args: &UpgradeArgs) -> Result<ExitCode, CliError> {
    let progress = Terminal::new(&context.global);
    let root = deployments::open(context)?;
    let mut locked = root.lock(&progress)?;
    let Some(active) = locked.active().cloned() else {
        let path = root.path().to_owned();
        return Err(ostree_go_sdk::DeployError::NothingActive { path }.into());
    };
    let damaged = locked.check(active.commit)?;
    if let Some(first) = damaged.first() {
        let more = match damaged.len() {
            1 => String::new(),
            n => format!(", and {} more", count(n as u64 - 1)),
        };
        context.output.say(&format!(
            "warning: the active {} no longer verifies: {first}{more}",
            title(&active)
        ));
    }
    let mut from = FromArgs {
        arch: Some(active.arch),
        remote: args.from.remote.clone(),
        from_repo: args.from.from_repo.clone(),
        gpg_keys: args.from.gpg_keys.clone(),
        allow_downgrade: args.from.allow_downgrade,
    };
    if from.from_repo.is_none() && from.remote.is_none() {
        from.from_repo = same_repo(&active);
        from.remote = same_remote(locked.repo(), &active)?;
    }
    let deployed =
        step(context, &mut locked, &active, &from).map_err(|e| not_deployed(&locked, e))?;
    let commit = deployed
        .last()
        .map_or(active.commit, |d| d.deployment.commit);
    let activated = locked
        .activate(commit, Action::Upgrade)
        .map_err(|error| not_deployed(&locked, error.into()))?;
    report(context, &locked, &deployed, activated)?;
    Ok(if args.unchanged_exit_77 && !activated {
        ExitCode::from(UNCHANGED)
    } else {
        ExitCode::SUCCESS
    })
}

fn step(
    context: &Context<'_>,
    locked: &mut LockedRoot<'_>,
    active: &Deployment,
    from: &FromArgs,
) -> Result<Vec<ostree_go_sdk::Deployed>, CliError> {
    deploy(
        context,
        locked,
        std::slice::from_ref(&active.ref_name),
        from,
        active.arch,
    )
}

/// The repository on this machine that an unsigned SDK came from. A signed one needs the keys
/// named again.
fn same_repo(active: &Deployment) -> Option<PathBuf> {
    let path = active.proof.remote.strip_prefix("file://")?;
    active.proof.unsigned.then(|| PathBuf::from(path))
}

/// The remote that the active SDK came from, if it is still there.
fn same_remote(repo: &Repo, active: &Deployment) -> Result<Option<String>, CliError> {
    let known = remote::list(repo)?.into_iter().map(|remote| remote.name);
    Ok(known.into_iter().find(|name| *name == active.proof.remote))
}
