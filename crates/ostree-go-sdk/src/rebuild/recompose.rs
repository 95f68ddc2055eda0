//! Composes a release again and compares the commits.

use super::error::RebuildError;
use super::release::{files, folder, release};
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::compose::{Compose, ComposeError, Composed};
use crate::diff::Diff;
use crate::fs::cache::Cache;
use crate::fs::context::IoContext;
use crate::golang::std_cache::StdCacheId;
use crate::golang::toolchain;
use crate::http::HttpOptions;
use crate::id::{CommitId, RefName, Sha256};
use crate::kind::ErrorKind;
use crate::metadata;
use crate::object::Commit;
use crate::progress::{NoProgress, Progress};
use crate::repo::{Repo, RepoMode};
use crate::setters::setters;
use crate::source::{Limits, SourceInfo};
use crate::treefile::{Recipe, SourceSpec, Treefile, copied_files};
use crate::upstream;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Go's own download index.
const INDEX: &str = "https://go.dev/dl/";

/// Maximum size of a file that a release has from the machine of its compose, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// Options of composing a release again.
#[derive(Clone)]
#[non_exhaustive]
pub struct Recompose {
    source: Option<SourceSpec>,
    std_caches: bool,
    cache: Option<Cache>,
    goproxy: Option<String>,
    sumdb: Option<String>,
    http: HttpOptions,
    limits: Limits,
    temporary: PathBuf,
    progress: Arc<dyn Progress>,
}

impl fmt::Debug for Recompose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recompose")
            .field("source", &self.source)
            .field("std_caches", &self.std_caches)
            .finish_non_exhaustive()
    }
}

impl Default for Recompose {
    fn default() -> Self {
        Self::new()
    }
}

/// A release that was composed again.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recomposed {
    /// The release.
    pub release: RecomposedCommit,
    /// The source that it was composed from.
    pub source: Option<SourceInfo>,
    /// The `h1:` hash of the source's files in the release, computed from the source.
    pub h1: Option<String>,
    /// The std caches of the version in the repository that were built again.
    pub std_caches: Vec<RecomposedStdCache>,
    /// The std caches in the repository that were not built, because the release is for another
    /// architecture than that of this machine.
    pub skipped_std_caches: Vec<RefName>,
}

impl Recomposed {
    /// Returns true if all commits are the same.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        let std_caches = self.std_caches.iter().map(|one| &one.commit);
        std_caches
            .chain([&self.release])
            .all(|one| one.expected == one.found)
    }
}

/// A std cache that was built again.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecomposedStdCache {
    /// The target and the mode.
    pub id: StdCacheId,
    /// The ref.
    pub ref_name: RefName,
    /// The commits.
    pub commit: RecomposedCommit,
}

/// A commit of the repository, and that which was composed.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecomposedCommit {
    /// The commit in the repository.
    pub expected: CommitId,
    /// The commit that was composed.
    pub found: CommitId,
    /// The properties of the commits that differ, besides their trees.
    pub differences: Vec<CommitDifference>,
    /// The paths that differ; `None` if the commits are the same.
    pub diff: Option<Diff>,
}

/// A property of a commit that differs: `timestamp`, `parent`, `subject`, `body`, or a key of its
/// metadata.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CommitDifference {
    /// The name of the property.
    pub key: String,
    /// The value in the repository.
    pub expected: Option<Value>,
    /// The value of the commit that was composed.
    pub found: Option<Value>,
}

impl Recompose {
    /// Creates the options.
    #[must_use]
    pub fn new() -> Self {
        Self {
            source: None,
            std_caches: true,
            cache: None,
            goproxy: None,
            sumdb: Some(upstream::DATABASE.to_owned()),
            http: HttpOptions::new(),
            limits: Limits::default(),
            temporary: PathBuf::from("/tmp"),
            progress: Arc::new(NoProgress),
        }
    }

