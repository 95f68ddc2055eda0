//! Examines hooks without running them.

use super::discover::{FOLDERS, discover};
use super::error::HookError;
use super::options::Hooks;
use super::outcome::HookKind;
use std::fs;
use std::path::{Path, PathBuf};

/// The state of the hooks of a machine.
#[derive(Debug)]
pub(crate) struct ExaminedHooks {
    /// The hooks that would run, or the reason why none of them would.
    pub(crate) result: Result<usize, HookError>,
    /// Hooks that cannot be executed.
    pub(crate) not_executable: Vec<PathBuf>,
    /// Files and directories in places where hooks are never looked for.
    pub(crate) misplaced: Vec<PathBuf>,
}

/// Looks for hooks, and for what was probably meant to be one.
pub(crate) fn examine(hooks: &Hooks) -> ExaminedHooks {
    let found = discover(&hooks.dirs);
    let mut not_executable = Vec::new();
    let result = found.map(|found| {
        let (good, bad): (Vec<_>, Vec<_>) = found.into_iter().partition(|hook| hook.is_executable);
        not_executable.extend(bad.into_iter().map(|hook| hook.path));
        good.len()
    });
    ExaminedHooks {
        result,
        not_executable,
        misplaced: hooks.dirs.iter().flat_map(|base| misplaced(base)).collect(),
    }
}

/// Returns the entries below a base directory that are not on the way to the directories of hooks, in order.
fn misplaced(base: &Path) -> Vec<PathBuf> {
    let [top, event] = FOLDERS;
    let kinds = HookKind::ALL.map(|kind| format!("{}.d", kind.as_str()));
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let top = base.join(top);
    let mut found = others(&top, &[event]);
    found.extend(others(&top.join(event), &kinds));
    found.sort();
    found
}

/// Returns the entries of a directory with other names; none if it cannot be read.
fn others(folder: &Path, known: &[&str]) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_other = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        !is_hidden && !known.iter().any(|known| name == *known)
    };
    entries.map(|entry| entry.path()).filter(is_other).collect()
}
