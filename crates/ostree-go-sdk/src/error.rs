//! One error for callers that do not care which part failed.

use crate::checkout::CheckoutError;
use crate::compose::ComposeError;
use crate::delta::DeltaError;
use crate::deploy::DeployError;
use crate::export::{
    BootError, ContainerfileError, ExportError, FragmentError, OciError, SysextError,
};
use crate::http::HttpError;
use crate::kind::ErrorKind;
use crate::overlay::OverlayError;
use crate::prune::PruneError;
use crate::publish::PublishError;
use crate::pull::PullError;
use crate::registry::CredentialError;
use crate::remote::RemoteError;
use crate::repo::RepoError;
use crate::sign::SignError;
use crate::treefile::TreefileError;
use crate::upstream::UpstreamError;

/// Any error of this library. Match [`Error::kind`], or the part's own error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading a treefile.
    #[error(transparent)]
    Treefile(#[from] TreefileError),
    /// Reading or writing a repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Composing.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// Checking a tree out.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// Deploying.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// Signing, or checking signatures.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Reading a static delta.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// Publishing.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Pruning.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// Setting up a remote.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Pulling.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// Proving that a release is Go's own.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Exporting a release.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Making the configuration of a host.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// Making a Containerfile.
    #[error(transparent)]
    Containerfile(#[from] ContainerfileError),
    /// Making a fragment of an rpm-ostree treefile.
    #[error(transparent)]
    Fragment(#[from] FragmentError),
    /// Writing an image.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// Writing a system extension.
    #[error(transparent)]
    Sysext(#[from] SysextError),
    /// Laying SDKs over an OS.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// Setting up downloads.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Asking for what a registry knows one by.
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

impl Error {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Treefile(error) => error.kind(),
            Self::Repo(error) => error.kind(),
            Self::Compose(error) => error.kind(),
            Self::Checkout(error) => error.kind(),
            Self::Deploy(error) => error.kind(),
            Self::Sign(error) => error.kind(),
            Self::Delta(error) => error.kind(),
            Self::Publish(error) => error.kind(),
            Self::Prune(error) => error.kind(),
            Self::Remote(error) => error.kind(),
            Self::Pull(error) => error.kind(),
            Self::Upstream(error) => error.kind(),
            Self::Export(error) => error.kind(),
            Self::Boot(error) => error.kind(),
            Self::Containerfile(error) => error.kind(),
            Self::Fragment(error) => error.kind(),
            Self::Oci(error) => error.kind(),
            Self::Sysext(error) => error.kind(),
            Self::Overlay(error) => error.kind(),
            Self::Http(error) => error.kind(),
            Self::Credential(error) => error.kind(),
        }
    }
}
