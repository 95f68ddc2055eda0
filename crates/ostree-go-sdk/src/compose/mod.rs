//! Composes sources to layers, releases and channels, composes Go modules, and builds std caches.
//!
//! [`Compose`] contains the options, [`Compose::plan`] compares them with a repository, and
//! [`ComposePlan::execute`] does the remaining work: one transaction for the releases and channels,
//! and one for each module and std cache.

mod commits;
mod error;
mod ingest;
mod inputs;
mod module_error;
mod module_files;
mod modules;
mod pins;
mod plan;
mod promote;
mod rebuilt;
mod report;
mod std_caches;

pub use error::{ComposeError, SourceFailures};
pub use ingest::NewObjects;
pub use module_error::ModuleError;
pub use modules::PlannedModule;
pub use pins::OfficialPins;
pub use plan::{ComposePlan, PlannedRelease};
pub use promote::{Promote, PromotePlan, Promoted};
pub use report::{
    ChannelState, Composed, ComposedChannel, ComposedLayer, ComposedModule, ComposedRelease,
    ComposedStdCache, ObjectCounts,
};
pub use std_caches::PlannedStdCache;

use crate::arch::Arch;
use crate::clock::{Clock, SystemClock};
use crate::fs::cache::Cache;
use crate::http::HttpOptions;
use crate::id::{CommitId, Sha256};
use crate::metadata;
use crate::progress::{NoProgress, Progress};
use crate::setters::setters;
use crate::sign::SigningKey;
use crate::source::Limits;
use crate::treefile::{RecipeOptions, Treefile};
use crate::upstream::{self, HeadStore};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Options of a compose. Every setter has a default that suits most callers.
#[derive(Clone)]
#[non_exhaustive]
pub struct Compose {
    treefile: Treefile,
    arches: Vec<Arch>,
    metadata: BTreeMap<String, serde_json::Value>,
    workspace: Option<Sha256>,
    parent: Option<CommitId>,
    source_date_epoch: Option<u64>,
    force: bool,
    replace: bool,
    set_refs: bool,
    std_caches: bool,
    keys: Vec<SigningKey>,
    threads: usize,
    cache: Option<Cache>,
    goproxy: Option<String>,
    sumdb: Option<String>,
    heads: Option<HeadStore>,
    upstream_proof: bool,
    no_sumdb_for: Option<String>,
    no_proxy_for: Option<String>,
    http: HttpOptions,
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
    /// Creates a compose of all architectures of a treefile.
    #[must_use]
    pub fn new(treefile: Treefile) -> Self {
        Self {
            arches: treefile.arches().to_vec(),
            treefile,
            metadata: BTreeMap::new(),
            workspace: None,
            parent: None,
            source_date_epoch: None,
            force: false,
            replace: false,
            set_refs: true,
            std_caches: true,
            keys: Vec::new(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            cache: None,
            goproxy: None,
            sumdb: Some(upstream::DATABASE.to_owned()),
            heads: None,
            upstream_proof: false,
            no_sumdb_for: None,
            no_proxy_for: None,
            http: HttpOptions::new(),
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
            progress: Arc::new(NoProgress),
        }
    }

    setters! {
        /// Restricts the compose to these architectures of the treefile. Default: all of them.
        arches: Vec<Arch>;
        /// Sets the parent of the release's commit. Default: none, so that the checksum of the
        /// release depends only on its content.
        parent: Option<CommitId>;
        /// Sets the SHA-256 of the lock file of the workspace that the release is for. It becomes
        /// [`metadata::SDK_WORKSPACE`] of the release and its channels, so that another lock gives
        /// another commit. Default: none; the commit is the same as without this option.
        workspace: Option<Sha256>;
        /// Sets the timestamp of the release's commit, in seconds since 1970. Default: the `time`
        /// line of the SDK's `VERSION`, or else the treefile's `timestamp`.
        source_date_epoch: Option<u64>;
        /// Reads the source and builds the std caches even if their input hashes are unchanged.
        /// Default: no.
        force: bool;
        /// Allows the ref of a release, of a module's version or of a std cache to move to another
        /// commit. Default: no, this is an error.
        replace: bool;
        /// Moves the refs of releases and channels. Default: yes. Otherwise only layers have refs,
        /// which never move, the caller has to protect the releases from being pruned, and no modules
        /// are composed.
        set_refs: bool;
        /// Builds the std caches that the treefile names, with the composed SDK. Default: yes.
        /// Without refs of releases, none are built.
        std_caches: bool;
        /// Signs all commits of the result with these keys: layers, releases, channels, modules and std
        /// caches, including those that existed before. Existing signatures are kept. An existing summary
        /// is signed with the same keys when it is refreshed. Default: none.
        sign_with;
        /// Sets the number of threads that hash and write objects. Default: one per core.
        threads: usize;
        /// Sets the cache of downloads. Default: none; sources that have to be
        /// downloaded are an error then.
        cache: Option<Cache>;
        /// Sets the Go module proxies for `module` sources, in the syntax of `GOPROXY`, if the
        /// treefile does not set any. Default: none.
        goproxy: Option<String>;
        /// Sets the URL of Go's checksum database, which has to contain the content of `module`
        /// sources without a pin. If the default is out of reach, the module proxies are asked. None:
        /// the content is not checked. Default: [`upstream::DATABASE`].
        sumdb: Option<String>;
        /// Sets the store for the newest head of the checksum database's tree. Default: none.
        heads: Option<HeadStore>;
        /// Adds the proof that their content is Go's own to the detached metadata of the releases and channels, with which anyone
        /// can verify it without a connection. A release with other content is an error. Default: no.
        upstream_proof: bool;
        /// Sets patterns of paths of modules that are not looked up in the checksum database, in the
        /// syntax of `GONOSUMDB`. Such a module needs a `sum` in the treefile. Default: none.
        no_sumdb_for: Option<String>;
        /// Sets patterns of paths of modules that are not requested from `goproxy`, in the syntax of
        /// `GONOPROXY`. Such a module needs a treefile with proxies of its own. Default: none.
        no_proxy_for: Option<String>;
        /// Sets the options of HTTP requests. Default: [`HttpOptions::new`].
        http: HttpOptions;
        /// Sets the limits for the size of a source. Default: [`Limits::default`].
        limits: Limits;
        /// Sets the clock for the timestamps of channel commits. Default: [`SystemClock`].
        clock;
        /// Sets the receiver of progress events, which may cancel the operation. Default:
        /// [`NoProgress`].
        progress;
    }

    /// Adds metadata to the release and its channels; it takes precedence over the treefile's.
    /// Default: none.
    #[must_use]
    pub fn add_metadata(mut self, key: impl Into<String>, value: serde_json::Value) -> Self {
        self.metadata.insert(key.into(), value);
        self
    }

    /// Returns the metadata for the lock file of the workspace, if there is one.
    fn workspace_metadata(&self) -> Option<(String, serde_json::Value)> {
        let digest = self.workspace?.to_string();
        Some((metadata::SDK_WORKSPACE.to_owned(), digest.into()))
    }

    /// Returns the options that determine the commit of a release.
    fn recipe_options(&self) -> RecipeOptions {
        let mut options = RecipeOptions::default();
        options.metadata.clone_from(&self.metadata);
        options.parent = self.parent;
        options.timestamp = self.source_date_epoch;
        options.workspace = self.workspace;
        options
    }

    /// Creates the compose of a recipe's treefile.
    pub(crate) fn of_recipe(treefile: Treefile, options: &RecipeOptions) -> Self {
        let mut compose = Self::new(treefile);
        compose.metadata.clone_from(&options.metadata);
        compose.parent = options.parent;
        compose.source_date_epoch = options.timestamp;
        compose.workspace = options.workspace;
        compose
    }

    /// Returns the additional metadata of the treefile and the caller as variants.
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
        let workspace = self.workspace_metadata();
        extra.extend(workspace.map(|(key, value)| (key, metadata::from_json(&value))));
        Ok(extra)
    }
}
