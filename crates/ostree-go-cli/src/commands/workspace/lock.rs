use super::write::write;
use crate::args::signing::SigningArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{count, short, table};
use crate::views::value::{PathText, Text};
use crate::workspace::workspace;
use ostree_go_sdk::Sha256;
use ostree_go_sdk::workspace::{Lock, LockedProject, LockedVendor};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write ostree-go.lock, which records what a workspace is built from
///
/// The lock is written beside go.work, or else beside go.mod, of the first directory. It has neither times nor
/// absolute paths, so that the same state gives the same bytes on every machine. The modules come from
/// vendor/modules.txt, or else from `go list` of the SDK, which uses no network.
///
/// The signatures of the lock are in ostree-go.lock.sig. If the lock changes and no key is given, they are removed.
#[derive(Debug, clap::Args)]
pub struct LockArgs {
    /// Directories of projects that share the lock (default: the current directory)
    dir: Vec<PathBuf>,

    /// Ask the module proxies for what the module cache does not have
    #[arg(long)]
    fetch: bool,

    /// Print the lock, and write nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    signing: SigningArgs,
}

pub fn run(context: &Context, args: &LockArgs) -> Result<ExitCode, CliError> {
    let keys = args.signing.keys()?;
    let first = args.dir.first().map(PathBuf::as_path);
    let first = context.settings.project_dir(first)?;
    let more = args.dir.get(1..).unwrap_or_default();
    let workspace = workspace(context, first, more, args.fetch)?;
    let lock = workspace.lock()?;
    if args.dry_run {
        context.output.raw(lock.to_json().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = workspace.lock_path()?;
    write(context, &lock, &path, &keys)?;
    context.report(&LockReport::new(path, &lock))
}

#[derive(Serialize)]
struct LockReport {
    path: PathText<PathBuf>,
    digest: Text<Sha256>,
    sdk: SdkView,
    settings: BTreeMap<String, String>,
    projects: Vec<ProjectView>,
}

#[derive(Serialize)]
struct SdkView {
    version: String,
    h1: Option<String>,
    deployments: Vec<DeploymentView>,
}

#[derive(Serialize)]
struct DeploymentView {
    arch: String,
    commit: String,
    #[serde(rename = "ref")]
    ref_name: String,
}

#[derive(Serialize)]
struct ProjectView {
    directory: String,
    file: String,
    units: Vec<String>,
    modules: usize,
    replaced: usize,
    vendored_files: Option<usize>,
}

impl LockReport {
    fn new(path: PathBuf, lock: &Lock) -> Self {
        let deployments = lock.sdk.deployments.iter();
        let deployments = deployments.map(|(arch, deployment)| DeploymentView {
            arch: arch.clone(),
            commit: deployment.commit.clone(),
            ref_name: deployment.ref_name.clone(),
        });
        Self {
            path: PathText(path),
            digest: Text(lock.digest()),
            sdk: SdkView {
                version: lock.sdk.version.clone(),
                h1: lock.sdk.h1.clone(),
                deployments: deployments.collect(),
            },
            settings: lock.settings.clone(),
            projects: lock.projects.iter().map(Into::into).collect(),
        }
    }
}

impl From<&LockedProject> for ProjectView {
    fn from(project: &LockedProject) -> Self {
        let units = project.units.iter();
        let replaced = project.modules.iter();
        let of_work = project.work.as_ref().and_then(|work| work.vendor.as_ref());
        let of_units = units.clone().filter_map(|unit| unit.vendor.as_ref());
        let vendor: Vec<&LockedVendor> = of_work.into_iter().chain(of_units).collect();
        let files = vendor.iter().map(|vendor| vendor.files).sum();
        Self {
            directory: project.directory.clone(),
            file: project.file.clone(),
            units: units.map(|unit| unit.directory.clone()).collect(),
            modules: project.modules.len(),
            replaced: replaced
                .filter(|module| module.replacement.is_some())
                .count(),
            vendored_files: (!vendor.is_empty()).then_some(files),
        }
    }
}

impl Report for LockReport {
    fn human(&self) -> String {
        let number = |number: usize| count(number as u64);
        let rows: Vec<Vec<String>> = self
            .projects
            .iter()
            .map(|project| {
                vec![
                    project.directory.clone(),
                    project.file.clone(),
                    number(project.units.len()),
                    number(project.modules),
                    number(project.replaced),
                    project.vendored_files.map_or("-".to_owned(), number),
                ]
            })
            .collect();
        let header = [
            "PROJECT",
            "FILE",
            "UNITS",
            "MODULES",
            "REPLACED",
            "VENDORED FILES",
        ];
        let mut text = table(&header, &rows);
        text.push('\n');
        for deployment in &self.sdk.deployments {
            let version = &self.sdk.version;
            let (arch, commit) = (&deployment.arch, short(&deployment.commit));
            text.push_str(&format!("SDK: go {version} {arch}, commit {commit}\n"));
        }
        for (name, value) in &self.settings {
            text.push_str(&format!("setting: {name}={value}\n"));
        }
        text.push_str(&format!("written: {}\n", self.path.0.display()));
        text
    }
}
