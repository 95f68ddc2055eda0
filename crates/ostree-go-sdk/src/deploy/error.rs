//! Errors of deployments.

use super::hooks::HookError;
use super::verify::{DamagedFile, FileProblem};
use crate::arch::Arch;
use crate::checkout::CheckoutError;
use crate::clock::rfc3339;
use crate::fs::context::from_io_failure;
use crate::golang::std_cache::StdCacheId;
use crate::golang::version_rule::VersionRule;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::pull::PullError;
use crate::remote::RemoteError;
use crate::repo::RepoError;
use crate::sign::SignError;
use crate::store::StoreError;
use std::path::PathBuf;

/// An error of an operation on a root. The active deployment is unchanged, except after [`HookError::Failed`]
/// and [`DeployError::HooksUnfinished`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// An error of the repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A signature could not be verified.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// An object could not be written.
    #[error(transparent)]
    Store(StoreError),
    /// A tree could not be checked out.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// An error of a remote.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A pull failed.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// A hook was refused, or failed.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// A deployment is active, and its hooks cannot be run, or their results cannot be recorded.
    #[error("go {version} is active, and its hooks have not finished")]
    HooksUnfinished {
        /// The Go version.
        version: String,
        /// The reason.
        #[source]
        source: Box<Self>,
    },
    /// There is no root at the path.
    #[error("nothing is installed under {}", path.display())]
    NoRoot {
        /// The path.
        path: PathBuf,
    },
    /// The folder is neither a root nor empty.
    #[error("{} is not a root of ostree-go: it contains {found}", path.display())]
    NotARoot {
        /// The folder.
        path: PathBuf,
        /// An entry that roots do not have, or that only a root with a marker may have.
        found: String,
    },
    /// The path of a root contains `:`, so that `PATH` cannot contain it.
    #[error("the path {} contains `:`, which PATH cannot contain", path.display())]
    Colon {
        /// The path.
        path: PathBuf,
    },
    /// The layout of a root is newer than this library.
    #[error("the root {} has format {found}, expected at most {known}", path.display())]
    NewerRoot {
        /// The root.
        path: PathBuf,
        /// The version of its layout.
        found: u32,
        /// The highest version that is supported.
        known: u32,
    },
    /// A file, link or directory that this library did not create has a name that it needs.
    #[error("{} is {found}, expected {expected}", path.display())]
    UnexpectedEntry {
        /// The file, link or directory.
        path: PathBuf,
        /// Its type.
        found: &'static str,
        /// The type that a root has there.
        expected: &'static str,
    },
    /// A system call failed.
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
    /// The state file is malformed.
    #[error("cannot read the state in {}", path.display())]
    InvalidState {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The state file was written by a newer version of this library.
    #[error("the state in {} has schema {found}, expected at most {known}", path.display())]
    NewerState {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The highest version that is supported.
        known: u32,
    },
    /// A commit is not a Go SDK.
    #[error("commit {commit} on {name} is neither a release nor a channel of a Go SDK")]
    NotAnSdk {
        /// The commit.
        commit: CommitId,
        /// The ref that points to it.
        name: RefName,
    },
    /// A ref points to a commit that is not bound to it.
    #[error("commit {commit} was found on {name}, expected on {}", names(bound_to))]
    RefMismatch {
        /// The commit.
        commit: CommitId,
        /// The ref that points to it.
        name: RefName,
        /// The refs that the commit is bound to.
        bound_to: Vec<RefName>,
    },
    /// An SDK is for another architecture.
    #[error("{name} is for {}, expected {expected}", found.map_or("no machine", Arch::basearch))]
    WrongArch {
        /// The ref.
        name: RefName,
        /// The architecture of the SDK; `None` if it has none.
        found: Option<Arch>,
        /// The requested architecture, or that of this machine.
        expected: Arch,
    },
    /// A ref points to a commit that is older than the deployed commit of this ref.
    #[error(
        "{name} is from {}, older than the deployed commit {commit} from {}",
        rfc3339(*found),
        rfc3339(*deployed)
    )]
    Downgrade {
        /// The ref.
        name: RefName,
        /// The timestamp of the older commit, in seconds since 1970.
        found: u64,
        /// The deployed commit.
        commit: CommitId,
        /// The timestamp of the deployed commit, in seconds since 1970.
        deployed: u64,
    },
    /// The tree of a commit has files that do not match their checksums.
    #[error("the tree of commit {commit} is damaged: {}", first(files))]
    Damaged {
        /// The commit.
        commit: CommitId,
        /// Every damaged file.
        files: Vec<DamagedFile>,
    },
    /// No deployment has the given name.
    #[error("no deployment `{name}` under {}", path.display())]
    NoSuchDeployment {
        /// The name.
        name: String,
        /// The root.
        path: PathBuf,
    },
    /// No deployment is active.
    #[error("no deployment is active under {}", path.display())]
    NothingActive {
        /// The root.
        path: PathBuf,
    },
    /// After a switch, the link points to something else.
    #[error(
        "{} points to {}, expected {}",
        path.display(),
        commit_or_nothing(*found),
        commit_or_nothing(*expected)
    )]
    NotSwitched {
        /// The link.
        path: PathBuf,
        /// The commit that it points to.
        found: Option<CommitId>,
        /// The commit that it should point to.
        expected: Option<CommitId>,
    },
    /// An SDK was installed but could not be activated.
    #[error("go {version} is installed and cannot be made active")]
    NotActivated {
        /// The Go version.
        version: String,
        /// The reason.
        #[source]
        source: Box<Self>,
    },
    /// There is no remote, and the root's repository does not have the ref.
    #[error("there is no remote to install {name} from, and repository {} does not have it", path.display())]
    NoRemote {
        /// The ref.
        name: RefName,
        /// The root's repository.
        path: PathBuf,
        /// The refs of the repository that are most similar.
        nearest: Vec<RefName>,
    },
    /// The newest release was requested, and there are no releases.
    #[error("there is no release to install as {name}")]
    NoRelease {
        /// The ref that stands for the newest release.
        name: RefName,
    },
    /// The source offers no release that fulfils a rule.
    #[error(
        "the source offers no SDK for {arch} that is {rule}{}",
        if newest.is_empty() { String::new() } else { format!("; its newest are {}", newest.join(", ")) }
    )]
    NotOffered {
        /// The rule.
        rule: VersionRule,
        /// The requested architecture.
        arch: Arch,
        /// The newest versions that the source offers for it, lowest first.
        newest: Vec<String>,
    },
    /// No remote was given and the repository has several.
    #[error("repository {} has several remotes: {}", path.display(), names.join(", "))]
    SeveralRemotes {
        /// The root's repository.
        path: PathBuf,
        /// The remotes.
        names: Vec<String>,
    },
    /// An image digest was given for an SDK that does not come from a registry.
    #[error("{name} does not come from a registry, so it cannot be pinned to an image digest")]
    NoImage {
        /// The ref.
        name: RefName,
    },
    /// The source of an SDK does not have a requested std cache.
    #[error(
        "{remote} has no std cache for {target} of go {version}, {}",
        offered_std_caches(offered)
    )]
    NoStdCache {
        /// The Go version.
        version: String,
        /// The requested target.
        target: Arch,
        /// The remote, or the URL of a repository on this machine.
        remote: String,
        /// The std caches of this version that the source has.
        offered: Vec<StdCacheId>,
    },
    /// The ref of a std cache points to another commit: one without a std cache, or with that of
    /// another version, target or mode.
    #[error(
        "commit {commit} on {name} is {}, expected the std cache {expected} of go {version}",
        found_std_cache(found.as_deref())
    )]
    StdCacheMismatch {
        /// The commit.
        commit: CommitId,
        /// The ref that points to it.
        name: RefName,
        /// The name and version of the std cache; `None` if it is none.
        found: Option<Box<(StdCacheId, String)>>,
        /// The name of the std cache that belongs on the ref.
        expected: StdCacheId,
        /// The version of the SDK.
        version: String,
    },
    /// SDKs are not composed for the architecture of this machine.
    #[error("no Go SDKs are composed for {}", std::env::consts::ARCH)]
    UnknownMachine,
    /// There is no deployment to roll back to.
    #[error("no deployment to roll back to under {}", path.display())]
    NoRollback {
        /// The root.
        path: PathBuf,
    },
    /// The active deployment cannot be removed.
    #[error("go {version} is the active deployment")]
    Active {
        /// The Go version.
        version: String,
    },
}

