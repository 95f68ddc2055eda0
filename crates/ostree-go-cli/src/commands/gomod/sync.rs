use crate::context::Context;
use crate::error::CliError;
use crate::report::{Report, unchanged_exit_code};
use crate::views::value::PathText;
use ostree_go_sdk::Arch;
use ostree_go_sdk::deploy::DeployError;
use ostree_go_sdk::gomod::{FileChange, Sync};
use ostree_go_sdk::toolchains;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Set the toolchain line of projects to an installed SDK
///
/// The file of a directory is go.work in the directory or the nearest one above it, or else go.mod. The toolchain
/// line is removed if the go line names the same version. Everything else in the file stays as it is. A go line that
/// asks for a newer Go than the SDK is an error, and then no file is changed.
#[derive(Debug, clap::Args)]
pub struct SyncArgs {
    /// Directories of projects (default: the current directory)
    #[arg(value_name = "DIR")]
    dirs: Vec<PathBuf>,

    /// Also set the go line, and those of the modules that go.work uses
    #[arg(long)]
    go: bool,

    /// Installed SDK: a version, a channel, a ref, or the first digits of a commit (default: the active one)
    #[arg(long, value_name = "VERSION")]
    sdk: Option<String>,

    /// Show the changes as a diff, without writing them
    #[arg(long)]
    dry_run: bool,

    /// Exit with 77 if nothing changed
    #[arg(long)]
    unchanged_exit_77: bool,
}

pub fn run(context: &Context, args: &SyncArgs) -> Result<ExitCode, CliError> {
    let settings = &context.settings;
    let mut directories = Vec::new();
    for dir in &args.dirs {
        directories.push(settings.project_dir(Some(dir))?);
    }
    if directories.is_empty() {
        directories.push(settings.project_dir(None)?);
    }
    let version = version(context, args.sdk.as_deref())?;
    let sync = Sync::new(version.as_str())
        .directories(directories)
        .workspace(settings.workspace())
        .go(args.go);
    let plan = sync.plan()?;
    let unchanged = plan.is_unchanged();
    let files = match args.dry_run {
        true => plan.files().to_vec(),
        false => plan.execute()?,
    };
    for file in &files {
        if !args.dry_run || !file.is_changed() {
            context.say(&message(file));
        }
    }
    context.report(&SyncReport {
        dry_run: args.dry_run,
        unchanged,
        version,
        files: files.iter().map(Into::into).collect(),
        diff: files.iter().map(FileChange::diff).collect(),
        exit_77: args.unchanged_exit_77,
    })
}

/// Returns the version of the installed SDK with this name, or else of the active one.
fn version(context: &Context, name: Option<&str>) -> Result<String, CliError> {
    let root = context.root()?;
    let deployment = match name {
        Some(name) => toolchains::find(&root, name, Arch::host())?,
        None => {
            let path = root.path().to_owned();
            let active = root.active()?;
            active.ok_or(DeployError::NothingActive { path })?
        }
    };
    Ok(deployment.version)
}

/// Returns the line that says what was changed in a file.
fn message(file: &FileChange) -> String {
    let path = file.path.display();
    let lines = [
        ("go", &file.before.go, &file.after.go),
        ("toolchain", &file.before.toolchain, &file.after.toolchain),
    ];
    let changes = lines.into_iter().filter_map(|line| match line {
        (verb, Some(old), Some(new)) if old != new => Some(format!("`{verb} {new}` (was {old})")),
        (verb, None, Some(new)) => Some(format!("`{verb} {new}` (new)")),
        (verb, Some(old), None) => Some(format!("no toolchain line (was `{verb} {old}`)")),
        _ => None,
    });
    let changes: Vec<String> = changes.collect();
    match changes.is_empty() {
        true => format!("{path} is up to date"),
        false => format!("{path}: {}", changes.join(", ")),
    }
}

#[derive(Serialize)]
struct SyncReport {
    dry_run: bool,
    unchanged: bool,
    version: String,
    files: Vec<FileView>,
    #[serde(skip)]
    diff: String,
    #[serde(skip)]
    exit_77: bool,
}

#[derive(Serialize)]
struct FileView {
    path: PathText<PathBuf>,
    changed: bool,
    go: LineView,
    toolchain: LineView,
}

#[derive(Serialize)]
struct LineView {
    old: Option<String>,
    new: Option<String>,
}

impl From<&FileChange> for FileView {
    fn from(file: &FileChange) -> Self {
        let line = |old: &Option<String>, new: &Option<String>| LineView {
            old: old.clone(),
            new: new.clone(),
        };
        Self {
            path: PathText(file.path.clone()),
            changed: file.is_changed(),
            go: line(&file.before.go, &file.after.go),
            toolchain: line(&file.before.toolchain, &file.after.toolchain),
        }
    }
}

impl Report for SyncReport {
    fn human(&self) -> String {
        match self.dry_run {
            true => self.diff.clone(),
            false => String::new(),
        }
    }

    fn exit_code(&self) -> ExitCode {
        unchanged_exit_code(self.unchanged, self.exit_77)
    }
}
