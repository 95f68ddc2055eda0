//! Errors of changing module files.

use crate::fs::context::from_io_failure;
use crate::golang::modfile::ModFileError;
use crate::kind::ErrorKind;
use crate::toolchains::ToolchainError;
use std::path::PathBuf;

/// An error of changing the module files of a project.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoModError {
    /// A project or one of its files cannot be read.
    #[error(transparent)]
    Project(Box<ToolchainError>),
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// A `go.mod` or `go.work` file is malformed.
    #[error("{} is malformed", path.display())]
    ModFile {
        /// The file.
        path: PathBuf,
        /// The problem, and its line.
        #[source]
        source: Box<ModFileError>,
    },
    /// Neither a directory nor those above it have a `go.work` or `go.mod` file.
    #[error("{} has no go.mod and no go.work, and neither have the directories above it", dir.display())]
    NoFile {
        /// The directory.
        dir: PathBuf,
    },
    /// The version of the SDK is not one that module files can name.
    #[error("`{}` is not a version that a module file can name, expected the form 1.26.5", .found.escape_debug())]
    Version {
        /// The version.
        found: String,
    },
    /// A `go` line asks for a newer Go than the SDK.
    #[error("{} requires go >= {found} (running go {version})", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// The version in the `go` line.
        found: Box<str>,
        /// The version of the SDK.
        version: Box<str>,
    },
    /// A file was changed after the plan was made.
    #[error("{} was changed by another process", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

from_io_failure!(GoModError);

impl From<ToolchainError> for GoModError {
    fn from(error: ToolchainError) -> Self {
        Self::Project(Box::new(error))
    }
}

impl GoModError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Project(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::ModFile { .. } | Self::Version { .. } | Self::TooNew { .. } => {
                ErrorKind::InvalidInput
            }
            Self::NoFile { .. } => ErrorKind::NotFound,
            Self::Changed { .. } => ErrorKind::RefConflict,
        }
    }
}
