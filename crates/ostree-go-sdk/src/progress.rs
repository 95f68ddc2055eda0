//! Progress reports and cancellation of long operations.

use crate::arch::Arch;
use std::fmt;
use std::time::Duration;

/// A phase of an operation, with an amount done and, if known, a total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Downloading a source, in bytes.
    Download,
    /// Checking the digest of a source, in bytes.
    Verify,
    /// Writing a source as objects, in bytes of the source's files.
    Write,
    /// Checking objects of a repository, in objects.
    Fsck,
    /// Generating static deltas, in bytes of the resulting objects.
    Delta,
    /// Fetching commits from a remote, in bytes.
    Pull,
    /// Exporting a release, in bytes of its files.
    Export,
    /// Pushing a blob to a registry, in bytes.
    Push,
    /// Compiling the standard library of an SDK, in runs of the go command.
    Compile,
    /// Reading the entries of a vulnerability database, in entries.
    Audit,
}

impl Phase {
    /// Returns a stable lower-case word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Verify => "verify",
            Self::Write => "write",
            Self::Fsck => "fsck",
            Self::Delta => "delta",
            Self::Pull => "pull",
            Self::Export => "export",
            Self::Push => "push",
            Self::Compile => "compile",
            Self::Audit => "audit",
        }
    }

    /// Returns whether amounts are bytes.
    #[must_use]
    pub const fn counts_bytes(self) -> bool {
        !matches!(self, Self::Fsck | Self::Compile | Self::Audit)
    }

    /// Returns what amounts count, as a stable lower-case word: `bytes`, `objects`, `steps` or
    /// `entries`.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Fsck => "objects",
            Self::Compile => "steps",
            Self::Audit => "entries",
            _ => "bytes",
        }
    }
}

/// An event of an operation.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A phase has advanced to `done` of `total` for `item`.
    Advanced {
        /// The phase.
        phase: Phase,
        /// The subject: a file name, a URL without credentials, a release.
        item: &'a str,
        /// The amount done since the start of the phase.
        done: u64,
        /// The total amount, if known. For [`Phase::Write`] it is an estimate, which can be a few
        /// percent too large; it is never less than `done`.
        total: Option<u64>,
    },
    /// A phase has ended for `item`, successfully or not.
    Finished {
        /// The phase.
        phase: Phase,
        /// The subject.
        item: &'a str,
    },
    /// A source cannot be used, and the next one is tried.
    SourceSkipped {
        /// The source, as in the treefile.
        source: &'a str,
        /// The error.
        reason: &'a dyn std::error::Error,
    },
    /// A request failed and is retried.
    Retrying {
        /// The URL, without credentials.
        url: &'a str,
        /// The number of the failed attempt, from 1.
        attempt: u32,
        /// The error.
        reason: &'a dyn std::error::Error,
    },
    /// A pull that was part of an installation has ended.
    Downloaded {
        /// Bytes that came over the network.
        bytes: u64,
        /// Duration of the transfer.
        elapsed: Duration,
        /// True if at least one part of a static delta was used.
        used_delta: bool,
    },
    /// The active deployment, which is about to be replaced, is damaged.
    ActiveDamaged {
        /// Its version, without `go`.
        version: &'a str,
        /// The machine it is for.
        arch: Arch,
        /// The first damaged file, with what is wrong with it.
        first: &'a str,
        /// Number of damaged files.
        files: u64,
    },
    /// A hook is started after a deployment.
    HookStarted {
        /// The name of the hook.
        name: &'a str,
    },
    /// A hook has ended, and has written a line. Lines before its last 64 KiB are left out.
    HookOutput {
        /// The name of the hook.
        name: &'a str,
        /// The line.
        line: &'a str,
    },
    /// The operation waits for a lock that another process holds.
    Waiting {
        /// The path of the lock file.
        lock: &'a std::path::Path,
    },
}

/// The interval at which a thread that waits checks for cancellation.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Receives progress events, and can cancel the operation.
///
/// Called from several threads at once, and often: return quickly.
pub trait Progress: Send + Sync {
    /// Handles an event.
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Returns whether to cancel the operation. It then returns a `cancelled` error and leaves
    /// the repository unchanged.
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl fmt::Debug for dyn Progress + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Ignores all events and never cancels.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}
