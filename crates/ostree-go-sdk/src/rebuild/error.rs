//! Errors of composing a release again, and of compiling its programs.

use super::build_error::ToolchainBuildError;
use crate::arch::Arch;
use crate::catalog::CommitKind;
use crate::checkout::CheckoutError;
use crate::compose::ComposeError;
use crate::fs::context::from_io_failure;
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::repo::RepoError;
use crate::treefile::RecipeError;
use crate::version::GoVersion;
use std::io;
use std::path::PathBuf;

/// The reason why a release could not be composed again, or its programs could not be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// The commit is neither a release nor the channel of one in the repository.
    #[error("commit {commit} is no release but {}", kind_of(*kind))]
    NotARelease {
        /// The commit.
        commit: CommitId,
        /// The kind of the commit.
        kind: CommitKind,
    },
    /// No recipe is stored beside the commit.
    #[error("release {commit} has no recipe")]
    NoRecipe {
        /// The commit of the release.
        commit: CommitId,
    },
    /// The recipe cannot be used.
    #[error("cannot use the recipe of release {commit}")]
    Recipe {
        /// The commit of the release.
        commit: CommitId,
        /// The reason.
        #[source]
        source: Box<RecipeError>,
    },
    /// The release cannot be composed from the recipe and the source.
    #[error("cannot compose release {commit} again")]
    Compose {
        /// The commit of the release.
        commit: CommitId,
        /// The reason.
        #[source]
        source: Box<ComposeError>,
    },
    /// The tree does not contain exactly one SDK.
    #[error("commit {commit} contains {found} SDKs, expected one")]
    NoSdk {
        /// The commit.
        commit: CommitId,
        /// The number of directories with a `VERSION` and `bin/go`.
        found: usize,
    },
    /// No release of the version runs on this machine.
    #[error(
        "the repository has no release of Go {version} for {arch}, the architecture of this machine"
    )]
    NoCompiler {
        /// The version.
        version: GoVersion,
        /// The architecture of this machine.
        arch: Arch,
    },
    /// There are no SDKs for this machine.
    #[error("there is no SDK that runs on this machine")]
    UnknownHost,
    /// The SDK does not have a program.
    #[error("the SDK has no program `{}`, expected one of: {}", name.escape_debug(), programs.join(", "))]
    NoProgram {
        /// The name.
        name: String,
        /// The names of the programs.
        programs: Vec<String>,
    },
    /// The programs cannot be compiled.
    #[error(transparent)]
    Build(Box<ToolchainBuildError>),
    /// The release could not be checked out.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The operation was cancelled.
    #[error("stopped on request")]
    Cancelled,
}

from_io_failure!(RebuildError);

impl From<ToolchainBuildError> for RebuildError {
    fn from(error: ToolchainBuildError) -> Self {
        match error {
            ToolchainBuildError::Cancelled => Self::Cancelled,
            error => Self::Build(Box::new(error)),
        }
    }
}

impl RebuildError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotARelease { .. }
            | Self::NoSdk { .. }
            | Self::NoProgram { .. }
            | Self::UnknownHost => ErrorKind::InvalidInput,
            Self::NoRecipe { .. } | Self::NoCompiler { .. } => ErrorKind::NotFound,
            Self::Recipe { source, .. } => source.kind(),
            Self::Compose { source, .. } => source.kind(),
            Self::Build(error) => error.kind(),
            Self::Checkout(error) => error.kind(),
            Self::Repo(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

fn kind_of(kind: CommitKind) -> &'static str {
    match kind {
        CommitKind::Release => "a release without content",
        CommitKind::Channel => "a channel whose release is not in the repository",
        CommitKind::Layer => "a layer",
        CommitKind::StdCache => "a std cache",
        CommitKind::Module => "a Go module",
        CommitKind::Image => "an OS image",
        CommitKind::Other => "a commit without an SDK",
    }
}
