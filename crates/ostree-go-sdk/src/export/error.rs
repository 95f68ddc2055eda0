//! Why an export failed.

use super::SysextForm;
use crate::arch::Arch;
use crate::catalog::CommitKind;
use crate::fs::path::TreePath;
use crate::id::{CommitId, FileId, RefName};
use crate::kind::ErrorKind;
use crate::process::ProcessError;
use crate::registry::RegistryError;
use crate::remote::RemoteError;
use crate::repo::RepoError;
use std::io;
use std::path::PathBuf;

/// Why an export failed. Nothing is at the destination then that was not there before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// What describes the tree is damaged or missing in the repository.
    #[error("cannot read commit {commit}: object {object} of /{} is damaged or missing", path.display())]
    Damaged {
        /// The commit.
        commit: CommitId,
        /// The directory in the tree.
        path: PathBuf,
        /// The object's checksum and type: `00ff….dirtree`.
        object: String,
    },
    /// A file's object is not what its checksum says.
    #[error("/{path} is damaged in the repository: its object is {found}, expected {expected}")]
    DamagedFile {
        /// The path in the tree.
        path: TreePath,
        /// The checksum that the object has.
        found: FileId,
        /// The checksum in the tree.
        expected: FileId,
    },
    /// The tree has a name that is no path of an SDK.
    #[error("cannot export commit {commit}: {path:?} is no path that an SDK may have")]
    Path {
        /// The commit.
        commit: CommitId,
        /// The path in the tree.
        path: PathBuf,
    },
    /// A release or a channel was asked for.
    #[error("commit {commit} is {}, expected a release or a channel", match kind {
        CommitKind::Layer => "a layer",
        CommitKind::Image => "an OS",
        _ => "none that ostree-go composed",
    })]
    NotARelease {
        /// The commit.
        commit: CommitId,
        /// What it is.
        kind: CommitKind,
    },
    /// Something is at the destination.
    #[error("{} exists already", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// A name that no system extension can have.
    #[error(
        "{} is no name for a system extension that is {}, expected one that {} in .raw",
        path.display(),
        match form {
            SysextForm::Directory => "a directory",
            _ => "an image",
        },
        match form {
            SysextForm::Directory => "does not end",
            _ => "ends",
        }
    )]
    SysextName {
        /// The destination.
        path: PathBuf,
        /// The form of the extension.
        form: SysextForm,
    },
    /// A release has what no system extension may have.
    #[error("/{path} of commit {commit} cannot be in a system extension: {problem}")]
    SysextPath {
        /// The commit.
        commit: CommitId,
        /// The path in the tree.
        path: TreePath,
        /// Why not.
        problem: &'static str,
    },
    /// A text that names no host.
    #[error(
        "`{}` is no host, expected ID or ID:VERSION_ID as its os-release has them", found.escape_debug()
    )]
    InvalidHost {
        /// The text as given.
        found: String,
    },
    /// A file that is no `os-release`.
    #[error("{} is no os-release, expected ID= and values of a-z, 0-9, `.`, `_` and `-`", path.display())]
    InvalidOsRelease {
        /// The file.
        path: PathBuf,
    },
    /// A program that is needed is not there.
    #[error("cannot run `{tool}`, which is in the package {package}")]
    MissingTool {
        /// The program.
        tool: &'static str,
        /// The package that Debian and Fedora have it in.
        package: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("cannot write {}", path.display())]
    Tool {
        /// The destination.
        path: PathBuf,
        /// What it said.
        #[source]
        source: ProcessError,
    },
    /// Another program.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The remote that a host is to have.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Nothing to install was named.
    #[error("no release to install was named")]
    NoReleases,
    /// A host has one architecture.
    #[error("{found} is not for {expected}, as the releases before it")]
    OtherArch {
        /// The ref.
        found: RefName,
        /// The architecture of the first.
        expected: Arch,
    },
    /// A commit cannot be asked for by a ref.
    #[error("commit {commit} is bound to no ref that a host could install")]
    Unbound {
        /// The commit.
        commit: CommitId,
    },
    /// A version of a configuration's format that is not written.
    #[error("unknown {format} version `{}`, expected {}", found.escape_debug(), known.join(", "))]
    UnknownSpec {
        /// `Ignition`, `Butane`.
        format: &'static str,
        /// The version as given.
        found: String,
        /// The versions there are.
        known: Vec<&'static str>,
    },
    /// A word that cannot stand in the files of a host.
    #[error("{what} `{}` {problem}", found.escape_debug())]
    InvalidWord {
        /// What it is for: `variable`.
        what: &'static str,
        /// The word as given.
        found: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A release that could not be named: what asks for it by a ref would not find it.
    #[error("no ref of the repository names the release of commit {commit}")]
    NotOnRef {
        /// The commit.
        commit: CommitId,
    },
    /// Metadata that rpm-ostree would change.
    #[error(
        "commit {commit} has `${{` in the metadata `{key}`, which rpm-ostree would take for a variable"
    )]
    Variable {
        /// The commit.
        commit: CommitId,
        /// The key.
        key: String,
    },
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
    /// A name cannot be that of an image in a Containerfile.
    #[error("`{}` cannot be the name of an image", found.escape_debug())]
    ImageName {
        /// The name.
        found: String,
    },
    /// The user that builds would be root.
    #[error("the user that builds is 0, which is root")]
    RootUser,
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
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The system refused something.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The caller asked for a stop while another process held a lock.
    #[error("stopped while waiting for another process")]
    Stopped,
    /// The caller asked for a stop.
    #[error("stopped while reading commit {commit}")]
    Cancelled {
        /// The commit.
        commit: CommitId,
    },
}

