//! What can be wrong with a source.

use std::io;
use std::path::PathBuf;

use super::rpm::RpmProblem;
use super::targz::Garbage;
use crate::fs::cache::CacheError;
use crate::fs::path::PathProblem;
use crate::golang::index::IndexError;
use crate::golang::proxy::InvalidProxyList;
use crate::http::{HttpError, InvalidUrl};
use crate::id::Sha256;
use crate::kind::ErrorKind;
use crate::sign::SignError;

/// Why an SDK cannot be taken from a source. Locations are paths, or URLs without
/// credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The source holds what no SDK may hold.
    #[error("{location}: entry `{}` {problem}", entry.escape_debug())]
    Entry {
        /// The source.
        location: String,
        /// The entry's name as the source gives it.
        entry: String,
        /// What is wrong with it.
        problem: EntryProblem,
    },
    /// The source ends early.
    #[error("{location} is truncated{}", After(entry.as_deref()))]
    Truncated {
        /// The source.
        location: String,
        /// The last entry that was begun.
        entry: Option<String>,
    },
    /// The source's format is broken, or it cannot be read.
    #[error("{location} cannot be read{}", After(entry.as_deref()))]
    Damaged {
        /// The source.
        location: String,
        /// The last entry that was begun.
        entry: Option<String>,
        /// What happened.
        source: io::Error,
    },
    /// Something follows the end of the archive.
    #[error("{location} has bytes after its end{}", After(entry.as_deref()))]
    TrailingGarbage {
        /// The source.
        location: String,
        /// The last entry.
        entry: Option<String>,
    },
    /// The file is no archive.
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
        /// What happened.
        source: io::Error,
    },
    /// The archive is another one than was pinned.
    #[error("{location} has the SHA-256 {found}, expected {expected}")]
    Mismatch {
        /// The source.
        location: String,
        /// The digest it should have.
        expected: Sha256,
        /// The digest it has.
        found: Sha256,
    },
    /// A directory was pinned by an archive's digest alone.
    #[error("{} is a directory and cannot be checked against a SHA-256 of an archive, expected an h1 pin", path.display())]
    DirectoryPin {
        /// The directory.
        path: PathBuf,
    },
    /// RPMs were pinned by an archive's digest alone.
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
        /// What is wrong with it.
        problem: Box<RpmProblem>,
    },
    /// The signatures of an RPM cannot be checked.
    #[error("the signatures of {location} cannot be checked")]
    RpmSignatures {
        /// The RPM.
        location: String,
        /// What happened.
        source: SignError,
    },
    /// RPMs hold no SDK.
    #[error("{location}: no folder has both VERSION and bin/go{}", Versions(found))]
    NoGoroot {
        /// The RPMs.
        location: String,
        /// The folders with a `VERSION`.
        found: Vec<String>,
    },
    /// RPMs hold more than one SDK.
    #[error("{location}: more than one folder has VERSION and bin/go: {}", found.join(", "))]
    SeveralGoroots {
        /// The RPMs.
        location: String,
        /// The folders.
        found: Vec<String>,
    },
    /// Nothing says what a URL must hold.
    #[error("{url} has no SHA-256 and no pin, expected one of them")]
    Unpinned {
        /// The URL.
        url: String,
    },
    /// Something must be downloaded and there is nowhere to put it.
    #[error("{url} has to be downloaded, expected a cache directory")]
    NoCache {
        /// What was asked for.
        url: String,
    },
    /// A module was asked for by another path than that of toolchains.
    #[error("module `{}` holds no Go toolchains, expected `{expected}`", found.escape_debug())]
    Module {
        /// The module's path.
        found: String,
        /// The path of the toolchain module.
        expected: &'static str,
    },
    /// No module proxy is known.
    #[error("{module} has to come from a module proxy, expected a GOPROXY list")]
    NoProxy {
        /// The module and its version.
        module: String,
    },
    /// The list of module proxies forbids downloads.
    #[error("{module} may not be downloaded: GOPROXY is `{list}`")]
    ProxyOff {
        /// The module and its version.
        module: String,
        /// The keyword that ends the list: `off`, or `direct`, which has no toolchains.
        list: &'static str,
    },
    /// The list of module proxies is malformed.
    #[error(transparent)]
    ProxyList(#[from] InvalidProxyList),
    /// The download index has no such archive.
    #[error("{url} cannot be used")]
    Index {
        /// The index.
        url: String,
        /// What is wrong with it.
        source: IndexError,
    },
    /// A URL cannot be used.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// A download failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The caller asked for a stop.
    #[error("stopped while reading {location}")]
    Cancelled {
        /// The source.
        location: String,
    },
}

