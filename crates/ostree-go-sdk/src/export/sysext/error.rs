//! Why a system extension could not be written.

use super::SysextForm;
use crate::export::ExportError;
use crate::fs::path::TreePath;
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::process::ProcessError;
use std::io;
use std::path::PathBuf;

/// Why a system extension could not be written. Nothing is at the destination then that was not
/// there before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SysextError {
    /// Reading the release, or writing.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A directory is to be written, and something is there.
    #[error("{} exists already", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// A name that no system extension can have.
    #[error(
        "{} is no name for a system extension that is {}, expected one that {} in .raw",
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
    /// A release has what no system extension may have.
    #[error("/{path} of commit {commit} cannot be in a system extension: {problem}")]
    Path {
        /// The commit.
        commit: CommitId,
        /// The path in the tree.
        path: TreePath,
        /// Why not.
        problem: &'static str,
    },
    /// A text that names no host.
    #[error(
        "`{}` is no host, expected ID or ID:VERSION_ID as its os-release has them", found.escape_debug()
    )]
    InvalidHost {
        /// The text as given.
        found: String,
    },
    /// A file that is no `os-release`.
    #[error("{} is no os-release, expected ID= and values of a-z, 0-9, `.`, `_` and `-`", path.display())]
    InvalidOsRelease {
        /// The file.
        path: PathBuf,
    },
    /// A program that is needed is not there.
    #[error("cannot run `{tool}`, which is in the package {package}")]
    MissingTool {
        /// The program.
        tool: &'static str,
        /// The package that Debian and Fedora have it in.
        package: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("cannot write {}", path.display())]
    Tool {
        /// The destination.
        path: PathBuf,
        /// What it said.
        #[source]
        source: ProcessError,
    },
}

impl SysextError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Export(error) => error.kind(),
            Self::Exists { .. }
            | Self::Name { .. }
            | Self::Path { .. }
            | Self::InvalidHost { .. }
            | Self::InvalidOsRelease { .. } => ErrorKind::InvalidInput,
            Self::MissingTool { .. } => ErrorKind::NotFound,
            Self::Tool { source, .. } => source.kind(),
        }
    }
}
