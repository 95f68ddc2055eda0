//! Why a release is not proven to be Go's own.

use crate::fs::path::TreePath;
use crate::golang::h1::H1;
use crate::golang::sumdb::SumdbError;
use crate::http::HttpError;
use crate::id::{CommitId, FileId};
use crate::kind::ErrorKind;
use crate::repo::RepoError;

/// Why a release is not proven to be Go's own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The database cannot be asked.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The commit is none of an SDK.
    #[error("commit {commit} is not a Go release: it says no {missing}")]
    NotARelease {
        /// The commit.
        commit: CommitId,
        /// What its metadata does not say.
        missing: &'static str,
    },
    /// The tree has no SDK, or several.
    #[error("commit {commit} has {found} folders with VERSION and bin/go, expected one")]
    NoSdk {
        /// The commit.
        commit: CommitId,
        /// How many there are.
        found: usize,
    },
    /// The database has no such version.
    #[error("the checksum database {url} does not know {module}")]
    Unknown {
        /// The database.
        url: String,
        /// The module and its version.
        module: String,
    },
    /// The database does not prove what it says.
    #[error("the checksum database {url} cannot be believed")]
    Database {
        /// The database.
        url: String,
        /// Why.
        #[source]
        source: Box<SumdbError>,
    },
    /// The key that is built in is none.
    #[error("the key of sum.golang.org is not well-formed")]
    Key,
    /// A folder of the SDK has another owner or mode than root's 0755.
    #[error("folder /{path} is not one of mode 0755 that root owns, as all of Go's are")]
    Folder {
        /// The folder in the release.
        path: TreePath,
    },
    /// A file of the SDK is none, has another owner or mode, or is damaged.
    #[error(
        "/{path} is not a plain file of mode {mode:04o} that root owns, as Go's is: its object would be {found}, expected {expected}"
    )]
    File {
        /// The path in the release.
        path: TreePath,
        /// The mode it should have.
        mode: u32,
        /// The checksum of such a file with this content.
        found: FileId,
        /// The checksum in the tree.
        expected: FileId,
    },
    /// The release has a symlink where Go has none.
    #[error("/{path} is a symlink, expected a plain file: Go's own SDK has no symlinks")]
    Symlink {
        /// The path in the release.
        path: TreePath,
    },
    /// The content is not Go's.
    #[error(
        "the release does not have the content of {module}: found {found}, expected {expected}"
    )]
    Differs {
        /// The module and its version.
        module: Box<str>,
        /// The hash of the release's content.
        found: H1,
        /// The hash in the database.
        expected: H1,
    },
    /// The content is Go's, and the release says that it is not.
    #[error("commit {commit} says `sdk.h1` is {found}, expected {expected}, which its content has")]
    Metadata {
        /// The commit.
        commit: CommitId,
        /// What its metadata says.
        found: String,
        /// The hash of its content, and the database's.
        expected: H1,
    },
    /// The caller asked for a stop.
    #[error("stopped while reading commit {commit}")]
    Cancelled {
        /// The commit.
        commit: CommitId,
    },
}

impl UpstreamError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Http(error) => error.kind(),
            Self::NotARelease { .. } | Self::NoSdk { .. } | Self::Key => ErrorKind::InvalidInput,
            Self::Unknown { .. } => ErrorKind::NotFound,
            Self::Database { source, .. } => source.kind(),
            Self::Folder { .. }
            | Self::File { .. }
            | Self::Symlink { .. }
            | Self::Differs { .. }
            | Self::Metadata { .. } => ErrorKind::Mismatch,
            Self::Cancelled { .. } => ErrorKind::Cancelled,
        }
    }
}
