//! Directories `vendor`: their files, and the modules that these belong to.

use super::error::WorkspaceError;
use super::lock::{LockedVendor, LockedVendoredModule};
use super::tree::{self, Cores, Tree};
use super::units::{Project, Survey, relative};
use crate::fs::digest;
use crate::golang::modules_txt::{ModulesTxt, VendoredModule};
use crate::id::Sha256;
use crate::toolchains::project::read as read_file;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of the file that lists the modules.
pub(super) const MODULES_TXT: &str = "modules.txt";

/// A directory `vendor`.
#[derive(Debug)]
pub(super) struct Vendor {
    /// The name of the unit or project that it belongs to.
    pub(super) owner: String,
    /// The path, relative to the directory of the lock.
    pub(super) shown: String,
    /// The directory of the `go.work` or `go.mod` file beside it.
    pub(super) beside: PathBuf,
    pub(super) list: ModulesTxt,
    list_sha256: Sha256,
    pub(super) tree: Tree,
    /// The modules of the files, as positions in the list.
    modules: BTreeMap<String, usize>,
}

/// Returns all vendored modules of a project: those of the workspace, and those of the units.
pub(super) fn of_project(
    survey: &Survey,
    project: &Project,
) -> Result<Vec<Vendor>, WorkspaceError> {
    let mut places: Vec<(&Path, &str)> = vec![(&project.directory, &project.name)];
    for unit in &project.units {
        if unit.directory != project.directory {
            places.push((&unit.directory, &unit.name));
        }
    }
    let mut found = Vec::new();
    for (directory, name) in places {
        found.extend(Vendor::read(&survey.base, directory, name)?);
    }
    Ok(found)
}

impl Vendor {
    /// Reads the directory `vendor` in a directory, if it has a list of modules.
    fn read(base: &Path, beside: &Path, owner: &str) -> Result<Option<Self>, WorkspaceError> {
        let directory = beside.join("vendor");
        let path = directory.join(MODULES_TXT);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = read_file(&path)?;
        let list = ModulesTxt::parse(&bytes).map_err(|source| WorkspaceError::ModulesTxt {
            path,
            source: Box::new(source),
        })?;
        let mut tree = Tree::read(&directory, &|_| true, Cores::All)?;
        tree.files.remove(MODULES_TXT);
        let owners = Owners::new(&list);
        let named = tree.files.keys().filter_map(|name| {
            let module = owners.of(name)?;
            Some((name.clone(), module))
        });
        Ok(Some(Self {
            owner: owner.to_owned(),
            shown: relative(base, &directory),
            beside: beside.to_owned(),
            modules: named.collect(),
            list_sha256: digest::of(&bytes),
            list,
            tree,
        }))
    }

    /// Returns the modules that have packages, with their positions in the list.
    pub(super) fn with_packages(&self) -> impl Iterator<Item = (usize, &VendoredModule)> {
        let all = self.list.modules.iter().enumerate();
        all.filter(|(_, module)| !module.packages.is_empty())
    }

    /// Returns the position of the module that a file belongs to.
    pub(super) fn module_of(&self, file: &str) -> Option<usize> {
        self.modules.get(file).copied()
    }

    /// Returns the path of a file, relative to the directory of the lock.
    pub(super) fn path_of(&self, file: &str) -> String {
        format!("{}/{file}", self.shown)
    }

    /// Describes the directory for a lock.
    pub(super) fn locked(&self) -> LockedVendor {
        let mut files: BTreeMap<usize, Vec<(&String, &Sha256)>> = BTreeMap::new();
        for file in &self.tree.files {
            if let Some(module) = self.module_of(file.0) {
                files.entry(module).or_default().push(file);
            }
        }
        let mut modules: Vec<LockedVendoredModule> = Vec::new();
        for (position, module) in self.with_packages() {
            let files = files.remove(&position).unwrap_or_default();
            modules.push(LockedVendoredModule {
                files: files.len(),
                h1: tree::h1("", files).to_string(),
                path: module.path.clone(),
                version: module.version.clone(),
            });
        }
        modules.sort_by(|one, other| (&one.path, &one.version).cmp(&(&other.path, &other.version)));
        LockedVendor {
            files: self.tree.files.len(),
            h1: tree::h1("", &self.tree.files).to_string(),
            modules,
            modules_txt: self.list_sha256.to_string(),
        }
    }
}

/// The modules that directories in `vendor` belong to.
struct Owners<'a> {
    /// By the paths of packages.
    packages: BTreeMap<&'a str, usize>,
    /// By the paths of modules.
    modules: BTreeMap<&'a str, usize>,
}

impl<'a> Owners<'a> {
    fn new(list: &'a ModulesTxt) -> Self {
        let (mut packages, mut modules) = (BTreeMap::new(), BTreeMap::new());
        for (position, module) in list.modules.iter().enumerate() {
            packages.extend(module.packages.iter().map(|path| (&**path, position)));
            if !module.packages.is_empty() {
                modules.insert(&*module.path, position);
            }
        }
        Self { packages, modules }
    }

    /// Returns the module of the package in the directory of a file, or else the one with the longest path at or above
    /// it: licences are copied from all directories of a module, and embedded files are below a package.
    fn of(&self, file: &str) -> Option<usize> {
        let (directory, _) = file.rsplit_once('/')?;
        let mut above = directory;
        if let Some(module) = self.packages.get(directory) {
            return Some(*module);
        }
        loop {
            if let Some(module) = self.modules.get(above) {
                return Some(*module);
            }
            above = above.rsplit_once('/')?.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_the_module_of_their_package() {
        let module = |path: &str, packages: &[&str]| VendoredModule {
            path: path.to_owned(),
            version: Some("v1.0.0".to_owned()),
            replacement: None,
            is_explicit: true,
            go: None,
            packages: packages.iter().map(|path| (*path).to_owned()).collect(),
            line: 1,
        };
        let list = ModulesTxt {
            is_workspace: false,
            modules: vec![
                module("x.example/a", &["x.example/a/b/c", "x.example/a/d"]),
                module("x.example/a/b", &["x.example/a/b"]),
                module("x.example/unused", &[]),
            ],
        };
        let owners = Owners::new(&list);
        assert_eq!(owners.of("x.example/a/b/c/file.go"), Some(0));
        assert_eq!(owners.of("x.example/a/b/file.go"), Some(1));
        assert_eq!(owners.of("x.example/a/LICENSE"), Some(0));
        assert_eq!(owners.of("x.example/a/d/static/page.html"), Some(0));
        assert_eq!(owners.of("x.example/ab/file.go"), None);
        assert_eq!(owners.of("x.example/unused/file.go"), None);
        assert_eq!(owners.of("file.go"), None);
    }
}
