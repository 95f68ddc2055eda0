use super::deployments::{self, arch, is_damaged, not_deployed, title};
use super::pull::with_pins;
use super::transfer::TransferArgs;
use super::{Context, pinned};
use crate::error::CliError;
use crate::output::{bytes, count};
use crate::progress::Terminal;
use ostree_go_sdk::{
    Action, Arch, CommitId, DamagedFile, DeployOptions, Deployed, Deployment, LockedRoot, Outcome,
    Pull, RefName, Repo, Sha256, TrustedKeys, Verified, remote,
};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Install an SDK and make it the active one
///
/// Every file is checked before anything changes; whatever goes wrong, what is active stays
/// active. An SDK for another machine is installed beside the others and not activated.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// A version, a channel or a ref; `@sha256:DIGEST` behind it says which image of a registry it
    /// is to be
    #[arg(value_name = "CHANNEL-or-VERSION", required = true)]
    names: Vec<String>,

    /// Only install; what is active stays active
    #[arg(long)]
    no_activate: bool,

    #[command(flatten)]
    from: FromArgs,
}

/// Where SDKs come from and what they have to be.
#[derive(Debug, Clone, clap::Args)]
pub struct FromArgs {
    /// The machine the SDK is for
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Arch>,

    /// The remote to take it from, where the root has several
    #[arg(long, value_name = "NAME", conflicts_with = "from_repo")]
    pub remote: Option<String>,

    /// Copy the SDK from an OSTree repository on this machine
    #[arg(long, value_name = "PATH")]
    pub from_repo: Option<PathBuf>,

    /// Require a signature by one of the GPG keys in a file
    #[arg(long, value_name = "FILE", requires = "from_repo")]
    pub gpg_keys: Option<PathBuf>,

    /// Take a commit that is older than the deployed one of the same channel
    #[arg(long)]
    pub allow_downgrade: bool,

    #[command(flatten)]
    pub transfer: TransferArgs,
}

impl FromArgs {
    pub fn options(&self, arch: Arch) -> DeployOptions {
        DeployOptions::default()
            .arch(Some(arch))
            .allow_downgrade(self.allow_downgrade)
    }
}

pub fn run(context: &Context<'_>, args: &InstallArgs) -> Result<ExitCode, CliError> {
    let arch = arch(args.from.arch)?;
    let names = args.names.iter().map(|name| pinned(name, Some(arch)));
    let job = Job {
        names: names.collect::<Result<_, _>>()?,
        from: args.from.clone(),
        arch,
    };
    let progress = Terminal::new(&context.global);
    let root = deployments::open_or_create(context)?;
    let mut locked = root.lock(&progress)?;
    let deployed =
        deploy(context, &mut locked, &[job], None).map_err(|error| not_deployed(&locked, error))?;
    let mut activated = false;
    if !args.no_activate
        && Some(arch) == Arch::host()
        && let Some(last) = deployed.last()
    {
        activated = locked.activate(last.deployment.commit, Action::Install)?;
    }
    report(context, &locked, &deployed, activated)?;
    Ok(ExitCode::SUCCESS)
}

/// What is fetched in one go.
pub struct Job {
    /// Refs, and the digests of the images that they are to be.
    pub names: Vec<(RefName, Option<Sha256>)>,
    pub from: FromArgs,
    pub arch: Arch,
}

/// Fetches refs and deploys them: all, or none. Where the repository turns out damaged, it is
/// tried once more: the damaged objects are fetched anew. `active` is checked meanwhile.
pub fn deploy(
    context: &Context<'_>,
    locked: &mut LockedRoot<'_>,
    jobs: &[Job],
    mut active: Option<&Deployment>,
) -> Result<Vec<Deployed>, CliError> {
    let mut deployed = Vec::new();
    for job in jobs {
        let done = match attempt(context, locked, job, active.take()) {
            Err(error) if is_damaged(&error) => attempt(context, locked, job, None),
            result => result,
        };
        deployed.extend(done.inspect_err(|_| undo(locked, &deployed))?);
    }
    Ok(deployed)
}

fn attempt(
    context: &Context<'_>,
    locked: &mut LockedRoot<'_>,
    job: &Job,
    active: Option<&Deployment>,
) -> Result<Vec<Deployed>, CliError> {
    let options = job.from.options(job.arch);
    let mut deployed = Vec::new();
    let fetched = match active {
        Some(active) => {
            let fetch = |locked: &LockedRoot<'_>| fetch(context, locked, job);
            let (fetched, damaged) = locked.check_beside(active.commit, fetch)?;
            warn_if_damaged(context, active, &damaged);
            fetched?
        }
        None => fetch(context, locked, job)?,
    };
    for (name, commit) in fetched {
        let done = locked.deploy(&name, &commit, &options);
        deployed.push(done.inspect_err(|_| undo(locked, &deployed))?);
    }
    Ok(deployed)
}

