use crate::context::Context;
use crate::deploy::noexec_warning;
use crate::error::CliError;
use crate::report::{Emphasis, Report, damaged_exit_code};
use crate::text::{count, deployment_title, short, table};
use crate::views::deployment::{DamagedFileView, DeploymentView, damaged_files};
use crate::views::value::{PathText, Text, Time};
use clap::ValueEnum;
use ostree_go_sdk::deploy::{Activation, Check, DamagedFile, DeploymentStatus, Status, Verify};
use ostree_go_sdk::{CommitId, RefName};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// The state of a deployment whose files were not verified.
const NOT_DONE: &str = "not-done";

/// Show the installed SDKs and the active one
///
/// `*` marks the active SDK, `<` the target of a rollback, `+` a pinned SDK. All files of the
/// active SDK are verified; the exit code is 4 if any file is damaged.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// SDKs whose files are verified
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    verify: VerifyArg,

    /// Also show the history of activations
    #[arg(long)]
    history: bool,
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
    let code = context.report(&StatusReport::new(&status, noexec, args.history))?;
    if noexec {
        context.say(&noexec_warning(&status.root));
    }
    for one in &status.deployments {
        if let Check::Damaged(files) = &one.check {
            context.say(&damage_warning(one, files));
        }
    }
    if status.deployments.is_empty() {
        let root = status.root.display();
        context.say(&format!("nothing is installed under {root}"));
    }
    Ok(code)
}

fn damage_warning(one: &DeploymentStatus, files: &[DamagedFile]) -> String {
    let title = deployment_title(&one.deployment);
    let active = if one.active { "the active " } else { "" };
    let files = match files {
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first}, and {} more", count(rest.len() as u64)),
        [] => String::new(),
    };
    format!("warning: {active}{title} no longer verifies: {files}")
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
    check: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<Vec<DamagedFileView>>,
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
}

impl StatusReport {
    fn new(status: &Status, noexec: bool, shows_history: bool) -> Self {
        Self {
            root: PathText(status.root.clone()),
            noexec,
            deployments: status.deployments.iter().map(Into::into).collect(),
            history: status.history.iter().map(Into::into).collect(),
            shows_history,
        }
    }
}

impl From<&DeploymentStatus> for DeploymentStatusView {
    fn from(one: &DeploymentStatus) -> Self {
        Self {
            deployment: DeploymentView::from(&one.deployment),
            path: PathText(one.path.clone()),
            active: one.active,
            rollback_target: one.rollback_target,
            check: match one.check {
                Check::Good => "good",
                Check::Damaged(_) => "damaged",
                _ if one.deployment.damaged_at.is_some() => "damaged",
                _ => NOT_DONE,
            },
            damaged: match &one.check {
                Check::Damaged(files) => Some(damaged_files(files)),
                _ => None,
            },
        }
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
        let check = match self.check {
            NOT_DONE => "-",
            check => check,
        };
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
            check.to_owned(),
            short(deployment.commit),
        ]
    }
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
        damaged_exit_code(deployments.any(|one| one.damaged.is_some()))
    }
}
