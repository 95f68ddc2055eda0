//! The modules that a project is built from.

use super::error::WorkspaceError;
use super::lock::{LockedModule, LockedReplacement};
use super::replacement;
use super::sums::Sums;
use super::units::{Project, Survey};
use crate::golang::modfile::{ModuleVersion, Replace, Require};
use crate::golang::modules_txt::ModulesTxt;
use crate::golang::release_number::ReleaseNumber;
use crate::golang::semver;
use crate::parallel;
use crate::toolchains::clean_path;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A module that a project is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UsedModule {
    pub(super) path: String,
    pub(super) version: Option<String>,
    pub(super) target: Option<Target>,
}

/// The replacement of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Module {
        path: String,
        version: String,
    },
    /// The absolute path of a directory.
    Directory(PathBuf),
}

impl UsedModule {
    /// Returns the path and version that `go.sum` has a hash of; `None` for a directory.
    pub(super) fn in_go_sum(&self) -> Option<(&str, &str)> {
        match &self.target {
            None => Some((&self.path, self.version.as_deref()?)),
            Some(Target::Module { path, version }) => Some((path, version)),
            Some(Target::Directory(_)) => None,
        }
    }
}

/// Returns the modules that `vendor/modules.txt` lists, with the highest version of each, as it is the selected one.
pub(super) fn vendored(project: &Project, list: &ModulesTxt) -> Vec<UsedModule> {
    let mut found: BTreeMap<&str, UsedModule> = BTreeMap::new();
    for module in &list.modules {
        if project.is_main(&module.path) || (!module.is_explicit && module.packages.is_empty()) {
            continue;
        }
        let new = module.replacement.as_ref();
        let used = UsedModule {
            path: module.path.clone(),
            version: module.version.clone(),
            target: new.map(|new| target(&project.directory, new)),
        };
        let version = |module: &UsedModule| module.version.clone().unwrap_or_default();
        match found.get(&*module.path) {
            Some(other) if semver::compare(&version(other), &version(&used)).is_gt() => {}
            _ => {
                found.insert(&module.path, used);
            }
        }
    }
    found.into_values().collect()
}

/// The version since which `go.mod` lists all modules that the packages and tests of its module need, also those that
/// others require. Source: <https://go.dev/ref/mod#graph-pruning>.
const COMPLETE: &str = "1.17";

/// Returns the modules that the only `go.mod` file of a project lists; `None` if it does not list all of them, or there is
/// a workspace, in which the units decide together.
///
/// Unlike `go list -m all`, this needs no `go.mod` files of modules that no package is used of. `go mod download` and a
/// build do not put these into the module cache.
pub(super) fn required(project: &Project) -> Option<Vec<UsedModule>> {
    let ([unit], None) = (&project.units[..], &project.work) else {
        return None;
    };
    let number = |text| ReleaseNumber::of_version(text);
    let go = unit.file.go.as_ref()?;
    if number(&go.text) < number(COMPLETE) {
        return None;
    }
    let used = unit.file.require.iter().map(|require| UsedModule {
        path: require.path.clone(),
        version: Some(require.version.clone()),
        target: replace_of(&unit.file.replace, require)
            .map(|line| target(&unit.directory, &line.new)),
    });
    Some(used.collect())
}

/// Returns the line that replaces a module: the one for its version, or else the one for all versions.
pub(super) fn replace_of<'a>(lines: &'a [Replace], require: &Require) -> Option<&'a Replace> {
    let of = |version: Option<&str>| {
        let mut lines = lines.iter();
        lines.find(|line| line.old.path == require.path && line.old.version.as_deref() == version)
    };
    of(Some(&require.version)).or_else(|| of(None))
}

/// Returns what a module is replaced by. Directories are relative to that of the file.
pub(super) fn target(directory: &Path, new: &ModuleVersion) -> Target {
    match &new.version {
        Some(version) => Target::Module {
            path: new.path.clone(),
            version: version.clone(),
        },
        None => Target::Directory(clean_path(&directory.join(&new.path))),
    }
}

