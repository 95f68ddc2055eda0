//! Steps of the verbs that deploy SDKs: errors, execution of a plan, and the result.

mod preview;

use crate::context::Context;
use crate::error::CliError;
use crate::follow;
use crate::hooks;
use crate::report::{Report, unchanged_exit_code};
use crate::text::{count, deployment_title};
use crate::views::deployment::DeploymentView;
use crate::views::hook::HookView;
use crate::views::std_cache::{self, StdCacheView};
use crate::views::value::{PathText, Text};
use ostree_go_sdk::Arch;
use ostree_go_sdk::deploy::{
    DeployError, Deployed, Deployment, InstallPlan, Installed, Outcome, Root,
};
use ostree_go_sdk::toolchains::{self, Requirement};
use preview::PreviewReport;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The use of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Execute it.
    Execute {
        /// Exit with 77 if nothing changed.
        unchanged_exit_77: bool,
    },
    /// Print what it would do.
    DryRun,
    /// Print what it would do, and exit with 77 if it would change anything.
    Check,
}

/// Executes or shows a plan, with the credentials that it needs, and prints the result.
pub fn execute(
    context: &Context,
    root: &Root,
    plan: Result<InstallPlan, DeployError>,
    mode: Mode,
) -> Result<ExitCode, CliError> {
    let plan = prepare(context, root, plan)?;
    let exit_77 = match mode {
        Mode::Execute { unchanged_exit_77 } => unchanged_exit_77,
        Mode::DryRun | Mode::Check => {
            let planned = plan.preview().map_err(|error| not_deployed(root, error))?;
            return context.report(&PreviewReport::new(root, &planned, mode == Mode::Check));
        }
    };
    let (installed, noexec) = install_with_messages(context, root, plan)?;
    context.report(&InstallReport::new(root, &installed, noexec, exit_77))
}

/// Installs the SDK for a project. Prints messages, but no result, because standard output belongs to the
/// command that needs the SDK.
pub fn install_for(
    context: &Context,
    root: &Root,
    requirement: &Requirement,
) -> Result<(), CliError> {
    context.say(&format!(
        "installing {} for {requirement}",
        requirement.rule
    ));
    let install = toolchains::install_for(requirement)
        .http(context.settings.http()?)
        .progress(context.progress());
    let plan = prepare(context, root, install.plan(root))?;
    install_with_messages(context, root, plan).map(drop)
}

/// Adds the credentials that a plan needs.
fn prepare(
    context: &Context,
    root: &Root,
    plan: Result<InstallPlan, DeployError>,
) -> Result<InstallPlan, CliError> {
    let mut plan = plan.map_err(|error| not_planned(root, error))?;
    let registries = plan.registries();
    for (remote, image) in registries.map_err(|error| not_deployed(root, error))? {
        plan = plan.auth(remote, context.registry_auth(Some(&image))?);
    }
    Ok(plan)
}

/// Executes a plan. Also returns whether programs of the SDK cannot be run.
fn install_with_messages(
    context: &Context,
    root: &Root,
    plan: InstallPlan,
) -> Result<(Installed, bool), CliError> {
    let followed = plan.follow_keys();
    for (remote, followed) in followed.map_err(|error| not_deployed(root, error))? {
        follow::print(context, &remote, followed)?;
    }
    let installed = plan.execute().map_err(|error| not_deployed(root, error))?;
    for deployed in &installed.deployed {
        print_messages(context, root, &installed, deployed);
    }
    hooks::print_warnings(context, &installed.hooks);
    let noexec = root.is_noexec()?;
    if noexec {
        context.say(&noexec_warning(root.path()));
    }
    Ok((installed, noexec))
}

/// Prints the result of an installation of an SDK that is installed already.
pub fn report_installed(
    context: &Context,
    root: &Root,
    deployment: &Deployment,
) -> Result<ExitCode, CliError> {
    context.report(&InstallReport {
        root: PathText(root.path().to_owned()),
        deployments: vec![DeployedView {
            deployment: DeploymentView::from(deployment),
            outcome: "unchanged",
            linked_files: 0,
            copied_files: 0,
            bin: PathText(root.bin_of(deployment)),
            missing_targets: Vec::new(),
            removed_std_caches: Vec::new(),
        }],
        activated: false,
        active: root.active()?.as_ref().map(Into::into),
        hooks: Vec::new(),
        bin: PathText(root.bin()),
        noexec: root.is_noexec()?,
        unchanged: true,
        exit_77: false,
    })
}

/// Converts an error of a plan. An error about a remote or a hook counts as an error of the
/// deployment; others are errors of the root.
pub fn not_planned(root: &Root, error: DeployError) -> CliError {
    match error {
        DeployError::SeveralRemotes { names, .. } => CliError::Usage {
            message: "the root has several remotes".to_owned(),
            hint: Some(format!("name one with --remote: {}", names.join(", "))),
        },
        DeployError::Remote(_) | DeployError::Hook(_) => not_deployed(root, error),
        error => error.into(),
    }
}

