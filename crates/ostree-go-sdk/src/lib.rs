//! Go toolchains for immutable hosts, delivered as signed OSTree commits.
//!
//! A [`Treefile`] says which Go SDK, from where, in which layers. [`Compose`] turns it into
//! commits of an OSTree repository: content-addressed layers, one release per architecture,
//! and channels that move from release to release. The same treefile and the same SDK give
//! the same commit checksum on any machine, at any time, from any form of source.
//!
//! ```
//! use ostree_go_sdk::{Compose, Repo, RepoMode, Treefile, list};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let (treefile_path, repo_path) = (folder.path().join("go.yaml"), folder.path().join("repo"));
//! # std::fs::create_dir_all(folder.path().join("go/src"))?;
//! # std::fs::write(folder.path().join("go/VERSION"), "go1.26.5\ntime 2026-07-01T21:24:27Z\n")?;
//! # std::fs::write(folder.path().join("go/src/a.go"), "package a\n")?;
//! # std::fs::write(&treefile_path, "version: 1.26.5\narches: [x86_64]\nsource: [path: go]\n\
//! #     layers: { common: { include: [VERSION, src] } }\n")?;
//! let treefile = Treefile::load(&treefile_path)?;
//! let repo = Repo::create(&repo_path, RepoMode::Archive)?;
//!
//! let compose = Compose::new(treefile);
//! let plan = compose.plan(&repo)?;
//! for release in plan.releases() {
//!     println!("{}: {}", release.spec.release_ref, if release.unchanged { "is there" } else { "to do" });
//! }
//! let composed = plan.execute()?;
//! println!("{} is commit {}", composed.releases[0].ref_name, composed.releases[0].commit);
//!
//! assert_eq!(list(&repo)?[0].1.version.as_deref(), Some("1.26.5"));
//! # Ok(())
//! # }
//! ```
//!
//! # What to expect
//!
//! - The library never prints, never exits, reads neither environment variables nor config
//!   files, and keeps no global state. Time comes through [`Clock`]; what happens goes out,
//!   and a wish to stop comes in, through [`Progress`].
//! - After [`ComposePlan::execute`] returns, a power cut loses nothing. Before that, no ref
//!   points at anything new.
//! - Every error has a [`kind`](Error::kind) to match, and names the path, ref or key it is
//!   about, what was found and what was expected.
//! - Operations have one shape: options such as [`Compose`] or [`Install`], a method `plan` that
//!   returns what would be done, and a method `execute` of the plan. A plan is `Send + 'static`, so
//!   that it can be executed by another thread, for example in `spawn_blocking` of an async runtime.
//! - [`Repo`] is `Send` and not `Sync`: give each thread its own clone. Several processes may
//!   work in one repository; those that move refs wait for each other.
//! - libostree 2022.7 or newer is needed. The crates `ostree`, `gio` and `glib` are
//!   re-exported, so that versions never have to be matched by hand.
#![cfg_attr(
    not(test),
    deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)
)]

mod arch;
mod catalog;
mod checkout;
mod clock;
mod compose;
mod delta;
mod deploy;
mod diff;
mod error;
mod export;
#[cfg(not(feature = "failpoints"))]
mod failpoint;
#[cfg(feature = "failpoints")]
pub mod failpoint;
mod ffi;
mod fs;
mod fsck;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod golang;
mod gvariant;
mod http;
mod id;
mod kind;
mod layer;
pub mod metadata;
mod object;
mod oci;
mod overlay;
mod parallel;
mod process;
mod progress;
mod prune;
mod publish;
mod pull;
mod registry;
pub mod remote;
mod repo;
mod setters;
mod sign;
mod source;
mod store;
pub mod treefile;
mod upstream;
mod version;

