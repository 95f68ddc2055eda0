//! Go SDKs as distributed: archives, directories, download sites, modules, packages.
//!
//! A source is located, its digest is checked, and it is read once. Nothing is unpacked to disk. If
//! its files can be accessed in any order, they are read on several threads.

mod content;
mod deferred;
mod directory;
pub(crate) mod download;
mod entry;
mod error;
mod limits;
mod meter;
pub(crate) mod module;
pub(crate) mod open;
mod proxies;
mod rpm;
mod targz;
#[cfg(test)]
mod tests;
mod tree;
pub(crate) mod zip;

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

pub(crate) use entry::{Entry, FileContent, Visit};
pub use error::{EntryProblem, SourceError};
pub use limits::Limits;
pub use rpm::RpmProblem;
use tree::Tree;

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

impl Source {
    /// Returns the digests of the files of the source.
    pub fn digests(&self) -> Vec<Sha256> {
        match &self.body {
            Body::Rpm(packages) => packages.sha256(),
            _ => self.info.sha256.into_iter().collect(),
        }
    }

    /// Returns the size of all files in bytes, as far as it can be found without reading them; it is
    /// an estimate for progress reports. For a `.tar.gz`, it includes the archive's own headers, a
    /// few percent.
    pub fn estimated_bytes(&self) -> Option<u64> {
        match &self.body {
            Body::TarGz(file) => targz::uncompressed_size(file),
            Body::Zip(file) => zip::uncompressed_size(file),
            Body::Directory(path) => directory::size(path),
            Body::Rpm(packages) => packages.estimated_bytes(),
        }
    }

    /// Visits all entries, with paths relative to the archive's top folder. In the module form,
    /// `_go.mod` is renamed to `go.mod`.
    ///
    /// The whole source has been checked only if this and every
    /// [`DeferredContent`](deferred::DeferredContent) were read without an error; until then the
    /// entries must not be used on their own.
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
