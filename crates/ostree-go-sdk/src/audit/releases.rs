//! The releases of Go, and which of them Go supports.

use super::INDEX;
use super::documents::{Origin, Place, read_one};
use super::error::AuditError;
use super::fetch::Fetcher;
use crate::clock::{Clock, SystemClock};
use crate::golang::index::DownloadIndex as Index;
use crate::http::{HttpClient, HttpError, HttpOptions};
use crate::progress::{NoProgress, Progress};
use crate::setters::setters;
use crate::version::GoVersion;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// The maximum size of the index in bytes.
const LIMIT: u64 = 64 << 20;
/// The number of minor releases that Go supports. Source: <https://go.dev/doc/devel/release#policy>.
const SUPPORTED: usize = 2;
/// The query for all releases, as JSON.
const QUERY: &str = "?mode=json&include=all";

/// Go's download index.
#[derive(Clone)]
pub struct DownloadIndex {
    location: String,
    http: HttpOptions,
    cache: Option<PathBuf>,
    max_age: u64,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
}

impl fmt::Debug for DownloadIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadIndex")
            .field("http", &self.http)
            .field("cache", &self.cache)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

impl Default for DownloadIndex {
    fn default() -> Self {
        Self::new(INDEX)
    }
}

/// The releases that a download index lists.
#[derive(Debug, Clone)]
pub struct UpstreamReleases {
    origin: Origin,
    /// Highest first.
    versions: Vec<GoVersion>,
}

/// The support of a release by Go: problems of a supported one are fixed in later patch releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Support {
    /// The minor release is one of the two newest ones, or not released yet.
    Supported,
    /// There are two newer minor releases.
    Ended,
}

impl Support {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Ended => "ended",
        }
    }
}

impl DownloadIndex {
    /// Creates a reader of the index at a location: the URL of an index, as in a treefile, or a file
    /// with its JSON.
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
        /// Sets the directory in which the index is kept. It is created if it does not exist; if it
        /// cannot be written, nothing is kept. Default: none.
        cache: Option<PathBuf>;
        /// Sets the age in seconds up to which a copy in the cache is used without a request. Default:
        /// 0.
        max_age: u64;
        /// Sets the clock for the age of the copy. Default: [`SystemClock`].
        clock;
        /// Sets the receiver of progress, which may cancel. Default: none.
        progress;
    }

    /// Reads the index.
    ///
    /// # Errors
    /// Returns an error if the index cannot be read, and the cache has no copy; or if it is damaged, or
    /// lists no release.
    pub fn load(&self) -> Result<UpstreamReleases, AuditError> {
        let place = Place::parse(&self.location).map_err(HttpError::from)?;
        let fetcher = Fetcher {
            http: HttpClient::new(&self.http)?,
            cache: self.cache.clone(),
            now: self.clock.now(),
            progress: self.progress.clone(),
        };
        let document = read_one(&place, QUERY, &fetcher, LIMIT, self.max_age)?;
        let index = Index::parse(&document.bytes).map_err(|source| AuditError::Index {
            document: document.name.clone(),
            source: Box::new(source),
        })?;
        let versions = index.versions();
        if !versions.iter().any(|version| !version.is_prerelease()) {
            return Err(AuditError::NoReleases {
                document: document.name,
            });
        }
        Ok(UpstreamReleases {
            origin: Origin {
                location: place.shown(),
                modified: None,
                confirmed: document.confirmed,
                unreachable: document.unreachable.map(Arc::new),
            },
            versions,
        })
    }
}

impl UpstreamReleases {
    /// Returns where the list came from, and how old it is.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the minor releases that Go supports, highest first: `1.26`, `1.25`.
    #[must_use]
    pub fn supported(&self) -> Vec<String> {
        let minors = self.supported_minors().into_iter();
        minors
            .map(|(major, minor)| format!("{major}.{minor}"))
            .collect()
    }

    fn supported_minors(&self) -> Vec<(u64, u64)> {
        let released = self.versions.iter().filter(|one| !one.is_prerelease());
        let mut minors: Vec<(u64, u64)> = released.map(GoVersion::minor_number).collect();
        minors.dedup();
        minors.truncate(SUPPORTED);
        minors
    }

    /// Returns whether Go supports a release.
    #[must_use]
    pub fn support(&self, version: &GoVersion) -> Support {
        let oldest = self.supported_minors().into_iter().next_back();
        match oldest.is_none_or(|oldest| version.minor_number() >= oldest) {
            true => Support::Supported,
            false => Support::Ended,
        }
    }

    /// Returns the newest release of the minor release of `version`, or its newest pre-release if it is
    /// not released yet. `None` if the index does not list the minor release.
    #[must_use]
    pub fn newest_patch(&self, version: &GoVersion) -> Option<&GoVersion> {
        newest_patch(&self.versions, version)
    }
}

/// Returns the newest of `versions` that is a release of the minor release of `version`.
pub(super) fn newest_patch<'v>(
    versions: &'v [GoVersion],
    version: &GoVersion,
) -> Option<&'v GoVersion> {
    let same = versions.iter();
    let same = same.filter(|one| one.minor_number() == version.minor_number());
    same.max()
}
