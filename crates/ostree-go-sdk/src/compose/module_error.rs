//! Errors of composing Go modules.

use crate::golang::h1::H1;
use crate::golang::modfile::ModFileError;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::source::SourceError;
use crate::upstream::UpstreamError;
use std::path::PathBuf;

/// The reason why a Go module cannot be composed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The module cannot be downloaded.
    #[error("module {module} cannot be downloaded")]
    Source {
        /// The module and its version.
        module: String,
        /// The cause.
        source: SourceError,
    },
    /// The checksum database does not have the module, or cannot be asked.
    #[error("module {module} cannot be verified")]
    Upstream {
        /// The module and its version.
        module: String,
        /// The cause.
        source: UpstreamError,
    },
    /// The module is private, and nothing else determines its content.
    #[error(
        "module {module} has no `sum`, and the patterns `{patterns}` exclude it from the checksum database"
    )]
    Private {
        /// The module and its version.
        module: String,
        /// The patterns.
        patterns: String,
    },
    /// Nothing determines the content of the module.
    #[error("module {module} has no `sum`, and the checksum database is not used")]
    Unverified {
        /// The module and its version.
        module: String,
    },
    /// The module is private, and must not be requested from public proxies.
    #[error(
        "module {module} is not requested from GOPROXY, because it matches `{patterns}`, and the treefile has no `goproxy`"
    )]
    NoProxy {
        /// The module and its version.
        module: String,
        /// The patterns.
        patterns: String,
    },
    /// The content differs from the expected hash.
    #[error("content of {location} has {found}, but {authority} has {expected} for {module}")]
    Sum {
        /// The module and its version.
        module: String,
        /// The URL of the zip.
        location: String,
        /// The hash of the content.
        found: H1,
        /// The origin of the expected hash.
        authority: String,
        /// The expected hash.
        expected: H1,
    },
    /// The directory is not a module.
    #[error("{} has no go.mod, so it is not a module", path.display())]
    NoGoMod {
        /// The directory.
        path: PathBuf,
    },
    /// The `go.mod` file of a directory is malformed.
    #[error("cannot read go.mod in {}", path.display())]
    GoMod {
        /// The directory.
        path: PathBuf,
        /// The reason.
        source: ModFileError,
    },
    /// The directory has another module.
    #[error(
        "go.mod in {} names {}, expected the module {expected}",
        path.display(),
        found.as_deref().map_or_else(|| "no module".to_owned(), |found| format!("the module {found}"))
    )]
    OtherModule {
        /// The directory.
        path: PathBuf,
        /// The path in the `module` line of the `go.mod` file.
        found: Option<String>,
        /// The path in the treefile.
        expected: String,
    },
    /// The version exists with other content.
    #[error(
        "module {ref_name} exists with other content: found commit {found}, expected {expected}"
    )]
    Exists {
        /// The ref of the module.
        ref_name: RefName,
        /// The commit that the ref points to.
        found: CommitId,
        /// The commit that was composed.
        expected: CommitId,
    },
}

impl ModuleError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Source { source, .. } => source.kind(),
            Self::Upstream { source, .. } => source.kind(),
            Self::Private { .. }
            | Self::Unverified { .. }
            | Self::NoProxy { .. }
            | Self::NoGoMod { .. } => ErrorKind::InvalidInput,
            Self::GoMod { source, .. } => source.kind(),
            Self::Sum { .. } | Self::OtherModule { .. } => ErrorKind::Mismatch,
            Self::Exists { .. } => ErrorKind::RefConflict,
        }
    }
}
