use super::deployments::{self, not_deployed};
use super::install::{FromArgs, Job, deploy, report};
use super::{Context, UNCHANGED};
use crate::error::CliError;
use crate::progress::Terminal;
use ostree_go_sdk::{
    Action, CommitInfo, CommitKind, DeployError, Deployment, LockedRoot, Outcome, Repo, remote,
};
use std::path::PathBuf;
use std::process::ExitCode;

/// Move to the newest SDK of the active one's channel, or of others
///
/// The new SDK becomes active where the old one was; one of another channel is installed beside
/// it. All are installed, or none. Each is looked for where the old one came from: its remote,
/// or the repository on this machine.
#[derive(Debug, clap::Args)]
pub struct UpgradeArgs {
    /// Installed channels, in place of the active one
    #[arg(value_name = "CHANNEL", conflicts_with = "all")]
    channels: Vec<String>,

    /// Every channel that is installed
    #[arg(long)]
    all: bool,

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
    let old = chosen(&locked, args)?;
    let active = locked.active().cloned();
    let active = active.filter(|active| old.iter().any(|d| d.commit == active.commit));
    let jobs = old.iter().map(|one| job(locked.repo(), one, &args.from));
    let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
    let deployed = deploy(context, &mut locked, &jobs, active.as_ref())
        .map_err(|error| not_deployed(&locked, error))?;
    let mut activated = false;
    if let Some(old) = active {
        let same = |d: &Deployment| (&d.ref_name, d.arch) == (&old.ref_name, old.arch);
        if let Some(new) = deployed.iter().find(|one| same(&one.deployment)) {
            activated = locked.activate(new.deployment.commit, Action::Upgrade)?;
        }
    }
    report(context, &locked, &deployed, activated)?;
    let unchanged = deployed.iter().all(|one| one.outcome == Outcome::Unchanged);
    Ok(if args.unchanged_exit_77 && unchanged && !activated {
        ExitCode::from(UNCHANGED)
    } else {
        ExitCode::SUCCESS
    })
}

/// The SDKs to upgrade, one for each channel and architecture: the active one, or the latest.
fn chosen(locked: &LockedRoot<'_>, args: &UpgradeArgs) -> Result<Vec<Deployment>, CliError> {
    let arch = args.from.arch;
    let active = locked.active();
    if args.channels.is_empty() && !args.all {
        if arch.is_some() {
            return Err(CliError::usage("--arch needs a channel, or --all"));
        }
        let path = locked.root().path().to_owned();
        let active = active.ok_or(DeployError::NothingActive { path })?;
        return Ok(vec![active.clone()]);
    }
    let named = if args.all {
        channels(locked)?
    } else {
        let find = |name: &String| locked.find(name, arch);
        args.channels.iter().map(find).collect::<Result<_, _>>()?
    };
    let mut chosen: Vec<Deployment> = Vec::new();
    for one in named {
        let same = |d: &&Deployment| (&d.ref_name, d.arch) == (&one.ref_name, one.arch);
        if arch.is_none_or(|arch| arch == one.arch) && !chosen.iter().any(|d| same(&d)) {
            chosen.push(active.filter(same).cloned().unwrap_or(one));
        }
    }
    Ok(chosen)
}

/// What was installed from a channel, the latest first.
fn channels(locked: &LockedRoot<'_>) -> Result<Vec<Deployment>, CliError> {
    let mut all = locked.root().deployments()?;
    // A release never moves. What cannot be read is fetched anew.
    all.retain(|one| {
        let info = CommitInfo::read(locked.repo(), one.commit);
        info.map_or(true, |info| info.kind != CommitKind::Release)
    });
    all.reverse();
    Ok(all)
}

/// What fetches the newest SDK of an installed one's channel.
fn job(repo: &Repo, old: &Deployment, given: &FromArgs) -> Result<Job, CliError> {
    let mut from = given.clone();
    if from.from_repo.is_none() && from.remote.is_none() {
        from.from_repo = same_repo(old);
        from.remote = same_remote(repo, old)?;
    }
    Ok(Job {
        names: vec![(old.ref_name.clone(), None)],
        from,
        arch: old.arch,
    })
}

/// The repository on this machine that an unsigned SDK came from. A signed one needs the keys
/// named again.
fn same_repo(old: &Deployment) -> Option<PathBuf> {
    let path = old.proof.remote.strip_prefix("file://")?;
    old.proof.unsigned.then(|| PathBuf::from(path))
}

/// The remote that an SDK came from, if it is still there.
fn same_remote(repo: &Repo, old: &Deployment) -> Result<Option<String>, CliError> {
    let known = remote::list(repo)?.into_iter().map(|remote| remote.name);
    Ok(known.into_iter().find(|name| *name == old.proof.remote))
}
