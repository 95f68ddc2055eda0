//! Errors of libostree.

use crate::kind::ErrorKind;

/// An error of libostree.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct OstreeError(glib::Error);

impl OstreeError {
    pub(crate) fn new(error: glib::Error) -> Self {
        Self(error)
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        kind_of_glib(&self.0)
    }
}

/// Returns the kind of an error of libostree.
pub(crate) fn kind_of_glib(error: &glib::Error) -> ErrorKind {
    use gio::IOErrorEnum as Io;
    // libostree has no error code for its limit on free space (`min-free-space-percent`).
    if error.message().contains("min-free-space") {
        return ErrorKind::DiskFull;
    }
    match error.kind::<Io>() {
        Some(Io::NoSpace) => ErrorKind::DiskFull,
        Some(Io::PermissionDenied | Io::ReadOnly) => ErrorKind::PermissionDenied,
        Some(Io::NotFound) => ErrorKind::NotFound,
        Some(Io::WouldBlock | Io::Busy) => ErrorKind::Locked,
        Some(Io::Cancelled) => ErrorKind::Cancelled,
        _ => ErrorKind::Io,
    }
}
