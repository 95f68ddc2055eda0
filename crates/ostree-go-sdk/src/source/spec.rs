//! Where an SDK comes from, and what it must be.

use std::path::PathBuf;

use crate::{H1, Sha256};

/// A place to take an SDK from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// A `.tar.gz`, a `.zip` or a directory on this machine.
    Path(PathBuf),
    /// A `.tar.gz` or a `.zip` behind an `http`, `https` or `file` URL.
    Url {
        /// The URL.
        url: String,
        /// The file's digest.
        sha256: Option<Sha256>,
    },
    /// A download site with Go's index.
    Index {
        /// The site's URL, below which archives lie.
        base: String,
    },
    /// A module from a module proxy.
    Module {
        /// The module's path.
        path: String,
    },
}

/// What an SDK must be, wherever it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pin {
    /// The digest of the official `.tar.gz`.
    pub sha256: Option<Sha256>,
    /// The hash of the module form, which follows from the content alone.
    pub h1: Option<H1>,
}
