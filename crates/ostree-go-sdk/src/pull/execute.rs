//! Fetching what was found good, and making it seen.

use super::complete::first_missing;
use super::message;
use super::preflight::{Download, PlannedRef, Preflight, current};
use super::transfer::{self, Stats, checksums, item};
use super::{PullError, Pulled};
use crate::failpoint;
use crate::id::{CommitId, RefName};
use crate::progress::{Event, Phase};
use crate::remote::Verification;
use crate::repo::{RepoError, Transaction};
use crate::sign::Verified;

impl Preflight<'_> {
    /// Fetches what is missing, checks it again, and moves the refs.
    ///
    /// Everything is in one transaction: after an error or a crash refs are as they were and
    /// nothing that was fetched shows. What has come so far is kept aside, and the next pull
    /// goes on from there. Other pulls and composes may run beside it.
    ///
    /// # Errors
    /// When there is no room, the server fails for longer than the retries last, what it sends is
    /// not what the commits are made of, or the repository cannot be written.
    pub fn execute(self) -> Result<Pulled, PullError> {
        let only_commits = self.pull.commit_metadata_only;
        if !only_commits {
            self.check_limits()?;
        }
        let transaction = self.repo.begin()?;
        let whole = self.pull.depth == 0 && self.pull.subpaths.is_empty() && !only_commits;
        let missing: Vec<&PlannedRef> = self
            .refs
            .iter()
            .filter(|planned| !whole || planned.download != Download::Nothing)
            .collect();
        let mut stats = Stats::default();
        if !missing.is_empty() {
            stats = self.fetch(&missing)?;
        }
        failpoint::hit("pull.fetched");
        let commits = self.verify(&transaction)?;
        let item = item(self.pull);
        self.pull.progress.event(&Event::Finished {
            phase: Phase::Pull,
            item: &item,
        });
        if only_commits {
            transaction.commit()?;
        } else {
            self.show(transaction)?;
        }
        Ok(Pulled {
            commits,
            bytes: self.bytes + stats.bytes,
            objects: stats.objects,
            used_delta: stats.delta_count > 0,
            elapsed: self.started.elapsed(),
        })
    }

    fn fetch(&self, missing: &[&PlannedRef]) -> Result<Stats, PullError> {
        let commit_only = self.pull.commit_metadata_only;
        let mut request = self.request(checksums(missing.iter().map(|p| *p.verified.value())));
        request.commit_only = commit_only;
        request.in_transaction = true;
        request.depth = self.pull.depth;
        request.subpaths = &self.pull.subpaths;
        request.verify = self.remote.verification == Verification::Signed;
        request.total = self.bytes();
        let partial = commit_only || !self.pull.subpaths.is_empty();
        // Deltas make whole trees.
        if !self.pull.deltas || partial {
            request.deltas = false;
        }
        let mut stats = match transfer::run(self.pull, self.repo, &request) {
            // A delta holds the signatures of when it was made; a key may have been added since.
            Err(PullError::Transfer { ref source, .. })
                if message::is_about_signatures(source) && request.deltas =>
            {
                request.deltas = false;
                transfer::run(self.pull, self.repo, &request)?
            }
            fetched => fetched?,
        };
        if partial {
            return Ok(stats);
        }
        let mut again = Vec::new();
        for planned in missing {
            if self.missing(*planned.verified.value())?.is_some() {
                again.push(*planned.verified.value());
            }
        }
        if !again.is_empty() {
            for commit in &again {
                self.mark_partial(*commit, true)?;
            }
            request.what = checksums(again);
            request.deltas = false;
            let more = transfer::run(self.pull, self.repo, &request)?;
            stats.bytes += more.bytes;
            stats.objects += more.objects;
        }
        for planned in missing {
            let commit = *planned.verified.value();
            if let Some(object) = self.missing(commit)? {
                self.mark_partial(commit, true)?;
                return Err(PullError::Incomplete {
                    remote: self.remote.name.clone(),
                    commit,
                    object,
                });
            }
        }
        Ok(stats)
    }

    /// The first object that a commit lacks. Another pull's transaction may be moving its objects
    /// into place one by one; those that hold the lock are waited for.
    fn missing(&self, commit: CommitId) -> Result<Option<String>, PullError> {
        if first_missing(self.repo, commit)?.is_none() {
            return Ok(None);
        }
        let _lock = self.repo.lock(self.pull.progress.as_ref())?;
        Ok(first_missing(self.repo, commit)?)
    }

    fn mark_partial(&self, commit: CommitId, partial: bool) -> Result<(), RepoError> {
        self.repo
            .as_ostree()
            .mark_commit_partial(&commit.to_string(), partial)
            .map_err(|source| self.repo.failed("mark a commit as partial", source))
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

    /// Moves the refs and commits the transaction.
    fn show(&self, transaction: Transaction<'_>) -> Result<(), PullError> {
        let _lock = self.repo.lock(self.pull.progress.as_ref())?;
        failpoint::hit("pull.locked");
        let remote = (!self.pull.mirror).then_some(self.remote.name.as_str());
        for planned in &self.refs {
            // Another pull may have been faster.
            let current = current(self.repo, &self.pull.local_name(&planned.name))?;
            self.check_age(planned, current)?;
            self.repo.as_ostree().transaction_set_ref(
                remote,
                planned.name.as_str(),
                Some(&planned.verified.value().to_string()),
            );
        }
        // The commit object may get into its place before what it is made of. Until all of it has,
        // a crash must leave a commit that says so.
        let whole = self.pull.subpaths.is_empty();
        let fetched = |planned: &&PlannedRef| whole && planned.download != Download::Nothing;
        for planned in self.refs.iter().filter(fetched) {
            self.mark_partial(*planned.verified.value(), true)?;
        }
        transaction.commit()?;
        failpoint::hit("pull.committed");
        for planned in self.refs.iter().filter(fetched) {
            self.mark_partial(*planned.verified.value(), false)?;
        }
        Ok(())
    }
}
