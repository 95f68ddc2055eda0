//! The answers of a module proxy. All functions block; the server calls them on threads of their own.

use super::alert::{Alert, AlertKind, AlertSink};
use super::answer::{Answer, Block, Failure, Found, Refusal};
use super::metrics::{Metric, Metrics};
use super::policy::{Policy, Refused};
use super::proxies::{Fetched, Servers};
use super::request::Request;
use super::sums::{PublicSums, Sums};
use super::toolchains::Toolchains;
use super::tree::Tree;
use crate::clock::{Clock, rfc3339};
use crate::golang::h1::H1;
use crate::golang::module_id::ModuleId;
use crate::golang::toolchain::MODULE as TOOLCHAIN;
use crate::http::HttpError;
use crate::id::Sha256;
use crate::kind::ErrorKind;
use crate::progress::Progress;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The largest number of versions whose hashes, and of files whose digests are kept in memory.
const KEPT: usize = 20_000;

/// A result that may be a block.
pub(super) type Outcome = Result<Found, Failure>;

/// The state that all requests share.
pub(super) struct Service {
    pub policy: Policy,
    /// The proxies of all modules.
    pub proxies: Servers,
    /// The proxies of private modules by their lists in the policy.
    pub private_proxies: BTreeMap<String, Servers>,
    pub tree: Tree,
    pub public_sums: Box<dyn PublicSums>,
    /// The name of the checksum database.
    pub database: String,
    /// The servers of the checksum database.
    pub database_servers: Servers,
    pub toolchains: Option<Arc<Toolchains>>,
    pub alerts: Arc<dyn AlertSink>,
    pub metrics: Arc<Metrics>,
    pub clock: Arc<dyn Clock>,
    /// Ends the server. It is only asked for cancellation.
    pub stop: Arc<dyn Progress>,
    /// Ends requests that are not completed in time after that.
    pub abandon: Abandon,
    pub known: Known,
}

/// Cancels the work for all requests, once it is set.
#[derive(Debug, Default)]
pub(super) struct Abandon(AtomicBool);

impl Abandon {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Progress for Abandon {
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A memory of verified versions and files. A forgotten entry costs another verification.
#[derive(Default)]
pub(super) struct Known {
    /// The proven hashes of public versions, which never change.
    sums: Mutex<HashMap<ModuleId, Sums>>,
    /// The digests of zip files in the cache, and the hashes of their content.
    zips: Mutex<HashMap<PathBuf, (Sha256, H1)>>,
}

impl Known {
    pub fn sums(&self, id: &ModuleId) -> Option<Sums> {
        lock(&self.sums).get(id).copied()
    }

    pub fn add_sums(&self, id: &ModuleId, sums: Sums) {
        add(&mut lock(&self.sums), id.clone(), sums);
    }

    pub fn zip(&self, path: &Path) -> Option<(Sha256, H1)> {
        lock(&self.zips).get(path).copied()
    }

