//! Garbage collection: removes what no deployment needs.

use super::error::DeployError;
use super::folder;
use super::locked::LockedRoot;
use super::root::Root;
use super::state::Deployment;
use crate::catalog::CommitInfo;
use crate::failpoint;
use crate::fs::lock::Lock;
use crate::id::CommitId;
use crate::progress::{NoProgress, Progress};
use crate::prune;
use crate::repo::{RefMove, RepoError};
use crate::setters::setters;
use std::collections::HashSet;
use std::sync::Arc;

/// A garbage collection: removes refs whose commits are not deployed, and all objects that are not
/// reachable from a ref.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Gc {
    superseded: bool,
    progress: Arc<dyn Progress>,
}

impl Default for Gc {
    fn default() -> Self {
        Self {
            superseded: false,
            progress: Arc::new(NoProgress),
        }
    }
}

impl Gc {
    /// Creates the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Also removes superseded deployments, which are those with a later deployment of the same
        /// ref, except the active one, the rollback target, and pinned ones. Default: no.
        superseded: bool;
        /// Sets the receiver of events, which may cancel the operation. Default: [`NoProgress`].
        progress;
    }

    /// Determines the deployments and refs to remove.
    ///
    /// # Errors
    /// Returns an error if the root cannot be written.
    pub fn plan(&self, root: &Root) -> Result<GcPlan, DeployError> {
        let locked = root.lock(&*self.progress)?;
        let deployments = match self.superseded {
            true => locked.superseded()?,
            false => Vec::new(),
        };
        Ok(GcPlan {
            refs: locked.unneeded_refs(&deployments)?,
            deployments,
            root: root.clone(),
            gc: self.clone(),
        })
    }
}

/// A planned garbage collection.
#[derive(Debug)]
pub struct GcPlan {
    root: Root,
    gc: Gc,
    deployments: Vec<Deployment>,
    refs: Vec<RefMove>,
}

/// The result of a garbage collection.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GcReport {
    /// The superseded deployments that were removed.
    pub deployments: Vec<Deployment>,
    /// The removed refs, whose commits are not deployed; refs of remotes as `remote:ref`.
    pub refs: Vec<String>,
    /// The number of objects that were deleted from the repository.
    pub objects: u64,
    /// The size of these objects in bytes. The space of objects that a deployment still links to is
    /// not free yet.
    pub bytes: u64,
}

impl GcPlan {
    /// Returns the superseded deployments that would be removed.
    #[must_use]
    pub fn deployments(&self) -> &[Deployment] {
        &self.deployments
    }

    /// Returns the refs that would be removed, sorted; refs of remotes as `remote:ref`.
    #[must_use]
    pub fn refs(&self) -> Vec<String> {
        full_names(&self.refs)
    }

    /// Executes the plan, which is recomputed while the root is locked. Waits until no process is
    /// fetching commits to deploy. Other changes of the root are not blocked while it waits. To
    /// delete objects, libostree's lock on the repository is held exclusively.
    ///
    /// # Errors
    /// Returns an error if the root cannot be written. Removals that were done by then are not
    /// undone; nothing that is needed is removed.
    pub fn execute(self) -> Result<GcReport, DeployError> {
        let progress = &*self.gc.progress;
        let path = self.root.path().join(folder::FETCH_LOCK);
        let _alone = Lock::exclusive(&path, progress).map_err(RepoError::from)?;
        self.root.lock(progress)?.gc(&self.gc)
    }
}

/// Returns the names of refs, sorted; refs of remotes as `remote:ref`.
fn full_names(refs: &[RefMove]) -> Vec<String> {
    let full_name = |one: &RefMove| match &one.remote {
        Some(remote) => format!("{remote}:{}", one.name),
        None => one.name.clone(),
    };
    let mut names: Vec<String> = refs.iter().map(full_name).collect();
    names.sort();
    names
}

impl LockedRoot<'_> {
    fn gc(&mut self, gc: &Gc) -> Result<GcReport, DeployError> {
        let mut report = GcReport::default();
        if gc.superseded {
            for deployment in self.superseded()? {
                report
                    .deployments
                    .push(self.uninstall(deployment.commit, false)?);
            }
        }
        self.repo.clean_scratch(self.progress)?;
        let _moving = self.repo.lock(self.progress)?;
        let refs = self.unneeded_refs(&[])?;
        report.refs = full_names(&refs);
        self.repo.move_refs(&refs)?;
        failpoint::hit("gc.refs-removed");
        let deleted = prune::delete_unreachable(&self.repo, 0)?;
        failpoint::hit("gc.pruned");
        report.objects = deleted.objects;
        report.bytes = deleted.bytes;
        Ok(report)
    }

    /// Returns the removals of the refs whose commits no deployment needs, except the `removed`
    /// ones.
    fn unneeded_refs(&self, removed: &[Deployment]) -> Result<Vec<RefMove>, DeployError> {
        let all = self.state.deployments.iter();
        let kept = all.filter(|kept| removed.iter().all(|one| one.commit != kept.commit));
        let commits = kept.flat_map(|kept| {
            let std_caches = kept.std_caches.iter().map(|cache| cache.commit);
            std_caches.chain([kept.commit])
        });
        let mut needed: HashSet<CommitId> = commits.collect();
        needed.extend(self.layers(&needed)?);
        let refs = self
            .repo
            .as_ostree()
            .list_refs_ext(
                None,
                ostree::RepoListRefsExtFlags::NONE,
                gio::Cancellable::NONE,
            )
            .map_err(|error| self.repo.failed("list refs", error))?;
        let unneeded = refs
            .into_iter()
            .filter(|(_, commit)| commit.parse().map_or(true, |id| !needed.contains(&id)))
            .map(|(name, _)| {
                let (remote, short) = match name.split_once(':') {
                    Some((remote, short)) => (Some(remote.to_owned()), short),
                    None => (None, name.as_str()),
                };
                RefMove {
                    remote,
                    name: short.to_owned(),
                    to: None,
                }
            });
        Ok(unneeded.collect())
    }

    /// Returns the layers of deployed commits. Layers of images are kept so that the next release
    /// does not have to fetch them again.
    fn layers(&self, deployed: &HashSet<CommitId>) -> Result<HashSet<CommitId>, DeployError> {
        let mut layers = HashSet::new();
        for commit in deployed {
            if self.repo.has_commit(*commit)? {
                let info = CommitInfo::read(&self.repo, *commit)?;
                layers.extend(info.layers.into_iter().map(|(_, commit)| commit));
            }
        }
        Ok(layers)
    }

    fn superseded(&self) -> Result<Vec<Deployment>, DeployError> {
        let active = self.root.active_commit()?;
        let target = self.state.rollback_targets(active).into_iter().next();
        let all = &self.state.deployments;
        let replaced = |at: usize, d: &Deployment| {
            let mut later = all.iter().skip(at + 1);
            later.any(|other| other.ref_name == d.ref_name)
        };
        let superseded = all
            .iter()
            .enumerate()
            .filter(|(at, d)| {
                let kept = d.pinned || [active, target].contains(&Some(d.commit));
                !kept && replaced(*at, d)
            })
            .map(|(_, d)| d.clone());
        Ok(superseded.collect())
    }
}
