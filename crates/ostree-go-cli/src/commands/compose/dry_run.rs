//! `compose --dry-run`.

use super::args::ComposeArgs;
use super::operation::operation;
use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::{Report, unchanged_exit_code};
use crate::text::table;
use crate::views::value::PathText;
use ostree_go_sdk::Repo;
use ostree_go_sdk::compose::PlannedRelease;
use ostree_go_sdk::treefile::{ArchTreefile, Treefile};
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// The action for a release that is up to date.
const UNCHANGED: &str = "unchanged";

/// Prints what would be composed. Without a repository, everything has to be composed.
pub fn dry_run(
    context: &Context,
    args: &ComposeArgs,
    treefiles: &[Treefile],
    repo: Option<&Repo>,
) -> Result<ExitCode, CliError> {
    let mut releases = Vec::new();
    for treefile in treefiles {
        let compose = operation(context, args, treefile, repo)?;
        match repo {
            Some(repo) => {
                let plan = compose.plan(repo)?;
                let planned = plan.releases().iter();
                releases.extend(planned.map(|one| PlannedView::new(&one.spec, action(one))));
            }
            None => {
                let wanted = match args.arch.is_empty() {
                    true => treefile.arches().to_vec(),
                    false => args.arches(),
                };
                for arch in wanted {
                    releases.push(PlannedView::new(treefile.for_arch(arch)?, "compose"));
                }
            }
        }
    }
    let unchanged = releases.iter().all(|release| release.action == UNCHANGED);
    if let (false, Some(path)) = (unchanged, &args.touch_if_changed) {
        files::touch(path)?;
    }
    context.report(&DryRunReport {
        repo: PathText(context.repo_path()?),
        dry_run: true,
        unchanged,
        releases,
        exit_77: args.unchanged_exit_77,
    })
}

/// Returns the planned action for a release: `check` means that the source has to be opened to decide.
fn action(release: &PlannedRelease) -> &'static str {
    match release {
        PlannedRelease {
            unchanged: true, ..
        } => UNCHANGED,
        PlannedRelease {
            current: Some(_),
            input_hash: None,
            ..
        } => "check",
        _ => "compose",
    }
}

#[derive(Serialize)]
struct DryRunReport<'a> {
    repo: PathText<&'a Path>,
    dry_run: bool,
    unchanged: bool,
    releases: Vec<PlannedView>,
    #[serde(skip)]
    exit_77: bool,
}

#[derive(Serialize)]
struct PlannedView {
    #[serde(rename = "ref")]
    ref_name: String,
    action: &'static str,
    sources: Vec<String>,
    channels: Vec<String>,
}

impl PlannedView {
    fn new(spec: &ArchTreefile, action: &'static str) -> Self {
        Self {
            ref_name: spec.release_ref.to_string(),
            action,
            sources: spec.sources.iter().map(ToString::to_string).collect(),
            channels: spec.channels.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Report for DryRunReport<'_> {
    fn human(&self) -> String {
        let releases = self.releases.iter();
        let rows: Vec<_> = releases
            .map(|release| {
                vec![
                    release.ref_name.clone(),
                    release.action.to_owned(),
                    release.sources.join(", "),
                ]
            })
            .collect();
        table(&["RELEASE", "ACTION", "SOURCES"], &rows)
    }

    fn exit_code(&self) -> ExitCode {
        unchanged_exit_code(self.unchanged, self.exit_77)
    }
}
