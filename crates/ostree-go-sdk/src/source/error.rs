//! Errors of sources.

use std::io;
use std::path::PathBuf;

use super::rpm::RpmProblem;
use crate::fs::cache::CacheError;
use crate::fs::path::PathProblem;
use crate::golang::index::IndexError;
use crate::golang::proxy::InvalidProxyList;
use crate::http::{HttpError, InvalidUrl};
use crate::id::Sha256;
use crate::kind::ErrorKind;
use crate::sign::SignError;

/// The reason why an SDK cannot be read from a source. Locations are paths, or URLs without
/// credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// An entry of the source is not allowed in an SDK.
    #[error("{location}: entry `{}` {problem}", entry.escape_debug())]
    Entry {
        /// The source.
        location: String,
        /// The name of the entry in the source.
        entry: String,
        /// The problem with the entry.
        problem: EntryProblem,
    },
    /// The source ends too early.
    #[error("{location} is truncated{}", After(entry.as_deref()))]
    Truncated {
        /// The source.
        location: String,
        /// The last entry that was started.
        entry: Option<String>,
    },
    /// The source is malformed or cannot be read.
    #[error("{location} cannot be read{}", After(entry.as_deref()))]
    Damaged {
        /// The source.
        location: String,
        /// The last entry that was started.
        entry: Option<String>,
        /// The cause.
        source: io::Error,
    },
    /// The archive is followed by other bytes.
    #[error("{location} has bytes after its end{}", After(entry.as_deref()))]
    TrailingGarbage {
        /// The source.
        location: String,
        /// The last entry.
        entry: Option<String>,
    },
    /// The file is not a supported archive.
    #[error("{location} is neither a gzip-compressed tar archive nor a zip archive")]
    UnknownForm {
        /// The source.
        location: String,
    },
    /// A file or directory cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The archive does not have the pinned digest.
    #[error("{location} has the SHA-256 {found}, expected {expected}")]
    Mismatch {
        /// The source.
        location: String,
        /// The expected digest.
        expected: Sha256,
        /// The actual digest.
        found: Sha256,
    },
    /// A directory cannot be checked because only an archive's digest is pinned.
    #[error("{} is a directory and cannot be checked against a SHA-256 of an archive, expected an h1 pin", path.display())]
    DirectoryPin {
        /// The directory.
        path: PathBuf,
    },
    /// RPMs cannot be checked because only an archive's digest is pinned.
    #[error("{location} cannot be checked against a SHA-256 of an archive, expected an h1 pin")]
    RpmPin {
        /// The RPMs.
        location: String,
    },
    /// An RPM cannot be used.
    #[error("{location} {problem}")]
    Rpm {
        /// The RPM.
        location: String,
        /// The problem with the RPM.
        problem: Box<RpmProblem>,
    },
    /// The signatures of an RPM cannot be checked.
    #[error("the signatures of {location} cannot be checked")]
    RpmSignatures {
        /// The RPM.
        location: String,
        /// The cause.
        source: SignError,
    },
    /// The RPMs do not contain an SDK.
    #[error("{location}: no folder has both VERSION and bin/go{}", Versions(found))]
    NoGoroot {
        /// The RPMs.
        location: String,
        /// The folders with a `VERSION` file.
        found: Vec<String>,
    },
    /// The RPMs contain more than one SDK.
    #[error("{location}: more than one folder has VERSION and bin/go: {}", found.join(", "))]
    SeveralGoroots {
        /// The RPMs.
        location: String,
        /// The folders.
        found: Vec<String>,
    },
    /// The content expected at a URL is not pinned.
    #[error("{url} has neither a SHA-256 nor a pin, expected one of them")]
    Unpinned {
        /// The URL.
        url: String,
    },
    /// A download needs a cache directory, and none is set.
    #[error("{url} has to be downloaded, which needs a cache directory")]
    NoCache {
        /// The URL to download.
        url: String,
    },
    /// The module is not the toolchain module.
    #[error("module `{}` holds no Go toolchains, expected `{expected}`", found.escape_debug())]
    Module {
        /// The path of the module.
        found: String,
        /// The path of the toolchain module.
        expected: &'static str,
    },
    /// A module needs a module proxy, and none is set.
    #[error("{module} has to come from a module proxy, expected a GOPROXY list")]
    NoProxy {
        /// The module and its version.
        module: String,
    },
    /// The list of module proxies forbids the download.
    #[error("{module} may not be downloaded: GOPROXY is `{list}`")]
    ProxyOff {
        /// The module and its version.
        module: String,
        /// The keyword that ends the list: `off`, or `direct`, which cannot provide toolchains.
        list: &'static str,
    },
    /// The list of module proxies is malformed.
    #[error(transparent)]
    ProxyList(#[from] InvalidProxyList),
    /// The download index has no usable archive.
    #[error("{url} cannot be used")]
    Index {
        /// The URL of the index.
        url: String,
        /// The cause.
        source: IndexError,
    },
    /// A URL is invalid.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// A download failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The operation was cancelled.
    #[error("stopped while reading {location}")]
    Cancelled {
        /// The source.
        location: String,
    },
}

