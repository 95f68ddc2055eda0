//! Pulls with libostree itself: from repositories on this machine, whose objects it hard-links, and
//! from remotes with options that only libostree supports.

mod call;
mod error;

use super::offered::{self, OfferedRef};
use super::origin::{Fetched, FoundCommit, Missing, Origin};
use super::session::{Session, current_commit};
use super::{Depth, PullError};
use crate::http::url::Url;
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::remote;
use crate::repo::{Repo, Transaction};
use call::Request;
use std::path::PathBuf;

/// A remote that only libostree accesses.
#[derive(Debug)]
pub(super) struct Libostree {
    session: Session,
}

impl Libostree {
    pub(super) fn new(session: Session) -> Self {
        Self { session }
    }

    /// Returns the path of the remote's repository, if it is on this machine.
    fn local_repository(&self) -> Result<Option<PathBuf>, PullError> {
        let url = remote::full_url(&self.session.repo, self.session.label())?;
        Ok(Url::parse(&url).ok().and_then(|url| url.local_path()))
    }

    /// Fetches the commits of refs into the scratch repository; without refs, those of all refs.
    fn fetch_commits(&self, names: &[RefName]) -> Result<(), PullError> {
        let session = &self.session;
        let request = Request {
            targets: names.iter().map(ToString::to_string).collect(),
            commit_only: true,
            ..Request::default()
        };
        let stats = call::run(session, &session.scratch.repo, &request)
            .map_err(|error| self.explain(error))?;
        session.monitor.count(stats.bytes);
        Ok(())
    }

    /// Fetches the commits of refs, and returns them.
    fn find(&self, names: &[RefName]) -> Result<Vec<FoundCommit>, PullError> {
        self.fetch_commits(names)?;
        let found = names.iter().map(|name| {
            let fetched = format!("{}:{name}", self.session.label());
            let commit = current_commit(&self.session.scratch.repo, &fetched)?;
            let commit = commit.ok_or_else(|| self.no_such_ref(name))?;
            Ok(FoundCommit::new(name.clone(), commit))
        });
        found.collect()
    }

    fn no_such_ref(&self, name: &RefName) -> PullError {
        PullError::NoSuchRef {
            name: name.clone(),
            url: self.session.url().to_owned(),
            // The missing ref is the error to report.
            nearest: self.offered().map_or_else(
                |_| Vec::new(),
                |offered| {
                    let known = offered.iter().map(|one| one.name.to_string());
                    offered::nearest(name, &known.collect::<Vec<_>>())
                },
            ),
        }
    }

    /// Replaces libostree's error for a missing ref or summary.
    fn explain(&self, error: PullError) -> PullError {
        let PullError::Transfer { source, .. } = &error else {
            return error;
        };
        let (options, message) = (&self.session.options, source.to_string());
        if options.pulls_all_refs() && message.contains("does not have a summary") {
            return PullError::NoSummary {
                remote: self.session.label().to_owned(),
                url: self.session.url().to_owned(),
            };
        }
        let missing = options.refs.iter().find(|name| {
            message.contains(&format!("No such branch '{name}'"))
                || (error.kind() == ErrorKind::NotFound
                    && message.contains(&format!("/refs/heads/{name}:")))
                || message.contains(&format!("Refspec '{name}' not found"))
        });
        if let Some(name) = missing {
            return self.no_such_ref(name);
        }
        match (options.refs.as_slice(), missing_commit(&message)) {
            ([name], Some(commit)) => PullError::NoSuchCommit {
                name: name.clone(),
                commit,
                url: self.session.url().to_owned(),
            },
            _ => error,
        }
    }
}

/// Returns the commit in libostree's message about a commit that the remote does not have
/// (`ostree_repo_load_variant`).
fn missing_commit(message: &str) -> Option<CommitId> {
    let (_, rest) = message.split_once("No such metadata object ")?;
    rest.split_once(".commit")?.0.parse().ok()
}

impl Origin for Libostree {
    fn find_commits(&mut self) -> Result<Vec<FoundCommit>, PullError> {
        let (session, options) = (&self.session, &self.session.options);
        if !options.pulls_all_refs() {
            return self.find(&options.refs);
        }
        self.fetch_commits(&[])?;
        let found = session.scratch.repo.refs()?.into_iter();
        Ok(found
            .map(|(name, commit)| FoundCommit::new(name, commit))
            .collect())
    }

    fn existing(&self, names: &[RefName]) -> Result<Vec<RefName>, PullError> {
        // A remote on the network need not have a list of its refs.
        let offered = match (self.offered(), self.local_repository()?) {
            (Err(error), None) if error.kind() != ErrorKind::Cancelled => return Ok(Vec::new()),
            (offered, _) => offered?,
        };
        let exists = |name: &&RefName| offered.iter().any(|one| one.name == **name);
        Ok(names.iter().filter(exists).cloned().collect())
    }

    fn find_more(&mut self, names: &[RefName]) -> Result<Vec<FoundCommit>, PullError> {
        self.find(names)
    }

    fn offered(&self) -> Result<Vec<OfferedRef>, PullError> {
        let session = &self.session;
        let refs = match self.local_repository()? {
            Some(path) => Repo::open(path)?.refs()?,
            // libostree has no other function that reads a summary through a metalink.
            None => {
                let scratch = &session.scratch.repo;
                let request = Request {
                    commit_only: true,
                    ..Request::default()
                };
                call::run(session, scratch, &request)?;
                scratch.refs()?
            }
        };
        let offered = refs.into_iter().map(|(name, commit)| OfferedRef {
            commit: Some(commit),
            ..OfferedRef::named(name)
        });
        Ok(offered.collect())
    }

    fn fetch(
        &self,
        transaction: &Transaction<'_>,
        missing: &Missing<'_>,
    ) -> Result<Fetched, PullError> {
        let (session, options) = (&self.session, &self.session.options);
        let with_history = options.depth != Depth::default();
        let wanted = missing.refs.iter().map(|planned| planned.info.id);
        let wanted = wanted.filter(|id| with_history || missing.commits.contains(id));
        let targets: Vec<String> = wanted.map(|id| id.to_string()).collect();
        if targets.is_empty() {
            return Ok(Fetched::default());
        }
        for commit in &missing.commits {
            session.repo.delete_damaged_commit(*commit)?;
        }
        let request = Request {
            targets,
            commit_only: options.commit_metadata_only,
            in_transaction: true,
            depth: options.depth.to_libostree(),
            subpaths: &options.subpaths,
            verify: session.must_be_signed(),
        };
        let stats = call::run(session, transaction.repo(), &request)?;
        Ok(Fetched {
            objects: stats.objects,
            ..Fetched::default()
        })
    }
}
