//! Publishing: static deltas, the summary, and a page that says what there is.
//!
//! Afterwards any static web server can serve the repository's folder. A publish writes, in this
//! order: deltas that are missing, the page (`index.json`, `index.html`), indexes of deltas, the
//! summary and its signatures; then it removes superseded deltas. A client that reads in between
//! finds the old summary, which names nothing that is not there.

mod index;
mod page;
mod plan;
mod summary;

pub use plan::{PlannedDelta, PublishPlan, Published};

use crate::clock::{Clock, SystemClock};
use crate::delta::{DeltaError, DeltaName, DeltaPreset};
use crate::kind::ErrorKind;
use crate::progress::{NoProgress, Progress};
use crate::repo::{Repo, RepoError};
use crate::setters::setters;
use crate::sign::{SignError, SigningKey};
use std::path::PathBuf;
use std::sync::Arc;

/// How to publish a repository.
#[derive(Clone)]
#[non_exhaustive]
pub struct Publish {
    history: usize,
    keys: Vec<SigningKey>,
    public_keys: Vec<PathBuf>,
    preset: DeltaPreset,
    compare_deltas: bool,
    sign_deltas: bool,
    threads: usize,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            history: 2,
            keys: Vec::new(),
            public_keys: Vec::new(),
            preset: DeltaPreset::Fast,
            compare_deltas: false,
            sign_deltas: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            clock: Arc::new(SystemClock),
            progress: Arc::new(NoProgress),
        }
    }
}

impl std::fmt::Debug for Publish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publish")
            .field("history", &self.history)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl Publish {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From how many previous commits of each channel there is a delta to its newest. Default: 2.
    #[must_use]
    pub fn history(mut self, commits: usize) -> Self {
        self.history = commits;
        self
    }

    /// How hard to compress new deltas. Those that are there stay. Default: [`DeltaPreset::Fast`].
    #[must_use]
    pub fn delta_preset(mut self, preset: DeltaPreset) -> Self {
        self.preset = preset;
        self
    }

    /// Has libostree make each new delta as well, and keeps the smaller one. That takes the
    /// minutes that libostree takes. Default: no.
    #[must_use]
    pub fn compare_deltas(mut self, compare: bool) -> Self {
        self.compare_deltas = compare;
        self
    }

    setters! {
        /// Signs the summary with these keys. Default: none.
        sign_with;
    }

    /// Puts the signatures of those keys that are Ed25519's around the deltas too. Clients that
    /// apply a folder (`ostree static-delta apply-offline`) and this library's pull read such
    /// deltas; `ostree pull` of libostree, up to 2026.3 at least, fails at them. Default: no, and
    /// signatures that are there are taken off.
    #[must_use]
    pub fn sign_deltas(mut self, sign: bool) -> Self {
        self.sign_deltas = sign;
        self
    }

    /// Files of public keys, which are copied beside the page so that people can fetch them.
    /// Default: none.
    #[must_use]
    pub fn public_keys(mut self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        self.public_keys = files.into_iter().collect();
        self
    }

    /// How many parts of a delta are made at once, each in up to 250 MB of memory, and 500 MB with
    /// [`DeltaPreset::Best`]; less where less memory is free. Default: one per core.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    setters! {
        /// The time that the page and new deltas say. Default: [`SystemClock`].
        clock;
        /// Receives progress events. Default: [`NoProgress`].
        progress;
    }

    /// Looks which deltas are missing and which are superseded. Writes nothing.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn plan<'a>(&'a self, repo: &'a Repo) -> Result<PublishPlan<'a>, PublishError> {
        PublishPlan::new(self, repo)
    }
}

/// Why publishing failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Making a static delta.
    #[error(transparent)]
    Delta(#[from] DeltaError),
    /// Signing the summary.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Deltas are to be signed, and no key is one that can.
    #[error("there is no Ed25519 key to sign the static deltas with")]
    NoDeltaKey,
    /// A file beside the repository's own cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A file of public keys to offer cannot be read.
    #[error("cannot read public keys from {}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// The caller asked for a stop. Deltas that were made stay.
    #[error("stopped on request")]
    Cancelled,
}

impl PublishError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Delta(error) => error.kind(),
            Self::Sign(error) => error.kind(),
            Self::Write { source, .. } | Self::Keys { source, .. } => ErrorKind::of_io(source),
            Self::NoDeltaKey => ErrorKind::InvalidInput,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

/// What a progress line calls a delta.
fn label(name: &DeltaName) -> String {
    let short = |id: crate::id::CommitId| id.to_string()[..12].to_owned();
    match name.from {
        Some(from) => format!("{}-{}", short(from), short(name.to)),
        None => short(name.to),
    }
}
