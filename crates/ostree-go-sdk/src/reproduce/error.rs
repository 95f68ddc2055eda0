//! Errors of proving that a program is reproducible.

use crate::fs::context::from_io_failure;
use crate::fs::path::TreePath;
use crate::id::{CommitId, FileId};
use crate::kind::ErrorKind;
use crate::repo::RepoError;
use crate::run::RunError;
use crate::sandbox::SandboxError;
use std::io;
use std::path::PathBuf;

/// An error of proving that a program is reproducible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReproduceError {
    /// The sources cannot be used.
    #[error(transparent)]
    Run(Box<RunError>),
    /// An error of a sandbox.
    #[error(transparent)]
    Sandbox(Box<SandboxError>),
    /// The go command failed. Nothing was compared.
    #[error("`{command}` failed with exit code {code}")]
    Go {
        /// The command.
        command: String,
        /// Its exit code.
        code: u8,
        /// Its standard error.
        output: String,
    },
    /// The go command wrote no program.
    #[error("`{command}` wrote no file")]
    NoResult {
        /// The command.
        command: String,
    },
    /// A build flag cannot be used here.
    #[error("the build flag {flag} cannot be used here, because {reason}")]
    Flag {
        /// The flag.
        flag: String,
        /// The reason.
        reason: &'static str,
    },
    /// The program to compare with is not a regular file.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A commit does not have the program to compare with.
    #[error("commit {commit} has no file /{path}")]
    NotInCommit {
        /// The commit.
        commit: CommitId,
        /// The path in its tree.
        path: TreePath,
    },
    /// The content of a file in a repository differs from its checksum.
    #[error("file object {id} is damaged: its checksum is {found}")]
    Object {
        /// The checksum of the object.
        id: FileId,
        /// The checksum that was computed.
        found: FileId,
    },
    /// A repository cannot be read.
    #[error(transparent)]
    Repo(Box<RepoError>),
    /// A program is too large to be compared.
    #[error("{} has {found} bytes, expected at most {limit}", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The largest size that is accepted, in bytes.
        limit: u64,
    },
    /// A file or directory cannot be read or written.
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
}

from_io_failure!(ReproduceError);

impl From<RunError> for ReproduceError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl From<SandboxError> for ReproduceError {
    fn from(error: SandboxError) -> Self {
        Self::Sandbox(Box::new(error))
    }
}

impl ReproduceError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Run(error) => error.kind(),
            Self::Sandbox(error) => error.kind(),
            Self::Go { .. }
            | Self::NoResult { .. }
            | Self::Flag { .. }
            | Self::NotAFile { .. }
            | Self::TooLarge { .. } => ErrorKind::InvalidInput,
            Self::NotInCommit { .. } => ErrorKind::NotFound,
            Self::Object { .. } => ErrorKind::Damaged,
            Self::Repo(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
        }
    }
}
