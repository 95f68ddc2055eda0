//! What can go wrong in a download.

use std::io;
use std::path::PathBuf;

use super::url::InvalidUrl;
use crate::fs::cache::CacheError;
use crate::id::Sha256;
use crate::kind::ErrorKind;

/// Why something could not be downloaded. URLs are given without credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The URL cannot be used.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// The proxy that all requests go through is no URL.
    #[error("the HTTP proxy is not a valid URL, expected http://host:port")]
    Proxy,
    /// A certificate or key for TLS cannot be read.
    #[error("the {what} is not in PEM")]
    Pem {
        /// Which one.
        what: &'static str,
    },
    /// The server could not be reached, or the connection failed.
    #[error("cannot download {url}")]
    Request {
        /// What was asked for.
        url: String,
        /// What happened.
        source: ureq::Error,
    },
    /// The server's answer is not the file.
    #[error("cannot download {url}: the server answered with status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// An `https` URL leads to one without encryption.
    #[error("cannot download {url}: it redirects to an unencrypted address")]
    InsecureRedirect {
        /// What was asked for.
        url: String,
    },
    /// The connection ended early.
    #[error("cannot download {url}: the connection ended after {found} of {expected} bytes")]
    Truncated {
        /// What was asked for.
        url: String,
        /// The size the server announced.
        expected: u64,
        /// How much arrived.
        found: u64,
    },
    /// The server has sent too little for too long.
    #[error(
        "cannot download {url}: {found} bytes came in {seconds} seconds, expected at least {expected} a second"
    )]
    TooSlow {
        /// What was asked for.
        url: String,
        /// Bytes that came, by all requests that ran at the time.
        found: u64,
        /// In how many seconds.
        seconds: u64,
        /// The least rate in bytes a second.
        expected: u64,
    },
    /// The download cannot be buffered on the disk.
    #[error("cannot buffer the download of {url} on the disk")]
    Spool {
        /// What was asked for.
        url: String,
        /// What happened.
        source: io::Error,
    },
    /// The end of the file cannot be told from a broken connection, and no digest is known.
    #[error("cannot download {url}: the server does not say how large it is")]
    NoLength {
        /// What was asked for.
        url: String,
    },
    /// The server sent another part of the file than the one asked for.
    #[error(
        "cannot download {url}: the server sent another range than the one from byte {expected}"
    )]
    Range {
        /// What was asked for.
        url: String,
        /// The first byte asked for.
        expected: u64,
    },
    /// The file is larger than allowed.
    #[error("cannot download {url}: it is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file has another digest.
    #[error("{url} has the SHA-256 {found}, expected {expected}")]
    Mismatch {
        /// What was asked for.
        url: String,
        /// The digest it should have.
        expected: Sha256,
        /// The digest it has.
        found: Sha256,
    },
    /// A `file` URL's file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The caller asked for a stop.
    #[error("stopped while downloading {url}")]
    Cancelled {
        /// What was asked for.
        url: String,
    },
}

impl HttpError {
    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Url(_) | Self::Proxy | Self::Pem { .. } => ErrorKind::InvalidInput,
            Self::Status {
                status: 404 | 410, ..
            } => ErrorKind::NotFound,
            // The request itself is refused, for lack of a certificate say; but for "too slow",
            // "too early" and "too many", the same one is refused again.
            Self::Status {
                status: 400..=407 | 409..=424 | 426..=428 | 430..=499,
                ..
            } => ErrorKind::PermissionDenied,
            Self::Request { .. }
            | Self::Status { .. }
            | Self::InsecureRedirect { .. }
            | Self::Truncated { .. }
            | Self::TooSlow { .. }
            | Self::NoLength { .. }
            | Self::Range { .. } => ErrorKind::Network,
            Self::TooLarge { .. } => ErrorKind::UnsafeContent,
            Self::Mismatch { .. } => ErrorKind::Mismatch,
            Self::File { source, .. } | Self::Spool { source, .. } => ErrorKind::of_io(source),
            Self::Cache(error) => error.kind(),
            Self::Cancelled { .. } => ErrorKind::Cancelled,
        }
    }

    /// Whether the server has sent nothing for too long.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::Request {
                source: ureq::Error::Timeout(_),
                ..
            }
        )
    }

    /// Whether the server's certificate is not believed.
    #[must_use]
    pub fn is_distrust(&self) -> bool {
        matches!(self, Self::Request { source, .. } if distrusts(source))
    }

    /// Whether the same request may succeed a moment later.
    pub(crate) fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Status { status, .. } => status_passes(*status),
            Self::Truncated { .. } | Self::TooSlow { .. } | Self::Range { .. } => true,
            Self::Request { source, .. } => transport_passes(source),
            _ => false,
        }
    }
}

/// Whether a server that answers so may answer otherwise a moment later.
pub(crate) fn status_passes(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

/// Whether a connection failed because the server's certificate is not believed. (`rustls` is
/// behind `ureq`, which has its errors as text.)
pub(crate) fn distrusts(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(error) if error.to_string().contains("peer certificate"))
}

/// Whether a connection that failed so may hold a moment later.
pub(crate) fn transport_passes(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Timeout(_) => true,
        ureq::Error::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::TimedOut
                | io::ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}
