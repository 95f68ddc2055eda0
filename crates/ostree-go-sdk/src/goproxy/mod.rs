//! A Go module proxy that verifies what it serves.
//!
//! It speaks the protocol of `GOPROXY` and fetches modules from other proxies. Files `.mod` and `.zip` are served after
//! the checksum database has proven their hashes, also to clients that do not ask the database themselves. Private
//! modules are never looked up there; a signed statement has their hashes. A [`Policy`] says which modules are served.
//!
//! A refusal has status 403, with which the go command stops and shows the reason. After 404 it asks
//! the next proxy of its list, and after any error if the list has `|`.
//!
//! The files in the order in which they may use each other: `policy`, `policy_file`, `request`, `alert`, `metrics`,
//! `info`, `toolchains` (no requests); `answer`, `flight`, `proxies`, `tree`, `sums`, `statement` (the parts of the
//! work); `service` (what requests share), `builtin`, `files`, `sumdb`, `queries` (the work); `body`, `server` (HTTP).

mod alert;
mod answer;
mod body;
mod builtin;
mod error;
mod files;
mod flight;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod info;
mod metrics;
mod policy;
mod policy_file;
mod proxies;
mod queries;
mod request;
mod server;
mod service;
mod statement;
mod sumdb;
mod sums;
#[cfg(test)]
mod tests;
pub mod toolchains;
mod tree;

pub use alert::{Alert, AlertKind, AlertSink, NoAlerts};
pub use error::GoProxyError;
pub use metrics::{Metric, Metrics};
pub use policy::Policy;
pub use policy_file::PolicyError;
pub use request::{ModuleFile, Request, SumDbPart};

use crate::clock::{Clock, SystemClock};
use crate::fs::context::IoContext;
use crate::golang::proxy;
use crate::golang::sumdb::{SUM_GOLANG_ORG, VerifierKey};
use crate::http::{HttpClient, HttpOptions};
use crate::progress::{NoProgress, Progress};
use crate::setters::setters;
use crate::upstream::{Database, HeadStore};
use proxies::Servers;
use server::Limits;
use service::{Abandon, Known, Service};
use std::collections::BTreeMap;
use std::net::{TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use toolchains::Toolchains;
use tree::Tree;

/// The name of Go's checksum database.
const SUM_NAME: &str = "sum.golang.org";

/// Options of a module proxy.
#[derive(Debug, Clone)]
pub struct ModuleProxy {
    upstream: String,
    cache: PathBuf,
    state: PathBuf,
    database_key: String,
    database_urls: Vec<String>,
    policy: Policy,
    toolchains: Option<Arc<Toolchains>>,
    alerts: Arc<dyn AlertSink>,
    metrics: Arc<Metrics>,
    metrics_file: Option<PathBuf>,
    http: HttpOptions,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
    connections: u32,
    fetches: usize,
    grace: Duration,
}

/// The numbers of requests, alerts and cached files of a module proxy since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Requests.
    pub requests: u64,
    /// Alerts.
    pub alerts: u64,
    /// Files that were served from the cache.
    pub cache_hits: u64,
    /// Files that were fetched from an upstream proxy.
    pub cache_misses: u64,
    /// Bytes of content that were sent.
    pub sent_bytes: u64,
}

impl ModuleProxy {
    /// Creates a proxy for the modules of others, which are given in the syntax of `GOPROXY`. `cache` is a directory in
    /// which it keeps what it has verified, in the layout of a proxy: `GOPROXY=file://DIR` can use it.
    #[must_use]
    pub fn new(upstream: impl Into<String>, cache: impl Into<PathBuf>) -> Self {
        let cache = cache.into();
        Self {
            upstream: upstream.into(),
            state: cache.join("state"),
            cache,
            database_key: SUM_NAME.to_owned(),
            database_urls: Vec::new(),
            policy: Policy::default(),
            toolchains: None,
            alerts: Arc::new(NoAlerts),
            metrics: Arc::default(),
            metrics_file: None,
            http: HttpOptions::new(),
            clock: Arc::new(SystemClock),
            progress: Arc::new(NoProgress),
            connections: 1024,
            fetches: 16,
            grace: Duration::from_secs(10),
        }
    }

    setters! {
        /// Sets the directory in which the newest head of the checksum database is remembered, and the evidence of
        /// forks. It must survive the removal of the cache. Default: `state` in the cache.
        state: PathBuf;
        /// Sets the key of the checksum database, as in `GOSUMDB`: a key, or the name of the one that Go uses. Default:
        /// `sum.golang.org`.
        database_key: String;
        /// Sets the URLs of the checksum database, which are tried in order. Default: `https://` and the name in its
        /// key, then the upstream proxies.
        database_urls: Vec<String>;
        /// Sets the policy. Default: all modules are served, and none is private.
        policy: Policy;
        /// Sets where versions of `golang.org/toolchain` come from. Default: the upstream proxies.
        toolchains: Option<Arc<Toolchains>>;
        /// Sets the receiver of alerts. Default: none.
        alerts: Arc<dyn AlertSink>;
        /// Sets the counters. Default: new ones.
        metrics: Arc<Metrics>;
        /// Sets a file to which the counters are written every few seconds, in the text format of Prometheus. Default:
        /// none.
        metrics_file: Option<PathBuf>;
        /// Sets the options of requests to upstream proxies and to the checksum database. Default:
        /// [`HttpOptions::new`].
        http: HttpOptions;
        /// Sets the clock, which decides about the age of versions. Default: [`SystemClock`].
        clock;
        /// Sets what ends the server: it is asked for cancellation, and receives no events. Default: the server does
        /// not end.
        progress;
        /// Sets the largest number of connections; further ones wait. Default: 1024.
        connections: u32;
        /// Sets the largest number of parallel requests to upstream proxies; further ones wait. Default: 16.
        fetches: usize;
        /// Sets the time in which requests are completed when the server ends. Default: 10 seconds.
        grace: Duration;
    }

