//! Go's public checksum database: looks up the hashes of Go's releases, and verifies that a release
//! of a repository is Go's own.
//!
//! The `h1:` hash is computed from the release's tree, as a host would deploy it. It covers
//! everything below the SDK's folder except the paths that Go's module form leaves out (`api`,
//! `doc`, `misc`, `test`) and the settings that a treefile's `go-env` changed in `go.env`; the
//! result lists these exceptions.

mod content;
mod error;

pub use error::UpstreamError;

use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::fs::path::TreePath;
use crate::golang::h1::H1;
use crate::golang::module_id::ModuleId;
use crate::golang::module_path::escape;
use crate::golang::proxy::{self, ProxyTarget};
use crate::golang::sumdb::{
    LOOKUP_LIMIT, Lookup, PROXIED, Record, SUM_GOLANG_ORG, SumdbError, VerifierKey,
};
use crate::golang::toolchain::{self, MODULE};
use crate::http::url::Url;
use crate::http::{HttpClient, HttpError, HttpOptions};
use crate::id::{CommitId, Sha256};
use crate::kind::ErrorKind;
use crate::progress::{NoProgress, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use crate::version::GoVersion;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The URL of Go's public checksum database.
pub const DATABASE: &str = "https://sum.golang.org";

/// A check of releases against Go's checksum database.
#[derive(Clone)]
pub struct Upstream {
    http: HttpOptions,
    database: String,
    goproxy: Option<String>,
    progress: Arc<dyn Progress>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

/// The proof that a release is Go's own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamProof {
    /// The module with the same content: `golang.org/toolchain`.
    pub module: &'static str,
    /// The module's version: `v0.0.1-go1.26.5.linux-amd64`.
    pub version: String,
    /// The hash of the release's content, which equals the one in the database.
    pub h1: H1,
    /// The number of the record in the database.
    pub record: u64,
    /// The number of records in the database, from the signed head of its tree.
    pub tree_size: u64,
    /// The root hash of the tree.
    pub tree_root: Sha256,
    /// The name and hash of the key that signed the head: `sum.golang.org+033de0ae`.
    pub signed_by: String,
    /// The SDK's folder in the release.
    pub prefix: TreePath,
    /// The number of files that the hash covers.
    pub files: u64,
    /// Settings in `go.env` that are not Go's own, in order.
    pub go_env: Vec<(String, String)>,
    /// Paths in the release that the hash does not cover, in order.
    pub others: Vec<TreePath>,
}

/// The `h1:` hash of a release of Go, or of another module, in the checksum database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfficialHash {
    /// The module's version: `v0.0.1-go1.26.5.linux-amd64`.
    pub version: String,
    /// The hash.
    pub h1: H1,
    /// The URL that the proven record came from, without credentials.
    pub database: String,
}

/// The release's module, and its record in the database.
struct Official {
    database: String,
    version: String,
    record: Record,
    h1: H1,
}

impl Default for Upstream {
    fn default() -> Self {
        Self::new()
    }
}

