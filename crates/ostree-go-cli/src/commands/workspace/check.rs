use super::options::workspace;
use crate::context::Context;
use crate::error::CliError;
use crate::report::{Report, damaged_exit_code};
use crate::text::count;
use crate::views::drift::{DriftView, drift_table};
use crate::views::value::{PathText, Text};
use ostree_go_sdk::Sha256;
use ostree_go_sdk::workspace::{Examination, LOCK_FILE_NAME, Lock, Uncompared, WorkspaceError};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compare a workspace with ostree-go.lock
///
/// Finds every difference between the lock and the present state, vendored files that are not those of the modules
/// that go.sum names, and units that use different versions of a module. Changes nothing, and uses no network without
/// --fetch. The exit code is 4 if there is drift.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Directories of projects; the lock is in the first one or the nearest directory above it (default: the current
    /// directory, and the projects of the lock)
    dir: Vec<PathBuf>,

    /// Download the modules that the module cache does not have, to compare vendored files with them
    #[arg(long)]
    fetch: bool,
}

pub fn run(context: &Context, args: &CheckArgs) -> Result<ExitCode, CliError> {
    let settings = &context.settings;
    let first = settings.project_dir(args.dir.first().map(PathBuf::as_path))?;
    let path = find_lock(&first)?;
    let lock = Lock::read(&path)?;
    let directory = path.parent().unwrap_or(&first).to_owned();
    let examined = workspace(context, directory, &args.dir, args.fetch)?.examine(&lock)?;
    context.report(&CheckReport::new(path, &lock, examined))
}

/// Returns the path of the lock in a directory or the nearest one above it.
fn find_lock(directory: &Path) -> Result<PathBuf, CliError> {
    let mut paths = directory
        .ancestors()
        .map(|above| above.join(LOCK_FILE_NAME));
    let found = paths.find(|path| path.is_file());
    let none = || WorkspaceError::NoLock {
        path: directory.join(LOCK_FILE_NAME),
    };
    Ok(found.ok_or_else(none)?)
}

#[derive(Serialize)]
struct CheckReport {
    lock: PathText<PathBuf>,
    digest: Text<Sha256>,
    units: usize,
    modules: usize,
    drift: Vec<DriftView>,
    uncompared: Vec<UncomparedView>,
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

    fn exit_code(&self) -> ExitCode {
        damaged_exit_code(!self.drift.is_empty())
    }
}
