//! Errors of building a std cache.

use crate::arch::Arch;
use crate::checkout::CheckoutError;
use crate::fs::context::from_io_failure;
use crate::fs::path::InvalidPath;
use crate::golang::std_cache::StdCacheId;
use crate::id::Sha256;
use crate::kind::ErrorKind;
use crate::process::ProcessError;
use crate::repo::RepoError;
use crate::store::StoreError;
use crate::version::GoVersion;
use std::io;
use std::path::PathBuf;

/// The reason why a std cache could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StdCacheBuildError {
    /// The program that creates sandboxes is not installed.
    #[error(
        "cannot compile the standard library in a sandbox: there is no program `bwrap` in PATH"
    )]
    NoBubblewrap,
    /// The sandbox cannot be created.
    #[error("cannot compile the standard library in a sandbox: `bwrap` failed: {message}")]
    Sandbox {
        /// The message of `bwrap`.
        message: String,
    },
    /// The go command of the SDK cannot be executed.
    #[error("cannot build std caches: `bin/go` of Go {version} for {arch} cannot be executed")]
    NotExecutable {
        /// The version of the SDK.
        version: GoVersion,
        /// The architecture of the SDK, which is that of this machine.
        arch: Arch,
    },
    /// The go command failed.
    #[error("cannot build std cache {id}: `{command}` failed: {message}")]
    Go {
        /// The std cache.
        id: StdCacheId,
        /// The command.
        command: String,
        /// The last line of its standard error, or the signal that killed it.
        message: String,
    },
    /// The go command wrote a build cache of another form.
    #[error("cannot build std cache {id}: {} is not an entry of Go's build cache", path.display())]
    NotAnEntry {
        /// The std cache.
        id: StdCacheId,
        /// The file.
        path: PathBuf,
    },
    /// No archive of the first build was used by the second one.
    #[error(
        "cannot build std cache {id}: a build with the SDK in another directory uses nothing of it"
    )]
    NothingUsed {
        /// The std cache.
        id: StdCacheId,
    },
    /// An output changed after the go command had written it.
    #[error("cannot build std cache {id}: an output has SHA-256 {found}, expected {expected}")]
    Changed {
        /// The std cache.
        id: StdCacheId,
        /// The digest of the content.
        found: Sha256,
        /// The digest that Go recorded.
        expected: Sha256,
    },
    /// The version has no directory for std caches.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// The program that creates sandboxes cannot be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The SDK could not be checked out.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Objects could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The operation was cancelled.
    #[error("stopped on request")]
    Cancelled,
}

from_io_failure!(StdCacheBuildError);

impl StdCacheBuildError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoBubblewrap => ErrorKind::NotFound,
            Self::Sandbox { .. } => ErrorKind::PermissionDenied,
            Self::NotExecutable { .. } | Self::Path(_) => ErrorKind::InvalidInput,
            Self::Go { message, .. } if message.contains(NO_SPACE) => ErrorKind::DiskFull,
            Self::Go { .. } | Self::NothingUsed { .. } => ErrorKind::Io,
            Self::NotAnEntry { .. } | Self::Changed { .. } => ErrorKind::Corrupt,
            Self::Process(error) => error.kind(),
            Self::Checkout(error) => error.kind(),
            Self::Repo(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

/// The message of the go command for `ENOSPC`. Source: `syscall/zerrors_linux_amd64.go` of Go.
const NO_SPACE: &str = "no space left on device";
