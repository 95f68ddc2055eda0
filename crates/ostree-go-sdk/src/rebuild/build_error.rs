//! Errors of compiling the programs of an SDK.

use crate::arch::Arch;
use crate::fs::context::from_io_failure;
use crate::kind::ErrorKind;
use crate::process::ProcessError;
use crate::stdcache::StdCacheBuildError;
use crate::version::GoVersion;
use std::io;
use std::path::PathBuf;

/// The reason why the programs of an SDK could not be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolchainBuildError {
    /// The program that creates sandboxes is not installed.
    #[error("cannot compile programs of an SDK in a sandbox: there is no program `bwrap` in PATH")]
    NoBubblewrap,
    /// The sandbox cannot be created.
    #[error("cannot compile programs of an SDK in a sandbox: `bwrap` failed: {message}")]
    Sandbox {
        /// The message of `bwrap`.
        message: String,
    },
    /// The SDK has no programs.
    #[error("Go {version} for {arch} has no programs in `{dir}`")]
    NoPrograms {
        /// The version of the SDK.
        version: GoVersion,
        /// The architecture of the SDK.
        arch: Arch,
        /// The directory in the SDK.
        dir: String,
    },
    /// The SDK has no source code of a program.
    #[error("Go {version} has no source code of `{package}`")]
    NoSource {
        /// The version of the SDK.
        version: GoVersion,
        /// The package.
        package: String,
    },
    /// The go command of the SDK cannot be executed.
    #[error(
        "cannot compile programs of an SDK: `bin/go` of Go {version} for {arch} cannot be executed on this machine"
    )]
    NotExecutable {
        /// The version of the SDK.
        version: GoVersion,
        /// The architecture of the SDK.
        arch: Arch,
    },
    /// The go command failed.
    #[error("cannot compile `{package}` of Go {version} for {arch}: {message}")]
    Go {
        /// The package.
        package: String,
        /// The version of the SDK.
        version: GoVersion,
        /// The architecture to compile for.
        arch: Arch,
        /// The last line of its standard error, or the signal that killed it.
        message: String,
    },
    /// The program that creates sandboxes cannot be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A system call failed.
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
    /// The operation was cancelled.
    #[error("stopped on request")]
    Cancelled,
}

from_io_failure!(ToolchainBuildError);

/// Converts the errors of a sandbox.
impl From<StdCacheBuildError> for ToolchainBuildError {
    fn from(error: StdCacheBuildError) -> Self {
        match error {
            StdCacheBuildError::NoBubblewrap => Self::NoBubblewrap,
            StdCacheBuildError::Process(error) => Self::Process(error),
            StdCacheBuildError::Cancelled => Self::Cancelled,
            StdCacheBuildError::Sandbox { message } => Self::Sandbox { message },
            error => Self::Sandbox {
                message: error.to_string(),
            },
        }
    }
}

/// The message of the go command for `ENOSPC`. Source: `syscall/zerrors_linux_amd64.go` of Go.
const NO_SPACE: &str = "no space left on device";

impl ToolchainBuildError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoBubblewrap => ErrorKind::NotFound,
            Self::Sandbox { .. } => ErrorKind::PermissionDenied,
            Self::NotExecutable { .. } | Self::NoPrograms { .. } | Self::NoSource { .. } => {
                ErrorKind::InvalidInput
            }
            Self::Go { message, .. } if message.contains(NO_SPACE) => ErrorKind::DiskFull,
            Self::Go { .. } => ErrorKind::Io,
            Self::Process(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}
