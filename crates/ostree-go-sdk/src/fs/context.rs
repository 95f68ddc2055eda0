//! Context for errors of the system.

use std::io;
use std::path::PathBuf;

/// A failed system call, with what was attempted on which path. `?` converts it to the variant `Io`
/// of the error enums that use [`from_io_failure`].
#[derive(Debug)]
pub(crate) struct IoFailure {
    /// The action that failed, as an infinitive.
    pub(crate) action: &'static str,
    /// The file or directory.
    pub(crate) path: PathBuf,
    /// The error of the system.
    pub(crate) source: io::Error,
}

impl IoFailure {
    pub(crate) fn new(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self {
            action,
            path: path.into(),
            source: source.into(),
        }
    }
}

/// Adds context to an error of the system.
pub(crate) trait IoContext<T> {
    /// Adds the action that failed, as an infinitive, and the file or directory.
    fn context(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, IoFailure>;
}

impl<T, E: Into<io::Error>> IoContext<T> for Result<T, E> {
    fn context(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T, IoFailure> {
        self.map_err(|error| IoFailure::new(action, path, error))
    }
}

/// Implements the conversion from [`IoFailure`] for an error enum: to its variant
/// `Io { action, path, source }`, or through the error in another variant.
macro_rules! from_io_failure {
    ($error:ident via $variant:ident($inner:ty)) => {
        impl From<$crate::fs::context::IoFailure> for $error {
            fn from(failure: $crate::fs::context::IoFailure) -> Self {
                Self::$variant(<$inner>::from(failure))
            }
        }
    };
    ($error:ident) => {
        impl From<$crate::fs::context::IoFailure> for $error {
            fn from(failure: $crate::fs::context::IoFailure) -> Self {
                Self::Io {
                    action: failure.action,
                    path: failure.path,
                    source: failure.source,
                }
            }
        }
    };
}

pub(crate) use from_io_failure;
