//! Why an image could not be written.

use crate::arch::Arch;
use crate::export::ExportError;
use crate::export::writer::Failure;
use crate::fs::path::TreePath;
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::registry::RegistryError;
use std::path::PathBuf;

/// Why an image could not be written. No tag names anything new then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OciError {
    /// Reading a release, or writing.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The repository lacks a layer's commit.
    #[error(
        "the repository does not have layer `{layer}` of release {commit} whole: commit {missing}"
    )]
    NoLayer {
        /// The release.
        commit: CommitId,
        /// The layer's name.
        layer: String,
        /// Its commit.
        missing: CommitId,
    },
    /// A release is not the union of the layers that it names.
    #[error("release {commit} has another tree than its layers make")]
    NotItsLayers {
        /// The release.
        commit: CommitId,
    },
    /// An image can be of one release for each architecture.
    #[error("two releases are for {arch}: {one} and {other}")]
    SameArch {
        /// The architecture.
        arch: Arch,
        /// The first release.
        one: CommitId,
        /// The second release.
        other: CommitId,
    },
    /// There is no release to export.
    #[error("no release to export")]
    Nothing,
    /// A release's ref gives no name that an image can have.
    #[error("`{tag}` cannot be the tag of an image")]
    Tag {
        /// The name.
        tag: String,
    },
    /// A file has an owner or extended attributes, which images of releases do not.
    #[error(
        "cannot export /{path} of commit {commit}: it has an owner other than root, or extended attributes"
    )]
    Owned {
        /// The commit.
        commit: CommitId,
        /// The path in the tree.
        path: TreePath,
    },
    /// A tree has something where an encapsulated image has its objects.
    #[error(
        "cannot encapsulate commit {commit}: its tree has /{path}, where the image has objects"
    )]
    Encapsulated {
        /// The layer's commit.
        commit: CommitId,
        /// The path in the tree.
        path: TreePath,
    },
    /// What is at the destination is no OCI layout, or a damaged one.
    #[error("{} is no OCI image layout: {problem}", path.display())]
    NoLayout {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A document of an image could not be made.
    #[error("cannot make the documents of an image")]
    Document {
        /// What `oci-spec` says.
        #[source]
        source: oci_spec::OciSpecError,
    },
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The caller asked for a stop while another process held a lock.
    #[error("stopped while waiting for another process")]
    Stopped,
}

impl OciError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Export(error) => error.kind(),
            Self::NoLayer { .. } => ErrorKind::NotFound,
            Self::NotItsLayers { .. } => ErrorKind::Drift,
            Self::SameArch { .. } | Self::Nothing | Self::Tag { .. } => ErrorKind::InvalidInput,
            Self::Owned { .. } | Self::Encapsulated { .. } => ErrorKind::UnsafeContent,
            Self::NoLayout { .. } => ErrorKind::Corrupt,
            Self::Document { .. } => ErrorKind::Io,
            Self::Registry(error) => error.kind(),
            Self::Stopped => ErrorKind::Cancelled,
        }
    }
}

impl From<OciError> for Failure<OciError> {
    fn from(error: OciError) -> Self {
        Self::Export(error)
    }
}
