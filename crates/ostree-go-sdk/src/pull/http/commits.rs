//! Fetches commits and their signatures from a server, without their content.

use super::delta::Delta;
use super::fetchers::{MAX_REQUESTS, Request};
use super::server::{MAX_SUPERBLOCK, Server};
use crate::http::Body;
use crate::id::{CommitId, RefName};
use crate::publish::SummaryDocument as Summary;
use crate::pull::PullError;
use crate::pull::bounds::MAX_COMMITS;
use crate::pull::offered;
use crate::pull::origin::FoundCommit;
use crate::pull::session::Session;
use crate::remote;
use crate::repo::{Completeness, RepoError};
use std::collections::{HashMap, HashSet};

/// The static deltas that are used to fetch commits, by the commits.
pub(super) type Deltas = HashMap<CommitId, Delta>;

/// Returns the summary of the server, if there is one, and the refs of a pull.
pub(super) fn requested(server: &Server) -> Result<(Option<Summary>, Vec<RefName>), PullError> {
    let options = &server.session.options;
    Ok(match options.pulls_all_refs() {
        true => {
            let summary = server.copy_summary()?;
            let names = server.all_refs(&summary)?;
            (Some(summary), names)
        }
        false => (server.summary()?, options.refs.clone()),
    })
}

/// Fetches the commits of refs, and their history, into the scratch repository. Returns the
/// commits, and the static deltas to those that are not complete in the repository.
pub(super) fn fetch(
    server: &Server,
    summary: Option<&Summary>,
    names: &[RefName],
) -> Result<(Vec<FoundCommit>, Deltas), PullError> {
    let session = &server.session;
    if names.len() > MAX_COMMITS {
        return Err(too_many_commits(server, names.len()));
    }
    let mut found = Vec::new();
    for name in names {
        let commit = match summary {
            Some(summary) => summary.refs.get(name.as_str()).copied(),
            None => server.commit_of_ref(name)?,
        };
        let commit = commit.ok_or_else(|| {
            let nearest = summary.map_or_else(Vec::new, |summary| {
                offered::nearest(name, summary.refs.keys())
            });
            let error = PullError::NoSuchRef {
                name: name.clone(),
                url: server.url(),
                nearest,
            };
            match summary {
                Some(_) => error,
                None => server.absent(error),
            }
        })?;
        found.push(FoundCommit::new(name.clone(), commit));
    }
    let complete = Completeness::of(&session.repo)?;
    let mut deltas = Deltas::new();
    // Superblocks stay in memory until the deltas are used, so that their total size is limited.
    let mut left = MAX_SUPERBLOCK;
    for batch in found.chunks(MAX_REQUESTS) {
        for (commit, delta) in fetch_batch(server, &complete, summary, batch)? {
            if let Some(rest) = left.checked_sub(delta.size()) {
                left = rest;
                deltas.insert(commit, delta);
            }
        }
    }
    fetch_history(server, &mut found)?;
    Ok((found, deltas))
}

/// Fetches a batch of commits, their detached metadata and the superblocks of their deltas. Returns
/// the deltas.
fn fetch_batch(
    server: &Server,
    complete: &Completeness<'_>,
    summary: Option<&Summary>,
    found: &[FoundCommit],
) -> Result<Vec<(CommitId, Delta)>, PullError> {
    let session = &server.session;
    let chosen: Vec<Option<Delta>> = found
        .iter()
        .map(|found| choose_delta(session, complete, summary, found.commit))
        .collect::<Result<_, _>>()?;
    let mut requests = Vec::new();
    for commit in found {
        requests.extend(commit_requests(server, commit.commit)?);
    }
    for delta in chosen.iter().flatten() {
        requests.push(server.superblock(&delta.name)?);
    }
    let mut responses = server.get_all(&requests)?.into_iter();
    for (index, found) in found.iter().enumerate() {
        let (object, detached) = (responses.next().flatten(), responses.next().flatten());
        let request = &requests[2 * index];
        let object = object.ok_or_else(|| PullError::NoSuchCommit {
            name: found.name.clone(),
            commit: found.commit,
            url: server.url(),
        })?;
        store_response(server, found.commit, request, object, detached)?;
    }
    let trust = remote::delta_trust(&session.repo, session.label())?;
    let mut deltas = Vec::new();
    for (found, delta) in found.iter().zip(chosen) {
        if let Some(mut delta) = delta
            && let Some(superblock) = responses.next().flatten()
        {
            let read = delta.read(&server.bytes(superblock)?, &trust);
            let read = read.map_err(|source| PullError::Delta {
                remote: session.label().to_owned(),
                source: Box::new(source),
            })?;
            if read {
                deltas.push((found.commit, delta));
            }
        }
    }
    Ok(deltas)
}

