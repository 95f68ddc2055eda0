//! Errors of a compose.

use super::ModuleError;
use crate::arch::Arch;
use crate::catalog::CommitKind;
use crate::fs::path::TreePath;
use crate::golang::h1::H1;
use crate::golang::version_file::VersionFileError;
use crate::http::HttpError;
use crate::id::{CommitId, InvalidRef, RefName};
use crate::kind::ErrorKind;
use crate::layer::LayerError;
use crate::publish::PublishError;
use crate::rebuild::ToolchainBuildError;
use crate::repo::RepoError;
use crate::sign::SignError;
use crate::source::SourceError;
use crate::stdcache::StdCacheBuildError;
use crate::store::StoreError;
use crate::treefile::TreefileError;
use crate::upstream::{OfficialHash, UpstreamError};
use crate::version::GoVersion;
use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;

/// An error of a compose. The refs of the repository are unchanged, unless the summary could not be
/// refreshed, or a module could not be read or a std cache could not be built: then the releases and
/// channels are complete, and so are the modules and std caches before it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The treefile is invalid, or does not have a requested architecture.
    #[error(transparent)]
    Treefile(#[from] TreefileError),
    /// An error of the repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Objects could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A source could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A commit could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The refs were moved, but the summary or the page could not be refreshed.
    #[error("the refs were moved, but the summary or the page cannot be refreshed")]
    Publish(#[from] PublishError),
    /// A channel has a newer version than the release that it was to be moved to.
    #[error("channel {channel} has Go {found}, which is newer than {requested}")]
    Downgrade {
        /// The channel.
        channel: RefName,
        /// The version of the channel.
        found: GoVersion,
        /// The version of the release.
        requested: GoVersion,
    },
    /// The ref to promote to belongs to a release, a layer or something else that is not a channel.
    #[error("ref {ref_name} is not a channel but {}", kind_of_ref(*kind))]
    NotAChannel {
        /// The ref.
        ref_name: RefName,
        /// The kind of the commit that it names, or would name.
        kind: CommitKind,
    },
    /// The commit to promote is a std cache.
    #[error("commit {commit} is a std cache, expected a release")]
    IsStdCache {
        /// The commit.
        commit: CommitId,
    },
    /// The commit to promote is not a release.
    #[error("commit {commit} is not a release: it has no `sdk.version`")]
    NotARelease {
        /// The commit.
        commit: CommitId,
    },
    /// The commit to promote is not complete.
    #[error("commit {commit} is incomplete in repository {}", path.display())]
    Partial {
        /// The commit.
        commit: CommitId,
        /// The repository.
        path: PathBuf,
    },
    /// Downloads could not be configured.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The layers do not fit together.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A template results in an invalid ref.
    #[error(transparent)]
    Ref(#[from] InvalidRef),
    /// None of a release's sources can be used.
    #[error("no source of {release} can be used")]
    NoSource {
        /// The release.
        release: RefName,
        /// The error of each source.
        #[source]
        failures: SourceFailures,
    },
    /// A file of a source cannot be read.
    #[error("cannot read `{path}` of {source_name}")]
    Read {
        /// The path in the SDK.
        path: TreePath,
        /// The source.
        source_name: String,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// The source has no `VERSION` file.
    #[error("{source_name} has no VERSION file, so it is not a Go distribution")]
    NoVersion {
        /// The source.
        source_name: String,
    },
    /// The source's `VERSION` file is malformed.
    #[error("cannot read the VERSION file of {source_name}")]
    VersionFile {
        /// The source.
        source_name: String,
        /// The reason.
        #[source]
        source: VersionFileError,
    },
    /// The version of the source differs from the treefile's.
    #[error("{source_name} is Go {found}, expected {expected}")]
    VersionMismatch {
        /// The source.
        source_name: String,
        /// The version of the source.
        found: GoVersion,
        /// The version in the treefile.
        expected: GoVersion,
    },
    /// The source's go command is for another architecture.
    #[error("`bin/go` of {source_name} is {}, expected a program for {expected}", machine(*found))]
    WrongArch {
        /// The source.
        source_name: String,
        /// Its ELF machine number, if it is an ELF file.
        found: Option<u16>,
        /// The release's architecture.
        expected: Arch,
    },
    /// The content differs from the pinned hash.
    #[error("content of {source_name} has {}, expected {expected}", hash(found.as_ref()))]
    H1Mismatch {
        /// The source.
        source_name: String,
        /// The `h1:` hash of the source; `None` if it has symlinks, which Go's module form cannot
        /// contain.
        found: Option<H1>,
        /// The pinned hash.
        expected: H1,
    },
    /// The checksum database could not be asked for the hash of a module.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The content of a module differs from the checksum database.
    #[error(
        "content of {source_name} has {}, but the checksum database {} has {}",
        hash(found.as_ref()), official.database, official.h1
    )]
    NotUpstream {
        /// The source.
        source_name: String,
        /// The `h1:` hash of the source; `None` if it has symlinks.
        found: Option<H1>,
        /// The hash in the database.
        official: Box<OfficialHash>,
    },
    /// A hard link cannot be written.
    #[error("hard link `{path}` points to `{target}`, which is excluded or has another mode")]
    UnusableLink {
        /// The link.
        path: TreePath,
        /// The file that it points to.
        target: TreePath,
    },
    /// The timestamp of the release is unknown.
    #[error("the VERSION file of Go {version} has no time, and the treefile has no `timestamp`")]
    NoTimestamp {
        /// The version.
        version: GoVersion,
    },
    /// The metadata key may only be set by the compose.
    #[error("metadata key `{key}` is set by the compose and cannot be added")]
    ReservedMetadata {
        /// The key.
        key: String,
    },
    /// The release exists with other content.
    #[error(
        "release {ref_name} exists with other content: found commit {found}, expected {expected}"
    )]
    ReleaseExists {
        /// The ref of the release.
        ref_name: RefName,
        /// The commit that the ref points to.
        found: CommitId,
        /// The commit that was composed.
        expected: CommitId,
    },
    /// A Go module could not be composed.
    #[error(transparent)]
    Module(Box<ModuleError>),
    /// A std cache could not be built.
    #[error(transparent)]
    StdCache(Box<StdCacheBuildError>),
    /// The programs of an SDK could not be compiled.
    #[error(transparent)]
    Rebuild(Box<ToolchainBuildError>),
    /// The std cache exists with other content.
    #[error(
        "std cache {ref_name} exists with other content: found commit {found}, expected {expected}"
    )]
    StdCacheExists {
        /// The ref of the std cache.
        ref_name: RefName,
        /// The commit that the ref points to.
        found: CommitId,
        /// The commit that was built.
        expected: CommitId,
    },
    /// The operation was cancelled.
    #[error("stopped on request")]
    Cancelled,
}

