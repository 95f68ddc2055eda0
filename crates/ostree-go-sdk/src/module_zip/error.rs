//! Errors of reading modules.

use crate::fs::context::from_io_failure;
use crate::kind::ErrorKind;
use std::path::PathBuf;

/// An error of reading the zip file or the directory of a module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleZipError {
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The path or the version of a module is invalid.
    #[error(
        "`{}@{}` names no module, expected a path such as example.com/a and its canonical version",
        .module.escape_debug(),
        .version.escape_debug()
    )]
    Module {
        /// The path.
        module: String,
        /// The version.
        version: String,
    },
    /// A zip file is too large.
    #[error("{} has {found} bytes, expected at most {limit}", path.display())]
    TooLarge {
        /// The zip file.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The largest size that is accepted, in bytes.
        limit: u64,
    },
    /// A zip file is damaged.
    #[error(
        "{} is damaged{}",
        path.display(),
        entry.as_ref().map(|entry| format!(", at `{}`", entry.escape_debug())).unwrap_or_default()
    )]
    Damaged {
        /// The zip file.
        path: PathBuf,
        /// The entry that cannot be read; `None` if this is the list of entries.
        entry: Option<Box<str>>,
        /// The problem.
        #[source]
        source: std::io::Error,
    },
    /// An entry of a zip file is not allowed.
    #[error("{}: the entry `{}` is refused: {problem}", path.display(), entry.escape_debug())]
    Entry {
        /// The zip file.
        path: PathBuf,
        /// The name of the entry.
        entry: Box<str>,
        /// The reason.
        problem: ModuleZipProblem,
    },
    /// A file in the directory of a module is not a regular file.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A path that should be a directory is something else.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The name of a file in the directory of a module has a line break or is not UTF-8.
    #[error("{}: the name is not UTF-8 or has a line break", path.display())]
    Name {
        /// The path.
        path: PathBuf,
    },
}

from_io_failure!(ModuleZipError);

impl ModuleZipError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::Module { .. } | Self::NotADirectory { .. } => ErrorKind::InvalidInput,
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::TooLarge { .. }
            | Self::Entry { .. }
            | Self::NotAFile { .. }
            | Self::Name { .. } => ErrorKind::UnsafeContent,
        }
    }
}

/// The reason why an entry of a zip file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleZipProblem {
    /// The name does not begin with that of the module.
    #[error("expected a name that begins with `{expected}`")]
    Prefix {
        /// The prefix.
        expected: Box<str>,
    },
    /// The name is invalid on some systems, or leaves the directory.
    #[error("its name is not a valid file name on all systems")]
    Name,
    /// The name differs from that of another entry only in the case of letters.
    #[error("its name differs only in case from `{}`", other.escape_debug())]
    Case {
        /// The other name.
        other: Box<str>,
    },
    /// Two entries have this name.
    #[error("it occurs twice")]
    Repeated,
    /// Another entry is in a directory with the name of a file.
    #[error("it is both a file and a directory")]
    FileAndDirectory,
    /// A directory has content.
    #[error("a directory has content")]
    DirectoryContent,
    /// The entry is a symlink or another special file.
    #[error("it is neither a regular file nor a directory")]
    Special,
    /// The file belongs to another module, or has the name `go.mod` in other letters.
    #[error("a go.mod file must be in the top directory and have a name in lower case")]
    GoMod,
    /// The file, or all files so far, are too large.
    #[error("there is too much content, expected at most {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The content has another size than the header says.
    #[error("it has {found} bytes or more, expected {declared} as in its header")]
    Size {
        /// The number of bytes that were read.
        found: u64,
        /// The number of bytes in the header.
        declared: u64,
    },
}
