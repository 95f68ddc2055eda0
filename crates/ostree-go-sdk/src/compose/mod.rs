//! Composing: sources become layers, releases and channels.
//!
//! [`Compose`] holds what the caller wants, [`Compose::plan`] compares it with a repository,
//! [`ComposePlan::execute`] does what is left to do, in one transaction.

mod commits;
mod error;
mod ingest;
mod inputs;
mod plan;
mod promote;
mod report;

pub use error::{ComposeError, SourceFailures};
pub use ingest::NewObjects;
pub use plan::{ComposePlan, PlannedRelease};
pub use promote::Promote;
pub use report::{
    ChannelState, Composed, ComposedChannel, ComposedLayer, ComposedRelease, ObjectCounts,
};

use crate::arch::Arch;
use crate::clock::{Clock, SystemClock};
use crate::fs::cache::Cache;
use crate::http::HttpClient;
use crate::id::CommitId;
use crate::metadata;
use crate::progress::{NoProgress, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use crate::sign::SigningKey;
use crate::source::Limits;
use crate::treefile::Treefile;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What to compose, and how. Every setter has a default that suits most callers.
#[derive(Clone)]
#[non_exhaustive]
pub struct Compose {
    treefile: Treefile,
    arches: Vec<Arch>,
    metadata: BTreeMap<String, serde_json::Value>,
    parent: Option<CommitId>,
    source_date_epoch: Option<u64>,
    force: bool,
    replace: bool,
    set_refs: bool,
    keys: Vec<SigningKey>,
    threads: usize,
    cache: Option<Cache>,
    goproxy: Option<String>,
    http: Option<HttpClient>,
    limits: Limits,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
}

impl fmt::Debug for Compose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compose")
            .field("treefile", &self.treefile)
            .field("arches", &self.arches)
            .finish_non_exhaustive()
    }
}

impl Compose {
    /// Composes every architecture of a treefile.
    #[must_use]
    pub fn new(treefile: Treefile) -> Self {
        Self {
            arches: treefile.arches().to_vec(),
            treefile,
            metadata: BTreeMap::new(),
            parent: None,
            source_date_epoch: None,
            force: false,
            replace: false,
            set_refs: true,
            keys: Vec::new(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            cache: None,
            goproxy: None,
            http: None,
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
            progress: Arc::new(NoProgress),
        }
    }

    /// Only these of the treefile's architectures. Default: all of them.
    #[must_use]
    pub fn arches(mut self, arches: impl IntoIterator<Item = Arch>) -> Self {
        self.arches = arches.into_iter().collect();
        self
    }

    /// More metadata for the release and its channels, over the treefile's. Default: none.
    #[must_use]
    pub fn add_metadata(mut self, key: impl Into<String>, value: serde_json::Value) -> Self {
        self.metadata.insert(key.into(), value);
        self
    }

    /// The commit before the release's. Default: none, so that the release's checksum follows
    /// from its content.
    #[must_use]
    pub fn parent(mut self, parent: Option<CommitId>) -> Self {
        self.parent = parent;
        self
    }

    /// The time of the release's commit, in seconds since 1970. Default: the `time` line of the
    /// SDK's `VERSION`, else the treefile's `timestamp`.
    #[must_use]
    pub fn source_date_epoch(mut self, seconds: Option<u64>) -> Self {
        self.source_date_epoch = seconds;
        self
    }

    /// Reads the source even if the input hash says that nothing changed. Default: no.
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }

    /// Lets a release's ref move to another commit. Default: no, that is an error.
    #[must_use]
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Moves the refs of releases and channels. Default: yes. Without, only layers, whose refs
    /// never move, have any, and it is the caller who keeps the releases from being pruned.
    #[must_use]
    pub fn set_refs(mut self, set: bool) -> Self {
        self.set_refs = set;
        self
    }

    setters! {
        /// Signs every commit of the result with these keys: layers, releases, channels, those that
        /// were there before as well. A signature that is there is kept. Default: none.
        sign_with;
    }

    /// How many threads hash and write objects. Default: one per core.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The folder that keeps downloads, by digest. Default: none; sources that have to be
    /// downloaded are then an error.
    #[must_use]
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(Cache::new(folder));
        self
    }

    /// The Go module proxies for `module` sources, in the go command's `GOPROXY` syntax, where
    /// the treefile says none. Default: none.
    #[must_use]
    pub fn goproxy(mut self, goproxy: Option<String>) -> Self {
        self.goproxy = goproxy;
        self
    }

    /// The client for downloads. Default: one with the default [`HttpOptions`](crate::HttpOptions).
    #[must_use]
    pub fn http(mut self, http: HttpClient) -> Self {
        self.http = Some(http);
        self
    }

    /// How large a source may be. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    setters! {
        /// The time of channel commits. Default: [`SystemClock`].
        clock;
        /// Receives progress events. Default: [`NoProgress`].
        progress;
    }

    /// Compares with what a repository has. Opens no source and writes nothing.
    ///
    /// # Errors
    /// When the treefile does not have an architecture that was asked for, metadata has a key
    /// that only the composer sets, an added file cannot be read, or the repository cannot.
    pub fn plan<'a>(&'a self, repo: &'a Repo) -> Result<ComposePlan<'a>, ComposeError> {
        ComposePlan::new(self, repo)
    }

    /// The metadata that the treefile and the caller add, as variants.
    fn extra_metadata(
        &self,
        treefile: &BTreeMap<String, serde_json::Value>,
    ) -> Result<metadata::Metadata, ComposeError> {
        let mut extra = metadata::Metadata::new();
        for (key, value) in treefile.iter().chain(&self.metadata) {
            if metadata::is_reserved(key) {
                return Err(ComposeError::ReservedMetadata { key: key.clone() });
            }
            extra.insert(key.clone(), metadata::from_json(value));
        }
        Ok(extra)
    }
}
