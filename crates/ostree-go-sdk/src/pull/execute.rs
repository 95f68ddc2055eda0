//! Fetches the content of checked commits, and updates the refs.

use super::origin::{Fetched, Missing};
use super::plan::PullPlan;
use super::planned::PlannedRef;
use super::scratch::{SIGNATURE_FILE, SUMMARY_FILE};
use super::{PullError, check};
use crate::catalog::CommitKind;
use crate::failpoint;
use crate::fs::atomic;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::object::sorted_dict;
use crate::progress::{Event, Phase};
use crate::publish::{self, SummaryState};
use crate::repo::{Completeness, Partial, Repo, RepoError, Transaction};
use crate::sign::Verified;
use std::collections::HashSet;
use std::time::Duration;
use std::{fs, io};

/// The result of a pull.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pulled {
    /// The refs with the commits that they point to now, in the order in which the refs were
    /// requested.
    pub commits: Vec<(RefName, Verified<CommitId>)>,
    /// Bytes received over the network. Transfers from `file` URLs are not counted.
    pub bytes: u64,
    /// The refs of the images' layers, with the commits that they point to.
    pub layers: Vec<(RefName, CommitId)>,
    /// The number of objects that were fetched or imported one by one, plus the number of delta
    /// parts. For images, the number of objects that were not in the repository before.
    pub objects: u64,
    /// Set if at least one part of a static delta was applied.
    pub used_delta: bool,
    /// The state of the repository's summary; `None` if the pull moves no local refs, or copies the
    /// summary of the remote.
    pub summary: Option<SummaryState>,
    /// The duration of the pull, from the plan to the commit.
    pub elapsed: Duration,
}

