//! Errors of locking and checking a workspace.

use crate::deploy::DeployError;
use crate::fs::context::from_io_failure;
use crate::golang::modules_txt::ModulesTxtError;
use crate::golang::sum_file::SumFileError;
use crate::kind::ErrorKind;
use crate::process::ProcessError;
use crate::sign::SignError;
use crate::toolchains::ToolchainError;
use std::path::PathBuf;

/// An error of locking or checking a workspace. Drift is not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// An error of reading the files of a project, or of selecting its SDK.
    #[error(transparent)]
    Toolchain(Box<ToolchainError>),
    /// The lock has no valid signature, or its signature cannot be verified.
    #[error(transparent)]
    Sign(Box<SignError>),
    /// A directory belongs to no project.
    #[error("{} has neither go.work nor go.mod, nor has a directory above it", directory.display())]
    NoProject {
        /// The directory.
        directory: PathBuf,
    },
    /// There is no lock file.
    #[error("there is no lock file {}", path.display())]
    NoLock {
        /// The path at which it was expected.
        path: PathBuf,
    },
    /// A lock file is malformed.
    #[error("the lock file {} is malformed", path.display())]
    DamagedLock {
        /// The path.
        path: PathBuf,
        /// The problem, and its place in the file.
        #[source]
        source: serde_json::Error,
    },
    /// A lock file was written by a newer version.
    #[error("the lock file {} has schema {found}, expected at most {expected}", path.display())]
    NewerLock {
        /// The path.
        path: PathBuf,
        /// The schema of the file.
        found: u32,
        /// The newest schema that is supported.
        expected: u32,
    },
    /// A commit or an image does not record a lock.
    #[error("{deployed} does not record the lock of a workspace")]
    NoDeployedLock {
        /// The commit or the image.
        deployed: Box<str>,
    },
    /// A `go.sum` file is malformed.
    #[error("{} is malformed", path.display())]
    GoSum {
        /// The file.
        path: PathBuf,
        /// The problem, and its place in the file.
        #[source]
        source: Box<SumFileError>,
    },
    /// A `vendor/modules.txt` file is malformed.
    #[error("{} is malformed", path.display())]
    ModulesTxt {
        /// The file.
        path: PathBuf,
        /// The problem, and its place in the file.
        #[source]
        source: Box<ModulesTxtError>,
    },
    /// The directory that replaces a module does not exist.
    #[error("the module {module} is replaced by {}, which is not a directory", directory.display())]
    NoReplacement {
        /// The path of the module.
        module: Box<str>,
        /// The directory.
        directory: PathBuf,
    },
    /// The go command failed.
    #[error("`{command}` failed: {message}")]
    Go {
        /// The command.
        command: Box<str>,
        /// The last line of its standard error.
        message: String,
    },
    /// The output of the go command cannot be used.
    #[error("`{command}` printed no list of modules")]
    GoOutput {
        /// The command.
        command: Box<str>,
        /// The problem, and its place in the file.
        #[source]
        source: serde_json::Error,
    },
    /// The go command cannot be run.
    #[error(transparent)]
    Process(Box<ProcessError>),
    /// A file or directory cannot be read or written.
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
}

from_io_failure!(WorkspaceError);

impl From<ToolchainError> for WorkspaceError {
    fn from(error: ToolchainError) -> Self {
        Self::Toolchain(Box::new(error))
    }
}

impl From<SignError> for WorkspaceError {
    fn from(error: SignError) -> Self {
        Self::Sign(Box::new(error))
    }
}

impl From<DeployError> for WorkspaceError {
    fn from(error: DeployError) -> Self {
        ToolchainError::from(error).into()
    }
}

impl From<ProcessError> for WorkspaceError {
    fn from(error: ProcessError) -> Self {
        Self::Process(Box::new(error))
    }
}

impl WorkspaceError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Toolchain(error) => error.kind(),
            Self::Sign(error) => error.kind(),
            Self::NoProject { .. }
            | Self::NoLock { .. }
            | Self::NoDeployedLock { .. }
            | Self::NoReplacement { .. } => ErrorKind::NotFound,
            Self::DamagedLock { .. } => ErrorKind::Corrupt,
            Self::NewerLock { .. } | Self::GoSum { .. } | Self::ModulesTxt { .. } => {
                ErrorKind::InvalidInput
            }
            Self::Go { .. } | Self::GoOutput { .. } => ErrorKind::Io,
            Self::Process(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
        }
    }
}
