//! Errors of HTTP requests.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::transport_error::TransportError;
use super::url::InvalidUrl;
use crate::fs::cache::CacheError;
use crate::id::Sha256;
use crate::kind::ErrorKind;

/// An error of an HTTP request or download. URLs are shown without credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The URL is invalid.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// The URL of the proxy is invalid.
    #[error("the HTTP proxy is not a valid URL, expected http://host:port")]
    Proxy,
    /// A certificate or key for TLS is not in PEM.
    #[error("the {what} is not in PEM")]
    Pem {
        /// The certificate or key.
        what: &'static str,
    },
    /// The server could not be reached, or the connection failed.
    #[error("cannot download {url}")]
    Request {
        /// The requested URL.
        url: String,
        /// The underlying error.
        source: TransportError,
    },
    /// The server answered with another status than success.
    #[error("cannot download {url}: the server answered with status {status}")]
    Status {
        /// The requested URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The time that the server asks to wait before the next request (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// An `https` URL redirects to an unencrypted one.
    #[error("cannot download {url}: it redirects to an unencrypted address")]
    InsecureRedirect {
        /// The requested URL.
        url: String,
    },
    /// The URL that a redirect leads to is invalid.
    #[error(
        "cannot download {url}: it redirects to `{}`, expected an http:// or https:// URL",
        found.escape_debug()
    )]
    Redirect {
        /// The requested URL.
        url: String,
        /// The invalid URL, without credentials.
        found: String,
    },
    /// The server sent a web page, as login pages of networks (captive portals) and servers do that
    /// answer every request with the same page.
    #[error("cannot download {url}: this is a web page, not the requested file")]
    WebPage {
        /// The requested URL.
        url: String,
    },
    /// The connection ended early.
    #[error("cannot download {url}: the connection ended after {found} of {expected} bytes")]
    Truncated {
        /// The requested URL.
        url: String,
        /// The size in bytes that the server announced.
        expected: u64,
        /// The number of bytes that were received.
        found: u64,
    },
    /// The server sent data below the minimum rate.
    #[error(
        "cannot download {url}: {found} bytes were received in {seconds} seconds, expected at least {expected} per second"
    )]
    TooSlow {
        /// The requested URL.
        url: String,
        /// The number of bytes that all concurrent requests received.
        found: u64,
        /// The time in seconds.
        seconds: u64,
        /// The minimum rate in bytes per second.
        expected: u64,
    },
    /// The download cannot be buffered on the disk.
    #[error("cannot buffer the download of {url} on the disk")]
    Spool {
        /// The requested URL.
        url: String,
        /// The underlying error.
        source: io::Error,
    },
    /// The server announced no size, so that a broken connection could not be detected, and no
    /// digest is known.
    #[error("cannot download {url}: the server does not announce its size")]
    NoLength {
        /// The requested URL.
        url: String,
    },
    /// The server sent another part of the file than the requested one.
    #[error(
        "cannot download {url}: the server sent a range that does not start at byte {expected}"
    )]
    Range {
        /// The requested URL.
        url: String,
        /// The first requested byte.
        expected: u64,
    },
    /// The file is larger than allowed.
    #[error("cannot download {url}: it is larger than {limit} bytes")]
    TooLarge {
        /// The requested URL.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file has another digest.
    #[error("{url} has the SHA-256 {found}, expected {expected}")]
    Mismatch {
        /// The requested URL.
        url: String,
        /// The expected digest.
        expected: Sha256,
        /// The actual digest.
        found: Sha256,
    },
    /// The file of a `file` URL cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The underlying error.
        source: io::Error,
    },
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The caller cancelled the download.
    #[error("stopped while downloading {url}")]
    Cancelled {
        /// The requested URL.
        url: String,
    },
}

impl HttpError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Url(_) | Self::Proxy | Self::Pem { .. } => ErrorKind::InvalidInput,
            Self::Status {
                status: 404 | 410, ..
            } => ErrorKind::NotFound,
            // The server refuses the request itself, for example without a client certificate. 408,
            // 425 and 429 ("too slow", "too early" and "too many") are excluded, because the same
            // request may succeed later.
            Self::Status {
                status: 400..=407 | 409..=424 | 426..=428 | 430..=499,
                ..
            } => ErrorKind::PermissionDenied,
            Self::Request { .. }
            | Self::Status { .. }
            | Self::InsecureRedirect { .. }
            | Self::Redirect { .. }
            | Self::WebPage { .. }
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

    /// Returns true if the server sent nothing for too long.
    pub(crate) fn is_timeout(&self) -> bool {
        self.transport().is_some_and(TransportError::is_timeout)
    }

    /// Returns true if the server's certificate is not trusted.
    #[must_use]
    pub fn is_certificate_error(&self) -> bool {
        let transport = self.transport();
        transport.is_some_and(TransportError::is_certificate_error)
    }

    /// Returns the reason why a connection failed.
    #[must_use]
    pub fn transport(&self) -> Option<&TransportError> {
        match self {
            Self::Request { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// An error after which a request may be repeated.
pub(crate) trait Transient: Error + From<HttpError> {
    /// Returns true if the same request may succeed when it is repeated.
    fn is_transient(&self) -> bool;

    /// Returns the time that the server asks to wait before the next request.
    fn retry_after(&self) -> Option<Duration>;
}

impl Transient for HttpError {
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => is_transient_status(*status),
            Self::Truncated { .. } | Self::TooSlow { .. } | Self::Range { .. } => true,
            Self::Request { source, .. } => source.is_transient(),
            _ => false,
        }
    }
}

/// Returns true if a request with this status may succeed when it is repeated.
pub(crate) fn is_transient_status(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}
