//! Errors of checks against Go's checksum database.

use crate::fs::context::from_io_failure;
use crate::fs::path::TreePath;
use crate::golang::h1::H1;
use crate::golang::std_cache::StdCacheId;
use crate::golang::sumdb::SumdbError;
use crate::http::HttpError;
use crate::id::{CommitId, FileId};
use crate::kind::ErrorKind;
use crate::metadata::SDK_UPSTREAM_PROOF as METADATA_KEY;
use crate::repo::RepoError;
use std::io;
use std::path::PathBuf;

/// The reason why a release could not be verified to be Go's own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The request to the database failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The commit is not a release of an SDK.
    #[error("commit {commit} is not a Go release: its metadata has no {missing}")]
    NotARelease {
        /// The commit.
        commit: CommitId,
        /// The missing metadata.
        missing: &'static str,
    },
    /// The commit is a std cache, which is compiled from a release.
    #[error(
        "commit {commit} is the std cache {id} of go {version}, expected a release: Go's checksum database has no compiled content"
    )]
    StdCache {
        /// The commit.
        commit: CommitId,
        /// The name of the std cache.
        id: StdCacheId,
        /// The version of the release.
        version: Box<str>,
    },
    /// The tree has no SDK, or several.
    #[error("commit {commit} has {found} folders with VERSION and bin/go, expected one")]
    NoSdk {
        /// The commit.
        commit: CommitId,
        /// The number of SDKs.
        found: usize,
    },
    /// The database does not have the version.
    #[error("the checksum database {url} has no {module}")]
    Unknown {
        /// The URL of the database.
        url: String,
        /// The module and its version.
        module: String,
    },
    /// The answer of the database is not proven.
    #[error("the answer of the checksum database {url} cannot be verified")]
    Database {
        /// The URL of the database.
        url: String,
        /// The cause.
        #[source]
        source: Box<SumdbError>,
    },
    /// Two heads of the database's tree, both signed by its key, contradict each other: it has shown different records to
    /// different clients.
    #[error(
        "the checksum database {url} contradicts the head that this machine has seen before; both are kept in {}",
        evidence.display()
    )]
    Fork {
        /// The URL of the database.
        url: String,
        /// The file with both signed heads.
        evidence: PathBuf,
        /// The cause.
        #[source]
        source: Box<SumdbError>,
    },
    /// No URL of the database was given.
    #[error("no URL of a checksum database is known")]
    NoUrl,
    /// The commit has no proof that could be verified without a connection.
    #[error("commit {commit} has no `{METADATA_KEY}` in its detached metadata")]
    NoProof {
        /// The commit.
        commit: CommitId,
    },
    /// The proof in a commit's detached metadata is not valid.
    #[error("the proof in `{METADATA_KEY}` of commit {commit} cannot be verified")]
    Proof {
        /// The commit.
        commit: CommitId,
        /// The cause.
        #[source]
        source: Box<SumdbError>,
    },
    /// A file of the store for heads cannot be read or written.
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
    /// The built-in key is malformed.
    #[error("the key of sum.golang.org is not well-formed")]
    Key,
    /// A folder of the SDK does not belong to root or does not have mode 0755.
    #[error("folder /{path} is not owned by root with mode 0755, as all of Go's folders are")]
    Folder {
        /// The folder in the release.
        path: TreePath,
    },
    /// A file of the SDK is not a plain file, has another owner or mode, or is damaged.
    #[error(
        "/{path} is not a plain file of mode {mode:04o} owned by root, as Go's is: its object would be {found}, expected {expected}"
    )]
    File {
        /// The path in the release.
        path: TreePath,
        /// The expected mode.
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
    /// The content differs from Go's.
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
    /// The content is Go's, but the commit's metadata has another hash.
    #[error(
        "commit {commit} has `sdk.h1` {found} in its metadata, expected {expected}, the hash of its content"
    )]
    Metadata {
        /// The commit.
        commit: CommitId,
        /// The hash in the metadata.
        found: String,
        /// The hash of the content, and in the database.
        expected: H1,
    },
    /// The operation was cancelled while another process replaced the newest head.
    #[error("stopped while waiting for another process")]
    Stopped,
    /// The operation was cancelled.
    #[error("stopped while reading commit {commit}")]
    Cancelled {
        /// The commit.
        commit: CommitId,
    },
}

from_io_failure!(UpstreamError);

impl UpstreamError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Http(error) => error.kind(),
            Self::NotARelease { .. } | Self::StdCache { .. } | Self::NoSdk { .. } | Self::Key => {
                ErrorKind::InvalidInput
            }
            Self::Unknown { .. } | Self::NoProof { .. } => ErrorKind::NotFound,
            Self::Database { source, .. } | Self::Proof { source, .. } => source.kind(),
            Self::NoUrl => ErrorKind::InvalidInput,
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::Folder { .. }
            | Self::File { .. }
            | Self::Symlink { .. }
            | Self::Differs { .. }
            | Self::Metadata { .. }
            | Self::Fork { .. } => ErrorKind::Mismatch,
            Self::Cancelled { .. } | Self::Stopped => ErrorKind::Cancelled,
        }
    }
}