impl PullPlan {
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
        let session = &self.session;
        if !session.options.commit_metadata_only {
            self.check_limits()?;
        }
        let transaction = session.repo.begin()?;
        let missing = Missing {
            refs: self.refs(),
            commits: self.missing()?,
            total: self.bytes(),
        };
        let fetched = self.origin.fetch(&transaction, &missing);
        // Moving the objects into place takes seconds on a slow disk, and cannot be interrupted.
        let fetched = match session.options.progress.is_cancelled() {
            true => fetched.and(Err(PullError::Cancelled)),
            false => fetched,
        };
        if let Err(error) = &fetched
            && matches!(error.kind(), ErrorKind::Network | ErrorKind::Cancelled)
        {
            transaction.keep_staged_objects();
        }
        let fetched = fetched?;
        failpoint::hit("pull.fetched");
        let commits = self.verify(&transaction)?;
        session.options.progress.event(&Event::Finished {
            phase: Phase::Pull,
            item: &session.progress_item(),
        });
        let summary = self.commit_transaction(transaction, &fetched)?;
        Ok(Pulled {
            summary,
            commits,
            bytes: session.monitor.bytes(),
            layers: fetched.layers,
            objects: fetched.objects,
            used_delta: fetched.used_delta,
            elapsed: session.started.elapsed(),
        })
    }

    /// Returns the commits of the refs and of their history that are not complete in the
    /// repository. A commit that is stored but lacks objects is marked as partial, and its damaged
    /// objects are deleted.
    fn missing(&self) -> Result<Vec<CommitId>, RepoError> {
        let complete = Completeness::of(&self.session.repo)?;
        let mut seen = HashSet::new();
        let mut missing = Vec::new();
        let mut incomplete = Vec::new();
        for planned in self.refs() {
            for commit in std::iter::once(planned.verified.value()).chain(&planned.history) {
                if seen.insert(*commit) && !complete.is_complete(*commit)? {
                    missing.push(*commit);
                    if self.session.repo.has_commit(*commit)? {
                        incomplete.push(*commit);
                    }
                }
            }
        }
        for commit in &incomplete {
            self.session.repo.delete_damaged_objects_of(*commit)?;
        }
        self.session
            .repo
            .mark_partial(incomplete, Partial::Unfinished)?;
        Ok(missing)
    }

    /// Verifies the signatures of the commits that are now in the repository.
    fn verify(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Vec<(RefName, Verified<CommitId>)>, PullError> {
        let repo = transaction.repo();
        let mut commits = Vec::new();
        for planned in self.refs() {
            let commit = *planned.verified.value();
            if self.matches_plan(repo, planned)? {
                commits.push((planned.name.clone(), planned.verified.clone()));
                continue;
            }
            let check = || check::signatures(&self.session, repo, &planned.name, commit);
            let proof = match check() {
                // The repository may hold older signatures, by keys that are no longer trusted.
                Err(_) => {
                    repo.write_detached(commit, &planned.detached)?;
                    check()?
                }
                Ok(proof) => proof,
            };
            commits.push((planned.name.clone(), Verified::new(commit, proof)));
        }
        Ok(commits)
    }

    /// Returns true if commit and signatures in the repository are byte for byte those that were
    /// checked before the content was fetched.
    fn matches_plan(&self, repo: &Repo, planned: &PlannedRef) -> Result<bool, RepoError> {
        let commit = *planned.verified.value();
        let bytes = |repo: &Repo| {
            let bytes = repo.commit_bytes(commit);
            bytes.map_err(|source| repo.failed(&format!("read commit {commit}"), source))
        };
        let same = bytes(repo)? == bytes(&self.session.scratch.repo)?;
        Ok(same && sorted_dict(&repo.detached(commit)?) == planned.detached)
    }

    /// Commits the transaction, updates the refs, and then copies or refreshes the summary.
    fn commit_transaction(
        &self,
        transaction: Transaction<'_>,
        fetched: &Fetched,
    ) -> Result<Option<SummaryState>, PullError> {
        let (session, options) = (&self.session, &self.session.options);
        let _lock = session.repo.lock(options.progress.as_ref())?;
        failpoint::hit("pull.locked");
        for (name, commit) in &fetched.layers {
            // The ref of a layer never changes once it exists.
            if session.current(name)?.is_none() {
                transaction.move_ref(session.ref_update(name, *commit));
            }
        }
        let mut refs: Vec<&PlannedRef> = match options.commit_metadata_only {
            true => Vec::new(),
            false => self.refs().iter().collect(),
        };
        refs.sort_by_key(|planned| update_order(planned.info.kind));
        for planned in refs {
            // Another pull may have updated the ref in the meantime.
            let current = session.current(&planned.name)?;
            check::age(session, &planned.name, &planned.info, current)?;
            transaction.move_ref(session.ref_update(&planned.name, planned.info.id));
        }
        if !options.pulls_whole_trees() {
            transaction.keep_partial_marks();
        }
        transaction.commit()?;
        failpoint::hit("pull.committed");
        if options.pulls_all_refs() {
            if options.pulls_whole_trees() {
                self.copy_summary()?;
            }
            return Ok(None);
        }
        if !session.updates_local_refs() || options.commit_metadata_only {
            return Ok(None);
        }
        let refreshed = publish::refresh(&session.repo, &[], &[], options.clock.now());
        let refreshed = refreshed.map_err(|source| PullError::Publish(Box::new(source)))?;
        Ok(Some(refreshed))
    }

    /// Copies the summary that named the refs into the repository, so that clients of the mirror
    /// get the summary that the publisher signed.
    fn copy_summary(&self) -> Result<(), RepoError> {
        for name in [SIGNATURE_FILE, SUMMARY_FILE] {
            let (from, to) = (
                self.session.scratch.repo.path(),
                self.session.repo.path().join(name),
            );
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
        CommitKind::Layer | CommitKind::StdCache | CommitKind::Module => 0,
        CommitKind::Release => 1,
        CommitKind::Channel | CommitKind::Image | CommitKind::Other => 2,
    }
}
