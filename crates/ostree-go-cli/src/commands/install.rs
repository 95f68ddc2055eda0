use super::deployments::{self, arch, not_deployed, not_planned, title};
use super::transfer::TransferArgs;
use super::{Context, pinned};
use crate::error::CliError;
use crate::output::count;
use crate::progress::Terminal;
use ostree_go_sdk::{
    Arch, Install, InstallPlan, InstallSource, Installed, Outcome, Root, TrustedKeys,
};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Install SDKs and activate the last one
///
/// All files are verified before anything changes. After an error, the active SDK is unchanged. An
/// SDK for another architecture is installed but not activated.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// Version, channel or ref, optionally followed by `@sha256:DIGEST` to require an image in a
    /// registry
    #[arg(value_name = "CHANNEL-or-VERSION", required = true)]
    names: Vec<String>,

    /// Install without activating
    #[arg(long)]
    no_activate: bool,

    #[command(flatten)]
    from: FromArgs,
}

/// Source of the SDKs and requirements for them.
#[derive(Debug, Clone, clap::Args)]
pub struct FromArgs {
    /// Architecture of the SDK
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Arch>,

    /// Name of the remote, required if the root has several remotes
    #[arg(long, value_name = "NAME", conflicts_with = "from_repo")]
    pub remote: Option<String>,

    /// Copy the SDK from an OSTree repository on this machine
    #[arg(long, value_name = "PATH")]
    pub from_repo: Option<PathBuf>,

    /// Require a signature by one of the GPG keys in a file
    #[arg(long, value_name = "FILE", requires = "from_repo")]
    pub gpg_keys: Option<PathBuf>,

    /// Accept a commit that is older than the deployed one of the same channel
    #[arg(long)]
    pub allow_downgrade: bool,

    #[command(flatten)]
    pub transfer: TransferArgs,
}

impl FromArgs {
    /// Returns the source that the options select.
    pub fn source(&self) -> InstallSource {
        match (&self.from_repo, &self.remote) {
            (Some(path), _) => InstallSource::Repo {
                path: path.clone(),
                keys: self.gpg_keys.clone().map(TrustedKeys::GpgFile),
            },
            (None, Some(name)) => InstallSource::Remote(name.clone()),
            (None, None) => InstallSource::Default,
        }
    }
}

pub fn run(context: &Context<'_>, args: &InstallArgs) -> Result<ExitCode, CliError> {
    let arch = arch(args.from.arch)?;
    let names = args.names.iter().map(|name| pinned(name, Some(arch)));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let mut install = Install::new(names.iter().map(|(name, _)| name.clone()))
        .arch(Some(arch))
        .activate(!args.no_activate)
        .source(args.from.source())
        .allow_downgrade(args.from.allow_downgrade)
        .http(args.from.transfer.http(context.settings.http()))
        .progress(Arc::new(Terminal::new(&context.global)));
    for (name, pin) in &names {
        if let Some(digest) = pin {
            install = install.pin(name, *digest);
        }
    }
    let root = deployments::open_or_create(context)?;
    let plan = install.plan(&root);
    let plan = plan.map_err(|error| not_planned(&root, error))?;
    let installed = execute(context, &root, plan)?;
    report(context, &root, &installed)?;
    Ok(ExitCode::SUCCESS)
}

/// Executes a plan, with the credentials that it needs.
pub fn execute(
    context: &Context<'_>,
    root: &Root,
    mut plan: InstallPlan,
) -> Result<Installed, CliError> {
    let registries = plan.registries();
    for (remote, image) in registries.map_err(|error| not_deployed(root, error))? {
        plan = plan.auth(remote, context.registry_auth(Some(&image))?);
    }
    plan.execute().map_err(|error| not_deployed(root, error))
}

/// Prints the result of an installation or upgrade.
pub fn report(context: &Context<'_>, root: &Root, installed: &Installed) -> Result<(), CliError> {
    let active = installed.active.as_ref();
    for one in &installed.deployed {
        let d = &one.deployment;
        let mut line = title(d);
        let is_active = active.is_some_and(|active| active.commit == d.commit);
        line.push_str(match (one.outcome, is_active) {
            (Outcome::New, false) => " is installed",
            (Outcome::New, true) => " is installed and active",
            (Outcome::Repaired, false) => " is repaired",
            (Outcome::Repaired, true) => " is repaired and active",
            (_, false) => " is already installed",
            (_, true) if installed.activated => " is already installed, and is now active",
            (_, true) => " is up to date",
        });
        if d.proof.unsigned {
            line.push_str(" (unsigned)");
        }
        context.output.say(&line);
        if one.files.crossed {
            context.output.say(&format!(
                "note: {} files are copies: {} is on another file system than its deployments",
                count(one.files.copied),
                root.repo_path().display(),
            ));
        }
    }
    let deployments = installed.deployed.iter().map(|one| {
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
        "activated": installed.activated,
        "active": active.map(deployments::json),
        "bin": root.bin(),
    });
    context.output.data(&document, String::new)
}
