//! Fetches the content of checked commits, and updates the refs.

use super::bounds::Bounds;
use super::contents::{CommitTree, Contents};
use super::image::Images;
use super::libostree::{self, checksums};
use super::limits;
use super::preflight::{Origin, PlannedRef, Preflight, current_commit};
use super::server::{SIGNATURE_FILE, SUMMARY_FILE, Server};
use super::{PullError, Pulled};
use crate::catalog::{CommitInfo, CommitKind};
use crate::failpoint;
use crate::fs::atomic;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::object::sorted_dict;
use crate::progress::{Event, Phase};
use crate::remote::Verification;
use crate::repo::{Completeness, Partial, RefMove, Repo, RepoError, Transaction};
use crate::sign::Verified;
use std::collections::HashSet;
use std::{fs, io};

/// The result of fetching.
#[derive(Default)]
struct Fetched {
    objects: u64,
    used_delta: bool,
    /// The new commits: those of refs that were missing, and those of layers.
    commits: Vec<CommitId>,
    /// The refs of the layers.
    layers: Vec<(RefName, CommitId)>,
}

impl Preflight<'_> {
    /// Fetches the missing content, checks it, and updates the refs.
    ///
    /// All changes are made in one transaction. After an error the refs are unchanged. After a
    /// crash they are either unchanged, or the next operation that locks the repository updates all
    /// of them. Content that was fetched before a network error or a cancellation is kept, and the
    /// next pull continues from there. Other pulls and composes may run at the same time.
    ///
    /// # Errors
    /// Returns an error if there is not enough disk space, the server fails for longer than the
    /// retries last, the content does not match the commits, or the repository cannot be written.
    pub fn execute(self) -> Result<Pulled, PullError> {
        if !self.pull.commit_metadata_only {
            self.check_limits()?;
        }
        let transaction = self.repo.begin()?;
        let missing = self.missing()?;
        let fetched = match &self.origin {
            Origin::Server(server) => self.fetch(server, &transaction, &missing),
            Origin::Images(images) => self.fetch_layers(images, &transaction, &missing),
            Origin::Libostree => self.fetch_with_libostree(&missing),
        };
        if let Err(error) = &fetched
            && matches!(error.kind(), ErrorKind::Network | ErrorKind::Cancelled)
        {
            transaction.keep_staged_objects();
        }
        let fetched = fetched?;
        failpoint::hit("pull.fetched");
        let commits = self.verify(&transaction)?;
        let item = libostree::progress_item(self.pull);
        self.pull.progress.event(&Event::Finished {
            phase: Phase::Pull,
            item: &item,
        });
        self.commit_transaction(transaction, &fetched)?;
        Ok(Pulled {
            commits,
            bytes: self.bytes_received(),
            layers: fetched.layers,
            objects: fetched.objects,
            used_delta: fetched.used_delta,
            elapsed: self.started.elapsed(),
        })
    }

    /// Returns the commits of the refs and of their history that are not complete in the
    /// repository. A commit that is stored but lacks objects is marked as partial, and its damaged
    /// objects are deleted.
    fn missing(&self) -> Result<Vec<CommitId>, RepoError> {
        let complete = Completeness::of(self.repo)?;
        let mut seen = HashSet::new();
        let mut missing = Vec::new();
        let mut incomplete = Vec::new();
        for planned in &self.refs {
            for commit in std::iter::once(planned.verified.value()).chain(&planned.history) {
                if seen.insert(*commit) && !complete.is_complete(*commit)? {
                    missing.push(*commit);
                    if self.repo.has_commit(*commit)? {
                        incomplete.push(*commit);
                    }
                }
            }
        }
        for commit in &incomplete {
            self.repo.delete_damaged_objects_of(*commit)?;
        }
        self.repo.mark_partial(incomplete, Partial::Unfinished)?;
        Ok(missing)
    }

    fn fetch(
        &self,
        server: &Server,
        transaction: &Transaction<'_>,
        missing: &[CommitId],
    ) -> Result<Fetched, PullError> {
        let mut fetched = Fetched::default();
        if missing.is_empty() {
            return Ok(fetched);
        }
        let scratch = &self.scratch.repo;
        if !self.pull.commit_metadata_only {
            let deltas = limits::deduplicated(&self.refs).into_iter();
            let deltas: Vec<_> = deltas.filter_map(|p| p.delta.as_ref()).collect();
            let (mut trees, mut sizes) = (Vec::new(), Vec::new());
            for commit in missing {
                let parsed = scratch.commit(*commit)?;
                trees.push(CommitTree {
                    tree: parsed.tree,
                    meta: parsed.meta,
                });
                sizes.push(CommitInfo::read(scratch, *commit)?.bytes);
            }
            let bounds = Bounds::new(sizes, &self.pull.progress);
            let contents = Contents {
                pull: self.pull,
                server,
                transaction,
                item: &libostree::progress_item(self.pull),
                total: self.bytes(),
                bounds: &bounds,
                needed_by: self.describe_refs(missing),
            };
            let stats = contents.fetch(&deltas, &trees)?;
            fetched.objects = stats.objects;
            fetched.used_delta = stats.parts > 0;
        }
        fetched.commits = missing.to_vec();
        self.copy_commits(transaction, missing)?;
        Ok(fetched)
    }

    /// Returns up to three refs that point to missing commits, with these commits, for messages.
    fn describe_refs(&self, missing: &[CommitId]) -> Vec<String> {
        let planned = self.refs.iter();
        let planned = planned.map(|planned| (&planned.name, *planned.verified.value()));
        planned
            .filter(|(_, commit)| missing.contains(commit))
            .take(3)
            .map(|(name, commit)| format!("{name} (commit {commit})"))
            .collect()
    }

    /// Fetches the missing layers of images.
    fn fetch_layers(
        &self,
        images: &Images,
        transaction: &Transaction<'_>,
        missing: &[CommitId],
    ) -> Result<Fetched, PullError> {
        let mut fetched = Fetched {
            commits: missing.to_vec(),
            ..Fetched::default()
        };
        if !self.pull.commit_metadata_only {
            let is_missing = |planned: &&PlannedRef| missing.contains(planned.verified.value());
            let wanted = self.refs.iter().filter(is_missing);
            let wanted: Vec<_> = wanted.filter_map(|p| p.image.as_deref()).collect();
            let progress_item = (&*libostree::progress_item(self.pull), self.bytes());
            let stats = images.fetch(
                self.pull,
                transaction,
                &self.scratch.repo,
                &wanted,
                progress_item,
            )?;
            fetched.objects = stats.objects;
            // Layers come before releases, so that a release never exists without its layers.
            fetched.commits.splice(0..0, stats.layers);
        }
        self.copy_commits(transaction, &fetched.commits)?;
        if !self.pull.commit_metadata_only {
            // Includes layers that were complete before: a pull that was killed may have stored
            // them without refs.
            let images = self.refs.iter().filter_map(|p| p.image.as_deref());
            let (repo, images) = (transaction.repo(), images.collect::<Vec<_>>());
            fetched.layers = Images::layer_refs(repo, &images, &fetched.commits)?;
        }
        Ok(fetched)
    }

    /// Copies commits and their detached metadata from the scratch repository.
    fn copy_commits(
        &self,
        transaction: &Transaction<'_>,
        commits: &[CommitId],
    ) -> Result<(), PullError> {
        let scratch = &self.scratch.repo;
        for commit in commits {
            transaction.copy_commit(scratch, *commit)?;
            if let Some(detached) = scratch.detached_variant(*commit)? {
                self.repo.write_detached(*commit, &detached)?;
            }
        }
        Ok(())
    }

    fn fetch_with_libostree(&self, missing: &[CommitId]) -> Result<Fetched, PullError> {
        let commit_only = self.pull.commit_metadata_only;
        let with_history = self.pull.depth != 0;
        let wanted = self.refs.iter().map(|planned| *planned.verified.value());
        let wanted = checksums(wanted.filter(|id| with_history || missing.contains(id)));
        if wanted.is_empty() {
            return Ok(Fetched::default());
        }
        let mut request = self.request(wanted);
        request.commit_only = commit_only;
        request.in_transaction = true;
        request.depth = self.pull.depth;
        request.subpaths = &self.pull.subpaths;
        request.verify = self.remote.verification == Verification::Signed;
        for commit in missing {
            self.repo.delete_damaged_commit(*commit)?;
        }
        let stats = libostree::run(self.pull, self.repo, &request)?;
        Ok(Fetched {
            objects: stats.objects,
            commits: missing.to_vec(),
            ..Fetched::default()
        })
    }

    /// Verifies the signatures of the commits that are now in the repository.
    fn verify(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<(RefName, Verified<CommitId>)>, PullError> {
        let repo = transaction.repo();
        let mut commits = Vec::new();
        for planned in &self.refs {
            let commit = *planned.verified.value();
            if self.matches_preflight(repo, planned)? {
                commits.push((planned.name.clone(), planned.verified.clone()));
                continue;
            }
            let proof = match self.proof(repo, commit) {
                // The repository may hold older signatures, by keys that are no longer trusted.
                Err(_) => {
                    repo.write_detached(commit, &planned.detached)?;
                    self.proof(repo, commit)
                }
                proof => proof,
            };
            let proof = proof.map_err(|source| self.signature_error(&planned.name, source))?;
            commits.push((planned.name.clone(), Verified::new(commit, proof)));
        }
        Ok(commits)
    }

    /// Returns true if commit and signatures in the repository are byte for byte those that were
    /// checked before the content was fetched.
    fn matches_preflight(&self, repo: &Repo, planned: &PlannedRef) -> Result<bool, RepoError> {
        let commit = *planned.verified.value();
        let bytes = |repo: &Repo| {
            let bytes = repo.commit_bytes(commit);
            bytes.map_err(|source| repo.failed(&format!("read commit {commit}"), source))
        };
        let same = bytes(repo)? == bytes(&self.scratch.repo)?;
        Ok(same && sorted_dict(&repo.detached(commit)?) == planned.detached)
    }

    /// Commits the transaction and updates the refs.
    fn commit_transaction(
        &self,
        transaction: Transaction<'_>,
        fetched: &Fetched,
    ) -> Result<(), PullError> {
        let metadata_only = self.pull.commit_metadata_only;
        let _lock = self.repo.lock(self.pull.progress.as_ref())?;
        failpoint::hit("pull.locked");
        for (name, commit) in &fetched.layers {
            // The ref of a layer never changes once it exists.
            if current_commit(self.repo, &self.pull.local_name(name))?.is_none() {
                transaction.move_ref(self.ref_update(name, *commit));
            }
        }
        let mut refs: Vec<&PlannedRef> = self.refs.iter().filter(|_| !metadata_only).collect();
        refs.sort_by_key(|planned| update_order(planned.info.kind));
        for planned in refs {
            // Another pull may have updated the ref in the meantime.
            let current = current_commit(self.repo, &self.pull.local_name(&planned.name))?;
            self.check_age(planned, current)?;
            transaction.move_ref(self.ref_update(&planned.name, *planned.verified.value()));
        }
        let complete_trees = !metadata_only && self.pull.subpaths.is_empty();
        if !complete_trees {
            transaction.keep_partial_marks();
        }
        transaction.commit()?;
        failpoint::hit("pull.committed");
        if complete_trees && self.pull.pulls_all_refs() {
            self.copy_summary()?;
        }
        Ok(())
    }

    /// Returns the update of a ref of the remote, or of a local ref when mirroring.
    fn ref_update(&self, name: &RefName, commit: CommitId) -> RefMove {
        RefMove {
            remote: (!self.pull.mirror).then(|| self.remote.name.clone()),
            name: name.to_string(),
            to: Some(commit),
        }
    }

    /// Copies the summary that named the refs into the repository, so that clients of the mirror
    /// get the summary that the publisher signed.
    fn copy_summary(&self) -> Result<(), RepoError> {
        for name in [SIGNATURE_FILE, SUMMARY_FILE] {
            let (from, to) = (self.scratch.repo.path(), self.repo.path().join(name));
            let copied = match fs::read(from.join(name)) {
                Ok(bytes) => atomic::write(&to, &bytes),
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                // An existing signature would belong to another summary.
                Err(_) => match fs::remove_file(&to) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                },
            };
            copied.map_err(|source| RepoError::Io {
                action: "write",
                path: to,
                source,
            })?;
        }
        Ok(())
    }
}

/// Returns the position in the order of ref updates: a release never exists without its layers, nor
/// a channel without its release.
const fn update_order(kind: CommitKind) -> u8 {
    match kind {
        CommitKind::Layer => 0,
        CommitKind::Release => 1,
        CommitKind::Channel | CommitKind::Image | CommitKind::Other => 2,
    }
}
