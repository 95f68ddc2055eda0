use crate::args::global::Format;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::views::deployment::DeploymentView;
use crate::views::selection::explanation;
use crate::views::value::{PathText, Text};
use ostree_go_sdk::toolchains::{self, Requirement, Selection, VersionRule};
use serde::Serialize;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print the path of the go command for a project
///
/// The SDK is the lowest installed one that fulfils the `go` and `toolchain` lines of go.work, or else of
/// go.mod, in the directory or the nearest one above it. If there is neither, .go-version, .tool-versions and
/// mise.toml are read, in this order. Without any of them, it is the active SDK. The reason is printed on
/// standard error.
#[derive(Debug, clap::Args)]
pub struct WhichArgs {
    /// Directory of the project (default: the current directory)
    dir: Option<PathBuf>,
}

pub fn run(context: &Context, args: &WhichArgs) -> Result<ExitCode, CliError> {
    let dir = context.settings.project_dir(args.dir.as_deref())?;
    let workspace = context.settings.workspace();
    let root = context.root()?;
    let selection = toolchains::select(&root, &dir, &workspace)?;
    context.say(&explanation(&selection));
    if context.output.format == Format::Human {
        // A program needs the bytes of the path, whether they are UTF-8 or not.
        let mut line = selection.go().into_os_string().into_vec();
        line.push(b'\n');
        context.output.raw(&line)?;
        return Ok(ExitCode::SUCCESS);
    }
    context.report(&WhichReport::from(&selection))
}

#[derive(Serialize)]
struct WhichReport {
    go: PathText<PathBuf>,
    bin: PathText<PathBuf>,
    reason: &'static str,
    requirement: Option<RequirementView>,
    deployment: DeploymentView,
}

#[derive(Serialize)]
struct RequirementView {
    file: PathText<PathBuf>,
    line: Option<usize>,
    text: String,
    rule: Text<VersionRule>,
}

impl From<&Selection> for WhichReport {
    fn from(selection: &Selection) -> Self {
        Self {
            go: PathText(selection.go()),
            bin: PathText(selection.bin.clone()),
            reason: selection.reason.as_str(),
            requirement: selection.requirement.as_ref().map(Into::into),
            deployment: DeploymentView::from(&selection.deployment),
        }
    }
}

impl From<&Requirement> for RequirementView {
    fn from(requirement: &Requirement) -> Self {
        Self {
            file: PathText(requirement.file.clone()),
            line: requirement.line,
            text: requirement.text.clone(),
            rule: Text(requirement.rule.clone()),
        }
    }
}

impl Report for WhichReport {}
