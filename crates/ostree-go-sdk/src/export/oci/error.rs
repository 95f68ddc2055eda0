//! Errors of image exports.

use crate::arch::Arch;
use crate::export::ExportError;
use crate::export::writer::Failure;
use crate::fs::context::from_io_failure;
use crate::fs::path::TreePath;
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::registry::RegistryError;
use crate::sign::SignError;
use std::path::PathBuf;

/// The reason why an image could not be written, signed, or given attestations. No tag of an image was changed,
/// unless signing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OciError {
    /// Reading a release or writing failed.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The repository does not have all objects of a layer's commit.
    #[error(
        "layer `{layer}` of release {commit} is incomplete in the repository: commit {missing}"
    )]
    NoLayer {
        /// The release.
        commit: CommitId,
        /// The name of the layer.
        layer: String,
        /// The commit of the layer.
        missing: CommitId,
    },
    /// A release's tree differs from the union of its layers.
    #[error("the tree of release {commit} differs from the union of its layers")]
    NotItsLayers {
        /// The release.
        commit: CommitId,
    },
    /// Two releases are for the same architecture.
    #[error("two releases are for {arch}: {one} and {other}")]
    SameArch {
        /// The architecture.
        arch: Arch,
        /// The first release.
        one: CommitId,
        /// The second release.
        other: CommitId,
    },
    /// No release was given.
    #[error("no release to export")]
    Nothing,
    /// A tag, possibly taken from a release's ref, is invalid.
    #[error("`{tag}` cannot be the tag of an image")]
    Tag {
        /// The invalid tag.
        tag: String,
    },
    /// A file has an owner other than root or extended attributes, which images do not support.
    #[error(
        "cannot export /{path} of commit {commit}: it has an owner other than root, or extended attributes"
    )]
    Owned {
        /// The commit.
        commit: CommitId,
        /// The path in the tree.
        path: TreePath,
    },
    /// A tree contains the path where an encapsulated image stores its objects.
    #[error(
        "cannot encapsulate commit {commit}: its tree has /{path}, where the image has objects"
    )]
    Encapsulated {
        /// The commit of the layer.
        commit: CommitId,
        /// The path in the tree.
        path: TreePath,
    },
    /// The destination is not an OCI layout, or a damaged one.
    #[error("{} is not an OCI image layout: {problem}", path.display())]
    NoLayout {
        /// The directory.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// There is no such image.
    #[error("there is no image {image}")]
    NoImage {
        /// The location of the image.
        image: String,
    },
    /// An image contains other commits.
    #[error("image {image} does not contain commit {expected}")]
    OtherImage {
        /// The location of the image.
        image: String,
        /// The commit.
        expected: CommitId,
    },
    /// A document of an image at its destination is damaged.
    #[error("the document {digest} of image {image} is damaged: {problem}")]
    DamagedDocument {
        /// The location of the image.
        image: String,
        /// The digest.
        digest: String,
        /// The problem.
        problem: String,
    },
    /// Nothing can be attached to an image in an archive.
    #[error("nothing can be attached to {image}, expected a directory or a registry")]
    Archive {
        /// The location of the image.
        image: String,
    },
    /// An image cannot be signed.
    #[error("cannot sign the image {image}")]
    Sign {
        /// The name of the image.
        image: String,
        /// The reason.
        #[source]
        source: Box<SignError>,
    },
    /// A document of an image is invalid.
    #[error("cannot make the documents of an image")]
    Document {
        /// The error of `oci-spec`.
        #[source]
        source: oci_spec::OciSpecError,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The operation was cancelled while another process held a lock.
    #[error("stopped while waiting for another process")]
    Stopped,
}

from_io_failure!(OciError via Export(ExportError));

impl OciError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Export(error) => error.kind(),
            Self::NoLayer { .. } | Self::NoImage { .. } => ErrorKind::NotFound,
            Self::OtherImage { .. } => ErrorKind::Mismatch,
            // GnuPG does not have the key or cannot use it.
            Self::Sign { source, .. } => match source.kind() {
                ErrorKind::Io => ErrorKind::InvalidInput,
                kind => kind,
            },
            Self::NotItsLayers { .. } => ErrorKind::Damaged,
            Self::SameArch { .. } | Self::Nothing | Self::Tag { .. } | Self::Archive { .. } => {
                ErrorKind::InvalidInput
            }
            Self::Owned { .. } | Self::Encapsulated { .. } => ErrorKind::UnsafeContent,
            Self::NoLayout { .. } | Self::DamagedDocument { .. } => ErrorKind::Corrupt,
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
