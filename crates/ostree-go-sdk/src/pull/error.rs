//! Errors of a pull.

use crate::arch::Arch;
use crate::clock::rfc3339;
use crate::delta::DeltaError;
use crate::http::HttpError;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::publish::PublishError;
use crate::registry::RegistryError;
use crate::remote::RemoteError;
use crate::repo::{OstreeError, RepoError};
use crate::sign::SignError;
use crate::store::StoreError;
use crate::units::format_bytes;
use std::path::PathBuf;

/// An error of a pull.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The remote is not configured.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// No ref was requested.
    #[error("no ref to pull from remote `{remote}`")]
    NoRefs {
        /// The remote.
        remote: String,
    },
    /// All refs were requested from a remote without a summary.
    #[error("remote `{remote}` at {url} has no summary, which is needed to find all refs")]
    NoSummary {
        /// The remote.
        remote: String,
        /// Its URL.
        url: String,
    },
    /// There is no repository at the remote's URL.
    #[error(
        "remote `{remote}`: there is no OSTree repository at {url}, which has neither a summary nor a file `config`"
    )]
    NotARepository {
        /// The remote.
        remote: String,
        /// Its URL.
        url: String,
    },
    /// The remote does not have the ref.
    #[error("no ref `{name}` at {url}")]
    NoSuchRef {
        /// The ref.
        name: RefName,
        /// The remote's URL.
        url: String,
        /// The refs of the remote that are most similar, as far as known.
        nearest: Vec<RefName>,
    },
    /// A commit has no valid signature by a key of the remote.
    #[error("ref {name} of remote `{remote}` is refused")]
    Signature {
        /// The ref.
        name: RefName,
        /// The remote.
        remote: String,
        /// The verification error.
        #[source]
        source: Box<SignError>,
    },
    /// A static delta does not have the required signature.
    #[error("remote `{remote}` is refused")]
    Delta {
        /// The remote.
        remote: String,
        /// The verification error.
        #[source]
        source: Box<DeltaError>,
    },
    /// The remote's ref points to a commit that is not bound to this ref.
    #[error(
        "ref {name} of remote `{remote}` is refused: commit {commit} is bound to {}, expected {name}",
        if found.is_empty() { "no ref".to_owned() } else { found.join(", ") }
    )]
    RefBinding {
        /// The requested ref.
        name: RefName,
        /// The remote.
        remote: String,
        /// The commit that the remote's ref points to.
        commit: CommitId,
        /// The refs that the commit is bound to.
        found: Vec<String>,
    },
    /// A commit is for another architecture.
    #[error(
        "ref {name} of remote `{remote}` is refused: commit {commit} is for {}, expected {expected}",
        found.as_deref().unwrap_or("no architecture")
    )]
    Arch {
        /// The ref.
        name: RefName,
        /// The remote.
        remote: String,
        /// The commit.
        commit: CommitId,
        /// The architecture in the commit's metadata.
        found: Option<String>,
        /// The expected architecture.
        expected: Arch,
    },
    /// A commit is older than the current commit of the ref.
    #[error(
        "ref {name} is refused: commit {commit} from {} is older than the current commit {current} from {}",
        rfc3339(*found),
        rfc3339(*expected)
    )]
    Older {
        /// The ref.
        name: RefName,
        /// The remote's commit.
        commit: CommitId,
        /// Its timestamp, in seconds since 1970.
        found: u64,
        /// The current commit of the local ref.
        current: CommitId,
        /// Its timestamp.
        expected: u64,
    },
    /// The download is larger than allowed.
    #[error(
        "pulling from remote `{remote}` takes {found} bytes or more, at most {limit} are allowed"
    )]
    TooLarge {
        /// The remote.
        remote: String,
        /// The number of bytes to download, or downloaded so far.
        found: u64,
        /// The maximum number of bytes.
        limit: u64,
    },
    /// There is not enough space on the disk.
    #[error(
        "{} has {} free, pulling needs {}",
        path.display(),
        format_bytes(*available),
        format_bytes(*needed)
    )]
    NoSpace {
        /// The repository.
        path: PathBuf,
        /// Free space in bytes.
        available: u64,
        /// Required space in bytes.
        needed: u64,
    },
    /// The server sent invalid content, or other content than was requested.
    #[error("remote `{remote}` is refused: {url}: {problem}")]
    Refused {
        /// The remote.
        remote: String,
        /// The requested URL.
        url: String,
        /// The problem with the content.
        problem: String,
    },
    /// A ref points to a commit that the server does not have.
    #[error(
        "ref {name} at {url} names commit {commit}, which the server does not have: it was deleted, or the summary is out of date"
    )]
    NoSuchCommit {
        /// The ref.
        name: RefName,
        /// The commit.
        commit: CommitId,
        /// The remote's URL.
        url: String,
    },
    /// The server does not have an object that a commit needs.
    #[error(
        "remote `{remote}` does not have object {object}, which {} needs: {url} does not exist; the commit was deleted in the meantime, or is incomplete",
        needed_by.join(", ")
    )]
    MissingObject {
        /// The remote.
        remote: String,
        /// The object's checksum and type.
        object: String,
        /// The refs and commits that are being fetched, one of which needs the object.
        needed_by: Vec<String>,
        /// The object's URL.
        url: String,
    },
    /// The content from the server would need more memory or disk space than the commits allow.
    #[error("remote `{remote}` is refused: {url}: {problem}")]
    Unsafe {
        /// The remote.
        remote: String,
        /// The requested URL.
        url: String,
        /// The limit that is exceeded.
        problem: String,
    },
    /// The image is encapsulated by ostree-ext: its layers contain OSTree objects instead of the
    /// trees of an SDK.
    #[error("the image at {url} is encapsulated, expected one whose layers are those of an SDK")]
    Encapsulated {
        /// The location of its manifest.
        url: String,
    },
    /// Another tool has changed the image, and has dropped the annotations with its commits.
    #[error("the image at {url} has lost the commits in its annotations: {problem}")]
    Repacked {
        /// The location of its manifest.
        url: String,
        /// The annotation that is missing.
        problem: String,
    },
    /// The image does not exist at the image source.
    #[error("no image `{tag}` at {url}{}", list_of_available(found))]
    NoSuchImage {
        /// The tag or digest.
        tag: String,
        /// The image source that was searched.
        url: String,
        /// The existing tags, as far as known.
        found: Vec<String>,
    },
    /// There are several images, and no tag was given.
    #[error("{url} has {} images, expected a tag: {}", found.len(), found.join(", "))]
    SeveralImages {
        /// The image source.
        url: String,
        /// Their tags.
        found: Vec<String>,
    },
    /// There is no image for the platform.
    #[error("no image for {expected} at {url}{}", list_of_available(found))]
    NoSuchPlatform {
        /// The image source that was searched.
        url: String,
        /// The expected platform in OCI's notation, for example `linux/amd64`.
        expected: String,
        /// The existing platforms.
        found: Vec<String>,
    },
    /// The ref does not have the form from which the name of an image is derived.
    #[error(
        "ref {name} cannot name an image, expected `PREFIX/ARCHITECTURE/TAG`, for example `go-sdk/x86_64/1.26`"
    )]
    NoImageRef {
        /// The ref.
        name: RefName,
    },
    /// An option was requested that images do not support, only repositories.
    #[error("remote `{remote}` is an image source, which has no {feature}")]
    UnsupportedByImages {
        /// The remote.
        remote: String,
        /// The unsupported feature.
        feature: &'static str,
    },
    /// A digest was given, but the remote is not an image source.
    #[error(
        "remote `{remote}` is not an image source, so that the digest {pin} cannot be selected"
    )]
    NotAnImageSource {
        /// The remote.
        remote: String,
        /// The given digest.
        pin: String,
    },
    /// A file of an image cannot be read.
    #[error("cannot read {location}")]
    Read {
        /// The file.
        location: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A request to the server failed.
    #[error("cannot pull from remote `{remote}`")]
    Http {
        /// The remote.
        remote: String,
        /// The underlying error.
        #[source]
        source: Box<HttpError>,
    },
    /// A request to the registry failed.
    #[error("cannot pull from remote `{remote}`")]
    Registry {
        /// The remote.
        remote: String,
        /// The underlying error.
        #[source]
        source: Box<RegistryError>,
    },
    /// The received content could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The refs were updated, but the summary or the page could not be refreshed.
    #[error("the refs were updated, but the summary or the page cannot be refreshed")]
    Publish(#[source] Box<PublishError>),
    /// A pull by libostree failed, or libostree refused the content.
    #[error("cannot pull from remote `{remote}` at {url}")]
    Transfer {
        /// The remote.
        remote: String,
        /// Its URL.
        url: String,
        /// The kind of the error, derived from libostree's error.
        kind: ErrorKind,
        /// libostree's error.
        #[source]
        source: OstreeError,
    },
    /// The server sent nothing for too long.
    #[error("remote `{remote}` at {url} has sent nothing for {seconds} seconds")]
    Stalled {
        /// The remote.
        remote: String,
        /// Its URL.
        url: String,
        /// The timeout in seconds.
        seconds: u64,
    },
    /// The caller cancelled the pull.
    #[error("stopped on request")]
    Cancelled,
}

impl PullError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Remote(error) => error.kind(),
            Self::NoRefs { .. }
            | Self::SeveralImages { .. }
            | Self::Encapsulated { .. }
            | Self::Repacked { .. }
            | Self::NoImageRef { .. }
            | Self::UnsupportedByImages { .. }
            | Self::NotAnImageSource { .. } => ErrorKind::InvalidInput,
            Self::NoSummary { .. }
            | Self::NotARepository { .. }
            | Self::NoSuchRef { .. }
            | Self::NoSuchCommit { .. }
            | Self::MissingObject { .. }
            | Self::NoSuchImage { .. }
            | Self::NoSuchPlatform { .. } => ErrorKind::NotFound,
            Self::Read { source, .. } => ErrorKind::of_io(source),
            Self::Signature { source, .. } => source.kind(),
            Self::Delta { source, .. } => source.kind(),
            Self::RefBinding { .. }
            | Self::Arch { .. }
            | Self::Older { .. }
            | Self::Refused { .. } => ErrorKind::Mismatch,
            Self::Http { source, .. } => source.kind(),
            Self::Registry { source, .. } => source.kind(),
            Self::Store(error) => error.kind(),
            Self::Publish(error) => error.kind(),
            Self::TooLarge { .. } | Self::Unsafe { .. } => ErrorKind::UnsafeContent,
            Self::NoSpace { .. } => ErrorKind::DiskFull,
            Self::Transfer { kind, .. } => *kind,
            Self::Stalled { .. } => ErrorKind::Network,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

fn list_of_available(found: &[String]) -> String {
    match found {
        [] => String::new(),
        found => format!(", there is {}", found.join(", ")),
    }
}
