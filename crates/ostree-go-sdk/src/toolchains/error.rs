//! Errors of selecting an SDK for a project.

use super::required::Requirement;
use crate::deploy::DeployError;
use crate::fs::context::from_io_failure;
use crate::golang::modfile::ModFileError;
use crate::golang::version_manager::VersionManagerError;
use crate::kind::ErrorKind;
use std::path::PathBuf;

/// An error of selecting an SDK for a project.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolchainError {
    /// An error of the root.
    #[error(transparent)]
    Deploy(Box<DeployError>),
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
    /// A path that should be a directory is something else.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// A file of a project is not a regular file.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file of a project is too large.
    #[error("{} has {found} bytes, expected at most {limit}", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The largest size that is accepted, in bytes.
        limit: u64,
    },
    /// A `go.mod` or `go.work` file is malformed.
    #[error("{} is malformed", path.display())]
    ModFile {
        /// The file.
        path: PathBuf,
        /// The problem, and its place in the file.
        #[source]
        source: ModFileError,
    },
    /// A file of a version manager is malformed, or names no version.
    #[error("cannot use {}", path.display())]
    VersionManager {
        /// The file.
        path: PathBuf,
        /// The problem, and its place in the file.
        #[source]
        source: VersionManagerError,
    },
    /// A `go.work` file uses a directory that has no `go.mod` file.
    #[error("{}, line {line}: {} has no go.mod", path.display(), module.display())]
    NoModule {
        /// The `go.work` file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The directory.
        module: PathBuf,
    },
    /// The path of a `go.work` file is not absolute.
    #[error("the workspace file `{}` is not an absolute path", path.display())]
    RelativeWorkspace {
        /// The path.
        path: PathBuf,
    },
    /// No installed SDK fulfils the requirement of a project.
    #[error(
        "no installed SDK fulfils {requirement}; {}",
        if installed.is_empty() {
            "none is installed".to_owned()
        } else {
            format!("installed are {}", installed.join(", "))
        }
    )]
    NoSdk {
        /// The directory of the project.
        dir: PathBuf,
        /// The requirement.
        requirement: Box<Requirement>,
        /// The installed versions for this machine, lowest first.
        installed: Vec<String>,
    },
    /// No SDK with a name is installed.
    #[error("go {name} is not installed under {}", root.display())]
    NotInstalled {
        /// The name, without the prefix `go`.
        name: String,
        /// The root.
        root: PathBuf,
        /// The installed versions that are most similar.
        nearest: Vec<String>,
    },
}

from_io_failure!(ToolchainError);

impl From<DeployError> for ToolchainError {
    fn from(error: DeployError) -> Self {
        Self::Deploy(Box::new(error))
    }
}

impl ToolchainError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Deploy(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::NotADirectory { .. }
            | Self::NotAFile { .. }
            | Self::TooLarge { .. }
            | Self::ModFile { .. }
            | Self::VersionManager { .. }
            | Self::RelativeWorkspace { .. } => ErrorKind::InvalidInput,
            Self::NoModule { .. } | Self::NoSdk { .. } | Self::NotInstalled { .. } => {
                ErrorKind::NotFound
            }
        }
    }
}
