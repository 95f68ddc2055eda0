use crate::args::database::DatabaseArgs;
use crate::audit;
use crate::context::Context;
use crate::deploy::noexec_warning;
use crate::error::CliError;
use crate::hooks;
use crate::report::{Emphasis, Report, damaged_exit_code};
use crate::text::{bytes, count, deployment_title, short, table};
use crate::views::advisory::AssessmentView;
use crate::views::damage::{DamagedFileView, damaged_files};
use crate::views::deployment::DeploymentView;
use crate::views::hook::HookView;
use crate::views::std_cache::StdCacheView;
use crate::views::value::{PathText, Text, Time};
use clap::ValueEnum;
use ostree_go_sdk::audit::{Advisories, Platform};
use ostree_go_sdk::deploy::{
    Activation, Check, DamagedFile, DeploymentStatus, Status, StdCacheStatus, Verify,
};
use ostree_go_sdk::{CommitId, GoVersion, RefName};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// The age in seconds up to which a copy of what is known about releases is used without a request.
const MAX_AGE: u64 = 24 * 60 * 60;
/// The state of a deployment whose files were not verified.
const NOT_DONE: &str = "not-done";

/// Show the installed SDKs and the active one
///
/// `*` marks the active SDK, `<` the target of a rollback, `+` a pinned SDK. All files of the
/// active SDK and of its std caches are verified; the exit code is 4 if any file is damaged. The results of
/// the hooks of the active SDK are shown, and of one that a failed hook has replaced by the previous SDK.
///
/// If a vulnerability database or a download index is configured, the number of known vulnerabilities of each
/// SDK and the end of its support are shown as well; they are asked at most once a day.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// SDKs whose files are verified
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    verify: VerifyArg,

    /// Also show the history of activations
    #[arg(long)]
    history: bool,

    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum VerifyArg {
    /// None (fast)
    None,
    /// The active SDK
    #[default]
    Active,
    /// All SDKs
    All,
}

pub fn run(context: &Context, args: &StatusArgs) -> Result<ExitCode, CliError> {
    let root = context.root()?;
    let verify = match args.verify {
        VerifyArg::None => Verify::None,
        VerifyArg::Active => Verify::Active,
        VerifyArg::All => Verify::All,
    };
    let status = root.status(verify, &*context.progress())?;
    let noexec = root.is_noexec()?;
    let advisories = advisories(context, &status, &args.database)?;
    let report = StatusReport::new(&status, noexec, args.history, advisories.as_ref());
    let code = context.report(&report)?;
    if noexec {
        context.say(&noexec_warning(&status.root));
    }
    for one in &status.deployments {
        if let Check::Damaged(files) = &one.check {
            context.say(&damage_warning(one, files));
        }
        for cache in &one.std_caches {
            if let Check::Damaged(files) = &cache.check {
                let (id, title) = (cache.cache.id, deployment_title(&one.deployment));
                let files = first(files);
                context.say(&format!(
                    "warning: the std cache {id} of {title} no longer verifies: {files}"
                ));
            }
        }
    }
    hooks::print_status(context, &status);
    if status.deployments.is_empty() {
        let root = status.root.display();
        context.say(&format!("nothing is installed under {root}"));
    }
    Ok(code)
}

/// Returns what the configured sources know about the installed SDKs.
fn advisories(
    context: &Context,
    status: &Status,
    args: &DatabaseArgs,
) -> Result<Option<Advisories>, CliError> {
    let deployments = status.deployments.iter();
    let versions = deployments.filter_map(|one| one.deployment.version.parse().ok());
    audit::configured(context, args, &versions.collect::<Vec<_>>(), MAX_AGE)
}

fn damage_warning(one: &DeploymentStatus, files: &[DamagedFile]) -> String {
    let title = deployment_title(&one.deployment);
    let active = if one.active { "the active " } else { "" };
    let files = first(files);
    format!("warning: {active}{title} no longer verifies: {files}")
}

/// Names the first of the damaged files, and the number of the others.
fn first(files: &[DamagedFile]) -> String {
    match files {
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first}, and {} more", count(rest.len() as u64)),
        [] => String::new(),
    }
}

#[derive(Serialize)]
struct StatusReport {
    root: PathText<PathBuf>,
    noexec: bool,
    deployments: Vec<DeploymentStatusView>,
    history: Vec<ActivationView>,
    #[serde(skip)]
    shows_history: bool,
}

