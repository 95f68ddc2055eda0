//! Go toolchains for immutable hosts, delivered as signed OSTree commits.
#![cfg_attr(
    not(test),
    deny(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)
)]

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

mod arch;
mod clock;
#[allow(dead_code)]
mod fs;
#[allow(dead_code)]
mod golang;
#[allow(dead_code)]
mod http;
mod id;
mod kind;
mod progress;
#[allow(dead_code)]
mod source;
mod version;

pub use arch::{Arch, UnknownArch};
pub use clock::{Clock, FixedClock, SystemClock};
pub use fs::cache::{Cache, CacheError};
pub use fs::path::{InvalidPath, PathProblem, TreePath};
pub use golang::h1::{H1, H1Builder, InvalidH1};
pub use http::{HttpClient, HttpError, HttpOptions, InvalidUrl};
pub use id::{
    CommitId, ContentId, DirMetaId, DirTreeId, FileId, InvalidChecksum, InvalidRef, RefName, Sha256,
};
pub use kind::ErrorKind;
pub use progress::{Event, Phase, Progress, Silent};
pub use source::spec::{Pin, SourceSpec};
pub use source::{EntryProblem, Form, Limits, SourceError, SourceInfo};
pub use version::{GoVersion, InvalidVersion};

pub use {gio, glib, ostree};
