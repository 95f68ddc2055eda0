//! Garbage collection: removes what no deployment needs.

use super::error::DeployError;
use super::locked::LockedRoot;
use super::state::Deployment;
use super::{Root, folder, lock_error};
use crate::catalog::CommitInfo;
use crate::failpoint;
use crate::fs::lock::Lock;
use crate::id::CommitId;
use crate::progress::Progress;
use crate::prune;
use crate::repo::RefMove;
use std::collections::HashSet;

/// Options of a garbage collection.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct GcOptions {
    superseded: bool,
}

impl GcOptions {
    /// Also removes superseded deployments, which are those with a later deployment of the same
    /// ref, except the active one, the rollback target, and pinned ones. Default: no.
    #[must_use]
    pub fn superseded(mut self, superseded: bool) -> Self {
        self.superseded = superseded;
        self
    }
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

impl Root {
    /// Removes refs whose commits are not deployed, and all objects that are not reachable from a
    /// ref. Waits until no process is fetching commits to deploy. Other changes of the root are not
    /// blocked while it waits.
    ///
    /// # Errors
    /// Returns an error if the root cannot be written. Removals that were done by then are not
    /// undone; nothing that is needed is removed.
    pub fn gc(
        &self,
        options: &GcOptions,
        progress: &dyn Progress,
    ) -> Result<GcReport, DeployError> {
        let path = self.path().join(folder::FETCH_LOCK);
        let _alone = Lock::exclusive(&path, progress).map_err(|error| lock_error(error, &path))?;
        self.lock(progress)?.gc(options)
    }
}

impl LockedRoot<'_> {
    /// Removes refs whose commits are not deployed, and all objects that are not reachable from a
    /// ref. For the latter, libostree's lock on the repository is held exclusively.
    ///
    /// # Errors
    /// Returns an error if the repository cannot be written. Removals that were done by then are
    /// not undone; nothing that is needed is removed.
    fn gc(&mut self, options: &GcOptions) -> Result<GcReport, DeployError> {
        let mut report = GcReport::default();
        if options.superseded {
            for commit in self.superseded()? {
                report.deployments.push(self.uninstall(commit, false)?);
            }
        }
        self.repo.clean_scratch(self.progress.0)?;
        let _moving = self.repo.lock(self.progress.0)?;
        let layers = self.layers()?;
        let refs = self
            .repo
            .as_ostree()
            .list_refs_ext(
                None,
                ostree::RepoListRefsExtFlags::NONE,
                gio::Cancellable::NONE,
            )
            .map_err(|error| self.repo.failed("list refs", error))?;
        let mut removed = Vec::new();
        for (name, commit) in refs {
            let needed = commit
                .parse::<CommitId>()
                .is_ok_and(|id| self.state.get(id).is_some() || layers.contains(&id));
            if !needed {
                let (remote, short) = match name.split_once(':') {
                    Some((remote, short)) => (Some(remote.to_owned()), short),
                    None => (None, name.as_str()),
                };
                removed.push(RefMove {
                    remote,
                    name: short.to_owned(),
                    to: None,
                });
                report.refs.push(name.to_string());
            }
        }
        report.refs.sort();
        self.repo.move_refs(&removed)?;
        failpoint::hit("gc.refs-removed");
        let deleted = prune::delete_unreachable(&self.repo, 0)?;
        failpoint::hit("gc.pruned");
        report.objects = deleted.objects;
        report.bytes = deleted.bytes;
        Ok(report)
    }

    /// Returns the layers of deployments. Layers of images are kept so that the next release does
    /// not have to fetch them again.
    fn layers(&self) -> Result<HashSet<CommitId>, DeployError> {
        let mut layers = HashSet::new();
        for deployment in &self.state.deployments {
            if self.repo.has_commit(deployment.commit)? {
                let info = CommitInfo::read(&self.repo, deployment.commit)?;
                layers.extend(info.layers.into_iter().map(|(_, commit)| commit));
            }
        }
        Ok(layers)
    }

    fn superseded(&self) -> Result<Vec<CommitId>, DeployError> {
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
            .map(|(_, d)| d.commit);
        Ok(superseded.collect())
    }
}