    pub fn add_zip(&self, path: &Path, hashes: (Sha256, H1)) {
        add(&mut lock(&self.zips), path.to_owned(), hashes);
    }
}

fn add<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>, key: K, value: V) {
    if map.len() >= KEPT {
        map.clear();
    }
    map.insert(key, value);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// Converts an outcome to an answer, with an alert for a block.
    pub fn answer(&self, request: &Request, outcome: Outcome) -> Answer {
        match outcome {
            Ok(found) => Ok(found),
            Err(Failure::Refusal(refusal)) => Err(refusal),
            Err(Failure::Block(block)) => {
                self.alert(request, &block, true);
                Err(Refusal::new(403, format!("blocked: {}", block.message)))
            }
        }
    }

    /// Reports an alert.
    pub fn alert(&self, request: &Request, block: &Block, blocked: bool) {
        let kind = (block.kind.as_str(), "");
        self.metrics.add_labelled(Metric::Alerts, kind, 1);
        let (module, version) = request.module();
        self.alerts.alert(&Alert {
            time: rfc3339(self.clock.now()),
            alert: block.kind,
            module: module.to_owned(),
            version: version.map(str::to_owned),
            file: request.kind(),
            blocked,
            message: block.message.clone(),
            expected: block.expected.clone(),
            found: block.found.clone(),
            evidence: block.evidence.clone(),
        });
    }

    /// Returns an error if the policy refuses all versions of a module.
    pub fn check_module(&self, module: &str) -> Result<(), Failure> {
        let refused = self.policy.refuses_module(module);
        refused.map_or(Ok(()), |refused| Err(refusal_of(module, &refused).into()))
    }

    /// Returns an error if the policy refuses a version, whatever its age.
    pub fn check_version(&self, id: &ModuleId) -> Result<(), Failure> {
        let refused = self.policy.refuses_version(id);
        refused.map_or(Ok(()), |refused| {
            Err(refusal_of(&id.to_string(), &refused).into())
        })
    }

    /// Returns an error if a version with this time is too young.
    pub fn check_time(&self, id: &ModuleId, time: Option<i64>) -> Result<(), Failure> {
        let Some(minimum) = self.policy.minimum_age(id.path()) else {
            return Ok(());
        };
        let minimum = minimum.as_secs();
        let now = self.clock.now();
        let time = time.and_then(|time| u64::try_from(time).ok());
        let message = match time {
            Some(time) if time.saturating_add(minimum) <= now => return Ok(()),
            Some(time) => format!(
                "{id} is from {}, and the policy of this proxy serves it from {} on",
                rfc3339(time),
                rfc3339(time.saturating_add(minimum))
            ),
            None => format!(
                "{id} has no time, and the policy of this proxy serves only versions of a minimum age"
            ),
        };
        Err(Block::new(AlertKind::TooYoung, message).into())
    }

    /// Returns the proxies that have a module.
    pub fn proxies_of(&self, module: &str) -> &Servers {
        let rule = self.policy.private(module);
        let list = rule.and_then(|rule| rule.upstream.as_ref());
        let private = list.and_then(|list| self.private_proxies.get(list));
        private.unwrap_or(&self.proxies)
    }

    /// Returns the store of toolchains, if it has this module.
    pub fn toolchains_of(&self, module: &str) -> Option<&Arc<Toolchains>> {
        let toolchains = self.toolchains.as_ref();
        toolchains.filter(|_| module == TOOLCHAIN)
    }

    /// Fetches a file of a module.
    pub fn fetch(&self, module: &str, path: &str, limit: u64) -> Result<Fetched, HttpError> {
        let servers = self.proxies_of(module);
        let spool = self.tree.root();
        let fetched = servers.fetch(path, limit, Some(spool), &self.abandon);
        match &fetched {
            Ok(fetched) => self.metrics.add(Metric::UpstreamBytes, fetched.size()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(_) => self.metrics.add(Metric::UpstreamErrors, 1),
        }
        fetched
    }

    /// Fetches a small file of a module.
    pub fn fetch_bytes(&self, module: &str, path: &str, limit: u64) -> Result<Vec<u8>, Refusal> {
        let fetched = self.fetch(module, path, limit);
        let fetched = fetched.map_err(|error| Refusal::upstream(&error))?;
        fetched.into_bytes().map_err(|error| internal(path, error))
    }
}

/// Returns the refusal for a file of the cache that cannot be used.
pub(super) fn cache_failure(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> Failure {
    move |error| {
        let status = match ErrorKind::of_io(&error) {
            ErrorKind::DiskFull => 507,
            _ => 500,
        };
        Refusal::new(
            status,
            format!("cannot {action} {}: {error}", path.display()),
        )
        .into()
    }
}

fn internal(path: &str, error: std::io::Error) -> Refusal {
    Refusal::new(500, format!("cannot read {path}: {error}"))
}

fn refusal_of(name: &str, refused: &Refused) -> Block {
    match refused {
        Refused::NotAllowed => Block::new(
            AlertKind::NotAllowed,
            format!("{name} is not among the modules that the policy of this proxy allows"),
        ),
        Refused::Denied(None) => Block::new(
            AlertKind::Denied,
            format!("{name} is denied by the policy of this proxy"),
        ),
        Refused::Denied(Some(reason)) => Block::new(
            AlertKind::Denied,
            format!("{name} is denied by the policy of this proxy: {reason}"),
        ),
    }
}
