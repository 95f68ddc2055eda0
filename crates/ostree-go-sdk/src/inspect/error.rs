//! Errors of inspecting programs.

use crate::fs::context::from_io_failure;
use crate::kind::ErrorKind;
use std::io;
use std::path::PathBuf;

/// The reason why a program could not be inspected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed.
        action: &'static str,
        /// The program.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The file is not a program or a shared library for Linux.
    #[error("{} is not a program: {problem}", path.display())]
    NotAProgram {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: &'static str,
    },
    /// The program was not built by Go, or its build information was removed.
    #[error("{} is not a Go program: it has no build information", path.display())]
    NotGo {
        /// The file.
        path: PathBuf,
    },
    /// The headers or the build information are damaged.
    #[error("{} is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
}

from_io_failure!(InspectError);

impl InspectError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::NotAProgram { .. } | Self::NotGo { .. } => ErrorKind::InvalidInput,
            Self::Damaged { .. } => ErrorKind::Corrupt,
        }
    }
}
