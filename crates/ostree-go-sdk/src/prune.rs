//! Removal of old releases, in two steps: plan and execute.

use crate::catalog::{CommitInfo, CommitKind};
use crate::clock::{Clock, SystemClock};
use crate::delta::{self, DeltaName, deltas};
use crate::failpoint;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::publish::{self, PublishError, SummaryState};
use crate::repo::{Deleted, RefMove, Repo, RepoError};
use crate::setters::setters;
use crate::sign::SigningKey;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Options of a prune. It removes the refs of releases that are not in the kept history of a
/// channel and that are old enough, then the refs of layers that no kept release consists of and of
/// std caches without a kept release of their version, then all objects that are not reachable any
/// more. An existing summary and page are written again
/// before the objects are deleted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Prune {
    keep: usize,
    older_than: Option<u64>,
    keys: Vec<SigningKey>,
    clock: Arc<dyn Clock>,
}

impl Prune {
    /// Creates a prune that keeps this number of commits of each channel's history, at least the
    /// newest one.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self {
            keep: keep.max(1),
            older_than: None,
            keys: Vec::new(),
            clock: Arc::new(SystemClock),
        }
    }

    setters! {
        /// Also keeps all releases whose commit is at least as new as this time, in seconds since
        /// 1970. Default: releases are removed regardless of their age.
        older_than: Option<u64>;
        /// Signs the new summary with these keys. Without keys, a signed summary is not replaced, and
        /// names refs that do not exist any more. Default: none.
        sign_with;
        /// Sets the clock for the timestamp of the page. Default: [`SystemClock`].
        clock;
    }

    /// Determines the refs to remove. Writes nothing.
    ///
    /// # Errors
    /// Returns an error if the repository cannot be read.
    pub fn plan(&self, repo: &Repo) -> Result<PrunePlan, PruneError> {
        let commits = repo.list()?;
        let mut kept_trees = BTreeSet::new();
        let mut kept_layers = BTreeSet::new();
        // Hosts find the std caches of a release by its version, below the first component of its ref.
        let mut kept_versions = BTreeSet::new();
        for (name, head) in commits
            .iter()
            .filter(|(_, c)| c.kind == CommitKind::Channel)
        {
            for commit in repo.log(head.id)?.into_iter().take(self.keep) {
                kept_trees.insert(commit.content);
                kept_versions.insert((name.first_component(), commit.version));
                kept_layers.extend(commit.layers.into_iter().map(|(_, id)| id));
            }
        }
        // Releases are removed before layers and std caches, so that the refs of these exist as long
        // as the release.
        let mut to_remove = Vec::new();
        for (name, release) in commits
            .iter()
            .filter(|(_, c)| c.kind == CommitKind::Release)
        {
            let is_old = self.older_than.is_none_or(|time| release.timestamp < time);
            if is_old && !kept_trees.contains(&release.content) {
                to_remove.push((name.clone(), release.id));
            } else {
                kept_versions.insert((name.first_component(), release.version.clone()));
                kept_layers.extend(release.layers.iter().map(|(_, id)| *id));
            }
        }
        for (name, layer) in commits.iter().filter(|(_, c)| c.kind == CommitKind::Layer) {
            if !kept_layers.contains(&layer.id) {
                to_remove.push((name.clone(), layer.id));
            }
        }
        let is_std_cache = |(_, c): &&(RefName, CommitInfo)| c.kind == CommitKind::StdCache;
        for (name, std_cache) in commits.iter().filter(is_std_cache) {
            if !kept_versions.contains(&(name.first_component(), std_cache.version.clone())) {
                to_remove.push((name.clone(), std_cache.id));
            }
        }
        Ok(PrunePlan {
            prune: self.clone(),
            repo: repo.clone(),
            to_remove,
        })
    }
}

/// Returns the first component of a ref, which releases, channels and std caches have in common.
/// The planned removals.
#[derive(Debug)]
pub struct PrunePlan {
    prune: Prune,
    repo: Repo,
    to_remove: Vec<(RefName, CommitId)>,
}

/// The result of a prune.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pruned {
    /// The removed refs, and the commits that they pointed to.
    pub refs: Vec<(RefName, CommitId)>,
    /// The number of deleted objects.
    pub objects: u64,
    /// The size of the deleted objects in bytes.
    pub bytes: u64,
    /// The state of the repository's summary.
    pub summary: SummaryState,
}

/// An error of a prune. Some refs or objects may have been removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// An error of the repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The refs were removed, but the summary or the page could not be written. No object was
    /// deleted.
    #[error("the refs were removed, but the summary or the page cannot be refreshed")]
    Publish(#[from] PublishError),
    /// A compose, a publish or another prune is running.
    #[error("another ostree-go process is using repository {}", path.display())]
    Busy {
        /// The repository.
        path: std::path::PathBuf,
    },
}

impl PruneError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Publish(error) => error.kind(),
            Self::Busy { .. } => ErrorKind::Locked,
        }
    }
}

impl PrunePlan {
    /// Returns the refs that would be removed, and the commits that they point to.
    #[must_use]
    pub fn refs(&self) -> &[(RefName, CommitId)] {
        &self.to_remove
    }

    /// Removes the refs, and then the objects that are not reachable from a ref. If another process
    /// composes or publishes, this does not wait but returns an error. It waits for a pull, at most
    /// for the repository's `core.lock-timeout-secs`.
    ///
    /// Everything is durable when this returns. If the process is killed at any point, either all
    /// refs exist or the next process that works in the repository removes them, and every commit
    /// is complete or marked as partial. The next prune deletes the remaining objects.
    ///
    /// # Errors
    /// Returns [`PruneError::Busy`] if another process works in the repository, or another error if
    /// it cannot be written.
    pub fn execute(self) -> Result<Pruned, PruneError> {
        let repo = &self.repo;
        let Some(_lock) = repo.try_lock()? else {
            return Err(PruneError::Busy {
                path: repo.path().to_owned(),
            });
        };
        // Refs may have moved after the plan was made.
        let to_remove = self.prune.plan(repo)?.to_remove;
        let removed = to_remove.iter().map(|(name, _)| RefMove::local(name, None));
        repo.move_refs(&removed.collect::<Vec<_>>())?;
        failpoint::hit("prune.refs-removed");
        let depth = self.prune.keep - 1;
        // A client that reads the new summary does not request what is deleted next.
        let superseded = deltas_without_commit(repo, depth)?;
        let now = self.prune.clock.now();
        let summary = publish::refresh(repo, &self.prune.keys, &superseded, now)?;
        failpoint::hit("prune.summary-refreshed");
        let deleted = delete_unreachable(repo, depth)?;
        Ok(Pruned {
            refs: to_remove,
            objects: deleted.objects,
            bytes: deleted.bytes,
            summary,
        })
    }
}

/// Returns the deltas that [`delete_unreachable`] removes.
fn deltas_without_commit(repo: &Repo, depth: usize) -> Result<Vec<DeltaName>, PruneError> {
    let kept = repo.commits_to_keep(depth)?;
    let names = deltas(repo)?.into_iter().map(|delta| delta.name);
    Ok(names.filter(|name| !kept.contains(&name.to)).collect())
}

/// Deletes the objects that are not reachable from a ref, and the static deltas to deleted commits.
/// Of each ref, the commit and the `depth` commits before it are kept.
pub(crate) fn delete_unreachable(repo: &Repo, depth: usize) -> Result<Deleted, RepoError> {
    let deleted = repo.prune_objects(depth)?;
    delta::prune(repo)?;
    Ok(deleted)
}
