//! The interface of the origins of a pull.

use super::PullError;
use super::offered::OfferedRef;
use super::planned::{Cost, Download, PlannedRef};
use crate::catalog::CommitInfo;
use crate::id::{CommitId, RefName};
use crate::repo::{Completeness, RepoError, Transaction};
use std::fmt;

/// The place that commits and their content are fetched from.
pub(super) trait Origin: fmt::Debug + Send {
    /// Fetches the commits that the refs point to, and the commits of their history, into the
    /// scratch repository. Their checksums have been checked, but their signatures have not.
    fn find_commits(&mut self) -> Result<Vec<FoundCommit>, PullError>;

    /// Returns the refs that the origin offers.
    fn offered(&self) -> Result<Vec<OfferedRef>, PullError>;

    /// Returns those of the given refs that the origin has. Default: none.
    fn existing(&self, names: &[RefName]) -> Result<Vec<RefName>, PullError> {
        let _ = names;
        Ok(Vec::new())
    }

    /// Fetches the commits of further refs, which the origin [has](Origin::existing), as
    /// [`Origin::find_commits`] does. Default: none.
    fn find_more(&mut self, names: &[RefName]) -> Result<Vec<FoundCommit>, PullError> {
        let _ = names;
        Ok(Vec::new())
    }

    /// Returns the download for a commit that was found and is not complete in the repository.
    fn download(
        &self,
        commit: &CommitInfo,
        complete: &Completeness<'_>,
    ) -> Result<Download, PullError> {
        let _ = complete;
        Ok(Download::Objects { tree: commit.bytes })
    }

    /// Returns the amount to download for several refs together.
    fn cost(&self, refs: &[&PlannedRef], complete: &Completeness<'_>) -> Result<Cost, RepoError> {
        let _ = complete;
        Ok(Cost::sum(refs))
    }

    /// Fetches the missing content into a transaction.
    fn fetch(
        &self,
        transaction: &Transaction<'_>,
        missing: &Missing<'_>,
    ) -> Result<Fetched, PullError>;
}

/// A ref of an origin, and its commit.
pub(super) struct FoundCommit {
    pub(super) name: RefName,
    pub(super) commit: CommitId,
    /// The parent commits, as far as they are requested and available; newest first.
    pub(super) history: Vec<CommitId>,
}

impl FoundCommit {
    pub(super) fn new(name: RefName, commit: CommitId) -> Self {
        Self {
            name,
            commit,
            history: Vec::new(),
        }
    }
}

/// The content to fetch.
pub(super) struct Missing<'p> {
    /// The refs of the pull.
    pub(super) refs: &'p [PlannedRef],
    /// The commits of the refs and of their history that are not complete in the repository.
    pub(super) commits: Vec<CommitId>,
    /// The number of bytes to download, if known.
    pub(super) total: Option<u64>,
}

/// The result of fetching.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// The number of objects and delta parts.
    pub(super) objects: u64,
    /// Set if at least one part of a static delta was applied.
    pub(super) used_delta: bool,
    /// The refs of the images' layers, with the commits that they point to.
    pub(super) layers: Vec<(RefName, CommitId)>,
}
