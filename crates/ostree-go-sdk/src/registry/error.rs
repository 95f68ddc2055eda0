//! Errors of requests to registries.

use super::ImageReference;
use crate::http::{HttpError, Transient, TransportError, is_transient_status};
use crate::kind::ErrorKind;
use std::time::Duration;

/// An error of a request to a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry could not be reached, or the connection failed.
    #[error("cannot {action} {image}: no answer from {url}")]
    Unreachable {
        /// The action: `pull` or `push`.
        action: &'static str,
        /// The image.
        image: Box<ImageReference>,
        /// The requested URL, without credentials.
        url: String,
        /// The underlying error.
        source: TransportError,
    },
    /// The registry answered with an error status.
    #[error("cannot {action} {image}: the registry answered with status {status}{message}")]
    Refused {
        /// The action: `pull` or `push`.
        action: &'static str,
        /// The image.
        image: Box<ImageReference>,
        /// The HTTP status.
        status: u16,
        /// The errors in its response, each after `: `.
        message: String,
        /// The time that the registry asks to wait before the next request (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The response does not follow the protocol.
    #[error("cannot {action} {image}: the registry's answer has no {missing}")]
    Protocol {
        /// The action: `pull` or `push`.
        action: &'static str,
        /// The image.
        image: Box<ImageReference>,
        /// The missing element.
        missing: &'static str,
    },
    /// The registry stored other content than was sent.
    #[error("cannot {action} {image}: the registry has the digest {found}, expected {expected}")]
    Digest {
        /// The action: `pull` or `push`.
        action: &'static str,
        /// The image.
        image: Box<ImageReference>,
        /// The digest that was sent.
        expected: String,
        /// The digest according to the registry.
        found: String,
    },
    /// The request itself failed.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl RegistryError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { status, .. } => match status {
                401 | 403 | 407 => ErrorKind::PermissionDenied,
                404 | 410 => ErrorKind::NotFound,
                _ => ErrorKind::Network,
            },
            Self::Unreachable { .. } | Self::Protocol { .. } => ErrorKind::Network,
            Self::Digest { .. } => ErrorKind::Mismatch,
            Self::Http(error) => error.kind(),
        }
    }

    /// Returns true if the registry's certificate is not trusted.
    #[must_use]
    pub fn is_certificate_error(&self) -> bool {
        let transport = self.transport();
        transport.is_some_and(TransportError::is_certificate_error)
    }

    /// Returns the reason why a connection failed.
    #[must_use]
    pub fn transport(&self) -> Option<&TransportError> {
        match self {
            Self::Unreachable { source, .. } => Some(source),
            Self::Http(error) => error.transport(),
            _ => None,
        }
    }

    /// Returns true if the registry sent nothing for too long.
    pub(crate) fn is_timeout(&self) -> bool {
        self.transport().is_some_and(TransportError::is_timeout)
    }
}

impl Transient for RegistryError {
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Http(error) => error.retry_after(),
            _ => None,
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_transient(),
            Self::Refused { status, .. } => is_transient_status(*status),
            Self::Http(error) => error.is_transient(),
            _ => false,
        }
    }
}
