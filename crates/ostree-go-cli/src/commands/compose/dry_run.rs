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
use ostree_go_sdk::compose::{PlannedModule, PlannedRelease, PlannedStdCache};
use ostree_go_sdk::treefile::{ArchTreefile, ModuleSpec, Treefile};
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
    let (mut releases, mut modules, mut std_caches) = (Vec::new(), Vec::new(), Vec::new());
    for treefile in treefiles {
        let compose = operation(context, args, treefile, repo)?;
        match repo {
            Some(repo) => {
                let plan = compose.plan(repo)?;
                let planned = plan.releases().iter();
                releases.extend(planned.map(|one| PlannedView::new(&one.spec, action(one))));
                let planned = plan.modules().iter();
                modules.extend(planned.map(|one| ModuleView::new(&one.spec, module_action(one))));
                let planned = plan.std_caches().iter();
                std_caches.extend(planned.map(|one| StdCacheView {
                    ref_name: one.ref_name.to_string(),
                    action: std_cache_action(one),
                }));
            }
            None => {
                let wanted = match args.arch.is_empty() {
                    true => treefile.arches().to_vec(),
                    false => args.arches(),
                };
                for arch in wanted {
                    releases.push(PlannedView::new(treefile.for_arch(arch)?, "compose"));
                }
                if args.write_commitid_to.is_none() {
                    let wanted = treefile.modules().iter();
                    modules.extend(wanted.map(|one| ModuleView::new(one, "compose")));
                }
                if !args.no_stdcache && args.write_commitid_to.is_none() {
                    let wanted = treefile.std_caches().iter();
                    std_caches.extend(wanted.map(|one| StdCacheView {
                        ref_name: one.ref_name.to_string(),
                        action: "build",
                    }));
                }
            }
        }
    }
    let unchanged = releases.iter().all(|release| release.action == UNCHANGED)
        && modules.iter().all(|one| one.action == UNCHANGED)
        && std_caches.iter().all(|one| one.action == UNCHANGED);
    if let (false, Some(path)) = (unchanged, &args.touch_if_changed) {
        files::touch(path)?;
    }
    context.report(&DryRunReport {
        repo: PathText(context.repo_path()?),
        dry_run: true,
        unchanged,
        releases,
        modules,
        std_caches,
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
    modules: Vec<ModuleView>,
    std_caches: Vec<StdCacheView>,
    #[serde(skip)]
    exit_77: bool,
}

/// Returns the planned action for a std cache: `check` means that it is only known after the release was
/// composed.
fn std_cache_action(planned: &PlannedStdCache) -> &'static str {
    match planned {
        PlannedStdCache {
            unchanged: true, ..
        } => UNCHANGED,
        PlannedStdCache {
            current: Some(_),
            input_hash: None,
            ..
        } => "check",
        _ => "build",
    }
}

/// Returns the planned action for a module: `check` means that its directory has to be read to decide.
fn module_action(planned: &PlannedModule) -> &'static str {
    match planned {
        PlannedModule {
            unchanged: true, ..
        } => UNCHANGED,
        PlannedModule {
            current: Some(_),
            input_hash: None,
            ..
        } => "check",
        _ => "compose",
    }
}

#[derive(Serialize)]
struct ModuleView {
    #[serde(rename = "ref")]
    ref_name: String,
    action: &'static str,
    module: String,
}

impl ModuleView {
    fn new(spec: &ModuleSpec, action: &'static str) -> Self {
        Self {
            ref_name: spec.ref_name.to_string(),
            action,
            module: spec.source.to_string(),
        }
    }
}

#[derive(Serialize)]
struct StdCacheView {
    #[serde(rename = "ref")]
    ref_name: String,
    action: &'static str,
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
        let modules = self.modules.iter();
        let modules = modules.map(|one| {
            let source = format!("module: {}", one.module);
            vec![one.ref_name.clone(), one.action.to_owned(), source]
        });
        let std_caches = self.std_caches.iter();
        let std_caches = std_caches.map(|one| {
            let built_by = "the SDK".to_owned();
            vec![one.ref_name.clone(), one.action.to_owned(), built_by]
        });
        let rows: Vec<_> = releases
            .map(|release| {
                vec![
                    release.ref_name.clone(),
                    release.action.to_owned(),
                    release.sources.join(", "),
                ]
            })
            .chain(modules)
            .chain(std_caches)
            .collect();
        table(&["RELEASE", "ACTION", "SOURCES"], &rows)
    }

    fn exit_code(&self) -> ExitCode {
        unchanged_exit_code(self.unchanged, self.exit_77)
    }
}