/// Returns the modules of a lock.
pub(super) fn of_lock(survey: &Survey, locked: &[LockedModule]) -> Vec<UsedModule> {
    let used = locked.iter().map(|module| UsedModule {
        path: module.path.clone(),
        version: module.version.clone(),
        target: module.replacement.as_ref().map(|new| match &new.version {
            Some(version) => Target::Module {
                path: new.path.clone(),
                version: version.clone(),
            },
            None => Target::Directory(clean_path(&survey.base.join(&new.path))),
        }),
    });
    used.collect()
}

/// Adds the hashes, sorted by path. A directory that does not exist has none.
pub(super) fn describe(
    survey: &Survey,
    sums: &Sums,
    used: &[UsedModule],
) -> Result<Vec<LockedModule>, WorkspaceError> {
    let one = |module: &UsedModule| describe_one(survey, sums, module);
    let mut modules = parallel::map(used, || (), |(), module| one(module))?;
    modules.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(modules)
}

fn describe_one(
    survey: &Survey,
    sums: &Sums,
    module: &UsedModule,
) -> Result<LockedModule, WorkspaceError> {
    let sum = module.in_go_sum();
    Ok(LockedModule {
        go_mod_h1: sum.and_then(|(path, version)| sums.go_mod_h1(path, version)),
        h1: sum.and_then(|(path, version)| sums.h1(path, version)),
        path: module.path.clone(),
        replacement: match &module.target {
            None => None,
            Some(Target::Module { path, version }) => Some(LockedReplacement {
                commit: None,
                h1: None,
                path: path.clone(),
                version: Some(version.clone()),
            }),
            Some(Target::Directory(directory)) => Some(describe_directory(survey, directory)?),
        },
        version: module.version.clone(),
    })
}

fn describe_directory(
    survey: &Survey,
    directory: &Path,
) -> Result<LockedReplacement, WorkspaceError> {
    let directory = clean_path(directory);
    let exists = directory.is_dir();
    let h1 = exists.then(|| replacement::content_h1(&directory));
    Ok(LockedReplacement {
        commit: replacement::commit(&directory, &survey.base),
        h1: h1.transpose()?,
        path: survey.shown(&directory),
        version: None,
    })
}

/// Returns an error if a directory that replaces a module does not exist.
pub(super) fn require_directories(
    survey: &Survey,
    modules: &[LockedModule],
) -> Result<(), WorkspaceError> {
    for module in modules {
        if let Some(new) = &module.replacement
            && new.version.is_none()
            && new.h1.is_none()
        {
            return Err(WorkspaceError::NoReplacement {
                module: (&*module.path).into(),
                directory: clean_path(&survey.base.join(&new.path)),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolchains;

    fn used(go_mod: &str) -> Option<Vec<UsedModule>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("go.mod"), go_mod).unwrap();
        let directories = [folder.path().to_owned()];
        let survey = Survey::read(&directories, &toolchains::Workspace::Auto).unwrap();
        required(&survey.projects[0])
    }

    #[test]
    fn go_mod_lists_all_modules_since_go_1_17() {
        let requires = "require (\n\tx.example/a v1.0.0\n\tx.example/b v1.1.0 // indirect\n)\n";
        let replace =
            "replace x.example/a v1.0.0 => ../a\nreplace x.example/a => x.example/c v1.2.0\n";
        assert_eq!(used(&format!("module m\ngo 1.16\n{requires}")), None);
        assert_eq!(used(&format!("module m\n{requires}")), None);
        let found = used(&format!("module m\ngo 1.17\n{requires}{replace}")).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|one| (&*one.path, one.version.as_deref()))
            .collect();
        let expected = [
            ("x.example/a", Some("v1.0.0")),
            ("x.example/b", Some("v1.1.0")),
        ];
        assert_eq!(names, expected);
        assert!(matches!(&found[0].target, Some(Target::Directory(path)) if path.ends_with("a")));
        assert_eq!(found[0].in_go_sum(), None);
        assert_eq!(found[1].in_go_sum(), Some(("x.example/b", "v1.1.0")));
    }
}
