//! Options of changing the Go that projects ask for.

use super::error::GoModError;
use super::lines::{self, Role};
use super::plan::{FileChange, SyncPlan};
use crate::golang::modfile::{self, FileKind, GoMod, GoWork, ModFileError, is_toolchain};
use crate::golang::release_number::ReleaseNumber;
use crate::setters::setters;
use crate::toolchains::{Workspace, project};
use std::path::{Path, PathBuf};

/// Sets the lines in module files that select a Go to one SDK.
///
/// The file of a directory is found like the one that selects an SDK for it
/// ([`toolchains`](crate::toolchains)): the `go.work` file in the directory or the nearest one above
/// it, or else `go.mod`. Its `toolchain` line is set to the SDK. It is removed if the `go` line names the
/// same version, because Go then uses this toolchain anyway, and if the SDK is older than Go 1.21.
///
/// With [`go`](Self::go), the `go` line is set to the release of the SDK, which other modules that
/// require this one need from then on. In a workspace this also applies to the modules that it uses. Their
/// `toolchain` lines have no meaning there; those that are older than the `go` line, or that it implies,
/// are removed.
///
/// Everything else in the files stays as it is: comments, layout, line ends, permissions.
#[derive(Debug, Clone)]
pub struct Sync {
    version: String,
    directories: Vec<PathBuf>,
    workspace: Workspace,
    go: bool,
}

impl Sync {
    /// Creates options for an SDK with this version, such as `1.26.5` or `1.26.5-acme1`.
    #[must_use]
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            directories: Vec::new(),
            workspace: Workspace::default(),
            go: false,
        }
    }

    setters! {
        /// Sets the directories of the projects, which have to be absolute
        /// [clean](crate::toolchains::clean_path) paths.
        directories: Vec<PathBuf>;
        /// Selects the workspace of all directories. The default is [`Workspace::Auto`].
        workspace: Workspace;
        /// Also sets the `go` lines. The default is false.
        go: bool;
    }

    /// Reads all files and returns what would be changed in them. Changes nothing.
    ///
    /// # Errors
    /// Returns [`GoModError::TooNew`] if a `go` line asks for a newer Go than the SDK, and
    /// [`GoModError::NoFile`] if a directory has no module file. Returns an error if a file cannot be
    /// read or is malformed, or the version is none that a module file can name.
    pub fn plan(&self) -> Result<SyncPlan, GoModError> {
        let release = self.version.split('-').next().unwrap_or_default();
        let is_valid = is_toolchain(&format!("go{}", self.version));
        if !is_valid || ReleaseNumber::of_go_line(release).is_none() {
            let found = self.version.clone();
            return Err(GoModError::Version { found });
        }
        let mut plan = SyncPlan {
            version: self.version.clone(),
            files: Vec::new(),
        };
        for dir in &self.directories {
            self.project(dir, release, &mut plan)?;
        }
        Ok(plan)
    }

    /// Adds the files of a project. The `go.work` file comes before those of the modules that it uses, so
    /// that the workspace can be loaded if writing ends in between.
    fn project(&self, dir: &Path, release: &str, plan: &mut SyncPlan) -> Result<(), GoModError> {
        let Some((path, kind)) = project::module_file(dir, &self.workspace)? else {
            let dir = dir.to_owned();
            return Err(GoModError::NoFile { dir });
        };
        let bytes = self.file(&path, kind, Role::Main, release, plan)?;
        if kind == FileKind::Module {
            return Ok(());
        }
        let work = GoWork::parse_versions(&bytes).map_err(malformed(&path))?;
        for module in project::used_modules(&path, &work.uses)? {
            self.file(&module, FileKind::Module, Role::Used, release, plan)?;
        }
        Ok(())
    }

    /// Adds a file, and returns its content.
    fn file(
        &self,
        path: &Path,
        kind: FileKind,
        role: Role,
        release: &str,
        plan: &mut SyncPlan,
    ) -> Result<Vec<u8>, GoModError> {
        let before = project::read(path)?;
        let lines = GoMod::parse_versions(&before).map_err(malformed(path))?;
        let (go, toolchain) = (
            lines.go.map(|line| line.text),
            lines.toolchain.map(|line| line.text),
        );
        if let Some(go) = &go
            && lines::is_older(&self.version, Some(go))
        {
            return Err(GoModError::TooNew {
                path: path.to_owned(),
                found: go.as_str().into(),
                version: self.version.as_str().into(),
            });
        }
        if role == Role::Used && !self.go {
            return Ok(before);
        }
        let old = (go.as_deref(), toolchain.as_deref());
        let new_go = self.go.then_some(release);
        let changes = lines::changes(&self.version, new_go, role, old);
        let after = modfile::edit(&before, kind, &changes).map_err(malformed(path))?;
        plan.add(FileChange::new(path, kind, before.clone(), after)?);
        Ok(before)
    }
}

fn malformed(path: &Path) -> impl Fn(ModFileError) -> GoModError {
    let path = path.to_owned();
    move |source| GoModError::ModFile {
        path: path.clone(),
        source: Box::new(source),
    }
}
