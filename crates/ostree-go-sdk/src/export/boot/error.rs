//! Errors of host configurations.

use crate::arch::Arch;
use crate::export::ExportError;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::remote::RemoteError;

/// The reason why a host's configuration could not be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// A release cannot be read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The remote of the host is invalid.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// No release to install was given.
    #[error("no release to install was named")]
    NoReleases,
    /// The releases are for different architectures.
    #[error("{found} is not for {expected}, like the releases before it")]
    OtherArch {
        /// The ref.
        found: RefName,
        /// The architecture of the first release.
        expected: Arch,
    },
    /// A commit has no ref that a host can install.
    #[error("commit {commit} is bound to no ref that a host could install")]
    Unbound {
        /// The commit.
        commit: CommitId,
    },
    /// The version of the configuration's format is not supported.
    #[error("unknown {format} version `{}`, expected {}", found.escape_debug(), known.join(", "))]
    UnknownSpec {
        /// `Ignition`, `Butane`.
        format: &'static str,
        /// The requested version.
        found: String,
        /// The supported versions.
        known: Vec<&'static str>,
    },
    /// A word is not allowed in the files of a host.
    #[error("{what} `{}` {problem}", found.escape_debug())]
    InvalidWord {
        /// The role of the word: `variable`.
        what: &'static str,
        /// The invalid word.
        found: String,
        /// The problem.
        problem: &'static str,
    },
}

impl BootError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Export(error) => error.kind(),
            Self::Remote(error) => error.kind(),
            Self::NoReleases
            | Self::OtherArch { .. }
            | Self::Unbound { .. }
            | Self::UnknownSpec { .. }
            | Self::InvalidWord { .. } => ErrorKind::InvalidInput,
        }
    }
}