impl SourceError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Entry {
                problem: EntryProblem::OtherModule { .. },
                ..
            }
            | Self::Mismatch { .. } => ErrorKind::Mismatch,
            Self::Entry { .. } => ErrorKind::UnsafeContent,
            // Errors of the decoders have no errno.
            Self::Damaged { source, .. } if source.raw_os_error().is_some() => {
                ErrorKind::of_io(source)
            }
            Self::Truncated { .. } | Self::Damaged { .. } | Self::TrailingGarbage { .. } => {
                ErrorKind::Corrupt
            }
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::UnknownForm { .. }
            | Self::DirectoryPin { .. }
            | Self::RpmPin { .. }
            | Self::NoGoroot { .. }
            | Self::SeveralGoroots { .. }
            | Self::Unpinned { .. }
            | Self::NoCache { .. }
            | Self::Module { .. }
            | Self::NoProxy { .. }
            | Self::Url(_) => ErrorKind::InvalidInput,
            Self::Rpm { problem, .. } => problem.kind(),
            Self::RpmSignatures { source, .. } => source.kind(),
            Self::ProxyOff { .. } => ErrorKind::NotFound,
            Self::ProxyList(error) => error.kind(),
            Self::Index { source, .. } => source.kind(),
            Self::Http(error) => error.kind(),
            Self::Cache(error) => error.kind(),
            Self::Cancelled { .. } => ErrorKind::Cancelled,
        }
    }

    /// Converts an I/O error while reading a source, optionally of an entry.
    pub(super) fn of_read(location: &str, entry: Option<&str>, source: io::Error) -> Self {
        let location = location.to_owned();
        let entry = entry.map(str::to_owned);
        let inner = source.get_ref();
        let is_garbage = inner.and_then(|e| e.downcast_ref::<Garbage>()).is_some();
        if is_garbage {
            Self::TrailingGarbage { location, entry }
        } else if source.kind() == io::ErrorKind::UnexpectedEof {
            Self::Truncated { location, entry }
        } else {
            Self::Damaged {
                location,
                entry,
                source,
            }
        }
    }
}

/// The error for bytes after the end of an archive.
#[derive(Debug, thiserror::Error)]
#[error("there are bytes after the end")]
pub(super) struct Garbage;

/// Displays the position in an archive.
struct After<'a>(Option<&'a str>);

impl std::fmt::Display for After<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(entry) => write!(f, ", in or after entry `{}`", entry.escape_debug()),
            None => Ok(()),
        }
    }
}

/// Displays the folders with a `VERSION` file.
struct Versions<'a>(&'a [String]);

impl std::fmt::Display for Versions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [] => f.write_str(", and none has VERSION"),
            folders => write!(f, "; VERSION is in {}", folders.join(", ")),
        }
    }
}

/// The problem with an entry of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProblem {
    /// The name is not a valid path.
    #[error("{0}")]
    Path(PathProblem),
    /// The entry is outside the archive's top folder.
    #[error("is outside the top folder `{}`", top.escape_debug())]
    OutsideTop {
        /// The top folder, which is that of the first entry.
        top: String,
    },
    /// The entry is not in a top folder.
    #[error("is a file, expected one top folder that contains everything")]
    NoTop,
    /// The entry belongs to the module of another version or architecture.
    #[error("belongs to another module, expected {expected}")]
    OtherModule {
        /// The expected folder of the module.
        expected: String,
    },
    /// The name occurred before.
    #[error("is a duplicate")]
    Duplicate,
    /// A name is used for both a folder and a file or link.
    #[error("needs `{path}` to be both a folder and something else")]
    NotAFolder {
        /// The path.
        path: String,
    },
    /// The target of a symlink is absolute or outside the tree.
    #[error("links to `{}`, which leads out of the tree", target.escape_debug())]
    LinkLeaves {
        /// The target.
        target: String,
    },
    /// The target of a hard link does not exist.
    #[error("is a hard link to `{}`, expected an earlier file", target.escape_debug())]
    HardLink {
        /// The target.
        target: String,
    },
    /// A folder or a link has content.
    #[error("is a folder or a link and has content")]
    Content,
    /// The entry is neither a file, a folder nor a link.
    #[error("is neither a file, a folder nor a link")]
    Special,
    /// The mode contains the setuid, setgid or sticky bit.
    #[error("has the mode {mode:04o}, expected no setuid, setgid or sticky bit")]
    Mode {
        /// The permission bits.
        mode: u32,
    },
    /// The entry is stored with holes.
    #[error("is stored as a sparse file")]
    Sparse,
    /// The headers before the next entry are too long.
    #[error("is followed by headers of more than {limit} bytes")]
    Headers {
        /// The limit in bytes.
        limit: u64,
    },
    /// A global header changes the names or sizes of entries.
    #[error("changes the names or sizes of all entries")]
    GlobalHeader,
    /// The entry is encrypted.
    #[error("is encrypted")]
    Encrypted,
    /// The compression method is not supported.
    #[error("is compressed by {method}, expected stored or deflate")]
    Compression {
        /// The method.
        method: String,
    },
    /// The name cannot be that of a file in a Go module.
    #[error("cannot be part of a Go module: {reason}")]
    ModuleFile {
        /// Go's reason.
        reason: String,
    },
    /// The source has too many entries.
    #[error("exceeds the limit of {limit} files and folders")]
    TooMany {
        /// The limit.
        limit: u64,
    },
    /// The names take too much memory.
    #[error("makes the total length of names exceed {limit} bytes")]
    Names {
        /// The limit in bytes.
        limit: u64,
    },
    /// The source has too much content.
    #[error("makes the total size exceed {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
}
