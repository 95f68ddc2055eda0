//! What went wrong, as programs match it.

/// The kind of an error: what programs match, what JSON shows and what metrics label.
///
/// The words of [`ErrorKind::as_str`] are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file, ref, release or repository that was named does not exist.
    NotFound,
    /// A treefile, version, ref or other input is not well-formed.
    InvalidInput,
    /// A source's digest, hash or version is not what was pinned.
    Mismatch,
    /// An archive is truncated or damaged, or a format's rules are broken.
    Corrupt,
    /// An archive holds what no SDK may hold: a path out of the tree, a device, a bomb.
    UnsafeContent,
    /// Two layers hold one path with different content, or a path is in no layer.
    LayerConflict,
    /// A ref that never moves would have to move.
    RefConflict,
    /// The directory is not an OSTree repository, or not a usable one.
    InvalidRepo,
    /// The operating system or a server refused access.
    PermissionDenied,
    /// The disk is full.
    DiskFull,
    /// A server could not be reached or answered with an error.
    Network,
    /// Another process holds a lock.
    Locked,
    /// The caller asked for a stop.
    Cancelled,
    /// Objects in a repository are damaged or missing.
    Drift,
    /// Reading or writing failed in another way.
    Io,
}

impl ErrorKind {
    /// The kind as a stable lower-case word: `not-found`.
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
            Self::Cancelled => "cancelled",
            Self::Drift => "drift",
            Self::Io => "io",
        }
    }

    /// Whether the same call may succeed later with nothing changed on this machine's side
    /// of it (network, locks) or after room was made (disk).
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Network | Self::Locked | Self::DiskFull)
    }

    /// The kind of a failed system call.
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
