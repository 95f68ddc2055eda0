use super::against::AgainstArgs;
use super::findings::findings;
use crate::args::trust::TrustArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::findings::Findings;
use crate::report::{Report, damaged_exit_code};
use crate::text::count;
use crate::views::drift::{DriftView, drift_table};
use crate::views::value::{PathText, Text};
use crate::workspace::{find_lock, workspace};
use ostree_go_sdk::Sha256;
use ostree_go_sdk::workspace::{Drift, Examination, Lock, Uncompared};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compare a workspace with ostree-go.lock
///
/// Finds every difference between the lock and the present state, vendored files that are not those of the modules
/// that go.sum names, and units that use different versions of a module. Changes nothing, and uses no network without
/// --fetch. The exit code is 4 if there is drift, and 3 if a signature of the lock is required and not valid.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Directories of projects; the lock is in the first one or the nearest directory above it (default: the current
    /// directory, and the projects of the lock)
    dir: Vec<PathBuf>,

    /// Download the modules that the module cache does not have, to compare vendored files with them
    #[arg(long)]
    fetch: bool,

    #[command(flatten)]
    trust: TrustArgs,

    #[command(flatten)]
    against: AgainstArgs,
}

pub fn run(context: &Context, args: &CheckArgs) -> Result<ExitCode, CliError> {
    let settings = &context.settings;
    let first = settings.project_dir(args.dir.first().map(PathBuf::as_path))?;
    let path = find_lock(&first)?;
    let lock = Lock::read_verified(&path, args.trust.keys()?.as_ref())?;
    let directory = path.parent().unwrap_or(&first).to_owned();
    let mut examined = workspace(context, directory, &args.dir, args.fetch)?.examine(&lock)?;
    examined.drift.extend(args.against.compare(context, &lock)?);
    context.report(&CheckReport::new(path, &lock, examined))
}

#[derive(Serialize)]
struct CheckReport {
    lock: PathText<PathBuf>,
    digest: Text<Sha256>,
    units: usize,
    modules: usize,
    drift: Vec<DriftView>,
    uncompared: Vec<UncomparedView>,
    #[serde(skip)]
    found: Vec<Drift>,
}

#[derive(Serialize)]
struct UncomparedView {
    unit: String,
    module: String,
    version: Option<String>,
}

impl CheckReport {
    fn new(path: PathBuf, lock: &Lock, examined: Examination) -> Self {
        Self {
            lock: PathText(path),
            digest: Text(lock.digest()),
            units: examined.units,
            modules: examined.modules,
            found: examined.drift.clone(),
            drift: examined.drift.into_iter().map(Into::into).collect(),
            uncompared: examined.uncompared.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Uncompared> for UncomparedView {
    fn from(one: Uncompared) -> Self {
        Self {
            unit: one.unit,
            module: one.module,
            version: one.version,
        }
    }
}

impl Report for CheckReport {
    fn human(&self) -> String {
        let mut text = String::new();
        if !self.drift.is_empty() {
            text.push_str(&drift_table(&self.drift));
            text.push('\n');
        }
        for one in &self.uncompared {
            let version = one.version.as_ref().map(|version| format!(" {version}"));
            text.push_str(&format!(
                "not compared with its zip, which is not in the module cache: {}{} ({})\n",
                one.module,
                version.unwrap_or_default(),
                one.unit
            ));
        }
        let number = |number: usize| count(number as u64);
        let (units, modules) = (number(self.units), number(self.modules));
        let drift = match self.drift.len() {
            0 => "no drift".to_owned(),
            drift => format!("drift: {}", number(drift)),
        };
        text.push_str(&format!("units: {units}, modules: {modules}, {drift}\n"));
        text
    }

    fn findings(&self) -> Option<Findings> {
        let directory = self.lock.0.parent().unwrap_or(Path::new("/"));
        Some(findings(&self.found, directory))
    }

    fn exit_code(&self) -> ExitCode {
        damaged_exit_code(!self.drift.is_empty())
    }
}
