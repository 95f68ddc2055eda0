//! Keeps an existing summary and page true after refs have changed.
//!
//! Clients that find a summary read the refs from it: libostree's pulls, and rpm-ostree, which
//! resolves the refs of layers in the same way. If it is out of date, they do not find a new
//! release, or use the former commit of a ref that has moved.

use super::document::SummaryDocument;
use super::{PublishError, index, page, summary};
use crate::delta::{DeltaName, deltas};
use crate::id::{CommitId, RefName};
use crate::repo::Repo;
use crate::sign::SigningKey;
use std::collections::BTreeMap;

/// The state of a repository's summary after an operation that moves refs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SummaryState {
    /// There is no summary. Clients read the refs themselves.
    Absent,
    /// The summary named the current commits of all refs already.
    Current,
    /// The summary was written again.
    Refreshed,
    /// The summary does not name the current commits of all refs. It is signed, and there was no
    /// key to sign a new one.
    Outdated,
}

impl SummaryState {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Current => "current",
            Self::Refreshed => "refreshed",
            Self::Outdated => "outdated",
        }
    }
}

/// Writes the summary and the page again if they exist and are out of date. The deltas in
/// `superseded` are left out. A signed summary is only replaced if there are keys to sign the new
/// one. The repository's lock must be held.
///
/// # Errors
/// Returns an error if the repository cannot be written, or a key cannot be used. The old summary
/// still exists then.
pub(crate) fn refresh(
    repo: &Repo,
    keys: &[SigningKey],
    superseded: &[DeltaName],
    now: u64,
) -> Result<SummaryState, PublishError> {
    if let Some(index) = index::refresh(repo, now)? {
        page::write(&index, repo)?;
    }
    let Some(bytes) = summary::read_published(repo)? else {
        return Ok(SummaryState::Absent);
    };
    if is_current(repo, &bytes, superseded)? {
        return Ok(SummaryState::Current);
    }
    if keys.is_empty() && summary::is_signed(repo) {
        return Ok(SummaryState::Outdated);
    }
    summary::write(repo, keys, superseded)?;
    Ok(SummaryState::Refreshed)
}

/// Returns whether a summary names the current commits of all refs, and no delta that does not
/// exist.
fn is_current(repo: &Repo, summary: &[u8], superseded: &[DeltaName]) -> Result<bool, PublishError> {
    let Some(summary) = SummaryDocument::parse(summary) else {
        return Ok(false);
    };
    let refs: BTreeMap<RefName, CommitId> = repo.refs()?.into_iter().collect();
    if !outdated_refs(&summary, &refs).is_empty() {
        return Ok(false);
    }
    let existing: Vec<DeltaName> = deltas(repo)?.into_iter().map(|delta| delta.name).collect();
    let exists = |name: &DeltaName| existing.contains(name) && !superseded.contains(name);
    Ok(summary.deltas.values().flatten().all(exists))
}

/// Returns the refs for which a summary names no commit or another one, and the refs that do not
/// exist any more.
fn outdated_refs(summary: &SummaryDocument, refs: &BTreeMap<RefName, CommitId>) -> Vec<String> {
    let moved = refs
        .iter()
        .filter(|(name, commit)| summary.refs.get(name.as_str()) != Some(commit));
    let named: Vec<&str> = refs.keys().map(RefName::as_str).collect();
    let removed = summary.refs.keys();
    // Refs of remotes, `REMOTE:REF`, are not for the repository's clients.
    let removed = removed.filter(|name| !name.contains(':') && !named.contains(&name.as_str()));
    let moved = moved.map(|(name, _)| name.to_string());
    moved.chain(removed.cloned()).collect()
}

/// A ref for which the summary of a repository names no commit, or another one than the ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutdatedRef {
    pub(crate) name: RefName,
    /// The commit in the summary.
    pub(crate) found: Option<CommitId>,
    /// The commit that the ref points to.
    pub(crate) expected: CommitId,
}

/// Returns the first of the refs that the summary of a repository, if there is one, does not name
/// with its commit.
///
/// # Errors
/// Returns an error if the summary cannot be read.
pub(crate) fn find_outdated<'r>(
    repo: &Repo,
    refs: impl IntoIterator<Item = (&'r RefName, CommitId)>,
) -> Result<Option<OutdatedRef>, PublishError> {
    let Some(bytes) = summary::read_published(repo)? else {
        return Ok(None);
    };
    let summary = SummaryDocument::parse(&bytes).unwrap_or_default();
    let outdated = refs.into_iter().find_map(|(name, expected)| {
        let found = summary.refs.get(name.as_str()).copied();
        (found != Some(expected)).then(|| OutdatedRef {
            name: name.clone(),
            found,
            expected,
        })
    });
    Ok(outdated)
}
