//! Go SDKs as distributed: archives, directories, download sites, modules, packages.
//!
//! [`open`](open::open) locates a source and checks its digest, and [`Source::read`] reads it once.
//! Nothing is unpacked to disk. If files can be accessed in any order, their contents may be
//! [deferred](DeferredContent) and read on several threads.

mod content;
mod deferred;
mod directory;
mod error;
mod meter;
pub(crate) mod open;
mod rpm;
mod targz;
#[cfg(test)]
mod tests;
mod tree;
mod zip;

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

pub(crate) use deferred::DeferredContent;
pub use error::{EntryProblem, SourceError};
pub use rpm::RpmProblem;
use tree::Tree;

use crate::fs::path::TreePath;
use crate::id::Sha256;

/// The form of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// A gzip-compressed tar archive.
    TarGz,
    /// A zip archive, of Go's module form or another.
    Zip,
    /// A directory.
    Directory,
    /// RPMs of a distribution.
    Rpm,
}

impl Form {
    /// Returns a stable lower-case word for programs and metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TarGz => "tar.gz",
            Self::Zip => "zip",
            Self::Directory => "directory",
            Self::Rpm => "rpm",
        }
    }
}

/// Information about a source before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceInfo {
    /// The file's name, or the URL without credentials; never a local path. For RPMs, all names,
    /// separated by `, `.
    pub name: String,
    /// The form of the content.
    pub form: Form,
    /// The archive's digest. For several RPMs, the digest of the sorted list of their digests in
    /// hexadecimal, one per line.
    pub sha256: Option<Sha256>,
    /// The archive's size in bytes. For RPMs, the sum of their sizes.
    pub size: Option<u64>,
}

/// Limits for the content of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    entries: u64,
    bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 200_000,
            bytes: 4 << 30,
        }
    }
}

impl Limits {
    /// Sets the maximum number of files and folders. Default: 200,000. Go 1.26 has 16,000.
    #[must_use]
    pub fn entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }

    /// Sets the maximum size of all files in bytes. Default: 4 GiB. Go 1.26 has 0.25 GiB.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}

/// A source that was located and whose digest was checked.
#[derive(Debug)]
pub(crate) struct Source {
    pub info: SourceInfo,
    /// The path, or the URL without credentials, for errors.
    location: String,
    /// The expected top folder if the source is of the module form.
    module: String,
    body: Body,
}

#[derive(Debug)]
enum Body {
    TarGz(File),
    Zip(File),
    Directory(PathBuf),
    Rpm(rpm::Packages),
}

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

impl Source {
    /// Returns the digests of the files of the source.
    pub fn digests(&self) -> Vec<Sha256> {
        match &self.body {
            Body::Rpm(packages) => packages.sha256(),
            _ => self.info.sha256.into_iter().collect(),
        }
    }

    /// Visits all entries, with paths relative to the archive's top folder. In the module form,
    /// `_go.mod` is renamed to `go.mod`.
    ///
    /// The whole source has been checked only if this and every [`DeferredContent`] were read
    /// without an error; until then the entries must not be used on their own.
    pub fn read<E: From<SourceError>>(self, limits: &Limits, visit: Visit<'_, E>) -> Result<(), E> {
        let tree = Tree::new(&self.location, *limits, &self.module);
        match self.body {
            Body::TarGz(file) => targz::read(BufReader::with_capacity(1 << 17, file), tree, visit),
            Body::Zip(file) => zip::read(file, tree, visit),
            Body::Directory(path) => directory::read(&path, tree.without_top(), visit),
            Body::Rpm(packages) => rpm::read(&packages, limits, visit),
        }
    }
}