from_io_failure!(DeployError);

impl From<StoreError> for DeployError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Repo(error) => error.into(),
            error => Self::Store(error),
        }
    }
}

impl DeployError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Sign(error) => error.kind(),
            Self::Checkout(error) => error.kind(),
            Self::Remote(error) => error.kind(),
            Self::Pull(error) => error.kind(),
            Self::Hook(error) => error.kind(),
            Self::NotActivated { source, .. } | Self::HooksUnfinished { source, .. } => {
                source.kind()
            }
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::InvalidState { .. }
            | Self::NewerState { .. }
            | Self::NotARoot { .. }
            | Self::NewerRoot { .. }
            | Self::UnexpectedEntry { .. }
            | Self::NotSwitched { .. } => ErrorKind::InvalidRepo,
            // A file that cannot be read is not necessarily damaged.
            Self::Damaged { files, .. }
                if files.iter().all(|f| f.problem == FileProblem::Unreadable) =>
            {
                ErrorKind::Io
            }
            Self::NotAnSdk { .. }
            | Self::RefMismatch { .. }
            | Self::StdCacheMismatch { .. }
            | Self::WrongArch { .. }
            | Self::Downgrade { .. }
            | Self::Damaged { .. } => ErrorKind::Mismatch,
            Self::NoRoot { .. }
            | Self::NoRemote { .. }
            | Self::NoRelease { .. }
            | Self::NotOffered { .. }
            | Self::NoStdCache { .. }
            | Self::NoSuchDeployment { .. }
            | Self::NothingActive { .. }
            | Self::NoRollback { .. } => ErrorKind::NotFound,
            Self::Active { .. }
            | Self::Colon { .. }
            | Self::SeveralRemotes { .. }
            | Self::NoImage { .. }
            | Self::UnknownMachine => ErrorKind::InvalidInput,
        }
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

fn offered_std_caches(offered: &[StdCacheId]) -> String {
    match offered {
        [] => "and no other std cache of this version".to_owned(),
        offered => {
            let names: Vec<String> = offered.iter().map(ToString::to_string).collect();
            format!("only {}", names.join(", "))
        }
    }
}

fn found_std_cache(found: Option<&(StdCacheId, String)>) -> String {
    match found {
        Some((id, version)) => format!("the std cache {id} of go {version}"),
        None => "no std cache".to_owned(),
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
