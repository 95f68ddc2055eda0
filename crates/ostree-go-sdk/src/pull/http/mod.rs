//! Pulls from repositories on web servers.
//!
//! The commits are requested first. Then the content is fetched: static deltas, and object by
//! object what they do not contain.

mod commits;
mod contents;
mod delta;
mod fetchers;
mod receive;
mod server;
mod summary;
mod sweep;

#[cfg(feature = "fuzzing")]
pub(super) use receive::{ObjectReceiver, file_object};

use super::PullError;
use super::bounds::{self, Bounds};
use super::offered::OfferedRef;
use super::origin::{Fetched, FoundCommit, Missing, Origin};
use super::planned::{Download, deduplicated};
use super::session::Session;
use crate::catalog::CommitInfo;
use crate::id::RefName;
use crate::publish::SummaryDocument as Summary;
use crate::repo::{Completeness, Transaction};
use commits::Deltas;
use contents::{CommitTree, Contents, FetchStats};
use server::Server;

/// A repository on a web server, and the static deltas that are used to fetch from it.
#[derive(Debug)]
pub(super) struct WebRepository {
    server: Server,
    /// The summary, once the commits were looked up, if there is one.
    summary: Option<Summary>,
    deltas: Deltas,
}

impl WebRepository {
    /// Opens the repository of the remote; returns `None` if only libostree can access it.
    pub(super) fn open(session: Session) -> Result<Option<Self>, PullError> {
        let server = Server::open(session)?;
        Ok(server.map(|server| Self {
            server,
            summary: None,
            deltas: Deltas::new(),
        }))
    }

    /// Fetches the trees of the missing commits.
    fn fetch_trees(
        &self,
        transaction: &Transaction<'_>,
        missing: &Missing<'_>,
    ) -> Result<FetchStats, PullError> {
        let session = &self.server.session;
        let scratch = &session.scratch.repo;
        let deltas = deduplicated(missing.refs).into_iter();
        let deltas: Vec<_> = deltas
            .filter_map(|planned| self.deltas.get(&planned.info.id))
            .collect();
        let (mut trees, mut sizes) = (Vec::new(), Vec::new());
        for commit in &missing.commits {
            let parsed = scratch.commit(*commit)?;
            trees.push(CommitTree {
                tree: parsed.tree,
                meta: parsed.meta,
            });
            sizes.push(CommitInfo::read(scratch, *commit)?.bytes);
        }
        let contents = Contents {
            server: &self.server,
            transaction,
            total: missing.total,
            bounds: &Bounds::new(sizes, &session.options.progress),
            needed_by: describe_refs(missing),
        };
        contents.fetch(&deltas, &trees)
    }
}

impl Origin for WebRepository {
    fn find_commits(&mut self) -> Result<Vec<FoundCommit>, PullError> {
        let (summary, names) = commits::requested(&self.server)?;
        self.summary = summary;
        self.find_more(&names)
    }

    fn existing(&self, names: &[RefName]) -> Result<Vec<RefName>, PullError> {
        let mut existing = Vec::new();
        for name in names {
            let exists = match &self.summary {
                Some(summary) => summary.refs.contains_key(name.as_str()),
                None => self.server.commit_of_ref(name)?.is_some(),
            };
            if exists {
                existing.push(name.clone());
            }
        }
        Ok(existing)
    }

    fn find_more(&mut self, names: &[RefName]) -> Result<Vec<FoundCommit>, PullError> {
        let (found, deltas) = commits::fetch(&self.server, self.summary.as_ref(), names)?;
        self.deltas.extend(deltas);
        Ok(found)
    }

    fn offered(&self) -> Result<Vec<OfferedRef>, PullError> {
        let summary = self.server.summary()?;
        summary
            .map(|summary| summary::offered(&summary))
            .ok_or_else(|| PullError::NoSummary {
                remote: self.server.session.label().to_owned(),
                url: self.server.url(),
            })
    }

    fn download(&self, commit: &CommitInfo, _: &Completeness<'_>) -> Result<Download, PullError> {
        let Some(delta) = self.deltas.get(&commit.id) else {
            return Ok(Download::Objects { tree: commit.bytes });
        };
        let download = delta.download();
        let allowed = bounds::max_unpacked(commit.bytes);
        match download.unpacked() {
            Some(found) if found > allowed => {
                let session = &self.server.session;
                let problem = format!(
                    "the static delta {} has {found} bytes unpacked, but commit {} allows {allowed}",
                    delta.name, commit.id
                );
                Err(session.monitor.unsafe_content(session.url(), problem))
            }
            _ => Ok(download),
        }
    }

    fn fetch(
        &self,
        transaction: &Transaction<'_>,
        missing: &Missing<'_>,
    ) -> Result<Fetched, PullError> {
        let session = &self.server.session;
        let stats = match missing.commits.is_empty() || session.options.commit_metadata_only {
            true => FetchStats::default(),
            false => self.fetch_trees(transaction, missing)?,
        };
        session.copy_commits(transaction, &missing.commits)?;
        Ok(Fetched {
            objects: stats.objects,
            used_delta: stats.parts > 0,
            layers: Vec::new(),
        })
    }
}

/// Returns up to three refs that point to missing commits, with these commits, for messages.
fn describe_refs(missing: &Missing<'_>) -> Vec<String> {
    let refs = missing.refs.iter();
    refs.filter(|planned| missing.commits.contains(&planned.info.id))
        .take(3)
        .map(|planned| format!("{} (commit {})", planned.name, planned.info.id))
        .collect()
}
