//! Verifies that a release is Go's own, using only Go's public checksum database.
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
use crate::golang::sumdb::{LOOKUP_LIMIT, Lookup, Record, SUM_GOLANG_ORG, SumdbError, VerifierKey};
use crate::golang::toolchain::{self, MODULE};
use crate::http::url::Url;
use crate::http::{HttpClient, HttpError};
use crate::id::{CommitId, Sha256};
use crate::kind::ErrorKind;
use crate::progress::{NoProgress, Progress};
use crate::repo::Repo;
use crate::setters::setters;
use crate::version::GoVersion;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A check of releases against Go's checksum database.
#[derive(Clone)]
pub struct Upstream {
    http: HttpClient,
    database: String,
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

/// The release's module, and its record in the database.
struct Official {
    version: String,
    record: Record,
    h1: H1,
}

impl Upstream {
    /// Creates a check against `https://sum.golang.org` with this client.
    #[must_use]
    pub fn new(http: HttpClient) -> Self {
        Self {
            http,
            database: "https://sum.golang.org".to_owned(),
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
        let not_a_release = |missing| UpstreamError::NotARelease { commit, missing };
        let arch = info.arch.ok_or_else(|| not_a_release("architecture"))?;
        let version: GoVersion = info
            .version
            .as_deref()
            .and_then(|version| version.parse().ok())
            .ok_or_else(|| not_a_release("Go version"))?;
        let key = VerifierKey::parse(SUM_GOLANG_ORG).ok_or(UpstreamError::Key)?;
        let official = self.look_up(&version, arch, &key)?;
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

    /// Queries the database and verifies the proof.
    fn look_up(
        &self,
        version: &GoVersion,
        arch: Arch,
        key: &VerifierKey,
    ) -> Result<Official, UpstreamError> {
        let database = Url::parse(&self.database).map_err(HttpError::from)?;
        let unverified = |source: SumdbError| UpstreamError::Database {
            url: database.to_string(),
            source: Box::new(source),
        };
        let get = |path: &str, limit| {
            let url = database.join(path).map_err(HttpError::from)?;
            self.http.get(&url, limit, self.progress.as_ref())
        };
        let version = toolchain::module_version(version, arch);
        let lookup = format!("lookup/{MODULE}@{}", toolchain::escape(&version));
        let answer = get(&lookup, LOOKUP_LIMIT).map_err(|error| match error.kind() {
            ErrorKind::NotFound => UpstreamError::Unknown {
                url: database.to_string(),
                module: format!("{MODULE}@{version}"),
            },
            _ => error.into(),
        })?;
        let lookup = Lookup::open(&answer, key).map_err(unverified)?;
        let mut tiles = BTreeMap::new();
        for tile in lookup.tiles() {
            tiles.insert(tile, get(&tile.path(), tile.size() as u64)?);
        }
        let record = lookup.prove(&tiles).map_err(unverified)?;
        let h1 = record.h1(MODULE, &version).map_err(unverified)?;
        Ok(Official {
            version,
            record,
            h1,
        })
    }
}