#[derive(Serialize)]
struct DeploymentStatusView {
    #[serde(flatten)]
    deployment: DeploymentView,
    path: PathText<PathBuf>,
    active: bool,
    rollback_target: bool,
    hooks: Vec<HookView>,
    switched_back: bool,
    check: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<DamagedFileView>>,
    /// The assessment of the release, if a database or an index is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<AssessmentView>,
    #[serde(skip)]
    shows_hooks: bool,
}

#[derive(Serialize)]
struct ActivationView {
    at: Time,
    action: &'static str,
    version: String,
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    commit: Text<CommitId>,
    remote: String,
    signed_by: Vec<String>,
    hooks: Vec<HookView>,
    switched_back: bool,
}

impl StatusReport {
    fn new(
        status: &Status,
        noexec: bool,
        shows_history: bool,
        advisories: Option<&Advisories>,
    ) -> Self {
        Self {
            root: PathText(status.root.clone()),
            noexec,
            deployments: deployments(status, advisories),
            history: status.history.iter().map(Into::into).collect(),
            shows_history,
        }
    }
}

fn deployments(status: &Status, advisories: Option<&Advisories>) -> Vec<DeploymentStatusView> {
    let assess = |one: &DeploymentStatus| {
        let version = one.deployment.version.parse::<GoVersion>().ok()?;
        let platform = Platform::linux(one.deployment.arch);
        Some((&advisories?.assess(&version, &platform)).into())
    };
    let views = status.deployments.iter().map(|one| DeploymentStatusView {
        shows_hooks: hooks::is_shown(status, one),
        audit: assess(one),
        ..one.into()
    });
    views.collect()
}

impl From<&DeploymentStatus> for DeploymentStatusView {
    fn from(one: &DeploymentStatus) -> Self {
        let mut deployment = DeploymentView::from(&one.deployment);
        deployment.std_caches = one.std_caches.iter().map(std_cache).collect();
        Self {
            deployment,
            path: PathText(one.path.clone()),
            active: one.active,
            rollback_target: one.rollback_target,
            hooks: one.hooks.iter().map(Into::into).collect(),
            switched_back: one.switched_back,
            audit: None,
            shows_hooks: false,
            check: match &one.check {
                Check::NotDone if one.deployment.damaged_at.is_some() => "damaged",
                check => word(check),
            },
            damaged: damaged(&one.check),
        }
    }
}

fn std_cache(one: &StdCacheStatus) -> StdCacheView {
    let mut view = StdCacheView::from(&one.cache);
    view.path = one.path.clone().map(PathText);
    view.check = Some(word(&one.check));
    view.damaged = damaged(&one.check);
    view
}

fn word(check: &Check) -> &'static str {
    match check {
        Check::Good => "good",
        Check::Damaged(_) => "damaged",
        _ => NOT_DONE,
    }
}

fn damaged(check: &Check) -> Option<Vec<DamagedFileView>> {
    match check {
        Check::Damaged(files) => Some(damaged_files(files)),
        _ => None,
    }
}

impl From<&Activation> for ActivationView {
    fn from(activation: &Activation) -> Self {
        Self {
            at: Time(activation.at),
            action: activation.action.as_str(),
            version: activation.version.clone(),
            ref_name: Text(activation.ref_name.clone()),
            commit: Text(activation.commit),
            remote: activation.remote.clone(),
            signed_by: activation.signed_by.clone(),
            hooks: activation.hooks.iter().map(Into::into).collect(),
            switched_back: activation.switched_back,
        }
    }
}

impl DeploymentStatusView {
    fn row(&self) -> Vec<String> {
        let deployment = &self.deployment;
        let mark = match (self.active, self.rollback_target) {
            (true, _) => "*",
            (_, true) => "<",
            _ if deployment.pinned => " ",
            _ => "",
        };
        let pin = if deployment.pinned { "+" } else { "" };
        let signed = match (deployment.unsigned, deployment.signed_by().next()) {
            (false, Some(key)) => short_key(key),
            _ => "unsigned",
        };
        let name = deployment.ref_name.to_string();
        vec![
            format!("{mark}{pin}"),
            deployment.version.clone(),
            deployment.arch.to_string(),
            // As `install` accepts it, unless the ref is in another place than usual.
            name.strip_prefix(&format!("go-sdk/{}/", deployment.arch))
                .unwrap_or(&name)
                .to_owned(),
            deployment.remote.clone(),
            signed.to_owned(),
            cell(self.check),
            short(deployment.commit),
        ]
    }

