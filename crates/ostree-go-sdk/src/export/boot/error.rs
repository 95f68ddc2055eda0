//! Why a host's configuration could not be made.

use crate::arch::Arch;
use crate::export::ExportError;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::remote::RemoteError;

/// Why a host's configuration could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// Reading a release.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The remote that the host is to have.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Nothing to install was named.
    #[error("no release to install was named")]
    NoReleases,
    /// A host has one architecture.
    #[error("{found} is not for {expected}, as the releases before it")]
    OtherArch {
        /// The ref.
        found: RefName,
        /// The architecture of the first.
        expected: Arch,
    },
    /// A commit cannot be asked for by a ref.
    #[error("commit {commit} is bound to no ref that a host could install")]
    Unbound {
        /// The commit.
        commit: CommitId,
    },
    /// A version of a configuration's format that is not written.
    #[error("unknown {format} version `{}`, expected {}", found.escape_debug(), known.join(", "))]
    UnknownSpec {
        /// `Ignition`, `Butane`.
        format: &'static str,
        /// The version as given.
        found: String,
        /// The versions there are.
        known: Vec<&'static str>,
    },
    /// A word that cannot stand in the files of a host.
    #[error("{what} `{}` {problem}", found.escape_debug())]
    InvalidWord {
        /// What it is for: `variable`.
        what: &'static str,
        /// The word as given.
        found: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl BootError {
    /// The kind of the error.
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