pub use arch::{Arch, UnknownArch};
pub use catalog::{CommitInfo, CommitKind, list, log};
pub use checkout::{CheckedOut, CheckoutError, CheckoutOptions, Union, checkout};
pub use clock::{Clock, FixedClock, SystemClock};
pub use compose::{
    ChannelState, Compose, ComposeError, ComposePlan, Composed, ComposedChannel, ComposedLayer,
    ComposedRelease, NewObjects, ObjectCounts, PlannedRelease, Promote, PromotePlan,
    SourceFailures,
};
pub use delta::{
    ComparedDelta, DeltaDetails, DeltaError, DeltaFallback, DeltaFormatError, DeltaInfo, DeltaName,
    DeltaPart, DeltaPreset, PatchedFile, delta_details, deltas, verify_delta,
};
pub use deploy::{
    Action, Activate, ActivatePlan, Activated, Activation, Check, DamagedFile, DeployError,
    Deployed, Deployment, DeploymentStatus, FileProblem, Gc, GcPlan, GcReport, Install,
    InstallPlan, InstallSource, Installed, Outcome, Rollback, RollbackPlan, RolledBack, Root,
    Status, Uninstall, UninstallPlan, Uninstalled, Upgrade, Verify,
};
pub use diff::{Change, Diff, FileInfo, diff};
pub use error::Error;
pub use export::{
    BootConfig, BootError, BootFile, BootOptions, BootRelease, BootSpec, BootUnit, boot_config,
    write_boot_config,
};
pub use export::{
    Compression, ContainerfileError, ContainerfileOptions, ExportError, ExportedImage,
    ExportedLayer, ExportedOci, ExportedTar, OciError, OciOptions, TarOptions, containerfile,
    export_oci, export_tar, write_tar,
};
pub use export::{
    ExportedSysext, SysextError, SysextForm, SysextHost, SysextOptions, export_sysext,
};
pub use export::{Fragment, FragmentError, FragmentOptions, Syntax, fragment};
pub use fs::cache::{Cache, CacheError};
pub use fs::path::{InvalidPath, PathProblem, TreePath};
pub use fsck::{DamagedObject, FsckReport, fsck};
pub use golang::h1::{H1, H1Builder, InvalidH1};
pub use golang::sumdb::SumdbError;
pub use http::{HttpClient, HttpError, HttpOptions, InvalidUrl};
pub use id::{
    CommitId, ContentId, DirMetaId, DirTreeId, FileId, InvalidChecksum, InvalidRef, RefName, Sha256,
};
pub use kind::ErrorKind;
pub use layer::LayerError;
pub use oci::{ImageLocation, InvalidImageSource, InvalidLocation};
pub use overlay::{
    Overlaid, Overlay, OverlayDifference, OverlayError, OverlayPlan, OverlaySide, OverlayWarning,
};
pub use process::ProcessError;
pub use progress::{Event, NoProgress, Phase, Progress};
pub use prune::{Prune, PruneError, PrunePlan, Pruned};
pub use publish::{PlannedDelta, Publish, PublishError, PublishPlan, Published};
pub use pull::{Download, PlannedRef, Preflight, Pull, PullError, Pulled};
pub use registry::{
    CredentialError, ImageReference, InvalidReference, RegistryAuth, RegistryError, RegistryOptions,
};
pub use remote::{NewRemote, Remote, RemoteError, TrustedKey, Verification};
pub use repo::{OstreeError, Repo, RepoError, RepoMode, UnknownMode};
pub use sign::{
    GeneratedKey, Proof, SignError, Signature, SignatureStatus, SigningKey, TrustedKeys, Verified,
    generate_ed25519_key, generate_gpg_key, sign, signatures, verify,
};
pub use source::{EntryProblem, Form, Limits, RpmProblem, SourceError, SourceInfo};
pub use store::StoreError;
pub use treefile::{ArchTreefile, RpmFile, RpmLocation, SourceSpec, Treefile, TreefileError};
pub use upstream::{Upstream, UpstreamError, UpstreamProof};
pub use version::{GoVersion, InvalidVersion};

pub use {gio, glib, ostree};

/// Makes `cargo test` compile the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Every plan owns its options and its handle of the repository or root, so that it can be moved to
/// another thread.
const _: () = {
    const fn assert_send<T: Send + 'static>() {}
    assert_send::<Repo>();
    assert_send::<Root>();
    assert_send::<ComposePlan>();
    assert_send::<PromotePlan>();
    assert_send::<OverlayPlan>();
    assert_send::<PublishPlan>();
    assert_send::<PrunePlan>();
    assert_send::<InstallPlan>();
    assert_send::<ActivatePlan>();
    assert_send::<RollbackPlan>();
    assert_send::<UninstallPlan>();
    assert_send::<GcPlan>();
};
