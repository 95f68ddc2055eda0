//! Why a pull failed.

use crate::arch::Arch;
use crate::clock::rfc3339;
use crate::delta::DeltaError;
use crate::http::HttpError;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::registry::RegistryError;
use crate::remote::RemoteError;
use crate::repo::RepoError;
use crate::sign::SignError;
use crate::store::StoreError;
use std::path::PathBuf;

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The remote is not set up.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// No ref was asked for.
    #[error("no ref to pull from remote `{remote}`")]
    NoRefs {
        /// The remote.
        remote: String,
    },
    /// All refs are wanted of a remote that does not say which ones it has.
    #[error("remote `{remote}` at {url} has no summary, so that nobody knows its refs")]
    NoSummary {
        /// The remote.
        remote: String,
        /// Its URL.
        url: String,
    },
    /// The remote has no such ref.
    #[error("no ref `{name}` at {url}")]
    NoSuchRef {
        /// The ref.
        name: RefName,
        /// The remote's URL.
        url: String,
    },
    /// A commit has no good signature by a key of the remote.
    #[error("ref {name} of remote `{remote}` is refused")]
    Signature {
        /// The ref.
        name: RefName,
        /// The remote.
        remote: String,
        /// What is wrong with its signatures.
        #[source]
        source: Box<SignError>,
    },
    /// A static delta has not the signature that it should have.
    #[error("remote `{remote}` is refused")]
    Delta {
        /// The remote.
        remote: String,
        /// What is wrong with its signatures.
        #[source]
        source: Box<DeltaError>,
    },
    /// A commit is on a ref that it is not bound to.
    #[error(
        "ref {name} of remote `{remote}` is refused: commit {commit} is bound to {}, expected {name}",
        if found.is_empty() { "no ref".to_owned() } else { found.join(", ") }
    )]
    RefBinding {
        /// The ref that was asked for.
        name: RefName,
        /// The remote.
        remote: String,
        /// The commit the remote has on it.
        commit: CommitId,
        /// The refs the commit is bound to.
        found: Vec<String>,
    },
    /// A commit is for another machine.
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
        /// What the commit says it is for.
        found: Option<String>,
        /// What was expected.
        expected: Arch,
    },
    /// A commit is older than the one that is there.
    #[error(
        "ref {name} is refused: commit {commit} is from {}, older than {current}, which is there and from {}",
        rfc3339(*found),
        rfc3339(*expected)
    )]
    Older {
        /// The ref.
        name: RefName,
        /// The commit the remote has.
        commit: CommitId,
        /// Its time, in seconds since 1970.
        found: u64,
        /// The commit that is there.
        current: CommitId,
        /// Its time.
        expected: u64,
    },
    /// There is more to download than allowed.
    #[error(
        "pulling from remote `{remote}` takes {found} bytes or more, at most {limit} are allowed"
    )]
    TooLarge {
        /// The remote.
        remote: String,
        /// Bytes to download, or downloaded so far.
        found: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// There is not enough room on the disk.
    #[error("{} has {available} bytes free, pulling needs {needed}", path.display())]
    NoSpace {
        /// The repository.
        path: PathBuf,
        /// Bytes that are free.
        available: u64,
        /// Bytes that are needed.
        needed: u64,
    },
    /// The server sent something other than what was asked for.
    #[error("remote `{remote}` is refused: {url}: {problem}")]
    Refused {
        /// The remote.
        remote: String,
        /// What was asked for.
        url: String,
        /// What is wrong with what came.
        problem: String,
    },
    /// A ref names a commit that the server does not have.
    #[error(
        "ref {name} at {url} names commit {commit}, which is not there: it was removed, or the summary is out of date"
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
        "remote `{remote}` does not have object {object}, which {} needs: {url} is not there; the commit was removed meanwhile, or is not whole",
        of.join(", ")
    )]
    MissingObject {
        /// The remote.
        remote: String,
        /// The object's checksum and type.
        object: String,
        /// The refs and commits that are fetched; one of them needs it.
        of: Vec<String>,
        /// The object's URL.
        url: String,
    },
    /// What the server sent would take more memory or disk than the commits allow.
    #[error("remote `{remote}` is refused: {url}: {problem}")]
    Unsafe {
        /// The remote.
        remote: String,
        /// What was asked for.
        url: String,
        /// What is too large.
        problem: String,
    },
    /// The layers of an image are those of ostree-ext: objects, and no trees of an SDK.
    #[error("the image at {url} is encapsulated, expected one whose layers are those of an SDK")]
    Encapsulated {
        /// Its manifest.
        url: String,
    },
    /// There is no such image where the remote's are.
    #[error("no image `{tag}` at {url}{}", there_is(found))]
    NoSuchImage {
        /// The tag or digest.
        tag: String,
        /// Where it was looked for.
        url: String,
        /// The tags there are, as far as that is known.
        found: Vec<String>,
    },
    /// There are several images, and none was named.
    #[error("{url} has {} images, expected a tag: {}", found.len(), found.join(", "))]
    SeveralImages {
        /// Where they are.
        url: String,
        /// Their tags.
        found: Vec<String>,
    },
    /// There is no image for the machine.
    #[error("no image for {expected} at {url}{}", there_is(found))]
    NoSuchPlatform {
        /// Where it was looked for.
        url: String,
        /// The platform, in OCI's words.
        expected: String,
        /// Those there are.
        found: Vec<String>,
    },
    /// A ref that no image can be found by.
    #[error(
        "ref {name} is nothing that an image has, expected `PREFIX/ARCHITECTURE/TAG`, as `go-sdk/x86_64/1.26`"
    )]
    NoImageRef {
        /// The ref.
        name: RefName,
    },
    /// Something is asked of an image that only a repository can do.
    #[error("remote `{remote}` has images, and those have no {what}")]
    ImagesOnly {
        /// The remote.
        remote: String,
        /// What they do not have.
        what: &'static str,
    },
    /// A digest is given for what has none.
    #[error("remote `{remote}` has no images, so that {pin} names nothing there")]
    NoImages {
        /// The remote.
        remote: String,
        /// The digest as given.
        pin: String,
    },
    /// A file of an image cannot be read.
    #[error("cannot read {place}")]
    Read {
        /// The file.
        place: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The server could not be reached, or does not have what a commit is made of.
    #[error("cannot pull from remote `{remote}`")]
    Http {
        /// The remote.
        remote: String,
        /// What happened.
        #[source]
        source: Box<HttpError>,
    },
    /// The registry could not be reached, or it refused.
    #[error("cannot pull from remote `{remote}`")]
    Registry {
        /// The remote.
        remote: String,
        /// What happened.
        #[source]
        source: Box<RegistryError>,
    },
    /// What came could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// libostree's own fetching failed, or it refused what came.
    #[error("cannot pull from remote `{remote}` at {url}")]
    Transfer {
        /// The remote.
        remote: String,
        /// Its URL.
        url: String,
        /// The kind, as libostree's message tells it.
        kind: ErrorKind,
        /// libostree's error.
        #[source]
        source: glib::Error,
    },
    /// The server has sent nothing for too long.
    #[error("remote `{remote}` at {url} has sent nothing for {seconds} seconds")]
    Stalled {
        /// The remote.
        remote: String,
        /// Its URL.
        url: String,
        /// How long.
        seconds: u64,
    },
    /// The caller asked for a stop.
    #[error("stopped on request")]
    Cancelled,
}

impl PullError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Remote(error) => error.kind(),
            Self::NoRefs { .. }
            | Self::SeveralImages { .. }
            | Self::Encapsulated { .. }
            | Self::NoImageRef { .. }
            | Self::ImagesOnly { .. }
            | Self::NoImages { .. } => ErrorKind::InvalidInput,
            Self::NoSummary { .. }
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
            Self::TooLarge { .. } | Self::Unsafe { .. } => ErrorKind::UnsafeContent,
            Self::NoSpace { .. } => ErrorKind::DiskFull,
            Self::Transfer { kind, .. } => *kind,
            Self::Stalled { .. } => ErrorKind::Network,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

fn there_is(found: &[String]) -> String {
    match found {
        [] => String::new(),
        found => format!(", there is {}", found.join(", ")),
    }
}
