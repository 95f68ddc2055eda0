//! Why a registry did not do what it was asked.

use super::ImageReference;
use crate::http::{HttpError, distrusts, status_passes, transport_passes};
use crate::kind::ErrorKind;

/// Why a registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// It could not be reached, or the connection broke.
    #[error("cannot {action} {image}: no answer from {url}")]
    Unreachable {
        /// What was tried.
        action: &'static str,
        /// The image.
        image: Box<ImageReference>,
        /// What was asked, without credentials.
        url: String,
        /// What happened.
        source: ureq::Error,
    },
    /// It answered that it will not, or cannot.
    #[error("cannot {action} {image}: the registry answered with status {status}{message}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// The image.
        image: Box<ImageReference>,
        /// The HTTP status.
        status: u16,
        /// The errors in its answer, each after `: `.
        message: String,
    },
    /// Its answer is not what the protocol has.
    #[error("cannot {action} {image}: the registry's answer has no {missing}")]
    Protocol {
        /// What was tried.
        action: &'static str,
        /// The image.
        image: Box<ImageReference>,
        /// What was expected in it.
        missing: &'static str,
    },
    /// It has something else than what was sent.
    #[error("cannot {action} {image}: the registry has the digest {found}, expected {expected}")]
    Digest {
        /// What was tried.
        action: &'static str,
        /// The image.
        image: Box<ImageReference>,
        /// The digest that was sent.
        expected: String,
        /// The digest that the registry says.
        found: String,
    },
    /// Something about the request itself.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl RegistryError {
    /// The kind of the error.
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

    /// Whether the registry's certificate is not believed.
    #[must_use]
    pub fn is_distrust(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => distrusts(source),
            Self::Http(error) => error.is_distrust(),
            _ => false,
        }
    }

    /// Whether the registry has sent nothing for too long.
    pub(crate) fn is_timeout(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => matches!(source, ureq::Error::Timeout(_)),
            Self::Http(error) => error.is_timeout(),
            _ => false,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub(super) fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => transport_passes(source),
            Self::Refused { status, .. } => status_passes(*status),
            Self::Http(error) => error.is_worth_a_retry(),
            _ => false,
        }
    }
}
