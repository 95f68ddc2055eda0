//! Go's public checksum database: looks up the hashes of Go's releases, and verifies that a release
//! of a repository is Go's own.
//!
//! The `h1:` hash is computed from the release's tree, as a host would deploy it. It covers
//! everything below the SDK's folder except the paths that Go's module form leaves out (`api`,
//! `doc`, `misc`, `test`) and the settings that a treefile's `go-env` changed in `go.env`; the
//! result lists these exceptions.
//!
//! [`Upstream::store_proofs`] adds proofs to commits, so that [`Upstream::verify_offline`] needs no connection. A
//! [`HeadStore`] keeps the newest signed head of the database's tree, with which a database that shows different trees to
//! different clients is detected. [`Database`] is the client of a checksum database for other modules.

pub(crate) mod content;
mod database;
mod error;
mod heads;
mod proof;

pub use crate::golang::sumdb::{
    LogProof, Record, SUM_GOLANG_ORG, SignedHead, TreeHead, VerifierKey,
};
pub use database::{Database, ProvenRecord};
pub use error::UpstreamError;
pub use heads::HeadStore;

use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::fs::path::TreePath;
use crate::golang::h1::H1;
use crate::golang::module_id::ModuleId;
use crate::golang::proxy::{self, ProxyTarget};
use crate::golang::sumdb::PROXIED;
use crate::golang::toolchain::{self, MODULE};
use crate::http::HttpOptions;
use crate::id::{CommitId, Sha256};
use crate::progress::{NoProgress, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use crate::version::GoVersion;
use std::fmt;
use std::sync::Arc;

/// The URL of Go's public checksum database.
pub const DATABASE: &str = "https://sum.golang.org";

/// A check of releases against Go's checksum database.
#[derive(Clone)]
pub struct Upstream {
    http: HttpOptions,
    database: String,
    key: Option<VerifierKey>,
    goproxy: Option<String>,
    heads: Option<HeadStore>,
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
    /// The proof that the record is in the signed tree, which can be verified without a connection.
    pub log: LogProof,
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

/// The proof of a release in its detached metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredProof {
    /// The commit of the release.
    pub commit: CommitId,
    /// The number of the record in the database.
    pub record: u64,
    /// The number of records in the signed tree.
    pub tree_size: u64,
    /// True if the proof was added, false if the commit had a valid one.
    pub is_new: bool,
}

/// A release, as its metadata describe it.
struct Release {
    info: CommitInfo,
    version: GoVersion,
    arch: Arch,
    /// The version of the module with the same content.
    module_version: String,
}

impl Release {
    fn read(repo: &Repo, commit: CommitId) -> Result<Self, UpstreamError> {
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
        let module_version = toolchain::module_version(&version, arch);
        Ok(Self {
            info,
            version,
            arch,
            module_version,
        })
    }
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
            key: None,
            goproxy: None,
            heads: None,
            progress: Arc::new(NoProgress),
        }
    }

    /// Sets the URL of the database: a mirror, or a Go module proxy, which serves it below
    /// `/sumdb/sum.golang.org`. Answers must be signed by the [`key`](Self::key) in any case.
    #[must_use]
    pub fn database(mut self, url: impl Into<String>) -> Self {
        self.database = url.into();
        self
    }

    setters! {
        /// Sets Go module proxies, in the syntax of `GOPROXY`, that are asked for the database if
        /// [`DATABASE`] is out of reach. They are not asked if another one is set. Default: none.
        goproxy: Option<String>;
        /// Sets the key of the database. Default: that of `sum.golang.org`, [`SUM_GOLANG_ORG`].
        key: Option<VerifierKey>;
        /// Sets the store for the newest head of the database's tree. A database that shows another tree than before is refused.
        /// Default: none, so that nothing is stored.
        heads: Option<HeadStore>;
        /// Sets the options of HTTP requests. Default: [`HttpOptions::new`].
        http: HttpOptions;
        /// Sets the receiver of progress, which may cancel. Default: none.
        progress;
    }

    /// Checks one release: computes the hash of its content, and compares it with the one in the database. Nothing is written
    /// but the newest head of the database's tree, if there is a [store](Self::heads).
    ///
    /// # Errors
    /// Returns an error if the commit is not a release, the database cannot be reached or its
    /// answer cannot be verified, or the release's content differs from the database.
    pub fn verify(&self, repo: &Repo, commit: CommitId) -> Result<UpstreamProof, UpstreamError> {
        let release = Release::read(repo, commit)?;
        let (record, h1) = self.look_up_release(&release)?;
        self.compare(repo, commit, &release, (record, h1))
    }

    /// Looks up the record of a release, and the hash in it.
    fn look_up_release(&self, release: &Release) -> Result<(Record, H1), UpstreamError> {
        let found = self.look_up(MODULE, &release.module_version)?;
        let h1 = found.h1(MODULE, &release.module_version)?;
        Ok((found.record, h1))
    }

    /// Compares the content of a release with a record.
    fn compare(
        &self,
        repo: &Repo,
        commit: CommitId,
        release: &Release,
        (record, expected): (Record, H1),
    ) -> Result<UpstreamProof, UpstreamError> {
        let content = content::read(repo, commit, self.progress.as_ref())?;
        let folder = toolchain::module_folder(&release.version, release.arch);
        let (found, go_env) = content.h1(&folder, expected);
        if found != expected {
            return Err(UpstreamError::Differs {
                module: folder.into(),
                found,
                expected,
            });
        }
        if let Some(recorded) = &release.info.h1
            && *recorded != found.to_string()
        {
            return Err(UpstreamError::Metadata {
                commit,
                found: recorded.clone(),
                expected: found,
            });
        }
        let log = LogProof::from(&record);
        Ok(UpstreamProof {
            module: MODULE,
            version: release.module_version.clone(),
            h1: found,
            record: record.number,
            tree_size: record.head.head.size,
            tree_root: record.head.head.root,
            signed_by: self.verifier_key()?.to_string(),
            files: content.count(),
            go_env,
            prefix: content.prefix,
            others: content.others,
            log,
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
        let found = self.look_up(module, version)?;
        Ok(OfficialHash {
            version: version.to_owned(),
            h1: found.h1(module, version)?,
            database: found.url,
        })
    }

    /// Queries the database, or else the proxies, and verifies the proof.
    fn look_up(&self, module: &str, version: &str) -> Result<ProvenRecord, UpstreamError> {
        let mut urls = vec![self.database.clone()];
        urls.extend(self.mirrors());
        Database::new(self.verifier_key()?, &urls, &self.http)?
            .heads(self.heads.clone())
            .look_up(module, version, self.progress.as_ref())
    }

    fn verifier_key(&self) -> Result<VerifierKey, UpstreamError> {
        let own = || VerifierKey::parse(SUM_GOLANG_ORG).ok_or(UpstreamError::Key);
        self.key.clone().map_or_else(own, Ok)
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
}
