//! Kinds of errors, for programs.

/// The kind of an error, for matching in programs, for JSON output, and for labels of metrics.
///
/// The words of [`ErrorKind::as_str`] are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A requested file, ref, release or repository does not exist.
    NotFound,
    /// A treefile, version, ref or other input is invalid.
    InvalidInput,
    /// The digest, hash or version of a source differs from the pinned one.
    Mismatch,
    /// An archive is truncated or damaged, or violates the rules of its format.
    Corrupt,
    /// An archive contains something that is not allowed in an SDK: a path outside of the tree, a
    /// device, or a decompression bomb.
    UnsafeContent,
    /// Two layers contain the same path with different content, or a path is not in any layer.
    LayerConflict,
    /// A ref that must not move would have to move, or the summary names another commit for a ref
    /// than the repository.
    RefConflict,
    /// The directory is not an OSTree repository, or not a usable one.
    InvalidRepo,
    /// The operating system or a server denied access.
    PermissionDenied,
    /// The disk is full.
    DiskFull,
    /// A server could not be reached, or responded with an error.
    Network,
    /// Another process holds a lock.
    Locked,
    /// The clock of this machine is behind, so that a signature cannot be verified.
    Clock,
    /// The operation was cancelled.
    Cancelled,
    /// Objects in a repository are damaged or missing. The stable word is `drift`.
    Damaged,
    /// Reading or writing failed for another reason.
    Io,
}

impl ErrorKind {
    /// Returns the kind as a stable lower-case word, such as `not-found`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::InvalidInput => "invalid-input",
            Self::Mismatch => "mismatch",
            Self::Corrupt => "corrupt",
            Self::UnsafeContent => "unsafe-content",
            Self::LayerConflict => "layer-conflict",
            Self::RefConflict => "ref-conflict",
            Self::InvalidRepo => "invalid-repo",
            Self::PermissionDenied => "permission-denied",
            Self::DiskFull => "disk-full",
            Self::Network => "network",
            Self::Locked => "locked",
            Self::Clock => "clock",
            Self::Cancelled => "cancelled",
            Self::Damaged => "drift",
            Self::Io => "io",
        }
    }

    /// Returns true if the same call may succeed later without a change on this machine (network
    /// errors, locks), after space was freed (full disk), or after the clock was set.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::Network | Self::Locked | Self::DiskFull | Self::Clock
        )
    }

    /// Returns the kind of a failed system call.
    #[must_use]
    pub fn of_io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        match error.kind() {
            Io::NotFound | Io::NotADirectory => Self::NotFound,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => Self::PermissionDenied,
            Io::StorageFull | Io::QuotaExceeded => Self::DiskFull,
            Io::ConnectionRefused
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::TimedOut => Self::Network,
            Io::UnexpectedEof | Io::InvalidData => Self::Corrupt,
            _ => Self::Io,
        }
    }
}
