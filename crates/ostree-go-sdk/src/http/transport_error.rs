//! Failures of connections.

use std::error::Error;
use std::fmt;
use std::io;

/// The reason why a connection failed, or a response could not be read.
#[derive(Debug)]
pub struct TransportError(ureq::Error);

impl TransportError {
    pub(crate) const fn new(error: ureq::Error) -> Self {
        Self(error)
    }

    /// Returns true if the server sent nothing for too long.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0, ureq::Error::Timeout(_))
    }

    /// Returns true if the server's certificate is not trusted.
    #[must_use]
    pub fn is_certificate_error(&self) -> bool {
        // The message is matched because `ureq` does not expose the errors of `rustls`.
        self.io_message_contains("peer certificate")
    }

    /// Returns true if the server's answer to an encrypted connection was not encrypted.
    #[must_use]
    pub fn is_unencrypted_answer(&self) -> bool {
        self.io_message_contains("InvalidContentType")
    }

    /// Returns the status with which the HTTP proxy refused to connect to the server of an `https`
    /// URL.
    #[must_use]
    pub fn proxy_status(&self) -> Option<u16> {
        let ureq::Error::ConnectProxyFailed(reason) = &self.0 else {
            return None;
        };
        // The message is `proxy server responded 403/403`.
        reason.rsplit('/').next()?.parse().ok()
    }

    /// Returns true if the connection ended before the response did.
    pub(super) fn is_unexpected_end(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::UnexpectedEof)
    }

    /// Returns true if the same request may succeed when it is repeated.
    pub(crate) fn is_transient(&self) -> bool {
        let is_interruption = matches!(
            self.io_kind(),
            Some(
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::UnexpectedEof
            )
        );
        self.is_timeout() || is_interruption
    }

    fn io_kind(&self) -> Option<io::ErrorKind> {
        match &self.0 {
            ureq::Error::Io(error) => Some(error.kind()),
            _ => None,
        }
    }

    fn io_message_contains(&self, text: &str) -> bool {
        matches!(&self.0, ureq::Error::Io(error) if error.to_string().contains(text))
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unencrypted_answer() {
            return f.write_str("the server's answer is not encrypted, expected TLS");
        }
        match self.proxy_status() {
            Some(status) => write!(
                f,
                "the HTTP proxy refused to connect to the server, with status {status}"
            ),
            None => self.0.fmt(f),
        }
    }
}

impl Error for TransportError {}