    setters! {
        /// Sets the source of the SDK. Default: none; the archive of the compose if the cache has it,
        /// else Go's download index, else the module proxies.
        source: Option<SourceSpec>;
        /// Sets whether the std caches of the version in the repository are built again with the
        /// composed SDK. Default: yes.
        std_caches: bool;
        /// Sets the cache of downloads. Default: none; sources that have to be downloaded cannot be
        /// used then.
        cache: Option<Cache>;
        /// Sets the Go module proxies, in the syntax of `GOPROXY`. Default: none.
        goproxy: Option<String>;
        /// Sets the URL of Go's checksum database, which has to contain the content from a module proxy
        /// if the recipe has no hash of it. Default: [`upstream::DATABASE`].
        sumdb: Option<String>;
        /// Sets the options of HTTP requests. Default: [`HttpOptions::new`].
        http: HttpOptions;
        /// Sets the limits for the size of a source. Default: [`Limits::default`].
        limits: Limits;
        /// Sets the directory in which a directory for temporary files is created. Default: `/tmp`.
        temporary: PathBuf;
        /// Sets the receiver of progress events, which may cancel the operation. Default:
        /// [`NoProgress`].
        progress;
    }

    /// Composes the release of a commit into a temporary repository, and compares the commits. The
    /// repository is only read.
    ///
    /// Nothing in the recipe is trusted: it decides only what is composed, and a recipe that does not
    /// describe the release gives another commit.
    ///
    /// # Errors
    /// Returns an error if the commit is not a release, has no usable recipe, no source can be used, the
    /// source has another hash than the recipe, a std cache cannot be built, or the operation is
    /// cancelled.
    pub fn execute(&self, repo: &Repo, commit: CommitId) -> Result<Recomposed, RebuildError> {
        let info = release(repo, commit)?;
        let commit = info.id;
        let text = repo.detached(commit)?;
        let text = text.get(metadata::SDK_RECIPE).and_then(|text| text.str());
        let text = text.ok_or(RebuildError::NoRecipe { commit })?;
        let unusable = |source| RebuildError::Recipe {
            commit,
            source: Box::new(source),
        };
        let recipe = Recipe::parse(text).map_err(unusable)?;
        let folder = folder(&self.temporary)?;
        let mut std_caches = Vec::new();
        let mut failed = None;
        let copied = folder.path().join("files");
        let treefile = recipe.treefile(&copied, self.sources(&info)?, &mut |name| {
            match repo.find(name) {
                Ok(Some(id)) => std_caches.push((name.clone(), id)),
                Ok(None) => return false,
                Err(error) => failed = Some(error),
            }
            // Only an SDK that runs on this machine can build them.
            self.std_caches && info.arch == Arch::host()
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        let treefile = treefile.map_err(unusable)?;
        copy_files(repo, commit, &treefile, &copied)?;
        let path = folder.path().join("repo");
        let temporary = Repo::create_temporary(&path, RepoMode::BareUserOnly)?;
        let compose = Compose::of_recipe(treefile, recipe.options())
            .cache(self.cache.clone())
            .goproxy(self.goproxy.clone())
            .sumdb(self.sumdb.clone())
            .http(self.http.clone())
            .limits(self.limits)
            .progress(self.progress.clone());
        let plan = compose.plan(&temporary);
        let composed = plan.and_then(crate::compose::ComposePlan::execute);
        let composed = composed.map_err(|source| match source.kind() {
            ErrorKind::Cancelled => RebuildError::Cancelled,
            _ => RebuildError::Compose {
                commit,
                source: Box::new(source),
            },
        })?;
        compare((repo, commit), &temporary, composed, std_caches)
    }

    /// Returns the sources, in the order in which they are tried.
    fn sources(&self, info: &CommitInfo) -> Result<Vec<SourceSpec>, RebuildError> {
        if let Some(source) = &self.source {
            return Ok(vec![source.clone()]);
        }
        let mut sources = Vec::new();
        let digest = info.source.as_ref().and_then(|source| source.get("sha256"));
        let digest: Option<Sha256> = digest
            .and_then(Value::as_str)
            .and_then(|digest| digest.parse().ok());
        if let (Some(sha256), Some(cache)) = (digest, &self.cache) {
            let found = cache.get(sha256, self.progress.as_ref());
            let found = found.map_err(|source| RebuildError::Compose {
                commit: info.id,
                source: Box::new(ComposeError::Source(source.into())),
            })?;
            sources.extend(found.map(|file| SourceSpec::Path(file.path)));
        }
        sources.push(SourceSpec::Index {
            base: INDEX.to_owned(),
        });
        sources.push(SourceSpec::Module {
            path: toolchain::MODULE.to_owned(),
        });
        Ok(sources)
    }
}

/// Copies the files that the release has from the machine of its compose.
fn copy_files(
    repo: &Repo,
    commit: CommitId,
    treefile: &Treefile,
    folder: &Path,
) -> Result<(), RebuildError> {
    let wanted: BTreeSet<_> = treefile.releases().iter().flat_map(copied_files).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let files = files(repo, commit)?;
    for path in wanted {
        // A file that the release does not have is an error of the compose, which names it.
        let Some(id) = files.get(path) else { continue };
        let bytes = repo.file(*id)?.read_to_end(MAX_FILE)?;
        let place = folder.join(path.as_str());
        let parent = place.parent().unwrap_or(folder);
        fs::create_dir_all(parent).context("make directory", parent)?;
        fs::write(&place, bytes).context("write", &place)?;
    }
    Ok(())
}

/// Compares the commits of a repository with those that were composed.
fn compare(
    (repo, commit): (&Repo, CommitId),
    temporary: &Repo,
    composed: Composed,
    mut std_caches: Vec<(RefName, CommitId)>,
) -> Result<Recomposed, RebuildError> {
    let one = |expected, found| compare_commits((repo, expected), (temporary, found));
    let mut built = Vec::new();
    for cache in composed.std_caches {
        let at = std_caches
            .iter()
            .position(|(name, _)| *name == cache.ref_name);
        let Some(at) = at else { continue };
        let (ref_name, expected) = std_caches.remove(at);
        built.push(RecomposedStdCache {
            id: cache.id,
            ref_name,
            commit: one(expected, cache.commit)?,
        });
    }
    let release = composed.releases.into_iter().next();
    // The recipe's treefile has one architecture, so that there is one.
    let release = release.ok_or(RebuildError::NoRecipe { commit })?;
    Ok(Recomposed {
        h1: CommitInfo::read(temporary, release.commit)?.h1,
        release: one(commit, release.commit)?,
        source: release.source,
        std_caches: built,
        skipped_std_caches: std_caches.into_iter().map(|(name, _)| name).collect(),
    })
}

fn compare_commits(
    (repo, expected): (&Repo, CommitId),
    (temporary, found): (&Repo, CommitId),
) -> Result<RecomposedCommit, RebuildError> {
    if expected == found {
        return Ok(RecomposedCommit {
            expected,
            found,
            differences: Vec::new(),
            diff: None,
        });
    }
    let differences = differences(&repo.commit(expected)?, &temporary.commit(found)?);
    Ok(RecomposedCommit {
        expected,
        found,
        differences,
        diff: Some(Repo::diff_between((repo, expected), (temporary, found))?),
    })
}

/// Returns the properties of two commits that differ, by name.
fn differences(expected: &Commit, found: &Commit) -> Vec<CommitDifference> {
    let properties = |commit: &Commit| {
        let parent = commit.parent.map(|id| Value::from(id.to_string()));
        let mut all = vec![
            ("timestamp".to_owned(), Some(commit.timestamp.into())),
            ("parent".to_owned(), parent),
            ("subject".to_owned(), Some(commit.subject.clone().into())),
            ("body".to_owned(), Some(commit.body.clone().into())),
        ];
        let metadata = commit.metadata.iter();
        all.extend(metadata.map(|(key, value)| (key.clone(), Some(metadata::to_json(value)))));
        all.into_iter()
            .collect::<std::collections::BTreeMap<String, Option<Value>>>()
    };
    let (expected, found) = (properties(expected), properties(found));
    let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let value = |of: &std::collections::BTreeMap<String, Option<Value>>, key: &String| {
        of.get(key).cloned().flatten()
    };
    keys.into_iter()
        .map(|key| CommitDifference {
            key: key.clone(),
            expected: value(&expected, key),
            found: value(&found, key),
        })
        .filter(|difference| difference.expected != difference.found)
        .collect()
}
