//! The entries of a vulnerability database about Go itself.

use super::documents::{Document, Documents, Origin, Place};
use super::error::AuditError;
use super::fetch::Fetcher;
use crate::clock::{Clock, SystemClock};
use crate::golang::osv::{
    Entry, EntryName, MAX_ENTRY, MAX_INDEX, ModuleIndex, Platform, STDLIB, TOOLCHAIN,
    parse_modified,
};
use crate::http::{HttpClient, HttpError, HttpOptions};
use crate::parallel;
use crate::progress::{Event, NoProgress, Phase, Progress};
use crate::setters::setters;
use crate::version::GoVersion;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The document with the time of the last change.
const DESCRIPTION: &str = "index/db.json";
/// The document with the entries of each module.
const MODULES: &str = "index/modules.json";
/// The start of Go's zero time, which entries have before they are published on vuln.go.dev.
const NO_TIME: &str = "0001-01-01T";

/// A Go vulnerability database.
#[derive(Clone)]
pub struct Database {
    location: String,
    http: HttpOptions,
    cache: Option<PathBuf>,
    max_age: u64,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("http", &self.http)
            .field("cache", &self.cache)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

/// The parts of Go that are considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// The standard library, and the go command with its tools.
    Sdk,
    /// The standard library, which is linked into programs.
    Program,
}

impl Scope {
    /// Returns the names of the modules in the database.
    const fn modules(self) -> &'static [&'static str] {
        match self {
            Self::Sdk => &[STDLIB, TOOLCHAIN],
            Self::Program => &[STDLIB],
        }
    }
}

/// The entries of a database that can affect some releases.
#[derive(Debug, Clone)]
pub struct Vulnerabilities {
    origin: Origin,
    entries: Vec<Entry>,
    /// The lowest release that all entries were read for.
    lowest: Option<GoVersion>,
}

/// A vulnerability of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vulnerability {
    /// The name of the entry: `GO-2026-4337`.
    pub id: String,
    /// The names in other databases: `CVE-2026-27139`.
    pub aliases: Vec<String>,
    /// One sentence about the problem.
    pub summary: String,
    /// The page about the entry.
    pub url: Option<String>,
    /// The affected packages, sorted: `net/http`, `cmd/go`. Empty if the entry does not name them.
    pub packages: Vec<String>,
    /// The first later release without the problem: `1.26.5`, `1.27rc2`. `None` if there is none yet.
    pub fixed: Option<String>,
    /// True if the problem exists on the given platform; false if only on others, for which the SDK can
    /// build programs.
    pub on_platform: bool,
}

impl Database {
    /// Creates a reader of the database at a location: an `http` or `https` URL, or a directory, also
    /// as a `file` URL.
    #[must_use]
    pub fn new(location: impl Into<String>) -> Self {
        Self {
            location: location.into(),
            http: HttpOptions::new(),
            cache: None,
            max_age: 0,
            clock: Arc::new(SystemClock),
            progress: Arc::new(NoProgress),
        }
    }

    setters! {
        /// Sets the options of HTTP requests. Default: [`HttpOptions::new`].
        http: HttpOptions;
        /// Sets the directory in which documents of a server are kept. It is created if it does not
        /// exist; if it cannot be written, nothing is kept. Default: none.
        cache: Option<PathBuf>;
        /// Sets the age in seconds up to which a copy of the index in the cache is used without a
        /// request. Default: 0.
        max_age: u64;
        /// Sets the clock for the age of copies. Default: [`SystemClock`].
        clock;
        /// Sets the receiver of progress, which may cancel. Default: none.
        progress;
    }

