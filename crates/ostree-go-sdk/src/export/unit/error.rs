//! Errors of units.

use crate::arch::Arch;
use crate::fs::context::IoFailure;
use crate::kind::ErrorKind;
use std::io;
use std::path::PathBuf;

/// The reason why a unit could not be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// The name is not allowed for a service.
    #[error("`{}` is not a valid name for a service: {problem}", found.escape_debug())]
    Name {
        /// The invalid name.
        found: String,
        /// The problem.
        problem: &'static str,
    },
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
    /// The file is not a program that systemd could start for a Go service.
    #[error("{} is not a program: {problem}", path.display())]
    NotAProgram {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: &'static str,
    },
    /// The program is for another architecture.
    #[error("{} is for {found}, expected {}", path.display(), match expected {
        Some(arch) => arch.basearch(),
        None => "x86_64 or aarch64",
    })]
    Arch {
        /// The program.
        path: PathBuf,
        /// The architecture of the program, or `e_machine` of its header.
        found: String,
        /// The expected architecture; `None` if any that Go SDKs are composed for was expected.
        expected: Option<Arch>,
    },
    /// The path at which systemd starts the program is not usable.
    #[error("the program cannot be started from {}: {problem}", path.display())]
    InstallPath {
        /// The path on the host.
        path: PathBuf,
        /// The problem.
        problem: &'static str,
    },
    /// A word is not allowed where it would be written.
    #[error("{what} `{}` {problem}", found.escape_debug())]
    InvalidWord {
        /// The option that contains the word.
        what: &'static str,
        /// The word.
        found: String,
        /// The problem.
        problem: &'static str,
    },
    /// Two options contradict each other.
    #[error("{problem}")]
    Options {
        /// The contradiction.
        problem: &'static str,
    },
}

impl UnitError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::Name { .. }
            | Self::NotAProgram { .. }
            | Self::Arch { .. }
            | Self::InstallPath { .. }
            | Self::InvalidWord { .. }
            | Self::Options { .. } => ErrorKind::InvalidInput,
        }
    }
}

impl From<IoFailure> for UnitError {
    fn from(failure: IoFailure) -> Self {
        Self::Io {
            action: failure.action,
            path: failure.path,
            source: failure.source,
        }
    }
}
