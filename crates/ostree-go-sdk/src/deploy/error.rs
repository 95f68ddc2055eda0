//! Why a deployment failed.

use super::verify::{DamagedFile, FileProblem};
use crate::arch::Arch;
use crate::checkout::CheckoutError;
use crate::clock::rfc3339;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::pull::PullError;
use crate::remote::RemoteError;
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
    /// A remote.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Pulling.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// There is no root at the path.
    #[error("nothing is installed under {}", path.display())]
    NoRoot {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A folder that is no root, and not empty either.
    #[error("{} is no root of ostree-go: it holds {found}", path.display())]
    NotARoot {
        /// The folder.
        path: PathBuf,
        /// Something in it that no root has, or that only a root with a marker may have.
        found: String,
    },
    /// The layout of a root is newer than this library.
    #[error("the root {} has format {found}, expected at most {known}", path.display())]
    NewerRoot {
        /// The root.
        path: PathBuf,
        /// The number of its layout.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// Something that is not of this library's making has a name that it needs.
    #[error("{} is {found}, expected {expected}", path.display())]
    Foreign {
        /// The file, link or directory.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What a root has there.
        expected: &'static str,
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
    /// A switch was made and the link leads to something else.
    #[error(
        "{} leads to {}, expected {}",
        path.display(),
        commit_or_nothing(*found),
        commit_or_nothing(*expected)
    )]
    NotSwitched {
        /// The link.
        path: PathBuf,
        /// The commit that it leads to.
        found: Option<CommitId>,
        /// The commit that it was made to lead to.
        expected: Option<CommitId>,
    },
    /// An SDK is installed and could not be made the active one.
    #[error("go {version} is installed and cannot be made active")]
    NotActivated {
        /// Its version.
        version: String,
        /// Why.
        #[source]
        source: Box<Self>,
    },
    /// It is not clear which remote an SDK comes from.
    #[error("repository {} has several remotes: {}", path.display(), names.join(", "))]
    SeveralRemotes {
        /// The root's repository.
        path: PathBuf,
        /// The remotes.
        names: Vec<String>,
    },
    /// An image's digest is required of an SDK that comes from no registry.
    #[error("{name} does not come from a registry, so that no digest can say which it is to be")]
    NoImage {
        /// The ref.
        name: RefName,
    },
    /// This machine has no architecture that SDKs are composed for.
    #[error("no Go SDKs are composed for {}", std::env::consts::ARCH)]
    UnknownMachine,
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
            Self::Remote(error) => error.kind(),
            Self::Pull(error) => error.kind(),
            Self::NotActivated { source, .. } => source.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::InvalidState { .. }
            | Self::NewerState { .. }
            | Self::NotARoot { .. }
            | Self::NewerRoot { .. }
            | Self::Foreign { .. }
            | Self::NotSwitched { .. } => ErrorKind::InvalidRepo,
            // That a file cannot be read says nothing of what it is.
            Self::Damaged { files, .. }
                if files.iter().all(|f| f.problem == FileProblem::Unreadable) =>
            {
                ErrorKind::Io
            }
            Self::NotAnSdk { .. }
            | Self::RefMismatch { .. }
            | Self::WrongArch { .. }
            | Self::Downgrade { .. }
            | Self::Damaged { .. } => ErrorKind::Mismatch,
            Self::NoRoot { .. }
            | Self::NoSuchDeployment { .. }
            | Self::NothingActive { .. }
            | Self::NoRollback { .. } => ErrorKind::NotFound,
            Self::Active { .. }
            | Self::SeveralRemotes { .. }
            | Self::NoImage { .. }
            | Self::UnknownMachine => ErrorKind::InvalidInput,
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

fn commit_or_nothing(commit: Option<CommitId>) -> String {
    commit.map_or("nothing".to_owned(), |commit| format!("commit {commit}"))
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
