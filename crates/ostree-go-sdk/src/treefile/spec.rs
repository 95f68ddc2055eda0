//! The parts of a release: the sources, the expected hashes, and the layers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::arch::Arch;
use crate::fs::path::{InvalidPath, TreePath};
use crate::golang::h1::H1;
use crate::golang::module_id::ModuleId;
use crate::golang::module_ref::{local_dir, local_ref};
use crate::golang::std_cache::StdCacheId;
use crate::http::url::public_part;
use crate::id::{ContentId, InvalidRef, RefName, Sha256};

/// A source of an SDK.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceSpec {
    /// An archive or a directory on this machine.
    Path(PathBuf),
    /// An archive at an `https`, `http` or `file` URL.
    Url {
        /// The URL.
        url: String,
        /// The archive's checksum; if absent, the treefile has a [`Pin`].
        sha256: Option<Sha256>,
    },
    /// A Go download index.
    Index {
        /// The base URL of the index and the archives.
        base: String,
    },
    /// A Go module that contains the SDK.
    Module {
        /// The module's path.
        path: String,
    },
    /// RPMs that together contain the SDK.
    Rpm {
        /// The packages.
        files: Vec<RpmFile>,
        /// Files with the GPG keys that must have signed every package; if empty, signatures
        /// are not checked.
        gpg_keys: Vec<PathBuf>,
    },
    /// The sources of another architecture of the treefile, whose programs are compiled for this
    /// one.
    Rebuild {
        /// The other architecture.
        from: Arch,
    },
}

/// An RPM of a [`SourceSpec::Rpm`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpmFile {
    /// The location of the package.
    pub location: RpmLocation,
    /// The expected checksum, if the treefile has one.
    pub sha256: Option<Sha256>,
}

/// The location of an RPM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RpmLocation {
    /// On this machine.
    Path(PathBuf),
    /// At an `https`, `http` or `file` URL.
    Url(String),
}

/// Formats the path or URL, without credentials.
impl fmt::Display for RpmFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            RpmLocation::Path(path) => write!(f, "{}", path.display()),
            RpmLocation::Url(url) => f.write_str(&public_part(url)),
        }
    }
}

/// Formats the source as in a treefile: `index: https://go.dev/dl/`. Credentials in URLs are
/// left out.
impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "path: {}", path.display()),
            Self::Url { url, .. } => write!(f, "url: {}", public_part(url)),
            Self::Index { base } => write!(f, "index: {}", public_part(base)),
            Self::Module { path } => write!(f, "module: {path}"),
            Self::Rpm { files, .. } => {
                let files: Vec<String> = files.iter().map(ToString::to_string).collect();
                write!(f, "rpm: {}", files.join(", "))
            }
            Self::Rebuild { from } => write!(f, "rebuild: from {from}"),
        }
    }
}

/// The expected hashes of an SDK, whichever source it comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pin {
    /// The checksum of the official archive.
    pub sha256: Option<Sha256>,
    /// The `h1:` hash of the SDK as Go's module `golang.org/toolchain`.
    pub h1: Option<H1>,
}

/// A std cache of a release: the standard library, compiled for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StdCacheSpec {
    /// The target and the mode.
    pub id: StdCacheId,
    /// The ref.
    pub ref_name: RefName,
}

/// A Go module that is composed beside a release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleSpec {
    /// The module and where it comes from.
    pub source: ModuleSource,
    /// The ref.
    pub ref_name: RefName,
    /// The directory in the tree: `usr/lib/sdk/modules/example.com/lib@v1.2.3`.
    pub dir: TreePath,
}

/// The source of a Go module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleSource {
    /// A version from a module proxy.
    Version {
        /// The path and the version.
        id: ModuleId,
        /// The expected `h1:` hash; if absent, the checksum database has to contain the module.
        sum: Option<H1>,
    },
    /// A directory on this machine.
    Directory {
        /// The path of the module, as in its `go.mod`.
        path: String,
        /// The directory.
        directory: PathBuf,
    },
}

impl ModuleSource {
    /// Returns the path of the module: `example.com/lib`.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Version { id, .. } => id.path(),
            Self::Directory { path, .. } => path,
        }
    }

    /// Returns the ref beside that of a release.
    pub(crate) fn ref_beside(&self, release: &RefName) -> Result<RefName, InvalidRef> {
        match self {
            Self::Version { id, .. } => id.ref_beside(release),
            Self::Directory { path, .. } => local_ref(release, path),
        }
    }

    /// Returns the directory in a tree.
    pub(crate) fn dir(&self) -> Result<TreePath, InvalidPath> {
        match self {
            Self::Version { id, .. } => id.dir(),
            Self::Directory { path, .. } => local_dir(path),
        }
    }
}

/// Formats the module with its version, or without one and with its directory.
impl fmt::Display for ModuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { id, .. } => id.fmt(f),
            Self::Directory { path, directory } => {
                write!(f, "{path} in {}", directory.display())
            }
        }
    }
}

/// A part of the tree that is committed on its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerSpec {
    /// The name of the layer: lower-case letters, digits and `-`.
    pub name: String,
    /// Set if the layer is the same for every architecture.
    pub noarch: bool,
    /// The files and folders of the layer, relative to the top of the SDK.
    pub include: Vec<TreePath>,
    /// The files that the layer adds; their paths are distinct.
    pub add_files: Vec<AddFile>,
    /// Settings to write to `go.env`.
    pub go_env: BTreeMap<String, String>,
    /// Set if files of this layer may replace those of lower layers.
    pub may_override: bool,
}

/// A file that a layer adds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddFile {
    /// The path in the tree.
    pub path: TreePath,
    /// The content of the file.
    pub content: AddContent,
    /// Set if the mode is 0755 instead of 0644.
    pub executable: bool,
}

/// The content of an added file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddContent {
    /// The text itself.
    Inline(String),
    /// The path of a file to copy; a relative path is relative to the directory that the
    /// treefile's own path is relative to.
    From(PathBuf),
}

/// The template of a layer's ref: a ref with `${checksum}` and usually `${layer}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRefTemplate(String);

impl LayerRefTemplate {
    /// Returns the ref of a layer.
    ///
    /// # Errors
    /// Returns [`InvalidRef`] if `layer` cannot be part of a ref.
    pub fn for_layer(&self, layer: &str, content: &ContentId) -> Result<RefName, InvalidRef> {
        self.0
            .replace("${layer}", layer)
            .replace("${checksum}", &content.to_string())
            .parse()
    }
}

impl fmt::Display for LayerRefTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for LayerRefTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains("${checksum}") {
            return Err(format!(
                "`{}` has no `${{checksum}}`, which is required because a layer's ref never moves",
                text.escape_debug()
            ));
        }
        let template = Self(text.to_owned());
        match template.for_layer("layer", &ContentId::from([0; 32])) {
            Ok(_) => Ok(template),
            Err(_) => Err(InvalidRef {
                found: text.escape_debug().to_string(),
            }
            .to_string()),
        }
    }
}
