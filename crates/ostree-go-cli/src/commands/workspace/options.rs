//! The options that the verbs of workspaces share.

use crate::context::Context;
use crate::error::CliError;
use ostree_go_sdk::workspace::Workspace;
use std::path::PathBuf;

/// Returns the workspace of the projects in some directories, the first of which has the lock.
pub fn workspace(
    context: &Context,
    first: PathBuf,
    more: &[PathBuf],
    fetch: bool,
) -> Result<Workspace, CliError> {
    let settings = &context.settings;
    let more = more.iter().map(|dir| settings.project_dir(Some(dir)));
    let more: Vec<PathBuf> = more.collect::<Result<_, _>>()?;
    Ok(Workspace::new(context.root()?, first)
        .units(more)
        .go_work(settings.workspace())
        .home(settings.home())
        .module_cache(settings.stored_module_cache())
        .temporary(settings.temporary())
        .environment(settings.workspace_environment())
        .fetch(fetch))
}
