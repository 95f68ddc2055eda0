//! The changes of module files, and writing them.

use super::diff;
use super::error::GoModError;
use crate::fs::atomic::Pending;
use crate::fs::context::IoContext;
use crate::golang::modfile::{FileKind, GoMod};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

/// The changes of module files. [`Sync::plan`](super::Sync::plan) returns it.
#[derive(Debug, Clone)]
pub struct SyncPlan {
    pub(super) version: String,
    pub(super) files: Vec<FileChange>,
}

/// A module file, and what is changed in it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FileChange {
    /// The path of the file. Symlinks are resolved: the file that a link points to is changed, and
    /// the link stays.
    pub path: PathBuf,
    /// The kind of the file.
    pub kind: FileKind,
    /// The `go` and `toolchain` lines of the file.
    pub before: SelectingLines,
    /// The lines that the file gets.
    pub after: SelectingLines,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// The lines of a module file that select a Go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectingLines {
    /// The version in the `go` line, such as `1.26`.
    pub go: Option<String>,
    /// The name in the `toolchain` line, such as `go1.26.5`.
    pub toolchain: Option<String>,
}

impl SyncPlan {
    /// Returns the version of the SDK.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the files, including those that are not changed.
    #[must_use]
    pub fn files(&self) -> &[FileChange] {
        &self.files
    }

    /// Returns true if no file is changed.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        !self.files.iter().any(FileChange::is_changed)
    }

    /// Writes the files that are changed, and returns all of them. Each file is replaced atomically, and
    /// is durable when this returns; it keeps its permissions and its owner. Files without a change are
    /// not touched.
    ///
    /// # Errors
    /// Returns [`GoModError::Changed`] if a file has another content than when the plan was made, and
    /// an error if it cannot be written. Files that were written before stay changed.
    pub fn execute(self) -> Result<Vec<FileChange>, GoModError> {
        for file in self.files.iter().filter(|file| file.is_changed()) {
            file.write()?;
        }
        Ok(self.files)
    }

    /// Adds a file, unless it is there already.
    pub(super) fn add(&mut self, file: FileChange) {
        if !self.files.iter().any(|other| other.path == file.path) {
            self.files.push(file);
        }
    }
}

impl FileChange {
    pub(super) fn new(
        path: &Path,
        kind: FileKind,
        old: Vec<u8>,
        new: Vec<u8>,
    ) -> Result<Self, GoModError> {
        Ok(Self {
            path: path.canonicalize().context("read", path)?,
            kind,
            before: SelectingLines::of(&old),
            after: SelectingLines::of(&new),
            old,
            new,
        })
    }

    /// Returns true if the file is changed.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.old != self.new
    }

    /// Returns the change as a unified diff; empty if there is none.
    #[must_use]
    pub fn diff(&self) -> String {
        diff::unified(&self.path, &self.old, &self.new)
    }

    fn write(&self) -> Result<(), GoModError> {
        let path = &self.path;
        let metadata = path.metadata().context("read", path)?;
        if fs::read(path).context("read", path)? != self.old {
            let path = path.clone();
            return Err(GoModError::Changed { path });
        }
        let mut pending = Pending::new(path).context("write", path)?;
        pending.file.write_all(&self.new).context("write", path)?;
        let made = pending.file.metadata().context("write", path)?;
        if (made.uid(), made.gid()) != (metadata.uid(), metadata.gid()) {
            let owner = (Some(metadata.uid()), Some(metadata.gid()));
            fchown(&pending.file, owner.0, owner.1).context("keep the owner of", path)?;
        }
        // After the owner, because a change of the owner removes bits of the mode.
        let permissions = pending.file.set_permissions(metadata.permissions());
        permissions.context("keep the permissions of", path)?;
        Ok(pending.persist().context("write", path)?)
    }
}

impl SelectingLines {
    /// Reads the lines of a file that has been parsed before.
    fn of(bytes: &[u8]) -> Self {
        let lines = GoMod::parse_versions(bytes).unwrap_or_default();
        Self {
            go: lines.go.map(|line| line.text),
            toolchain: lines.toolchain.map(|line| line.text),
        }
    }
}
