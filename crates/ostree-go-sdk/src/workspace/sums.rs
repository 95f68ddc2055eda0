//! The hashes of modules in the `go.sum` and `go.work.sum` files of a project.

use super::error::WorkspaceError;
use super::units::Project;
use crate::golang::sum_file::GoSum;
use crate::parallel;
use crate::toolchains::project::read as read_file;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The hashes of modules.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Those of the whole modules, by path and version.
    modules: Hashes,
    /// Those of the `go.mod` files.
    go_mods: Hashes,
}

/// The go command accepts each of several hashes.
type Hashes = BTreeMap<(String, String), BTreeSet<String>>;

impl Sums {
    /// Reads the `go.sum` files of all units, and `go.work.sum`. Those that do not exist have no hashes.
    pub(super) fn read(project: &Project) -> Result<Self, WorkspaceError> {
        let units = project.units.iter();
        let mut paths: Vec<PathBuf> = units.map(|unit| unit.directory.join("go.sum")).collect();
        if let Some(work) = &project.work {
            let mut name = work.path.clone().into_os_string();
            name.push(".sum");
            paths.push(name.into());
        }
        let mut sums = Self::default();
        for file in parallel::map(&paths, || (), |(), path| parse(path))? {
            sums.add(file);
        }
        Ok(sums)
    }

    fn add(&mut self, file: GoSum) {
        // Go ignores the hashes of other algorithms.
        let entries = file.entries.into_iter();
        for entry in entries.filter(|entry| entry.h1.starts_with("h1:")) {
            let hashes = match entry.is_go_mod {
                true => &mut self.go_mods,
                false => &mut self.modules,
            };
            let key = (entry.path, entry.version);
            hashes.entry(key).or_default().insert(entry.h1);
        }
    }

    /// Returns the hash of a module; several are separated by spaces.
    pub(super) fn h1(&self, path: &str, version: &str) -> Option<String> {
        of(&self.modules, path, version)
    }

    /// Returns the hash of the `go.mod` file of a module; several are separated by spaces.
    pub(super) fn go_mod_h1(&self, path: &str, version: &str) -> Option<String> {
        of(&self.go_mods, path, version)
    }

    /// Returns true if a module may have this hash.
    pub(super) fn allows(&self, path: &str, version: &str, h1: &str) -> bool {
        let key = (path.to_owned(), version.to_owned());
        self.modules.get(&key).is_some_and(|all| all.contains(h1))
    }
}

fn of(hashes: &Hashes, path: &str, version: &str) -> Option<String> {
    let all = hashes.get(&(path.to_owned(), version.to_owned()))?;
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    Some(all.join(" "))
}

fn parse(path: &Path) -> Result<GoSum, WorkspaceError> {
    let bytes = match path.exists() {
        true => read_file(path)?,
        false => Vec::new(),
    };
    GoSum::parse(&bytes).map_err(|source| WorkspaceError::GoSum {
        path: path.to_owned(),
        source: Box::new(source),
    })
}
