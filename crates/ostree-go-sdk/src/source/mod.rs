//! Go SDKs as they are distributed: archives, directories, download sites, modules, packages.
//!
//! [`open`](open::open) finds a source's bytes and checks their digest, [`Source::read`]
//! goes through them once. Nothing is ever unpacked to disk. Where files can be reached in any
//! order, their contents may be read [`Later`], by many threads.

mod content;
mod directory;
mod error;
mod later;
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

pub use error::{EntryProblem, SourceError};
pub(crate) use later::Later;
pub use rpm::RpmProblem;
use tree::Tree;

use crate::fs::path::TreePath;
use crate::id::Sha256;

/// The form a source's content is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// A gzip-compressed tar archive.
    TarGz,
    /// A zip archive, of the module form or not.
    Zip,
    /// A directory.
    Directory,
    /// RPMs of a distribution.
    Rpm,
}

impl Form {
    /// A stable lower-case word for programs and metadata.
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

/// What is known of a source before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceInfo {
    /// The file's name, or the URL without credentials. Never a local path. Of RPMs, all names
    /// with `, ` between them.
    pub name: String,
    /// The form of the content.
    pub form: Form,
    /// The archive's digest. Of several RPMs, that of the sorted list of theirs, in hexadecimal,
    /// a line each.
    pub sha256: Option<Sha256>,
    /// The archive's size in bytes. Of RPMs, their sum.
    pub size: Option<u64>,
}

/// How much a source may hold.
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
    /// Sets how many files and folders there may be. Default: 200,000. Go 1.26 has 16,000.
    #[must_use]
    pub fn entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }

    /// Sets how many bytes all files together may have. Default: 4 GiB. Go 1.26 has 0.25.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}

/// A source that has been found and whose digest has been checked.
#[derive(Debug)]
pub(crate) struct Source {
    pub info: SourceInfo,
    /// What errors call it: a path, or a URL without credentials.
    location: String,
    /// The folder of the module that is expected, should it be of the module form.
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

/// A part of a tree. Folders are not mentioned: one is there because something is in it.
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
    /// A second name of a file that came before.
    HardLink { path: TreePath, target: TreePath },
}

/// The content of a file: exactly as many bytes as its size says. If they cannot be had, that
/// is what the reader of the source says, whatever was made of the bytes that came.
pub(crate) enum FileContent<'a> {
    /// A piece of a stream, to be read before the visit ends.
    Now(&'a mut dyn Read),
    /// To be read at any time, on any thread.
    Later(Later),
}

impl FileContent<'_> {
    /// Hands the bytes to `use_bytes`.
    pub(crate) fn read<R, E: From<SourceError>>(
        self,
        use_bytes: impl FnOnce(&mut dyn Read) -> Result<R, E>,
    ) -> Result<R, E> {
        match self {
            Self::Now(content) => use_bytes(content),
            Self::Later(later) => later.read(use_bytes),
        }
    }
}

/// Takes one entry after the other; an error ends the reading.
pub(crate) type Visit<'a, E> = &'a mut dyn FnMut(Entry<'_>) -> Result<(), E>;

impl Source {
    /// The digests of the files that it is read from.
    pub fn digests(&self) -> Vec<Sha256> {
        match &self.body {
            Body::Rpm(packages) => packages.sha256(),
            _ => self.info.sha256.into_iter().collect(),
        }
    }

    /// Goes through all entries, without the archive's top folder. `_go.mod` is named
    /// `go.mod` again in the module form.
    ///
    /// Only when this returns without an error, and so did every [`Later`] that came, has the
    /// whole source been checked: what was visited until then must not be used on its own.
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
