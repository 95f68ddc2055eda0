//! An entry of a source, as a visitor receives it.

use std::io::Read;

use super::deferred::DeferredContent;
use super::error::SourceError;
use crate::fs::path::TreePath;

/// An entry of a source. Folders are implied by their contents.
pub(crate) enum Entry<'a> {
    /// A regular file. Whether it is executable follows from its path
    /// ([`crate::golang::toolchain::is_executable`]).
    File {
        path: TreePath,
        size: u64,
        content: FileContent<'a>,
    },
    /// A symlink, whose target is relative and stays inside the tree.
    Symlink { path: TreePath, target: String },
    /// Another name of an earlier file.
    HardLink { path: TreePath, target: TreePath },
}

/// The content of a file. If fewer or more bytes are found than announced, reading the source
/// fails, whatever the visitor made of the bytes.
pub(crate) enum FileContent<'a> {
    /// Part of a stream, only available during the visit.
    Stream(&'a mut dyn Read),
    /// Available at any time, on any thread.
    Deferred(DeferredContent),
}

impl FileContent<'_> {
    /// Passes the bytes to `use_bytes`.
    pub(crate) fn read<R, E: From<SourceError>>(
        self,
        use_bytes: impl FnOnce(&mut dyn Read) -> Result<R, E>,
    ) -> Result<R, E> {
        match self {
            Self::Stream(content) => use_bytes(content),
            Self::Deferred(content) => content.read(use_bytes),
        }
    }
}

/// A callback for each entry; an error ends the reading.
pub(crate) type Visit<'a, E> = &'a mut dyn FnMut(Entry<'_>) -> Result<(), E>;