    /// Returns the rows of the hooks, if they are shown.
    fn hook_rows(&self) -> impl Iterator<Item = Vec<String>> {
        let hooks = self.hooks.iter().filter(|_| self.shows_hooks);
        hooks.map(|hook| {
            let code = hook
                .code
                .map_or_else(String::new, |code| format!(" {code}"));
            vec![
                hook.name.clone(),
                self.deployment.version.clone(),
                hook.kind.to_owned(),
                format!("{}{code}", hook.outcome),
                hook.at
                    .as_ref()
                    .map_or_else(|| "-".to_owned(), ToString::to_string),
                format!("{} ms", count(hook.milliseconds)),
            ]
        })
    }

    /// Returns the row of what is known about the release.
    fn audit_row(&self) -> Option<Vec<String>> {
        let cells = self.audit.as_ref()?.cells();
        let deployment = &self.deployment;
        let first = [deployment.version.clone(), deployment.arch.to_string()];
        Some(first.into_iter().chain(cells).collect())
    }

    /// Returns the rows of the std caches.
    fn std_cache_rows(&self) -> impl Iterator<Item = Vec<String>> {
        self.deployment.std_caches.iter().map(|cache| {
            vec![
                cache.id.to_string(),
                self.deployment.version.clone(),
                self.deployment.arch.to_string(),
                cache.bytes.map_or_else(|| "-".to_owned(), bytes),
                cell(cache.check.unwrap_or(NOT_DONE)),
                short(cache.commit),
            ]
        })
    }
}

/// Returns the result of a comparison for a table.
fn cell(check: &str) -> String {
    match check {
        NOT_DONE => "-",
        check => check,
    }
    .to_owned()
}

/// Returns the last 16 characters of a fingerprint, which GnuPG calls the long key ID.
fn short_key(fingerprint: &str) -> &str {
    let start = fingerprint.len().saturating_sub(16);
    fingerprint.get(start..).unwrap_or(fingerprint)
}

impl ActivationView {
    fn row(&self) -> Vec<String> {
        let signed = match self.signed_by.as_slice() {
            [] => "unsigned".to_owned(),
            keys => keys
                .iter()
                .map(|key| short_key(key))
                .collect::<Vec<_>>()
                .join(" "),
        };
        vec![
            self.at.to_string(),
            self.action.to_owned(),
            self.version.clone(),
            self.remote.clone(),
            signed,
            short(self.commit),
        ]
    }
}

impl Report for StatusReport {
    fn human(&self) -> String {
        let rows: Vec<_> = self
            .deployments
            .iter()
            .map(DeploymentStatusView::row)
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        let header = [
            "", "GO", "ARCH", "REF", "REMOTE", "SIGNED", "CHECK", "COMMIT",
        ];
        let mut text = table(&header, &rows);
        let deployments = self.deployments.iter();
        let rows: Vec<_> = deployments
            .flat_map(DeploymentStatusView::std_cache_rows)
            .collect();
        if !rows.is_empty() {
            let header = ["STD CACHE", "GO", "ARCH", "SIZE", "CHECK", "COMMIT"];
            text.push('\n');
            text.push_str(&table(&header, &rows));
        }
        let deployments = self.deployments.iter();
        let rows: Vec<_> = deployments
            .flat_map(DeploymentStatusView::hook_rows)
            .collect();
        if !rows.is_empty() {
            let header = ["HOOK", "GO", "KIND", "RESULT", "TIME", "DURATION"];
            text.push('\n');
            text.push_str(&table(&header, &rows));
        }
        let deployments = self.deployments.iter();
        let mut rows: Vec<_> = deployments
            .filter_map(DeploymentStatusView::audit_row)
            .collect();
        rows.dedup();
        if !rows.is_empty() {
            let header = [&["GO", "ARCH"][..], &AssessmentView::TITLES].concat();
            text.push('\n');
            text.push_str(&table(&header, &rows));
        }
        if self.shows_history {
            let history = self.history.iter().rev();
            let rows: Vec<_> = history.map(ActivationView::row).collect();
            let header = ["TIME", "ACTION", "GO", "REMOTE", "SIGNED", "COMMIT"];
            text.push('\n');
            text.push_str(&table(&header, &rows));
        }
        text
    }

    fn emphasis(&self, line: &str) -> Option<Emphasis> {
        if line.contains("  damaged  ") {
            Some(Emphasis::Problem)
        } else if line.starts_with('*') {
            Some(Emphasis::Active)
        } else {
            None
        }
    }

    fn exit_code(&self) -> ExitCode {
        let mut deployments = self.deployments.iter();
        damaged_exit_code(deployments.any(|one| {
            let mut std_caches = one.deployment.std_caches.iter();
            one.damaged.is_some() || std_caches.any(|cache| cache.damaged.is_some())
        }))
    }
}