impl From<StdCacheBuildError> for ComposeError {
    fn from(error: StdCacheBuildError) -> Self {
        match error {
            StdCacheBuildError::Cancelled => Self::Cancelled,
            error => Self::StdCache(Box::new(error)),
        }
    }
}

impl From<ToolchainBuildError> for ComposeError {
    fn from(error: ToolchainBuildError) -> Self {
        match error {
            ToolchainBuildError::Cancelled => Self::Cancelled,
            error => Self::Rebuild(Box::new(error)),
        }
    }
}

impl From<ModuleError> for ComposeError {
    fn from(error: ModuleError) -> Self {
        match error.kind() {
            ErrorKind::Cancelled => Self::Cancelled,
            _ => Self::Module(Box::new(error)),
        }
    }
}

impl ComposeError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Treefile(error) => error.kind(),
            Self::Repo(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Source(error) => error.kind(),
            Self::Sign(error) => error.kind(),
            Self::Publish(error) => error.kind(),
            Self::Http(error) => error.kind(),
            Self::Layer(error) => error.kind(),
            Self::Upstream(error) => error.kind(),
            Self::Ref(_)
            | Self::NotAChannel { .. }
            | Self::NotARelease { .. }
            | Self::IsStdCache { .. }
            | Self::ReservedMetadata { .. }
            | Self::NoTimestamp { .. } => ErrorKind::InvalidInput,
            Self::NoSource { failures, .. } => failures.kind(),
            Self::Read { source, .. } => ErrorKind::of_io(source),
            Self::NoVersion { .. } | Self::VersionFile { .. } => ErrorKind::Corrupt,
            Self::VersionMismatch { .. }
            | Self::WrongArch { .. }
            | Self::H1Mismatch { .. }
            | Self::NotUpstream { .. } => ErrorKind::Mismatch,
            Self::UnusableLink { .. } => ErrorKind::UnsafeContent,
            Self::Partial { .. } => ErrorKind::Damaged,
            Self::Module(error) => error.kind(),
            Self::StdCache(error) => error.kind(),
            Self::Rebuild(error) => error.kind(),
            Self::ReleaseExists { .. } | Self::StdCacheExists { .. } | Self::Downgrade { .. } => {
                ErrorKind::RefConflict
            }
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

/// The error of each source of a release, in the order in which they were tried. Each error names
/// its source.
#[derive(Debug)]
pub struct SourceFailures(pub(super) Vec<SourceError>);

impl SourceFailures {
    /// Returns the errors, in the order of the sources.
    #[must_use]
    pub fn errors(&self) -> &[SourceError] {
        &self.0
    }

    /// Returns the kind of a mismatch, because a wrong digest must not go unnoticed; otherwise of a
    /// temporary error, because each of the sources is sufficient; otherwise of the last source.
    fn kind(&self) -> ErrorKind {
        let mut kinds = self.0.iter().map(SourceError::kind);
        let last = kinds.clone().next_back();
        kinds
            .clone()
            .find(|kind| *kind == ErrorKind::Mismatch)
            .or_else(|| kinds.find(|kind| kind.is_temporary()))
            .or(last)
            .unwrap_or(ErrorKind::InvalidInput)
    }
}

impl fmt::Display for SourceFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the treefile names none");
        }
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
            let mut cause = error.source();
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl std::error::Error for SourceFailures {}

fn kind_of_ref(kind: CommitKind) -> &'static str {
    match kind {
        CommitKind::Release => "the ref of a release, which never moves",
        CommitKind::Layer => "the ref of a layer, which never moves",
        CommitKind::StdCache => "the ref of a std cache, which never moves",
        CommitKind::Module => "the ref of a Go module",
        CommitKind::Image => "the ref of an OS image",
        CommitKind::Channel | CommitKind::Other => "a ref without an SDK",
    }
}

fn machine(found: Option<u16>) -> String {
    match found {
        Some(machine) => {
            let known = Arch::ALL.into_iter().find(|a| a.elf_machine() == machine);
            known.map_or_else(
                || format!("a program for ELF machine {machine}"),
                |arch| format!("a program for {arch}"),
            )
        }
        None => "not an ELF program".to_owned(),
    }
}

fn hash(found: Option<&H1>) -> String {
    found.map_or_else(
        || "symlinks, and so no h1 hash".to_owned(),
        ToString::to_string,
    )
}