    /// Checks the options, and creates the directories.
    ///
    /// # Errors
    /// Returns an error if an option is invalid, or a directory cannot be created.
    pub fn check(&self) -> Result<(), GoProxyError> {
        self.service().map(drop)
    }

    /// Serves on these sockets until the progress is cancelled. Then no connection is accepted any more, and requests
    /// are completed.
    ///
    /// # Errors
    /// Returns an error if an option is invalid, a directory or the file of metrics cannot be written at the start, or
    /// no thread can be started.
    pub fn serve(
        self,
        listeners: impl IntoIterator<Item = TcpListener>,
    ) -> Result<Served, GoProxyError> {
        let service = self.service()?;
        let limits = Limits {
            connections: self.connections.max(1),
            fetches: self.fetches.max(1),
            grace: self.grace,
        };
        let listeners = listeners.into_iter().collect();
        server::run(service, listeners, self.metrics_file, limits)?;
        let sum = |metric| self.metrics.sum(metric);
        Ok(Served {
            requests: sum(Metric::Requests),
            alerts: sum(Metric::Alerts),
            cache_hits: sum(Metric::CacheHits),
            cache_misses: sum(Metric::CacheMisses),
            sent_bytes: sum(Metric::SentBytes),
        })
    }

    fn service(&self) -> Result<Service, GoProxyError> {
        let key = match self.database_key.as_str() {
            SUM_NAME => SUM_GOLANG_ORG,
            key => key,
        };
        let (name, _) = key.split_once('+').unwrap_or_default();
        // The name is part of paths in the cache.
        let is_name = |element: &str| !["", ".", ".."].contains(&element) && !element.contains('/');
        let key = VerifierKey::parse(key).filter(|_| is_name(name));
        let key = key.ok_or_else(|| GoProxyError::Key {
            found: self.database_key.clone(),
        })?;
        let client = HttpClient::new(&self.http)?;
        let proxies = |list: &str| {
            let servers = Servers::of_list(&client, proxy::parse_list(list)?)?;
            let no_proxy = || GoProxyError::NoProxy {
                list: list.to_owned(),
            };
            (!servers.is_empty())
                .then_some(servers)
                .ok_or_else(no_proxy)
        };
        let upstream = proxies(&self.upstream)?;
        let private = self.policy.private_upstreams();
        let private = private.map(|list| Ok((list.to_owned(), proxies(list)?)));
        let private = private.collect::<Result<BTreeMap<_, _>, GoProxyError>>()?;
        let tree = Tree::create(&self.cache).context("create", &self.cache)?;
        let database_urls = match self.database_urls.is_empty() {
            true => default_urls(name, &upstream),
            false => self.database_urls.clone(),
        };
        let database_servers = Servers::of_mirrors(&client, &database_urls)?;
        let tiles = tree.root().join("sumdb").join(name);
        let database = Database::new(key, &database_urls, &self.http)
            .map_err(Box::new)?
            .heads(Some(HeadStore::new(&self.state)))
            .tile_cache(Some(tiles));
        Ok(Service {
            policy: self.policy.clone(),
            proxies: upstream,
            private_proxies: private,
            tree,
            public_sums: Box::new(database),
            database: name.to_owned(),
            database_servers,
            toolchains: self.toolchains.clone(),
            alerts: self.alerts.clone(),
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
            stop: self.progress.clone(),
            abandon: Abandon::default(),
            known: Known::default(),
        })
    }
}

/// Listens on an address such as `127.0.0.1:3000`, `localhost:3000` or `[::]:3000`.
///
/// # Errors
/// Returns an error if the address is invalid, or cannot be listened on.
pub fn listen(address: &str) -> Result<TcpListener, GoProxyError> {
    let bind = || {
        let addresses: Vec<_> = address.to_socket_addrs()?.collect();
        TcpListener::bind(&addresses[..])
    };
    bind().map_err(|source| GoProxyError::Listen {
        address: address.to_owned(),
        source,
    })
}

/// Returns the URLs of a checksum database by its name: the server, then the proxies.
fn default_urls(name: &str, proxies: &Servers) -> Vec<String> {
    let mut urls = vec![format!("https://{name}")];
    let proxied = proxies.urls().filter(|url| url.starts_with("http"));
    urls.extend(proxied.map(|url| format!("{url}/sumdb/{name}")));
    urls
}