impl ExportError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Damaged { .. } | Self::DamagedFile { .. } => ErrorKind::Drift,
            Self::Path { .. } => ErrorKind::UnsafeContent,
            Self::NotARelease { .. }
            | Self::NotOnRef { .. }
            | Self::Variable { .. }
            | Self::Exists { .. }
            | Self::SysextName { .. }
            | Self::SysextPath { .. }
            | Self::InvalidHost { .. }
            | Self::InvalidOsRelease { .. }
            | Self::NoReleases
            | Self::OtherArch { .. }
            | Self::Unbound { .. }
            | Self::UnknownSpec { .. }
            | Self::InvalidWord { .. }
            | Self::SameArch { .. }
            | Self::Nothing
            | Self::ImageName { .. }
            | Self::RootUser
            | Self::Tag { .. } => ErrorKind::InvalidInput,
            Self::MissingTool { .. } => ErrorKind::NotFound,
            Self::Tool { source, .. } | Self::Process(source) => source.kind(),
            Self::Remote(error) => error.kind(),
            Self::NoLayer { .. } => ErrorKind::NotFound,
            Self::NotItsLayers { .. } => ErrorKind::Drift,
            Self::Owned { .. } | Self::Encapsulated { .. } => ErrorKind::UnsafeContent,
            Self::NoLayout { .. } => ErrorKind::Corrupt,
            Self::Document { .. } => ErrorKind::Io,
            Self::Registry(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::Stopped | Self::Cancelled { .. } => ErrorKind::Cancelled,
        }
    }

    /// For `map_err`.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source: bare(source),
        }
    }
}

/// The system's error without what `tempfile` says of it: a name that nobody has given. It keeps
/// the system's number in its text alone.
fn bare(error: io::Error) -> io::Error {
    let text = error.get_ref().map(ToString::to_string).unwrap_or_default();
    let number = text.split_once("(os error ").map(|(_, rest)| rest);
    let number = number.and_then(|rest| rest.split_once(')')?.0.parse().ok());
    number.map_or(error, io::Error::from_raw_os_error)
}