impl Upstream {
    /// Creates a check against `https://sum.golang.org`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            http: HttpOptions::new(),
            database: DATABASE.to_owned(),
            goproxy: None,
            progress: Arc::new(NoProgress),
        }
    }

    /// Sets the URL of the database: a mirror, or a Go module proxy, which serves it below
    /// `/sumdb/sum.golang.org`. Answers must be signed by `sum.golang.org` in any case.
    #[must_use]
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database = url.into();
        self
    }

    setters! {
        /// Sets Go module proxies, in the syntax of `GOPROXY`, that are asked for the database if
        /// [`DATABASE`] is out of reach. They are not asked if another one is set. Default: none.
        goproxy: Option<String>;
        /// Sets the options of HTTP requests. Default: [`HttpOptions::new`].
        http: HttpOptions;
        /// Sets the receiver of progress, which may cancel. Default: none.
        progress;
    }

    /// Checks one release without writing anything. No tree head is stored: a database that shows
    /// different trees to different clients can only be detected by clients that store heads, as
    /// the go command does.
    ///
    /// # Errors
    /// Returns an error if the commit is not a release, the database cannot be reached or its
    /// answer cannot be verified, or the release's content differs from the database.
    pub fn verify(&self, repo: &Repo, commit: CommitId) -> Result<UpstreamProof, UpstreamError> {
        let info = CommitInfo::read(repo, commit)?;
        if let Some(id) = info.std_cache {
            let version = info.version.unwrap_or_default().into();
            return Err(UpstreamError::StdCache {
                commit,
                id,
                version,
            });
        }
        let not_a_release = |missing| UpstreamError::NotARelease { commit, missing };
        let arch = info.arch.ok_or_else(|| not_a_release("architecture"))?;
        let version: GoVersion = info
            .version
            .as_deref()
            .and_then(|version| version.parse().ok())
            .ok_or_else(|| not_a_release("Go version"))?;
        // A site's variant has to be Go's release apart from what the result lists.
        let variant = info.variant.as_deref();
        let version = variant
            .and_then(|variant| version.without_variant(variant))
            .unwrap_or(version);
        let key = VerifierKey::parse(SUM_GOLANG_ORG).ok_or(UpstreamError::Key)?;
        let module_version = toolchain::module_version(&version, arch);
        let official = self.look_up(MODULE, &module_version, &key)?;
        let content = content::read(repo, commit, self.progress.as_ref())?;

        let folder = toolchain::module_folder(&version, arch);
        let (found, go_env) = content.h1(&folder, official.h1);
        if found != official.h1 {
            return Err(UpstreamError::Differs {
                module: folder.into(),
                found,
                expected: official.h1,
            });
        }
        if let Some(recorded) = info.h1
            && recorded != found.to_string()
        {
            return Err(UpstreamError::Metadata {
                commit,
                found: recorded,
                expected: found,
            });
        }
        Ok(UpstreamProof {
            module: MODULE,
            version: official.version,
            h1: found,
            record: official.record.number,
            tree_size: official.record.tree.size,
            tree_root: official.record.tree.root,
            signed_by: key.to_string(),
            files: content.count(),
            go_env,
            prefix: content.prefix,
            others: content.others,
        })
    }

    /// Looks up the hash of a release of Go, and verifies the database's proof.
    ///
    /// # Errors
    /// Returns an error if the database does not have the release, cannot be reached, or its answer
    /// cannot be verified.
    pub fn look_up_hash(
        &self,
        version: &GoVersion,
        arch: Arch,
    ) -> Result<OfficialHash, UpstreamError> {
        self.look_up_official(MODULE, &toolchain::module_version(version, arch))
    }

    /// Looks up the hash of any module's version, and verifies the database's proof.
    ///
    /// # Errors
    /// Returns an error if the database does not have the version, cannot be reached, or its answer
    /// cannot be verified.
    pub fn look_up_module(&self, id: &ModuleId) -> Result<OfficialHash, UpstreamError> {
        self.look_up_official(id.path(), id.version())
    }

    fn look_up_official(&self, module: &str, version: &str) -> Result<OfficialHash, UpstreamError> {
        let key = VerifierKey::parse(SUM_GOLANG_ORG).ok_or(UpstreamError::Key)?;
        let official = self.look_up(module, version, &key)?;
        Ok(OfficialHash {
            version: official.version,
            h1: official.h1,
            database: official.database,
        })
    }

    /// Queries the database, or else the proxies, and verifies the proof. Which of them answers does
    /// not matter, because the answer is signed.
    fn look_up(
        &self,
        module: &str,
        version: &str,
        key: &VerifierKey,
    ) -> Result<Official, UpstreamError> {
        let mirrors = self.mirrors();
        let client = HttpClient::new(&self.http)?;
        // The alternatives take the place of retries.
        let http = match mirrors.is_empty() {
            true => client.clone(),
            false => client.without_retries(),
        };
        let direct = self.look_up_at(&http, &self.database, (module, version), key);
        let error = match direct {
            Err(UpstreamError::Http(error)) if error.kind() != ErrorKind::Cancelled => error,
            result => return result,
        };
        for mirror in &mirrors {
            match self.look_up_at(&client, mirror, (module, version), key) {
                // A proxy need not serve the database.
                Err(UpstreamError::Unknown { .. }) => {}
                Err(UpstreamError::Http(error)) if error.kind() != ErrorKind::Cancelled => {}
                result => return result,
            }
        }
        Err(error.into())
    }

    /// Returns the URLs of the database at the proxies.
    fn mirrors(&self) -> Vec<String> {
        if self.database != DATABASE {
            return Vec::new();
        }
        let list = self.goproxy.as_deref().map(proxy::parse_list);
        let entries = list.and_then(Result::ok).unwrap_or_default();
        let url = |entry| match entry {
            ProxyTarget::Proxy(url) => Some(format!("{url}/{PROXIED}")),
            ProxyTarget::Direct | ProxyTarget::Off => None,
        };
        let entries = entries.into_iter();
        entries.filter_map(|entry| url(entry.target)).collect()
    }

    /// Queries one server and verifies the proof.
    fn look_up_at(
        &self,
        http: &HttpClient,
        database: &str,
        (module, version): (&str, &str),
        key: &VerifierKey,
    ) -> Result<Official, UpstreamError> {
        let database = Url::parse(database).map_err(HttpError::from)?;
        let unverified = |source: SumdbError| UpstreamError::Database {
            url: database.to_string(),
            source: Box::new(source),
        };
        let get = |path: &str, limit| {
            let url = database.join(path).map_err(HttpError::from)?;
            http.get(&url, limit, self.progress.as_ref())
        };
        let (escaped, escaped_version) = (escape(module), escape(version));
        let lookup = format!("lookup/{escaped}@{escaped_version}");
        let answer = get(&lookup, LOOKUP_LIMIT).map_err(|error| match error.kind() {
            ErrorKind::NotFound => UpstreamError::Unknown {
                url: database.to_string(),
                module: format!("{module}@{version}"),
            },
            _ => error.into(),
        })?;
        let lookup = Lookup::open(&answer, key).map_err(unverified)?;
        let mut tiles = BTreeMap::new();
        for tile in lookup.tiles() {
            tiles.insert(tile, get(&tile.path(), tile.size() as u64)?);
        }
        let record = lookup.prove(&tiles).map_err(unverified)?;
        let h1 = record.h1(module, version).map_err(unverified)?;
        Ok(Official {
            database: database.to_string(),
            version: version.to_owned(),
            record,
            h1,
        })
    }
}
