//! The lock of a workspace and the options to check it, for all verbs that need them.

use crate::context::Context;
use crate::error::CliError;
use ostree_go_sdk::workspace::{LOCK_FILE_NAME, Workspace, WorkspaceError};
use std::path::{Path, PathBuf};

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

/// Returns the path of the lock in a directory or the nearest one above it.
pub fn find_lock(directory: &Path) -> Result<PathBuf, CliError> {
    let mut paths = directory
        .ancestors()
        .map(|above| above.join(LOCK_FILE_NAME));
    let found = paths.find(|path| path.is_file());
    let none = || WorkspaceError::NoLock {
        path: directory.join(LOCK_FILE_NAME),
    };
    Ok(found.ok_or_else(none)?)
}
