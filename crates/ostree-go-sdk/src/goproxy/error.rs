//! Errors of a module proxy that concern all of its requests.

use super::policy_file::PolicyError;
use crate::fs::context::from_io_failure;
use crate::golang::proxy::InvalidProxyList;
use crate::http::HttpError;
use crate::kind::ErrorKind;
use crate::upstream::UpstreamError;
use std::io;
use std::path::PathBuf;

/// The reason why a module proxy cannot be started, or has ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoProxyError {
    /// The policy is refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A list of upstream proxies is invalid.
    #[error(transparent)]
    List(#[from] InvalidProxyList),
    /// A list of upstream proxies has no proxy.
    #[error("the list of upstream proxies `{list}` has no proxy, expected at least one URL")]
    NoProxy {
        /// The list.
        list: String,
    },
    /// The key of the checksum database is malformed.
    #[error(
        "`{}` is not the key of a checksum database, expected the form NAME+HASH+KEY",
        found.escape_debug()
    )]
    Key {
        /// The text.
        found: String,
    },
    /// The checksum database cannot be used.
    #[error(transparent)]
    Database(#[from] Box<UpstreamError>),
    /// The options of HTTP requests, or a URL, are invalid.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// The error of the system.
        source: io::Error,
    },
    /// A socket cannot be used.
    #[error("cannot accept connections")]
    Socket(#[source] io::Error),
    /// The threads of the server cannot be started.
    #[error("cannot start the threads of the server")]
    Runtime(#[source] io::Error),
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
}

from_io_failure!(GoProxyError);

impl GoProxyError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Policy(error) => error.kind(),
            Self::List(error) => error.kind(),
            Self::NoProxy { .. } | Self::Key { .. } => ErrorKind::InvalidInput,
            Self::Database(error) => error.kind(),
            Self::Http(error) => error.kind(),
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => ErrorKind::Locked,
                io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
                _ => ErrorKind::InvalidInput,
            },
            Self::Socket(source) | Self::Runtime(source) | Self::Io { source, .. } => {
                ErrorKind::of_io(source)
            }
        }
    }
}
