//! An error type that covers all errors of this library.

use crate::attest::AttestError;
use crate::audit::AuditError;
use crate::checkout::CheckoutError;
use crate::compose::ComposeError;
use crate::delta::DeltaError;
use crate::deploy::DeployError;
use crate::export::ExportError;
use crate::export::boot::BootError;
use crate::export::containerfile::ContainerfileError;
use crate::export::oci::OciError;
use crate::export::sysext::SysextError;
use crate::export::treefile::FragmentError;
use crate::export::unit::UnitError;
use crate::gomod::GoModError;
#[cfg(feature = "proxy")]
use crate::goproxy::GoProxyError;
use crate::http::HttpError;
use crate::inspect::InspectError;
use crate::kind::ErrorKind;
use crate::module_zip::ModuleZipError;
use crate::overlay::OverlayError;
use crate::prune::PruneError;
use crate::publish::PublishError;
use crate::pull::PullError;
use crate::rebuild::RebuildError;
use crate::registry::CredentialError;
use crate::remote::RemoteError;
use crate::repo::RepoError;
use crate::reproduce::ReproduceError;
use crate::run::RunError;
use crate::sandbox::SandboxError;
use crate::sign::SignError;
use crate::stdcache::StdCacheError;
use crate::toolchains::ToolchainError;
use crate::treefile::TreefileError;
use crate::upstream::UpstreamError;
use crate::workspace::WorkspaceError;

/// Any error of this library. Match on [`Error::kind`], or on the wrapped error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of reading a treefile.
    #[error(transparent)]
    Treefile(#[from] TreefileError),
    /// An error of reading or writing a repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// An error of a compose.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// An error of checking out a tree.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// An error of a deployment.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// An error of signing or of verifying signatures.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// An error of reading a static delta.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// An error of publishing.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// An error of pruning.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// An error of configuring a remote.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// An error of a pull.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// An error of verifying a release against Go's checksum database.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// An error of reading a vulnerability database or a download index.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// An error of selecting an SDK for a project.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// An error of changing the module files of a project.
    #[error(transparent)]
    GoMod(#[from] GoModError),
    /// An error of a module proxy.
    #[cfg(feature = "proxy")]
    #[error(transparent)]
    GoProxy(#[from] GoProxyError),
    /// An error of reading the zip file or the directory of a module.
    #[error(transparent)]
    ModuleZip(#[from] ModuleZipError),
    /// An error of exporting a release.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// An error of generating the boot configuration of a host.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// An error of generating a Containerfile.
    #[error(transparent)]
    Containerfile(#[from] ContainerfileError),
    /// An error of generating a fragment of an rpm-ostree treefile.
    #[error(transparent)]
    Fragment(#[from] FragmentError),
    /// An error of writing an image.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// An error of writing a system extension.
    #[error(transparent)]
    Sysext(#[from] SysextError),
    /// An error of generating a unit.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// An error of overlaying SDKs on an OS commit.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// An error of a sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// An error of running a command with an SDK.
    #[error(transparent)]
    Run(#[from] RunError),
    /// An error of inspecting a program.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// An error of proving that a program is reproducible.
    #[error(transparent)]
    Reproduce(#[from] ReproduceError),
    /// An error of configuring HTTP requests.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An error of obtaining registry credentials.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// An error of reading or serving a std cache, or of preparing folders for Go's caches.
    #[error(transparent)]
    StdCache(#[from] StdCacheError),
    /// An error of making or checking an attestation.
    #[error(transparent)]
    Attest(#[from] AttestError),
    /// An error of composing a release again, or of compiling its programs.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// An error of locking or checking a workspace.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

impl Error {
    /// Returns the kind of the error.
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
            Self::Audit(error) => error.kind(),
            Self::Toolchain(error) => error.kind(),
            Self::GoMod(error) => error.kind(),
            #[cfg(feature = "proxy")]
            Self::GoProxy(error) => error.kind(),
            Self::ModuleZip(error) => error.kind(),
            Self::Export(error) => error.kind(),
            Self::Boot(error) => error.kind(),
            Self::Containerfile(error) => error.kind(),
            Self::Fragment(error) => error.kind(),
            Self::Oci(error) => error.kind(),
            Self::Sysext(error) => error.kind(),
            Self::Unit(error) => error.kind(),
            Self::Overlay(error) => error.kind(),
            Self::Sandbox(error) => error.kind(),
            Self::Run(error) => error.kind(),
            Self::Inspect(error) => error.kind(),
            Self::Reproduce(error) => error.kind(),
            Self::Http(error) => error.kind(),
            Self::Credential(error) => error.kind(),
            Self::StdCache(error) => error.kind(),
            Self::Attest(error) => error.kind(),
            Self::Rebuild(error) => error.kind(),
            Self::Workspace(error) => error.kind(),
        }
    }
}
