//! Errors of system extensions.

use super::form::SysextForm;
use crate::export::ExportError;
use crate::fs::context::from_io_failure;
use crate::fs::path::TreePath;
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::process::ProcessError;
use std::io;
use std::path::PathBuf;

/// The reason why a system extension could not be written. The destination is unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SysextError {
    /// Reading the release or writing failed.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The destination of a directory exists.
    #[error("{} exists already", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// The other name is not allowed for a system extension.
    #[error(
        "`{}` is not a valid name for a system extension, expected a file name without .raw",
        found.escape_debug()
    )]
    OtherName {
        /// The invalid name.
        found: String,
    },
    /// The destination's name is not allowed for a system extension.
    #[error(
        "{} is not a valid name for a system extension that is {}, expected one that {} in .raw",
        path.display(),
        match form {
            SysextForm::Directory => "a directory",
            _ => "an image",
        },
        match form {
            SysextForm::Directory => "does not end",
            _ => "ends",
        }
    )]
    Name {
        /// The destination.
        path: PathBuf,
        /// The form of the extension.
        form: SysextForm,
    },
    /// A release contains a path that is not allowed in a system extension.
    #[error("/{path} of commit {commit} cannot be in a system extension: {problem}")]
    Path {
        /// The commit.
        commit: CommitId,
        /// The path in the tree.
        path: TreePath,
        /// The problem.
        problem: &'static str,
    },
    /// A host is invalid.
    #[error(
        "`{}` is not a host, expected ID or ID:VERSION_ID as in its os-release", found.escape_debug()
    )]
    InvalidHost {
        /// The invalid text.
        found: String,
    },
    /// A file is not a valid `os-release`.
    #[error("{} is not a valid os-release, expected ID= and values of a-z, 0-9, `.`, `_` and `-`", path.display())]
    InvalidOsRelease {
        /// The file.
        path: PathBuf,
    },
    /// A required program is not installed.
    #[error("cannot run `{tool}`, which is in the package {package}")]
    MissingTool {
        /// The program.
        tool: &'static str,
        /// The name of the package in Debian and Fedora.
        package: &'static str,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("cannot write {}", path.display())]
    Tool {
        /// The destination.
        path: PathBuf,
        /// The error with the program's output.
        #[source]
        source: ProcessError,
    },
}

from_io_failure!(SysextError via Export(ExportError));

impl SysextError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Export(error) => error.kind(),
            Self::Exists { .. }
            | Self::Name { .. }
            | Self::OtherName { .. }
            | Self::Path { .. }
            | Self::InvalidHost { .. }
            | Self::InvalidOsRelease { .. } => ErrorKind::InvalidInput,
            Self::MissingTool { .. } => ErrorKind::NotFound,
            Self::Tool { source, .. } => source.kind(),
        }
    }
}
