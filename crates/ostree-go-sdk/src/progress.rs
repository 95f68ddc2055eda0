//! How long work tells its caller what it does, and hears that it should stop.

use crate::arch::Arch;
use std::time::Duration;

/// What is being worked on. Each has an amount done and, where known, a total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Fetching a source, in bytes.
    Download,
    /// Checking the digest of a source, in bytes.
    Verify,
    /// Reading a source into objects, in bytes of the source's files.
    Write,
    /// Checking objects of a repository, in objects.
    Fsck,
    /// Making static deltas, in bytes of the objects that they give.
    Delta,
    /// Fetching commits from a remote, in bytes.
    Pull,
    /// Writing a release in another form, in bytes of its files.
    Export,
    /// Sending a blob to a registry, in bytes.
    Push,
}

impl Phase {
    /// A stable lower-case word for programs.
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
        }
    }

    /// Whether amounts are bytes (else they are objects).
    #[must_use]
    pub const fn counts_bytes(self) -> bool {
        !matches!(self, Self::Fsck)
    }
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// `done` of `total` of a phase's work on `item` is finished.
    Advanced {
        /// The kind of work.
        phase: Phase,
        /// What is worked on: a file name, a URL without its credentials, a release.
        item: &'a str,
        /// The amount done so far, from the start of this phase.
        done: u64,
        /// The whole amount, where it is known.
        total: Option<u64>,
    },
    /// A phase's work on `item` has ended, well or not.
    Finished {
        /// The kind of work.
        phase: Phase,
        /// What was worked on.
        item: &'a str,
    },
    /// A source could not be used and the next one is tried.
    SourceSkipped {
        /// The source, as the treefile names it.
        source: &'a str,
        /// Why.
        reason: &'a dyn std::error::Error,
    },
    /// A request failed in a way worth another try.
    Retrying {
        /// The URL, without credentials.
        url: &'a str,
        /// The try that failed, from 1.
        attempt: u32,
        /// Why.
        reason: &'a dyn std::error::Error,
    },
    /// A pull that was part of an installation has ended.
    Downloaded {
        /// Bytes that came over the network.
        bytes: u64,
        /// How long it took.
        elapsed: Duration,
        /// Whether any part of a static delta was used.
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
        /// How many files are damaged.
        files: u64,
    },
    /// Another process holds a lock that is needed; the work waits.
    Waiting {
        /// The lock file.
        lock: &'a std::path::Path,
    },
}

/// Receives what happens, and may ask for a stop.
///
/// Called from several threads at once, and often: return quickly.
pub trait Progress: Send + Sync {
    /// Called for each event.
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// Whether the work should stop. It then ends with a `cancelled` error and leaves
    /// the repository as it was.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Hears nothing and never stops the work.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
