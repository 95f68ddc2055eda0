//! Go toolchains for immutable hosts, delivered as signed OSTree commits.
//!
//! A [`Treefile`](treefile::Treefile) selects a Go SDK, its source and its layers.
//! [`Compose`](compose::Compose) turns it into
//! commits of an OSTree repository: content-addressed layers, one release per architecture,
//! and channels that move from release to release. The same treefile and the same SDK give
//! the same commit checksum on any machine, at any time, from any form of source.
//!
//! ```
//! use ostree_go_sdk::compose::Compose;
//! use ostree_go_sdk::treefile::Treefile;
//! use ostree_go_sdk::{Repo, RepoMode};
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
//!     println!("{}: {}", release.spec.release_ref, if release.unchanged { "up to date" } else { "to compose" });
//! }
//! let composed = plan.execute()?;
//! println!("{} is commit {}", composed.releases[0].ref_name, composed.releases[0].commit);
//!
//! assert_eq!(repo.list()?[0].1.version.as_deref(), Some("1.26.5"));
//! # Ok(())
//! # }
//! ```
//!
//! # What to expect
//!
//! - The library never prints, never exits, reads neither environment variables nor config
//!   files. Its only global state is the set of temporary names in use. The time comes from a [`Clock`]. [`Progress`] reports what
//!   happens, and requests cancellation.
//! - When [`ComposePlan::execute`](compose::ComposePlan::execute) returns, its results are durable.
//!   Before that, no ref points to them.
//! - Every error has a [`kind`](Error::kind) to match, and names the path, ref or key it is
//!   about, what was found and what was expected.
//! - Operations have one shape: options such as [`Compose`](compose::Compose) or
//!   [`Install`](deploy::Install), a method `plan` that
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

pub mod attest;
pub mod audit;
pub mod catalog;
pub mod checkout;
pub mod compose;
pub mod delta;
pub mod deploy;
pub mod diff;
pub mod doctor;
pub mod export;
#[cfg(feature = "failpoints")]
pub mod failpoint;
pub mod fsck;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod gomod;
#[cfg(feature = "proxy")]
pub mod goproxy;
pub mod http;
pub mod inspect;
pub mod metadata;
pub mod module_zip;
pub mod oci;
pub mod overlay;
pub mod prune;
pub mod publish;
pub mod pull;
pub mod rebuild;
pub mod registry;
pub mod remote;
pub mod reproduce;
pub mod run;
pub mod sandbox;
pub mod sign;
pub mod source;
pub mod stdcache;
pub mod toolchains;
pub mod treefile;
pub mod upstream;
pub mod workspace;

mod arch;
mod clock;
mod error;
#[cfg(not(feature = "failpoints"))]
mod failpoint;
mod ffi;
mod fs;
mod golang;
mod gvariant;
mod id;
mod kind;
mod layer;
mod object;
mod parallel;
mod process;
mod progress;
mod repo;
mod setters;
mod store;
mod units;
mod version;

pub use arch::{Arch, UnknownArch};
pub use clock::{Clock, FixedClock, SystemClock};
pub use error::Error;
pub use fs::cache::{Cache, CacheError};
pub use fs::path::{InvalidPath, PathProblem, TreePath};
pub use golang::h1::{H1, H1Builder, InvalidH1};
pub use golang::module_id::{InvalidModule, ModuleId};
pub use golang::pseudo_version::{PseudoVersion, pseudo_version};
pub use golang::semver::Semver;
pub use golang::std_cache::{BuildMode, InvalidStdCacheId, StdCacheId, UnknownBuildMode};
pub use golang::sumdb::SumdbError;
pub use golang::toolchain::parse_module_folder as parse_toolchain_module;
pub use id::{
    CommitId, ContentId, DirMetaId, DirTreeId, FileId, InvalidChecksum, InvalidRef, RefName, Sha256,
};
pub use kind::ErrorKind;
pub use layer::LayerError;
pub use process::ProcessError;
pub use progress::{Event, NoProgress, Phase, Progress};
pub use repo::{OstreeError, Repo, RepoError, RepoMode, UnknownMode};
pub use store::StoreError;
pub use units::format_bytes;
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
    assert_send::<deploy::Root>();
    assert_send::<compose::ComposePlan>();
    assert_send::<compose::PromotePlan>();
    assert_send::<overlay::OverlayPlan>();
    assert_send::<publish::PublishPlan>();
    assert_send::<prune::PrunePlan>();
    assert_send::<pull::PullPlan>();
    assert_send::<deploy::InstallPlan>();
    assert_send::<deploy::ActivatePlan>();
    assert_send::<deploy::RollbackPlan>();
    assert_send::<deploy::UninstallPlan>();
    assert_send::<deploy::GcPlan>();
};
