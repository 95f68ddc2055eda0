//! Go toolchains for immutable hosts, composed as OSTree commits.
#![cfg_attr(
    not(test),
    deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)
)]

mod arch;
mod catalog;
mod clock;
mod compose;
mod diff;
mod error;
#[cfg(not(feature = "failpoints"))]
mod failpoint;
#[cfg(feature = "failpoints")]
pub mod failpoint;
mod fs;
mod fsck;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod golang;
mod http;
mod id;
mod kind;
mod layer;
pub mod metadata;
mod object;
mod progress;
mod repo;
mod source;
mod store;
pub mod treefile;
mod version;

pub use arch::{Arch, UnknownArch};
pub use catalog::{CommitInfo, CommitKind, list, log};
pub use clock::{Clock, FixedClock, SystemClock};
pub use compose::{
    ChannelState, Compose, ComposeError, ComposePlan, Composed, ComposedChannel, ComposedLayer,
    ComposedRelease, NewObjects, PlannedRelease,
};
pub use diff::{Change, Diff, FileInfo, diff};
pub use error::Error;
pub use fs::cache::{Cache, CacheError};
pub use fs::path::{InvalidPath, PathProblem, TreePath};
pub use fsck::{DamagedObject, FsckReport, fsck};
pub use golang::h1::{H1, H1Builder, InvalidH1};
pub use http::{HttpClient, HttpError, HttpOptions, InvalidUrl};
pub use id::{
    CommitId, ContentId, DirMetaId, DirTreeId, FileId, InvalidChecksum, InvalidRef, RefName, Sha256,
};
pub use kind::ErrorKind;
pub use layer::LayerError;
pub use progress::{Event, Phase, Progress, Silent};
pub use repo::{Repo, RepoError, RepoMode, UnknownMode};
pub use source::{EntryProblem, Form, Limits, SourceError, SourceInfo};
pub use store::StoreError;
pub use treefile::{ArchTreefile, SourceSpec, Treefile, TreefileError};
pub use version::{GoVersion, InvalidVersion};

pub use {gio, glib, ostree};
