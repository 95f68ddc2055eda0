//! Forgetting old releases, by plan and execute.

use crate::catalog::{self, CommitKind};
use crate::delta;
use crate::failpoint;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::repo::{Deleted, RefMove, Repo, RepoError};
use std::collections::BTreeSet;

/// What to forget: releases that no channel's kept history has and that are old enough, then
/// layers that no kept release is made of, then the objects that nothing needs any more.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Prune {
    keep: usize,
    older_than: Option<u64>,
}

impl Prune {
    /// Keeps this many commits of each channel's history; at least its newest.
    #[must_use]
    pub fn keep(commits: usize) -> Self {
        Self {
            keep: commits.max(1),
            older_than: None,
        }
    }

    /// Keeps releases whose commit is newer than this time, in seconds since 1970, whatever
    /// channels have. Default: time does not count.
    #[must_use]
    pub fn older_than(mut self, time: Option<u64>) -> Self {
        self.older_than = time;
        self
    }

    /// Looks what would be forgotten. Writes nothing.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn plan<'a>(&self, repo: &'a Repo) -> Result<PrunePlan<'a>, PruneError> {
        let listed = catalog::list(repo)?;
        let mut kept_trees = BTreeSet::new();
        let mut kept_layers = BTreeSet::new();
        for (_, head) in listed.iter().filter(|(_, c)| c.kind == CommitKind::Channel) {
            for commit in catalog::log(repo, head.id)?.into_iter().take(self.keep) {
                kept_trees.insert(commit.content);
                kept_layers.extend(commit.layers.into_iter().map(|(_, id)| id));
            }
        }
        // Releases before layers: a release never stands without its layers' refs.
        let mut forget = Vec::new();
        for (name, release) in listed.iter().filter(|(_, c)| c.kind == CommitKind::Release) {
            let is_old = self.older_than.is_none_or(|time| release.timestamp < time);
            if is_old && !kept_trees.contains(&release.content) {
                forget.push((name.clone(), release.id));
            } else {
                kept_layers.extend(release.layers.iter().map(|(_, id)| *id));
            }
        }
        for (name, layer) in listed.iter().filter(|(_, c)| c.kind == CommitKind::Layer) {
            if !kept_layers.contains(&layer.id) {
                forget.push((name.clone(), layer.id));
            }
        }
        Ok(PrunePlan {
            prune: self.clone(),
            repo,
            forget,
        })
    }
}

/// What would be forgotten.
#[derive(Debug)]
pub struct PrunePlan<'a> {
    prune: Prune,
    repo: &'a Repo,
    forget: Vec<(RefName, CommitId)>,
}

/// What was forgotten.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pruned {
    /// Refs that were removed, and the commits they named.
    pub refs: Vec<(RefName, CommitId)>,
    /// Objects that were removed.
    pub objects: u64,
    /// Bytes that these took.
    pub bytes: u64,
}

/// Why nothing, or not everything, was forgotten.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PruneError {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A compose, a publish or another prune is running.
    #[error("another ostree-go works in repository {}", path.display())]
    Busy {
        /// The repository.
        path: std::path::PathBuf,
    },
}

impl PruneError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) => error.kind(),
            Self::Busy { .. } => ErrorKind::Locked,
        }
    }
}

impl PrunePlan<'_> {
    /// The refs that would be removed, and the commits they name.
    #[must_use]
    pub fn refs(&self) -> &[(RefName, CommitId)] {
        &self.forget
    }

    /// Removes the refs, and then the objects that no ref needs. Does not wait for another process
    /// that composes or publishes: that is an error. A pull is waited for as long as the
    /// repository's `core.lock-timeout-secs` says.
    ///
    /// Everything is durable when this returns. Killed at any moment, the refs are all there or
    /// are removed by whoever works in the repository next, and every commit is complete or marked
    /// as partial; the next prune deletes what is left.
    ///
    /// # Errors
    /// When another process works in the repository, or it cannot be written.
    pub fn execute(self) -> Result<Pruned, PruneError> {
        let repo = self.repo;
        let Some(_lock) = repo.try_lock()? else {
            return Err(PruneError::Busy {
                path: repo.path().to_owned(),
            });
        };
        // Refs may have moved since the plan was made.
        let forget = self.prune.plan(repo)?.forget;
        let removed = forget.iter().map(|(name, _)| RefMove::local(name, None));
        repo.move_refs(&removed.collect::<Vec<_>>())?;
        failpoint::hit("prune.refs-removed");
        let deleted = collect(repo, self.prune.keep - 1)?;
        Ok(Pruned {
            refs: forget,
            objects: deleted.objects,
            bytes: deleted.bytes,
        })
    }
}

/// Deletes the objects that no ref reaches, and the static deltas to commits that are gone. Of
/// each ref, the commit and `depth` commits before it stay.
pub(crate) fn collect(repo: &Repo, depth: usize) -> Result<Deleted, RepoError> {
    let deleted = repo.prune_objects(depth)?;
    delta::prune(repo)?;
    Ok(deleted)
}
