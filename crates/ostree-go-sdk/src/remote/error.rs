//! Errors of operations on remotes.

use super::statement::InvalidTransitions;
use crate::fs::context::from_io_failure;
use crate::http::{HttpError, InvalidUrl};
use crate::kind::ErrorKind;
use crate::oci::image_source::InvalidImageSource;
use crate::repo::RepoError;
use crate::sign::SignError;
use std::path::PathBuf;

/// An error of an operation on a remote.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// An error of the repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The name is not valid for a remote.
    #[error(
        "`{}` is not a name for a remote, expected letters, digits, `.`, `_` and `-`", found.escape_debug()
    )]
    InvalidName {
        /// The name that was found.
        found: String,
    },
    /// The URL is not valid for a pull.
    #[error("remote `{name}` cannot be added")]
    InvalidUrl {
        /// The remote.
        name: String,
        /// The reason.
        #[source]
        source: InvalidUrl,
    },
    /// The URL is not a valid location of images.
    #[error("remote `{name}` cannot be added")]
    InvalidImageSource {
        /// The remote.
        name: String,
        /// The reason.
        #[source]
        source: InvalidImageSource,
    },
    /// The URL contains a tag, but each ref selects a tag of its own.
    #[error(
        "remote `{name}` cannot be added: {url} has a tag, expected none because each ref selects a tag"
    )]
    Tagged {
        /// The remote.
        name: String,
        /// The URL of the remote.
        url: String,
    },
    /// A remote with this name exists already.
    #[error("remote `{name}` already exists, with URL {url}")]
    Exists {
        /// The remote.
        name: String,
        /// The URL of the remote.
        url: String,
    },
    /// There is no remote with this name.
    #[error("no remote `{name}` in repository {}", path.display())]
    NotFound {
        /// The name that was requested.
        name: String,
        /// The repository.
        path: PathBuf,
        /// The existing remotes.
        known: Vec<String>,
    },
    /// Commits must be signed, but the remote has no keys.
    #[error("remote `{name}` has no keys to check signatures with")]
    NoKeys {
        /// The remote.
        name: String,
    },
    /// Keys were given for a remote that does not verify signatures.
    #[error("remote `{name}` does not verify signatures, so keys would have no effect")]
    Unsigned {
        /// The remote.
        name: String,
    },
    /// The input for keys contains no public GPG keys.
    #[error("there are no public GPG keys in the input for remote `{name}`")]
    InvalidKeys {
        /// The remote.
        name: String,
    },
    /// GnuPG cannot read or write the keyring of a remote.
    #[error("cannot read or change the keys of remote `{name}`")]
    Keyring {
        /// The remote.
        name: String,
        /// The reason.
        #[source]
        source: Box<SignError>,
    },
    /// The keys of a source of images cannot be followed.
    #[error(
        "the keys of remote `{name}` cannot be followed, expected a repository on a web server or in a directory"
    )]
    NotFollowable {
        /// The remote.
        name: String,
    },
    /// The statements about the keys of a remote cannot be fetched.
    #[error("cannot fetch the key transitions of remote `{name}`")]
    FetchTransitions {
        /// The remote.
        name: String,
        /// The reason.
        #[source]
        source: Box<HttpError>,
    },
    /// A file with statements about keys is malformed.
    #[error("{from} has no usable key transitions")]
    MalformedTransitions {
        /// The file or URL.
        from: String,
        /// The reason.
        #[source]
        source: InvalidTransitions,
    },
    /// A statement about keys that is to be made contradicts itself.
    #[error("the key transition is not valid: {problem}")]
    InvalidTransition {
        /// The reason.
        problem: String,
    },
    /// A key is to introduce one of another kind.
    #[error("a {signer} key cannot introduce a {found} key, expected one of the same kind")]
    OtherKind {
        /// The kind of the key that makes the statement.
        signer: String,
        /// The kind of the other key.
        found: String,
    },
    /// A statement about keys cannot be signed.
    #[error("cannot sign the statement about the keys")]
    SignTransition {
        /// The reason.
        #[source]
        source: Box<SignError>,
    },
    /// A statement about keys was not signed by a key that has to sign it.
    #[error(
        "the key transition is not signed by key {key}, expected signatures of the old and of the new key"
    )]
    NotSignedBy {
        /// The key.
        key: String,
    },
}

from_io_failure!(RemoteError via Repo(RepoError));

impl RemoteError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Keyring { source, .. } | Self::SignTransition { source } => source.kind(),
            Self::FetchTransitions { source, .. } => source.kind(),
            Self::MalformedTransitions { .. } => ErrorKind::Corrupt,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::InvalidName { .. }
            | Self::InvalidUrl { .. }
            | Self::InvalidImageSource { .. }
            | Self::Tagged { .. }
            | Self::Exists { .. }
            | Self::NoKeys { .. }
            | Self::Unsigned { .. }
            | Self::InvalidKeys { .. }
            | Self::NotFollowable { .. }
            | Self::InvalidTransition { .. }
            | Self::OtherKind { .. }
            | Self::NotSignedBy { .. } => ErrorKind::InvalidInput,
        }
    }
}
