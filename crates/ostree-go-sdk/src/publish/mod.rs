//! Publishing: writes static deltas, the summary, and a page that lists the content.
//!
//! Afterwards, any static web server can serve the repository's folder. A publish signs the commits
//! that have no signature, if there are keys, and then writes the missing deltas, the page (`index.json`, `index.html`), the indexes of deltas, and the summary
//! and its signatures, in this order; then it removes superseded deltas. A client that reads during
//! a publish finds the old summary, which only refers to existing files. Everything is readable for
//! every user then, regardless of the umask.

mod advisories;
mod document;
mod entry;
mod html;
mod index;
mod page;
mod page_audit;
mod plan;
mod readable;
mod refresh;
mod summary;

pub(crate) use document::SummaryDocument;
pub use plan::{PlannedDelta, PublishPlan, Published};
pub use refresh::SummaryState;
pub(crate) use refresh::{find_outdated, refresh};

use crate::audit::Advisories;
use crate::clock::{Clock, SystemClock};
use crate::delta::{DeltaError, DeltaName, DeltaPreset};
use crate::fs::context::from_io_failure;
use crate::kind::ErrorKind;
use crate::progress::{NoProgress, Progress};
use crate::repo::RepoError;
use crate::setters::setters;
use crate::sign::{SignError, SigningKey};
use crate::upstream::{Upstream, UpstreamError};
use std::path::PathBuf;
use std::sync::Arc;

/// Options of a publish.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Publish {
    history: usize,
    keys: Vec<SigningKey>,
    upstream_proof: Option<Upstream>,
    public_keys: Vec<PathBuf>,
    delta_preset: DeltaPreset,
    compare_deltas: bool,
    sign_deltas: bool,
    threads: usize,
    advisories: Option<Advisories>,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            history: 2,
            keys: Vec::new(),
            upstream_proof: None,
            public_keys: Vec::new(),
            delta_preset: DeltaPreset::Fast,
            compare_deltas: false,
            sign_deltas: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            advisories: None,
            clock: Arc::new(SystemClock),
            progress: Arc::new(NoProgress),
        }
    }
}

impl Publish {
    /// Creates the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets the number of previous commits of each channel from which there is a delta to its
        /// newest commit. Default: 2.
        history: usize;
        /// Sets the compression of new deltas. Existing deltas are not changed. Default:
        /// [`DeltaPreset::Fast`].
        delta_preset: DeltaPreset;
        /// Also generates each new delta with libostree, which takes minutes, and keeps the smaller
        /// one. Default: no.
        compare_deltas: bool;
        /// Signs the summary with these keys, and the commits of refs that have no signature at all:
        /// clients that verify signatures refuse them. Default: none.
        sign_with;
        /// Also signs the deltas with those keys that are Ed25519 keys. Only clients that apply a
        /// folder (`ostree static-delta apply-offline`) and this library's pull can read such
        /// deltas; `ostree pull` of libostree, up to at least 2026.4, fails to read them. Default:
        /// no, and existing signatures are removed.
        sign_deltas: bool;
        /// Adds the proof that their content is Go's own, from a checksum database, to the detached metadata of all releases and
        /// channels, with which anyone can verify it without a connection. A release with other content is an error. Default:
        /// none.
        upstream_proof: Option<Upstream>;
        /// Sets files of public keys, which are copied to the folder of the page for download.
        /// Default: none.
        public_keys: Vec<PathBuf>;
        /// Sets the number of parts of a delta that are generated in parallel. Each needs up to
        /// 250 MB of memory, or 500 MB with [`DeltaPreset::Best`]; fewer parts are generated in
        /// parallel if less memory is free. Default: one per core.
        threads: usize;
        /// Sets what is known about the releases of Go: the page and `index.json` list the known
        /// vulnerabilities of the releases, and say which ones Go does not support any more. Default:
        /// none.
        advisories: Option<Advisories>;
        /// Sets the clock for the timestamps of the page and of new deltas. Default:
        /// [`SystemClock`].
        clock;
        /// Sets the receiver of progress events, which may cancel the operation. Default:
        /// [`NoProgress`].
        progress;
    }
}

/// An error of publishing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// An error of the repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A static delta could not be generated.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// The summary could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The content of a release is not Go's own, or cannot be verified.
    #[error(transparent)]
    Upstream(Box<UpstreamError>),
    /// Deltas have to be signed, but there is no Ed25519 key.
    #[error("there is no Ed25519 key to sign the static deltas with")]
    NoDeltaKey,
    /// A system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The operation was cancelled. Deltas that were generated are kept.
    #[error("stopped on request")]
    Cancelled,
}

from_io_failure!(PublishError);

impl PublishError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Delta(error) => error.kind(),
            Self::Sign(error) => error.kind(),
            Self::Upstream(error) => error.kind(),
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::NoDeltaKey => ErrorKind::InvalidInput,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

/// Returns the item name of a delta in progress events.
fn label(name: &DeltaName) -> String {
    let short = |id: crate::id::CommitId| id.to_string()[..12].to_owned();
    match name.from {
        Some(from) => format!("{}-{}", short(from), short(name.to)),
        None => short(name.to),
    }
}