    /// Reads the entries that can affect the given releases, or later ones. Entries that the cache has
    /// in the state of the index are not requested again.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read, and the cache has no copy of a document; or if
    /// a document is damaged or too large. An entry with an invalid range is an error, because nothing
    /// would be known about the releases that it affects.
    pub fn load<'v>(
        &self,
        versions: impl IntoIterator<Item = &'v GoVersion>,
    ) -> Result<Vulnerabilities, AuditError> {
        let place = Place::parse(&self.location).map_err(HttpError::from)?;
        let fetcher = Fetcher {
            http: HttpClient::new(&self.http)?,
            cache: self.cache.clone(),
            now: self.clock.now(),
            progress: self.progress.clone(),
        };
        let documents = Documents::new(place, fetcher);
        let location = documents.place.shown();
        let index = documents.read(MODULES, MAX_INDEX, self.max_age)?;
        let index = index.ok_or_else(|| AuditError::NoDatabase {
            location: location.clone(),
        })?;
        let modules = ModuleIndex::parse(&index.bytes, Scope::Sdk.modules());
        let modules = modules.map_err(invalid(&index))?;
        let mut unreachable = index.unreachable;
        let modified = match documents.read(DESCRIPTION, MAX_ENTRY, self.max_age)? {
            Some(document) => {
                let modified = parse_modified(&document.bytes).map_err(invalid(&document))?;
                unreachable = unreachable.or(document.unreachable);
                Some(modified)
            }
            None => None,
        };
        let lowest = versions.into_iter().min().cloned();
        let names: Vec<(&EntryName, &str)> = match &lowest {
            Some(lowest) => modules.since(lowest).collect(),
            None => Vec::new(),
        };
        let (mut entries, stale) = self.entries(&documents, &location, &names)?;
        entries.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(Vulnerabilities {
            origin: Origin {
                location,
                modified,
                confirmed: index.confirmed,
                unreachable: unreachable.or(stale).map(Arc::new),
            },
            entries,
            lowest,
        })
    }

    /// Reads entries. Returns the reason as well if copies had to be used that are not in the state of
    /// the index.
    fn entries(
        &self,
        documents: &Documents,
        location: &str,
        names: &[(&EntryName, &str)],
    ) -> Result<(Vec<Entry>, Option<HttpError>), AuditError> {
        let (done, stale) = (AtomicU64::new(0), Mutex::new(None));
        let progress = &*self.progress;
        let read = parallel::map(
            names,
            || (),
            |(), (name, modified)| {
                if progress.is_cancelled() {
                    return Err(AuditError::Cancelled {
                        location: location.to_owned(),
                    });
                }
                let (entry, unreachable) = read_entry(documents, location, name, modified)?;
                if unreachable.is_some() {
                    *stale.lock().unwrap_or_else(PoisonError::into_inner) = unreachable;
                }
                progress.event(&Event::Advanced {
                    phase: Phase::Audit,
                    item: location,
                    done: done.fetch_add(1, Ordering::Relaxed) + 1,
                    total: Some(names.len() as u64),
                });
                Ok(entry)
            },
        );
        progress.event(&Event::Finished {
            phase: Phase::Audit,
            item: location,
        });
        Ok((
            read?,
            stale.into_inner().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

fn read_entry(
    documents: &Documents,
    location: &str,
    name: &EntryName,
    modified: &str,
) -> Result<(Entry, Option<HttpError>), AuditError> {
    let path = format!("ID/{}.json", name.as_str());
    let parse = |document: &Document| Entry::parse(&document.bytes, name, Scope::Sdk.modules());
    if let Some(document) = documents.cached(&path, MAX_ENTRY)
        && let Ok(entry) = parse(&document)
        && !modified.is_empty()
        && !modified.starts_with(NO_TIME)
        && entry.modified == modified
    {
        return Ok((entry, None));
    }
    let document = documents.read(&path, MAX_ENTRY, 0)?;
    let document = document.ok_or_else(|| AuditError::NoEntry {
        location: location.to_owned(),
        name: name.as_str().to_owned(),
    })?;
    let entry = parse(&document).map_err(invalid(&document))?;
    Ok((entry, document.unreachable))
}

fn invalid(document: &Document) -> impl FnOnce(crate::golang::osv::OsvError) -> AuditError {
    let document = document.name.clone();
    move |source| AuditError::Document { document, source }
}

impl Vulnerabilities {
    /// Returns where the entries came from, and how old they are.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the known vulnerabilities of a release, sorted by name. `None` if the database was read
    /// for later releases only, so that nothing is known.
    #[must_use]
    pub fn affecting(
        &self,
        version: &GoVersion,
        scope: Scope,
        platform: &Platform,
    ) -> Option<Vec<Vulnerability>> {
        let lowest = self.lowest.as_ref()?;
        // A variant is compared as the release that it is made from.
        let is_covered = lowest <= version || lowest.semver() == version.semver();
        let found = self.entries.iter().filter_map(|entry| {
            let effect = entry.effect(version, scope.modules(), platform)?;
            Some(Vulnerability {
                id: entry.id.clone(),
                aliases: entry.aliases.clone(),
                summary: entry.summary.clone(),
                url: entry.url.clone(),
                packages: effect.packages,
                fixed: effect.fixed,
                on_platform: effect.on_platform,
            })
        });
        is_covered.then(|| found.collect())
    }
}