fn too_many_commits(server: &Server, found: usize) -> PullError {
    let problem =
        format!("it has {found} commits or more, at most {MAX_COMMITS} are fetched at a time");
    server.session.monitor.unsafe_content(server.url(), problem)
}

/// Returns the requests for a commit object and its detached metadata.
fn commit_requests(server: &Server, commit: CommitId) -> Result<[Request; 2], PullError> {
    Ok([
        server.metadata(commit, "commit")?,
        server.metadata(commit, "commitmeta")?.optional(),
    ])
}

/// Returns the delta to a commit from the newest complete commit in the repository, else from the
/// empty commit, as libostree chooses. Returns `None` if the commit is complete, or if deltas are
/// disabled.
fn choose_delta(
    session: &Session,
    complete: &Completeness<'_>,
    summary: Option<&Summary>,
    commit: CommitId,
) -> Result<Option<Delta>, RepoError> {
    let Some(summary) = summary else {
        return Ok(None);
    };
    let options = &session.options;
    // Deltas contain whole trees.
    if !options.deltas || !options.subpaths.is_empty() || complete.is_complete(commit)? {
        return Ok(None);
    }
    let mut best = None;
    for name in summary.deltas.get(&commit).into_iter().flatten() {
        let age = match name.from {
            None => None,
            Some(from) if complete.is_complete(from)? => Some(session.repo.commit(from)?.timestamp),
            Some(_) => continue,
        };
        best = best.max(Some((age, *name)));
    }
    Ok(best.map(|(_, name)| Delta::named(name)))
}

/// Checks a received commit, and writes it with its signatures into the scratch repository.
fn store_response(
    server: &Server,
    commit: CommitId,
    request: &Request,
    object: Body,
    detached: Option<Body>,
) -> Result<(), PullError> {
    let object = server.bytes(object)?;
    let detached = detached.map(|body| server.bytes(body)).transpose()?;
    server.check_checksum(request, &object, commit)?;
    let scratch = &server.session.scratch;
    scratch
        .store_commit(commit, &object, detached.as_deref())?
        .map_err(|problem| server.refused(request, problem))
}

/// Fetches the parents of the commits, as far as [`Pull::depth`](crate::Pull::depth) requests and the server has them.
fn fetch_history(server: &Server, found: &mut [FoundCommit]) -> Result<(), PullError> {
    let session = &server.session;
    let mut count = found.len();
    for found in found {
        let mut seen = HashSet::from([found.commit]);
        let mut parents = 0;
        let mut last = found.commit;
        while session.options.depth.exceeds(parents)
            && let Some(parent) = session.scratch.repo.commit(last)?.parent
            && seen.insert(parent)
        {
            parents += 1;
            count += 1;
            if count > MAX_COMMITS {
                return Err(too_many_commits(server, count));
            }
            let [object, detached] = commit_requests(server, parent)?;
            let requests = [object.optional(), detached];
            let mut responses = server.get_all(&requests)?.into_iter();
            let (Some(object), detached) = (responses.next().flatten(), responses.next().flatten())
            else {
                break;
            };
            store_response(server, parent, &requests[0], object, detached)?;
            found.history.push(parent);
            last = parent;
        }
    }
    Ok(())
}
