//! Fetching what was found good, and making it seen.

use super::bounds::Bounds;
use super::contents::{CommitTree, Contents};
use super::image::Images;
use super::libostree::{self, checksums, item};
use super::limits;
use super::preflight::{Origin, PlannedRef, Preflight, current};
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

/// What was fetched.
#[derive(Default)]
struct Fetched {
    objects: u64,
    used_delta: bool,
    /// The commits that are new: those that were missing, and those of layers.
    commits: Vec<CommitId>,
    /// The refs of layers.
    layers: Vec<(RefName, CommitId)>,
}

impl Preflight<'_> {
    /// Fetches what is missing, checks it, and moves the refs.
    ///
    /// Everything is in one transaction: after an error or a crash refs are as they were, or are
    /// all moved by the next operation that locks the repository. What was fetched until then is
    /// kept, and the next pull continues from there. Other pulls and composes may run at the same
    /// time.
    ///
    /// # Errors
    /// When there is no room, the server fails for longer than the retries last, what it sends is
    /// not what the commits are made of, or the repository cannot be written.
    pub fn execute(self) -> Result<Pulled, PullError> {
        if !self.pull.commit_metadata_only {
            self.check_limits()?;
        }
        let transaction = self.repo.begin()?;
        let missing = self.missing()?;
        let fetched = match &self.origin {
            Origin::Server(server) => self.fetch(server, &transaction, &missing),
            Origin::Images(images) => self.fetch_layers(images, &transaction, &missing),
            Origin::Libostree => self.fetch_by_libostree(&missing),
        };
        if let Err(error) = &fetched
            && matches!(error.kind(), ErrorKind::Network | ErrorKind::Cancelled)
        {
            transaction.keep_staged_objects();
        }
        let fetched = fetched?;
        failpoint::hit("pull.fetched");
        let commits = self.verify(&transaction)?;
        let item = item(self.pull);
        self.pull.progress.event(&Event::Finished {
            phase: Phase::Pull,
            item: &item,
        });
        self.show(transaction, &fetched)?;
        Ok(Pulled {
            commits,
            bytes: self.arrived(),
            layers: fetched.layers,
            objects: fetched.objects,
            used_delta: fetched.used_delta,
            elapsed: self.started.elapsed(),
        })
    }

    /// The commits that are not here whole: those on the refs, and those before them. One that is
    /// here, and lacks objects, is marked as partial, and what is damaged of it goes.
    fn missing(&self) -> Result<Vec<CommitId>, RepoError> {
        let complete = Completeness::of(self.repo)?;
        let mut seen = HashSet::new();
        let mut missing = Vec::new();
        let mut torn = Vec::new();
        for planned in &self.refs {
            for commit in std::iter::once(planned.verified.value()).chain(&planned.history) {
                if seen.insert(*commit) && !complete.is_complete(*commit)? {
                    missing.push(*commit);
                    if self.repo.has_commit(*commit)? {
                        torn.push(*commit);
                    }
                }
            }
        }
        for commit in &torn {
            self.repo.delete_damaged_objects_of(*commit)?;
        }
        self.repo.mark_partial(torn, Partial::Unfinished)?;
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
            let deltas = limits::once(&self.refs).into_iter();
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
                item: &item(self.pull),
                total: self.bytes(),
                bounds: &bounds,
                of: self.named(missing),
            };
            let come = contents.fetch(&deltas, &trees)?;
            fetched.objects = come.objects;
            fetched.used_delta = come.parts > 0;
        }
        fetched.commits = missing.to_vec();
        self.take_commits(transaction, missing)?;
        Ok(fetched)
    }

    /// The refs that lead to missing commits, with these, for messages.
    fn named(&self, missing: &[CommitId]) -> Vec<String> {
        let planned = self.refs.iter();
        let planned = planned.map(|planned| (&planned.name, *planned.verified.value()));
        planned
            .filter(|(_, commit)| missing.contains(commit))
            .take(3)
            .map(|(name, commit)| format!("{name} (commit {commit})"))
            .collect()
    }

    /// Fetches the layers that are missing of images.
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
            let told = (&*item(self.pull), self.bytes());
            let come = images.fetch(self.pull, transaction, &self.scratch.repo, &wanted, told)?;
            fetched.objects = come.objects;
            // Layers before releases: a release never stands without them.
            fetched.commits.splice(0..0, come.layers);
        }
        self.take_commits(transaction, &fetched.commits)?;
        if !self.pull.commit_metadata_only {
            // Of all of them: what a killed pull has left is here, and has no refs.
            let images = self.refs.iter().filter_map(|p| p.image.as_deref());
            let (repo, images) = (transaction.repo(), images.collect::<Vec<_>>());
            fetched.layers = Images::layer_refs(repo, &images, &fetched.commits)?;
        }
        Ok(fetched)
    }

    /// Brings commits and their detached metadata from the scratch repository.
    fn take_commits(
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

    fn fetch_by_libostree(&self, missing: &[CommitId]) -> Result<Fetched, PullError> {
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

    /// Checks the signatures of what is in the repository now.
    fn verify(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<(RefName, Verified<CommitId>)>, PullError> {
        let repo = transaction.repo();
        let mut commits = Vec::new();
        for planned in &self.refs {
            let commit = *planned.verified.value();
            if self.is_as_checked(repo, planned)? {
                commits.push((planned.name.clone(), planned.verified.clone()));
                continue;
            }
            let proof = match self.proof(repo, commit) {
                // Signatures that were there before, by keys that are believed no more.
                Err(_) => {
                    repo.write_detached(commit, &planned.detached)?;
                    self.proof(repo, commit)
                }
                proof => proof,
            };
            let proof = proof.map_err(|source| self.refused(&planned.name, source))?;
            commits.push((planned.name.clone(), Verified::new(commit, proof)));
        }
        Ok(commits)
    }

    /// Whether the repository has, byte for byte, the commit and the signatures that were
    /// checked before the fetch.
    fn is_as_checked(&self, repo: &Repo, planned: &PlannedRef) -> Result<bool, RepoError> {
        let commit = *planned.verified.value();
        let bytes = |repo: &Repo| {
            let bytes = repo.commit_bytes(commit);
            bytes.map_err(|source| repo.failed(&format!("read commit {commit}"), source))
        };
        let same = bytes(repo)? == bytes(&self.scratch.repo)?;
        Ok(same && sorted_dict(&repo.detached(commit)?) == planned.detached)
    }

    /// Commits the transaction and moves the refs.
    fn show(&self, transaction: Transaction<'_>, fetched: &Fetched) -> Result<(), PullError> {
        let only_commits = self.pull.commit_metadata_only;
        let _lock = self.repo.lock(self.pull.progress.as_ref())?;
        failpoint::hit("pull.locked");
        for (name, commit) in &fetched.layers {
            // Such a ref never moves.
            if current(self.repo, &self.pull.local_name(name))?.is_none() {
                transaction.move_ref(self.moved(name, *commit));
            }
        }
        let mut refs: Vec<&PlannedRef> = self.refs.iter().filter(|_| !only_commits).collect();
        refs.sort_by_key(|planned| rank(planned.info.kind));
        for planned in refs {
            // Another pull may have been faster.
            let current = current(self.repo, &self.pull.local_name(&planned.name))?;
            self.check_age(planned, current)?;
            transaction.move_ref(self.moved(&planned.name, *planned.verified.value()));
        }
        let whole = !only_commits && self.pull.subpaths.is_empty();
        if !whole {
            transaction.keep_partial_marks();
        }
        transaction.commit()?;
        failpoint::hit("pull.committed");
        if whole && self.pull.takes_all() {
            self.copy_summary()?;
        }
        Ok(())
    }

    /// The move of a ref of the remote, or of a local one where it is mirrored.
    fn moved(&self, name: &RefName, commit: CommitId) -> RefMove {
        RefMove {
            remote: (!self.pull.mirror).then(|| self.remote.name.clone()),
            name: name.to_string(),
            to: Some(commit),
        }
    }

    /// Makes the summary that named the refs the repository's own: whoever is served by a mirror
    /// finds what the publisher has signed.
    fn copy_summary(&self) -> Result<(), RepoError> {
        for name in [SIGNATURE_FILE, SUMMARY_FILE] {
            let (from, to) = (self.scratch.repo.path(), self.repo.path().join(name));
            let copied = match fs::read(from.join(name)) {
                Ok(bytes) => atomic::write(&to, &bytes),
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                // One that is there would be of another summary.
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

/// The order in which refs move: a release never stands without its layers, nor a channel without
/// its release.
const fn rank(kind: CommitKind) -> u8 {
    match kind {
        CommitKind::Layer => 0,
        CommitKind::Release => 1,
        CommitKind::Channel | CommitKind::Image | CommitKind::Other => 2,
    }
}
