use crate::context::Context;
use crate::error::CliError;
use crate::report::{Report, damaged_exit_code};
use crate::text::{count, table};
use ostree_go_sdk::deploy::{Hooks, Root};
use ostree_go_sdk::doctor::{Doctor, Finding, Severity};
use ostree_go_sdk::remote;
use ostree_go_sdk::sandbox::SandboxError;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Time after which a remote that sends nothing is reported.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Examine this machine for everything that can go wrong
///
/// Checks the root directory and its file system, the clock, the keys of the remotes and when they
/// expire, whether the remotes answer, the std caches of the active SDK, whether PATH, GOROOT and
/// GOTOOLCHAIN run it, whether GOCACHEPROG and GOCACHE let builds use its std caches, the hooks, and
/// which sandboxes work. Each finding that needs an action says which. The exit code is 4 if there is a problem.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Do not use the network
    #[arg(long)]
    offline: bool,
}

pub fn run(context: &Context, args: &DoctorArgs) -> Result<ExitCode, CliError> {
    let path = context.root_path()?;
    let http = context.settings.http()?.retries(0).read_timeout(TIMEOUT);
    let mut doctor = Doctor::new(&path)
        .environment(context.settings.go_environment())
        .sandbox(context.settings.sandbox_host()?)
        .hooks(Hooks::new(context.settings.hook_dirs(&path)))
        .ask_remotes(!args.offline)
        .http(http)
        .progress(context.progress());
    // Whatever cannot be read here is a finding.
    if let Ok(repo) = Root::open(&path).and_then(|root| root.repo()) {
        for remote in remote::list(&repo).unwrap_or_default() {
            if let Ok(Some(image)) = remote::registry(&repo, &remote.name) {
                doctor = doctor.auth(&remote.name, context.registry_auth(Some(&image))?);
            }
        }
    }
    let findings = doctor.examine()?;
    context.report(&DoctorReport::new(path, findings))
}

#[derive(Serialize)]
struct DoctorReport {
    root: PathBuf,
    problems: usize,
    warnings: usize,
    findings: Vec<FindingView>,
}

#[derive(Serialize)]
struct FindingView {
    finding: &'static str,
    topic: &'static str,
    severity: &'static str,
    message: String,
    cause: Option<String>,
    advice: Option<String>,
}

impl DoctorReport {
    fn new(root: PathBuf, findings: Vec<Finding>) -> Self {
        let number = |severity| {
            let same = findings.iter().filter(|one| one.severity() == severity);
            same.count()
        };
        Self {
            root,
            problems: number(Severity::Problem),
            warnings: number(Severity::Warning),
            findings: findings.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        let (message, advice) = (finding.to_string(), finding.advice().map(str::to_owned));
        let (name, topic, severity) = (finding.as_str(), finding.topic(), finding.severity());
        // The hint of an error fits its cause better than the advice about any error.
        let error = match finding {
            Finding::Unreachable { source, .. } => Some(CliError::from(*source)),
            Finding::UnusableRoot { source, .. } => Some(CliError::from(*source)),
            Finding::UnreadableKeys { source, .. } => Some(CliError::from(*source)),
            Finding::NoSandbox { source } => Some(CliError::from(*source)),
            Finding::SandboxUnavailable(unavailable) => {
                let error = CliError::from(SandboxError::Unavailable(unavailable));
                return Self {
                    finding: name,
                    topic: topic.as_str(),
                    severity: severity.as_str(),
                    message,
                    cause: None,
                    advice: error.hint(),
                };
            }
            other => {
                let cause = std::error::Error::source(&other).map(ToString::to_string);
                return Self {
                    finding: name,
                    topic: topic.as_str(),
                    severity: severity.as_str(),
                    message,
                    cause,
                    advice,
                };
            }
        };
        let hint = error.as_ref().and_then(CliError::hint);
        let cause = error.map(|error| match error.cause() {
            Some(cause) => format!("{}: {cause}", error.message()),
            None => error.message(),
        });
        Self {
            finding: name,
            topic: topic.as_str(),
            severity: severity.as_str(),
            message,
            cause,
            advice: hint.or(advice),
        }
    }
}

impl FindingView {
    /// Returns the rows of the table: the finding, its cause, and what to do.
    fn rows(&self) -> Vec<Vec<String>> {
        let more = |prefix: &str, text: &Option<String>| {
            let text = text.as_ref()?;
            Some(vec![
                String::new(),
                String::new(),
                format!("{prefix}{text}"),
            ])
        };
        let first = vec![
            self.severity.to_owned(),
            self.topic.to_owned(),
            self.message.clone(),
        ];
        let rows = [
            Some(first),
            more("  ", &self.cause),
            more("to do: ", &self.advice),
        ];
        rows.into_iter().flatten().collect()
    }
}

impl Report for DoctorReport {
    fn human(&self) -> String {
        let rows: Vec<_> = self.findings.iter().flat_map(FindingView::rows).collect();
        let (problems, warnings) = (count(self.problems as u64), count(self.warnings as u64));
        let mut text = table(&["RESULT", "CHECK", "FINDING"], &rows);
        text.push_str(&format!("\nproblems: {problems}, warnings: {warnings}\n"));
        text
    }

    fn exit_code(&self) -> ExitCode {
        damaged_exit_code(self.problems > 0)
    }
}