fn warn_if_damaged(context: &Context<'_>, active: &Deployment, damaged: &[DamagedFile]) {
    if let Some(first) = damaged.first() {
        let more = match damaged.len() {
            1 => String::new(),
            n => format!(", and {} more", count(n as u64 - 1)),
        };
        let name = title(active);
        let warning = format!("warning: the active {name} no longer verifies: {first}{more}");
        context.output.say(&warning);
    }
}

/// Removes what was not there before.
fn undo(locked: &mut LockedRoot<'_>, deployed: &[Deployed]) {
    for one in deployed.iter().filter(|one| one.outcome == Outcome::New) {
        // The first error is the one to tell; what stays is whole.
        let _ = locked.uninstall(one.deployment.commit, false);
    }
}

/// Brings refs into the root's repository and proves their commits: from a repository on this
/// machine when one is named, else from a remote. A root without remotes has what was put into
/// its repository by hand.
fn fetch(
    context: &Context<'_>,
    locked: &LockedRoot<'_>,
    Job { names, from, arch }: &Job,
) -> Result<Vec<(RefName, Verified<CommitId>)>, CliError> {
    let refs = || names.iter().map(|(name, _)| name);
    let unpinned = || match names.iter().find(|(_, pin)| pin.is_some()) {
        Some((name, _)) => Err(CliError::usage(format!(
            "{name} does not come from a registry, so that no digest can say which it is to be"
        ))),
        None => Ok(()),
    };
    if let Some(path) = &from.from_repo {
        unpinned()?;
        let source = Repo::open(path)?;
        let keys = from.gpg_keys.clone().map(TrustedKeys::GpgFile);
        let import = |name: &RefName| {
            let commit = locked.import(&source, name, keys.as_ref())?;
            Ok((name.clone(), commit))
        };
        return refs().map(import).collect();
    }
    let Some(remote) = pick_remote(locked.repo(), from)? else {
        unpinned()?;
        let own = |name: &RefName| Ok((name.clone(), locked.own(name)?));
        return refs().map(own).collect();
    };
    let pull = Pull::new(&remote, refs().cloned())
        .expect_arch(Some(*arch))
        .allow_downgrade(from.allow_downgrade)
        .http(from.transfer.http(context.settings.http()))
        .auth(context.registry_auth(remote::registry(locked.repo(), &remote)?.as_ref())?)
        .progress(Arc::new(Terminal::new(&context.global)));
    let pulled = with_pins(pull, names).preflight(locked.repo())?.execute()?;
    if pulled.bytes > 0 {
        context.output.say(&format!(
            "{} downloaded in {:.1} s{}",
            bytes(pulled.bytes),
            pulled.elapsed.as_secs_f64(),
            if pulled.used_delta { ", by delta" } else { "" },
        ));
    }
    Ok(pulled.commits)
}

/// The remote that is named, or the only one.
fn pick_remote(repo: &Repo, from: &FromArgs) -> Result<Option<String>, CliError> {
    if let Some(name) = &from.remote {
        return Ok(Some(remote::get(repo, name)?.name));
    }
    let mut known = remote::list(repo)?;
    match known.len() {
        0 => Ok(None),
        1 => Ok(known.pop().map(|remote| remote.name)),
        _ => {
            let names: Vec<String> = known.into_iter().map(|remote| remote.name).collect();
            Err(CliError::Usage {
                message: "the root has several remotes".to_owned(),
                hint: Some(format!("name one with --remote: {}", names.join(", "))),
            })
        }
    }
}

/// Says what was deployed.
pub fn report(
    context: &Context<'_>,
    locked: &LockedRoot<'_>,
    deployed: &[Deployed],
    activated: bool,
) -> Result<(), CliError> {
    let active = locked.active();
    for one in deployed {
        let d = &one.deployment;
        let mut line = title(d);
        line.push_str(match one.outcome {
            Outcome::New => " is installed",
            Outcome::Repaired => " is repaired",
            _ => " was installed already",
        });
        let is_active = active.is_some_and(|active| active.commit == d.commit);
        line.push_str(match (is_active, activated) {
            (true, true) => " and active",
            (true, false) => " and active already",
            _ => "",
        });
        if d.proof.unsigned {
            line.push_str(" (unsigned)");
        }
        context.output.say(&line);
        if one.files.crossed {
            context.output.say(&format!(
                "note: {} files are copies: {} is on another file system than its deployments",
                count(one.files.copied),
                locked.repo().path().display(),
            ));
        }
    }
    let root = locked.root();
    let deployments = deployed.iter().map(|one| {
        let mut document = deployments::json(&one.deployment);
        document["outcome"] = match one.outcome {
            Outcome::New => "new",
            Outcome::Repaired => "repaired",
            _ => "unchanged",
        }
        .into();
        document["linked_files"] = one.files.linked.into();
        document["copied_files"] = one.files.copied.into();
        document["bin"] = json!(root.bin_of(&one.deployment));
        document
    });
    let document = json!({
        "root": root.path(),
        "deployments": deployments.collect::<Value>(),
        "activated": activated,
        "active": active.map(deployments::json),
        "bin": root.bin(),
    });
    context.output.data(&document, String::new)
}