impl SourceError {
    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Entry {
                problem: EntryProblem::OtherModule { .. },
                ..
            }
            | Self::Mismatch { .. } => ErrorKind::Mismatch,
            Self::Entry { .. } => ErrorKind::UnsafeContent,
            // The decoders' own errors come without an errno.
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

    /// A failure of the bytes of a source, with the entry they are of.
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

/// The place in an archive, in a sentence.
struct After<'a>(Option<&'a str>);

impl std::fmt::Display for After<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(entry) => write!(f, ", in or after entry `{}`", entry.escape_debug()),
            None => Ok(()),
        }
    }
}

/// Folders with a `VERSION`, in a sentence.
struct Versions<'a>(&'a [String]);

impl std::fmt::Display for Versions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [] => f.write_str(", and none has VERSION"),
            folders => write!(f, "; VERSION is in {}", folders.join(", ")),
        }
    }
}

/// What is wrong with an entry of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProblem {
    /// Its name is no path inside a tree.
    #[error("{0}")]
    Path(PathProblem),
    /// The archive has more than one top folder, or files beside it.
    #[error("lies outside the top folder `{}`", top.escape_debug())]
    OutsideTop {
        /// The folder of the first entry.
        top: String,
    },
    /// The archive has no top folder.
    #[error("is a file, expected one top folder that everything lies in")]
    NoTop,
    /// The module is that of another version or architecture.
    #[error("is of another module, expected {expected}")]
    OtherModule {
        /// The module's folder as it should be.
        expected: String,
    },
    /// There was an entry of this name before.
    #[error("is there twice")]
    Duplicate,
    /// A file and a folder, or a link and a folder, have one name.
    #[error("needs `{path}` to be both a folder and something else")]
    NotAFolder {
        /// The path in question.
        path: String,
    },
    /// A symlink's target is absolute or leads out of the tree.
    #[error("links to `{}`, which leads out of the tree", target.escape_debug())]
    LinkLeaves {
        /// The target.
        target: String,
    },
    /// A hard link's target is not there.
    #[error("is a hard link to `{}`, expected an earlier file", target.escape_debug())]
    HardLink {
        /// The target.
        target: String,
    },
    /// A folder or a link has content.
    #[error("is a folder or a link and has content")]
    Content,
    /// It is neither file, folder nor link.
    #[error("is neither a file, a folder nor a link")]
    Special,
    /// It has the setuid, setgid or sticky bit.
    #[error("has the mode {mode:04o}, expected no setuid, setgid or sticky bit")]
    Mode {
        /// The permission bits.
        mode: u32,
    },
    /// It is stored with holes.
    #[error("is stored as a sparse file")]
    Sparse,
    /// Its headers are too long.
    #[error("is followed by headers of more than {limit} bytes")]
    Headers {
        /// The limit in bytes.
        limit: u64,
    },
    /// A header for the whole archive changes what its entries are.
    #[error("changes the names or sizes of all entries")]
    GlobalHeader,
    /// It is encrypted.
    #[error("is encrypted")]
    Encrypted,
    /// It is compressed in a way that is not supported.
    #[error("is compressed by {method}, expected stored or deflate")]
    Compression {
        /// The method.
        method: String,
    },
    /// There are more entries than allowed.
    #[error("is one too many, the limit is {limit} files and folders")]
    TooMany {
        /// The limit.
        limit: u64,
    },
    /// The names take more memory than allowed.
    #[error("makes the names longer than {limit} bytes together")]
    Names {
        /// The limit in bytes.
        limit: u64,
    },
    /// There is more content than allowed.
    #[error("makes the content larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
}
