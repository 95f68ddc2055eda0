//! Why a deployment failed.

use super::verify::DamagedFile;
use crate::arch::Arch;
use crate::checkout::CheckoutError;
use crate::clock::rfc3339;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::repo::RepoError;
use crate::sign::SignError;
use std::path::PathBuf;

/// Why something could not be done to a root. What was active before is active still.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Checking a signature.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Checking a tree out.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// There is no root at the path.
    #[error("nothing is installed under {}", path.display())]
    NoRoot {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The system refused something.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The state file is not well-formed.
    #[error("cannot read the state in {}", path.display())]
    InvalidState {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The state file was written by a newer version of this library.
    #[error("the state in {} has schema {found}, expected at most {known}", path.display())]
    NewerState {
        /// The file.
        path: PathBuf,
        /// Its schema number.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// A commit is no Go SDK.
    #[error("commit {commit} on {name} is neither a release nor a channel of a Go SDK")]
    NotAnSdk {
        /// The commit.
        commit: CommitId,
        /// Where it was found.
        name: RefName,
    },
    /// A commit was found on a ref that it is not meant for.
    #[error("commit {commit} was found on {name}, expected on {}", names(bound_to))]
    RefMismatch {
        /// The commit.
        commit: CommitId,
        /// Where it was found.
        name: RefName,
        /// The refs that it says it may be found on.
        bound_to: Vec<RefName>,
    },
    /// An SDK is for another machine.
    #[error("{name} is for {}, expected {expected}", found.map_or("no machine", Arch::basearch))]
    WrongArch {
        /// The ref.
        name: RefName,
        /// What it is for.
        found: Option<Arch>,
        /// What was asked for, or this machine.
        expected: Arch,
    },
    /// A ref names an older commit than the one of it that is deployed.
    #[error(
        "{name} is from {}, older than the deployed commit {commit} from {}",
        rfc3339(*found),
        rfc3339(*deployed)
    )]
    Downgrade {
        /// The ref.
        name: RefName,
        /// The older commit's time.
        found: u64,
        /// The deployed commit.
        commit: CommitId,
        /// The deployed commit's time.
        deployed: u64,
    },
    /// The tree of a commit is not what its checksum says.
    #[error("the tree of commit {commit} is damaged: {}", first(files))]
    Damaged {
        /// The commit.
        commit: CommitId,
        /// Every damaged file.
        files: Vec<DamagedFile>,
    },
    /// No deployment has this name.
    #[error("no deployment `{name}` under {}", path.display())]
    NoSuchDeployment {
        /// What was asked for.
        name: String,
        /// The root.
        path: PathBuf,
    },
    /// Nothing is active.
    #[error("no deployment is active under {}", path.display())]
    NothingActive {
        /// The root.
        path: PathBuf,
    },
    /// There is no deployment to go back to.
    #[error("no deployment to go back to under {}", path.display())]
    NoRollback {
        /// The root.
        path: PathBuf,
    },
    /// The active deployment cannot be removed.
    #[error("go {version} is the active deployment")]
    Active {
        /// Its version.
        version: String,
    },
}

impl DeployError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Sign(error) => error.kind(),
            Self::Checkout(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::InvalidState { .. } | Self::NewerState { .. } => ErrorKind::InvalidRepo,
            Self::NotAnSdk { .. }
            | Self::RefMismatch { .. }
            | Self::WrongArch { .. }
            | Self::Downgrade { .. }
            | Self::Damaged { .. } => ErrorKind::Mismatch,
            Self::NoRoot { .. }
            | Self::NoSuchDeployment { .. }
            | Self::NothingActive { .. }
            | Self::NoRollback { .. } => ErrorKind::NotFound,
            Self::Active { .. } => ErrorKind::InvalidInput,
        }
    }
}

/// Makes an error of the system's.
pub(super) fn io(
    action: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(std::io::Error) -> DeployError {
    let path = path.to_owned();
    move |source| DeployError::Io {
        action,
        path,
        source,
    }
}

fn names(refs: &[RefName]) -> String {
    match refs {
        [] => "no ref".to_owned(),
        refs => refs
            .iter()
            .map(RefName::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

fn first(files: &[DamagedFile]) -> String {
    let more = files.len().saturating_sub(1);
    match files.first() {
        None => "nothing to name".to_owned(),
        Some(file) if more == 0 => file.to_string(),
        Some(file) => format!("{file}, and {more} more"),
    }
}
