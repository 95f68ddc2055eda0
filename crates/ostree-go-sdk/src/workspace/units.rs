//! Finds the projects and units of a workspace, and reads their files.

use super::error::WorkspaceError;
use crate::fs::digest;
use crate::golang::modfile::{GoMod, GoWork};
use crate::parallel;
use crate::toolchains::project::{find_above, go_work, read as read_file};
use crate::toolchains::{self, ToolchainError, clean_path};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The projects of a workspace.
#[derive(Debug)]
pub(super) struct Survey {
    /// The directory of the lock.
    pub(super) base: PathBuf,
    /// The projects, sorted by name.
    pub(super) projects: Vec<Project>,
}

/// A project: a `go.work` or a `go.mod` file.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) directory: PathBuf,
    /// The directory, relative to that of the lock.
    pub(super) name: String,
    /// The name of the file.
    pub(super) file: String,
    pub(super) work: Option<WorkFile>,
    /// The units, sorted by name.
    pub(super) units: Vec<Unit>,
}

/// A `go.work` file.
#[derive(Debug)]
pub(super) struct WorkFile {
    pub(super) path: PathBuf,
    /// The path, relative to the directory of the lock.
    pub(super) shown: String,
    pub(super) sha256: String,
    pub(super) file: GoWork,
}

/// A module that is built and deployed.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) directory: PathBuf,
    /// The directory, relative to that of the lock.
    pub(super) name: String,
    /// The path of `go.mod`, relative to the directory of the lock.
    pub(super) shown: String,
    pub(super) sha256: String,
    pub(super) file: GoMod,
}

impl Project {
    /// Returns true for the path of a unit, which is not one of the modules that the units are built from.
    pub(super) fn is_main(&self, module: &str) -> bool {
        let mut mains = self
            .units
            .iter()
            .filter_map(|unit| unit.file.module.as_ref());
        mains.any(|main| main.text == module)
    }
}

impl Survey {
    /// Reads the projects of some directories. The first one decides where the lock is.
    pub(super) fn read(
        directories: &[PathBuf],
        workspace: &toolchains::Workspace,
    ) -> Result<Self, WorkspaceError> {
        let mut files: Vec<PathBuf> = Vec::new();
        for directory in directories {
            let file = file_of(directory, workspace)?;
            if !files.contains(&file) {
                files.push(file);
            }
        }
        let base = files.first().and_then(|file| file.parent());
        let base = base.unwrap_or(Path::new("/")).to_owned();
        let mut projects = Vec::new();
        for file in &files {
            projects.push(project(&base, file)?);
        }
        projects.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { base, projects })
    }

    /// Returns a path relative to the directory of the lock.
    pub(super) fn shown(&self, path: &Path) -> String {
        relative(&self.base, path)
    }
}

/// Returns the file that decides for a directory: `go.work`, or else `go.mod`.
pub(super) fn file_of(
    directory: &Path,
    workspace: &toolchains::Workspace,
) -> Result<PathBuf, WorkspaceError> {
    if let Some(path) = go_work(directory, workspace)? {
        return Ok(path);
    }
    find_above(directory, GO_MOD)?.ok_or_else(|| WorkspaceError::NoProject {
        directory: directory.to_owned(),
    })
}

pub(super) const GO_MOD: &str = "go.mod";

fn project(base: &Path, path: &Path) -> Result<Project, WorkspaceError> {
    let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
    let name_of_file = path.file_name().unwrap_or_default();
    let is_module = name_of_file == GO_MOD;
    let work = if is_module {
        None
    } else {
        Some(work_file(base, path)?)
    };
    let directories = match &work {
        None => vec![directory.clone()],
        Some(work) => used(work, &directory)?,
    };
    let mut units = parallel::map(&directories, || (), |(), directory| unit(base, directory))?;
    units.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Project {
        name: relative(base, &directory),
        file: name_of_file.to_string_lossy().into_owned(),
        directory,
        work,
        units,
    })
}

fn work_file(base: &Path, path: &Path) -> Result<WorkFile, WorkspaceError> {
    let bytes = read_file(path)?;
    let file = GoWork::parse(&bytes).map_err(|source| ToolchainError::ModFile {
        path: path.to_owned(),
        source,
    })?;
    Ok(WorkFile {
        path: path.to_owned(),
        shown: relative(base, path),
        sha256: digest::of(&bytes).to_string(),
        file,
    })
}

/// Returns the directories of the modules that a workspace uses, each once.
fn used(work: &WorkFile, directory: &Path) -> Result<Vec<PathBuf>, WorkspaceError> {
    let mut found: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for used in &work.file.uses {
        let module = clean_path(&directory.join(&used.text));
        found.entry(module).or_insert(used.line);
    }
    for (module, line) in &found {
        if !module.join(GO_MOD).exists() {
            return Err(WorkspaceError::from(ToolchainError::NoModule {
                path: work.path.clone(),
                line: *line,
                module: module.clone(),
            }));
        }
    }
    Ok(found.into_keys().collect())
}

fn unit(base: &Path, directory: &Path) -> Result<Unit, WorkspaceError> {
    let path = directory.join(GO_MOD);
    let bytes = read_file(&path)?;
    let shown = relative(base, &path);
    let file = GoMod::parse(&bytes).map_err(|source| ToolchainError::ModFile { path, source })?;
    Ok(Unit {
        directory: directory.to_owned(),
        name: relative(base, directory),
        shown,
        sha256: digest::of(&bytes).to_string(),
        file,
    })
}

/// Returns the path that leads from a directory to another path, with `/`; `.` for the directory itself. Both are
/// absolute and clean.
pub(super) fn relative(base: &Path, path: &Path) -> String {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (base.components().collect(), path.components().collect());
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other);
    let common = common.count();
    let up = from[common..].iter().map(|_| "..".to_owned());
    let down = to[common..].iter();
    let down = down.map(|part| part.as_os_str().to_string_lossy().into_owned());
    let parts: Vec<String> = up.chain(down).collect();
    match parts.is_empty() {
        true => ".".to_owned(),
        false => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_lock() {
        let of = |path: &str| relative(Path::new("/a/b"), Path::new(path));
        assert_eq!(of("/a/b"), ".");
        assert_eq!(of("/a/b/c/d"), "c/d");
        assert_eq!(of("/a"), "..");
        assert_eq!(of("/a/bc/d"), "../bc/d");
        assert_eq!(of("/x"), "../../x");
    }

    #[test]
    fn a_directory_that_is_used_twice_is_one_unit() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("a")).unwrap();
        std::fs::write(path("a/go.mod"), "module example.com/a\n\ngo 1.26\n").unwrap();
        std::fs::write(path("go.work"), "go 1.26\nuse ./a\nuse ./b/../a\n").unwrap();
        let workspace = toolchains::Workspace::Auto;
        let directories = [path("a"), folder.path().to_owned()];
        let survey = Survey::read(&directories, &workspace).unwrap();
        assert_eq!(survey.base, folder.path());
        let [project] = &survey.projects[..] else {
            panic!("{survey:?}");
        };
        assert_eq!((&*project.name, &*project.file), (".", "go.work"));
        let units: Vec<&str> = project.units.iter().map(|unit| &*unit.name).collect();
        assert_eq!(units, ["a"]);
        assert!(project.is_main("example.com/a") && !project.is_main("example.com"));
    }
}