/// Converts an error of a deployment, and adds the version that stays active.
pub fn not_deployed(root: &Root, error: DeployError) -> CliError {
    match error {
        DeployError::NoImage { .. } => CliError::usage(error.to_string()),
        // The SDK was deployed.
        DeployError::NotActivated { .. } => error.into(),
        error if hooks::is_after_deployment(&error) => error.into(),
        error => CliError::NotDeployed {
            // If the active version cannot be read, it is left out, because the original error is
            // the one to report.
            active: root.active().ok().flatten().map(|d| d.version),
            error: Box::new(error.into()),
        },
    }
}

/// Returns the warning about a root on a file system that is mounted with `noexec`.
pub fn noexec_warning(root: &Path) -> String {
    format!(
        "warning: {} is on a file system mounted with noexec, where no program of an SDK can run; \
         use another directory with --root, or mount it with exec",
        root.display()
    )
}

fn print_messages(context: &Context, root: &Root, installed: &Installed, deployed: &Deployed) {
    let deployment = &deployed.deployment;
    let active = installed.active.as_ref();
    let is_active = active.is_some_and(|active| active.commit == deployment.commit);
    let result = match (deployed.outcome, is_active) {
        (Outcome::New, false) => "is installed",
        (Outcome::New, true) => "is installed and active",
        (Outcome::Repaired, false) => "is repaired",
        (Outcome::Repaired, true) => "is repaired and active",
        (_, false) => "is already installed",
        (_, true) if installed.activated => "is already installed, and is now active",
        (_, true) => "is up to date",
    };
    let unsigned = match deployment.proof.unsigned {
        true => " (unsigned)",
        false => "",
    };
    let title = deployment_title(deployment);
    context.say(&format!("{title} {result}{unsigned}"));
    if deployed.files.crossed {
        context.say(&format!(
            "note: {} files are copies: {} is on another file system than its deployments",
            count(deployed.files.copied),
            root.repo_path().display(),
        ));
    }
    print_std_caches(context, deployed);
}

fn print_std_caches(context: &Context, deployed: &Deployed) {
    let placed = deployed.std_caches.iter();
    let new = placed.filter(|placed| placed.outcome != Outcome::Unchanged);
    let new = new.map(|placed| &placed.cache);
    if new.clone().next().is_some() {
        let names = std_cache::names(new);
        context.say(&format!("std caches installed: {names}"));
    }
    if !deployed.removed_std_caches.is_empty() {
        let names = std_cache::names(deployed.removed_std_caches.iter());
        context.say(&format!("std caches removed: {names}"));
    }
    for target in &deployed.missing_targets {
        let deployment = &deployed.deployment;
        context.say(&format!(
            "note: {} has no std cache for {target} of go {}; builds for it compile the standard library",
            deployment.proof.remote, deployment.version
        ));
    }
}

#[derive(Serialize)]
struct InstallReport {
    root: PathText<PathBuf>,
    deployments: Vec<DeployedView>,
    activated: bool,
    active: Option<DeploymentView>,
    hooks: Vec<HookView>,
    bin: PathText<PathBuf>,
    noexec: bool,
    #[serde(skip)]
    unchanged: bool,
    #[serde(skip)]
    exit_77: bool,
}

#[derive(Serialize)]
struct DeployedView {
    #[serde(flatten)]
    deployment: DeploymentView,
    outcome: &'static str,
    linked_files: u64,
    copied_files: u64,
    bin: PathText<PathBuf>,
    removed_std_caches: Vec<StdCacheView>,
    missing_targets: Vec<Text<Arch>>,
}

impl InstallReport {
    fn new(root: &Root, installed: &Installed, noexec: bool, exit_77: bool) -> Self {
        let changed = installed.deployed.iter().any(Deployed::is_changed);
        let deployments = installed.deployed.iter();
        Self {
            root: PathText(root.path().to_owned()),
            deployments: deployments
                .map(|deployed| DeployedView::new(root, deployed))
                .collect(),
            activated: installed.activated,
            active: installed.active.as_ref().map(Into::into),
            hooks: installed.hooks.iter().map(Into::into).collect(),
            bin: PathText(root.bin()),
            noexec,
            unchanged: !changed && !installed.activated && installed.hooks.is_empty(),
            exit_77,
        }
    }
}

impl DeployedView {
    fn new(root: &Root, deployed: &Deployed) -> Self {
        let mut deployment = DeploymentView::from(&deployed.deployment);
        for cache in &mut deployment.std_caches {
            let mut placed = deployed.std_caches.iter();
            let placed = placed.find(|placed| placed.cache.commit == cache.commit.0);
            // One that the source does not have any more stays as it is.
            let outcome = placed.map_or(Outcome::Unchanged, |placed| placed.outcome);
            cache.outcome = Some(outcome_word(outcome));
        }
        Self {
            deployment,
            outcome: outcome_word(deployed.outcome),
            linked_files: deployed.files.linked,
            copied_files: deployed.files.copied,
            bin: PathText(root.bin_of(&deployed.deployment)),
            removed_std_caches: deployed.removed_std_caches.iter().map(Into::into).collect(),
            missing_targets: deployed.missing_targets.iter().copied().map(Text).collect(),
        }
    }
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::New => "new",
        Outcome::Repaired => "repaired",
        _ => "unchanged",
    }
}

impl Report for InstallReport {
    fn exit_code(&self) -> ExitCode {
        unchanged_exit_code(self.unchanged, self.exit_77)
    }
}
