//! Answers to the requests of clients.

use super::alert::AlertKind;
use super::toolchains::Toolchains;
use crate::http::HttpError;
use crate::kind::ErrorKind;
use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

/// The content of an answer with status 200. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub content_type: &'static str,
    pub content: Content,
}

/// The bytes of an answer.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Bytes(Arc<[u8]>),
    /// A verified file with its size in bytes.
    File(Arc<File>, u64),
    /// The zip file of a version of `golang.org/toolchain`, which is written while it is sent.
    Toolchain {
        toolchains: Arc<Toolchains>,
        version: Arc<str>,
        /// The size in bytes.
        size: u64,
    },
}

impl Content {
    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, size) | Self::Toolchain { size, .. } => *size,
        }
    }
}

/// An answer with another status than 200. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub status: u16,
    pub message: Arc<str>,
}

/// The result of a request.
pub(super) type Answer = Result<Found, Refusal>;

/// The reason why nothing is served.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request is answered with status 403, and causes an alert.
    Block(Box<Block>),
    /// The request is answered with another status.
    Refusal(Refusal),
}

/// The reason for status 403.
#[derive(Debug)]
pub(super) struct Block {
    pub kind: AlertKind,
    pub message: String,
    pub expected: Option<String>,
    pub found: Option<String>,
    pub evidence: Option<PathBuf>,
}

impl Block {
    pub fn new(kind: AlertKind, message: String) -> Self {
        Self {
            kind,
            message,
            expected: None,
            found: None,
            evidence: None,
        }
    }
}

impl From<Block> for Failure {
    fn from(block: Block) -> Self {
        Self::Block(Box::new(block))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl Found {
    pub fn json(bytes: Vec<u8>) -> Self {
        Self::bytes("application/json", bytes)
    }

    pub fn text(bytes: Vec<u8>) -> Self {
        Self::bytes("text/plain; charset=utf-8", bytes)
    }

    /// An answer of a checksum database.
    pub fn opaque(bytes: Vec<u8>) -> Self {
        Self::bytes("application/octet-stream", bytes)
    }

    pub fn zip(file: Arc<File>, size: u64) -> Self {
        Self {
            content_type: "application/zip",
            content: Content::File(file, size),
        }
    }

    fn bytes(content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            content_type,
            content: Content::Bytes(bytes.into()),
        }
    }
}

impl Refusal {
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into().into(),
        }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }

    /// An upstream proxy failed. "Not found" is passed on, so that the client asks the next proxy of its list.
    pub fn upstream(error: &HttpError) -> Self {
        let status = match error.kind() {
            ErrorKind::NotFound => 404,
            _ if error.is_timeout() || matches!(error, HttpError::TooSlow { .. }) => 504,
            ErrorKind::Cancelled => 503,
            ErrorKind::DiskFull => 507,
            _ => 502,
        };
        Self::new(status, with_causes(error))
    }
}

/// Returns the message of an error and of its causes.
pub(super) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}
