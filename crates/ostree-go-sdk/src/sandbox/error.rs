//! Errors of starting a command in a sandbox.

use super::backend::Backend;
use crate::fs::context::from_io_failure;
use crate::kind::ErrorKind;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// An error of starting a command in a sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// No backend works on this machine.
    #[error("no sandbox works on this machine: {}", list(reasons))]
    NoBackend {
        /// The reason for each backend, in the order of their preference.
        reasons: Vec<Unavailable>,
    },
    /// The requested backend does not work on this machine.
    #[error("the sandbox {0}")]
    Unavailable(Unavailable),
    /// The command has no words.
    #[error("there is no command to run in the sandbox")]
    NoCommand,
    /// The program does not exist in the sandbox.
    #[error("there is no program `{program}` in the sandbox")]
    NoProgram {
        /// The program, as in the command.
        program: String,
        /// True if the programs of the host are in the sandbox.
        host_tools: bool,
    },
    /// The program needs another one that does not exist in the sandbox.
    #[error("the program {} needs {}, which is not in the sandbox", program.display(), interpreter.display())]
    NoInterpreter {
        /// The program.
        program: PathBuf,
        /// The dynamic linker, or the interpreter of a script.
        interpreter: PathBuf,
        /// True if the programs of the host are in the sandbox.
        host_tools: bool,
    },
    /// A path is not absolute.
    #[error("{} is not an absolute path", path.display())]
    Relative {
        /// The path.
        path: PathBuf,
    },
    /// The backend cannot show a file at another path.
    #[error("the sandbox {backend} cannot show {} at the path {}", path.display(), dest.display())]
    Moved {
        /// The backend.
        backend: Backend,
        /// The path on the host.
        path: PathBuf,
        /// The path in the sandbox.
        dest: PathBuf,
    },
    /// Memory cannot be limited on this machine.
    #[error(
        "memory cannot be limited: there is no service manager of systemd with a memory controller"
    )]
    MemoryLimit,
    /// The number of CPUs is 0, or larger than the number of CPUs that this process may use.
    #[error("the number of CPUs is {found}, expected 1 to {available}")]
    Cpus {
        /// The number.
        found: usize,
        /// The number of CPUs that this process may use.
        available: usize,
    },
    /// A backend needs the helper, and the caller has named none.
    #[error("the sandbox {0} needs a helper program")]
    NoHelper(Backend),
    /// The backend failed after it was started.
    #[error("the sandbox {backend} failed: {message}")]
    Failed {
        /// The backend.
        backend: Backend,
        /// The message.
        message: String,
    },
    /// The operation was cancelled, and the command was killed.
    #[error("stopped the command")]
    Cancelled,
    /// A program cannot be started.
    #[error("cannot run `{program}`")]
    Start {
        /// The program.
        program: String,
        /// The error of the system.
        #[source]
        source: io::Error,
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

from_io_failure!(SandboxError);

impl SandboxError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoBackend { .. } | Self::Unavailable(_) | Self::MemoryLimit => {
                ErrorKind::PermissionDenied
            }
            Self::NoProgram { .. } | Self::NoInterpreter { .. } => ErrorKind::NotFound,
            Self::NoCommand | Self::Relative { .. } | Self::Moved { .. } | Self::Cpus { .. } => {
                ErrorKind::InvalidInput
            }
            Self::NoHelper(_) | Self::Failed { .. } => ErrorKind::Io,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Start { source, .. } | Self::Io { source, .. } => ErrorKind::of_io(source),
        }
    }
}

/// A backend that does not work on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// The backend.
    pub backend: Backend,
    /// The reason.
    pub reason: Reason,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.backend, self.reason)
    }
}

/// The reason why a backend does not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Its program is not installed.
    #[error("needs the program `{program}`, which is not installed")]
    Missing {
        /// The program.
        program: &'static str,
    },
    /// A setting of the kernel forbids user namespaces.
    #[error("needs user namespaces, which `{setting} = {value}` forbids")]
    UserNamespaces {
        /// The name for `sysctl`.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// The program failed to create the sandbox.
    #[error("does not start: {message}")]
    Setup {
        /// Its message.
        message: String,
    },
    /// The kernel lacks what the backend is built on.
    #[error("needs Landlock of Linux 6.2 or newer, which this kernel does not offer")]
    NoLandlock,
    /// No service manager answers.
    #[error("needs a service manager, and systemd does not manage this session")]
    NoManager,
    /// It does not isolate everything, and the caller has not accepted that.
    #[error("does not prevent that {}", gaps(.0))]
    Gaps(Vec<Gap>),
}

/// Something that a backend does not isolate on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Gap {
    /// The command can send signals to other processes of the same user, and change their limits.
    Signals,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signals => "the command sends signals to other processes of its user",
        })
    }
}

fn gaps(gaps: &[Gap]) -> String {
    let gaps: Vec<String> = gaps.iter().map(Gap::to_string).collect();
    gaps.join(", and that ")
}

fn list(reasons: &[Unavailable]) -> String {
    let reasons: Vec<String> = reasons.iter().map(Unavailable::to_string).collect();
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_reason_of_each_backend() {
        let unavailable = |backend, reason| Unavailable { backend, reason };
        let error = SandboxError::NoBackend {
            reasons: vec![
                unavailable(
                    Backend::Bwrap,
                    Reason::UserNamespaces {
                        setting: "user.max_user_namespaces",
                        value: "0".to_owned(),
                    },
                ),
                unavailable(Backend::Systemd, Reason::NoManager),
                unavailable(Backend::Landlock, Reason::Gaps(vec![Gap::Signals])),
            ],
        };
        insta::assert_snapshot!(error, @"no sandbox works on this machine: bwrap needs user namespaces, which `user.max_user_namespaces = 0` forbids; systemd needs a service manager, and systemd does not manage this session; landlock does not prevent that the command sends signals to other processes of its user");
    }
}
