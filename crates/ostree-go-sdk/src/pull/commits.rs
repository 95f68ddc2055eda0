//! Fetches commits and their signatures from a server, without their content.

use super::bounds::MAX_COMMITS;
use super::delta::Delta;
use super::fetchers::{MAX_REQUESTS, Request};
use super::image::Image;
use super::server::{MAX_SUPERBLOCK, Server, Summary};
use super::{Pull, PullError};
use crate::http::Body;
use crate::id::{CommitId, RefName};
use crate::remote;
use crate::repo::{Completeness, Repo, RepoError};
use std::collections::HashSet;

/// A commit that a server has for a ref.
pub(super) struct FoundCommit {
    pub(super) commit: CommitId,
    /// Its parent commits, as far as they are requested and available; newest first.
    pub(super) history: Vec<CommitId>,
    /// The static delta to this commit, unless the commit is complete in the repository.
    pub(super) delta: Option<Delta>,
    /// The image that contains it.
    pub(super) image: Option<Box<Image>>,
}

impl FoundCommit {
    pub(super) fn new(commit: CommitId) -> Self {
        Self {
            commit,
            history: Vec::new(),
            delta: None,
            image: None,
        }
    }
}

/// Fetches the commits of a pull's refs, and their history, into a scratch repository. Their
/// checksums have been checked, but their signatures have not. Returns the refs with their commits.
pub(super) fn fetch(
    server: &Server,
    pull: &Pull,
    repo: &Repo,
    scratch: &Repo,
) -> Result<Vec<(RefName, FoundCommit)>, PullError> {
    let (summary, names) = match pull.pulls_all_refs() {
        true => {
            let summary = server.copy_summary(pull, scratch)?;
            let names = server.all_refs(&summary)?;
            (Some(summary), names)
        }
        false => (server.summary(pull)?, pull.refs.clone()),
    };
    if names.len() > MAX_COMMITS {
        return Err(too_many_commits(server, names.len()));
    }
    let mut found = Vec::new();
    for name in &names {
        let commit = match &summary {
            Some(summary) => summary.refs.get(name.as_str()).copied(),
            None => server.commit_of_ref(pull, name)?,
        };
        let commit = commit.ok_or_else(|| PullError::NoSuchRef {
            name: name.clone(),
            url: server.url(),
        })?;
        found.push(FoundCommit::new(commit));
    }
    let complete = Completeness::of(repo)?;
    for (names, found) in names
        .chunks(MAX_REQUESTS)
        .zip(found.chunks_mut(MAX_REQUESTS))
    {
        fetch_batch(
            server,
            pull,
            (repo, scratch, &complete),
            summary.as_ref(),
            names,
            found,
        )?;
    }
    // Superblocks stay in memory until the deltas are used, so that their total size is limited.
    let mut left = MAX_SUPERBLOCK;
    for found in &mut found {
        let size = found.delta.as_ref().map_or(0, Delta::size);
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => found.delta = None,
        }
    }
    fetch_history(server, pull, scratch, &mut found)?;
    Ok(names.into_iter().zip(found).collect())
}

/// Fetches a batch of commits, their detached metadata and the superblocks of their deltas.
fn fetch_batch(
    server: &Server,
    pull: &Pull,
    (repo, scratch, complete): (&Repo, &Repo, &Completeness<'_>),
    summary: Option<&Summary>,
    names: &[RefName],
    found: &mut [FoundCommit],
) -> Result<(), PullError> {
    let deltas: Vec<Option<Delta>> = found
        .iter()
        .map(|found| choose_delta(pull, repo, complete, summary, found.commit))
        .collect::<Result<_, _>>()?;
    let mut requests = Vec::new();
    for commit in found.iter() {
        requests.extend(commit_requests(server, commit.commit)?);
    }
    for delta in deltas.iter().flatten() {
        requests.push(server.superblock(&delta.name)?);
    }
    let mut responses = server.get_all(pull, &requests)?.into_iter();
    for (index, (commit, name)) in found.iter().zip(names).enumerate() {
        let (object, detached) = (responses.next().flatten(), responses.next().flatten());
        let request = &requests[2 * index];
        let object = object.ok_or_else(|| PullError::NoSuchCommit {
            name: name.clone(),
            commit: commit.commit,
            url: server.url(),
        })?;
        store_response(server, scratch, commit.commit, request, object, detached)?;
    }
    let trust = remote::delta_trust(repo, &pull.remote)?;
    for (found, delta) in found.iter_mut().zip(deltas) {
        if let Some(mut delta) = delta
            && let Some(superblock) = responses.next().flatten()
        {
            let read = delta.read(&server.bytes(superblock)?, &trust);
            let read = read.map_err(|source| PullError::Delta {
                remote: pull.remote.clone(),
                source: Box::new(source),
            })?;
            found.delta = read.then_some(delta);
        }
    }
    Ok(())
}

fn too_many_commits(server: &Server, found: usize) -> PullError {
    PullError::Unsafe {
        remote: server.remote().to_owned(),
        url: server.url(),
        problem: format!(
            "it has {found} commits or more, at most {MAX_COMMITS} are fetched at a time"
        ),
    }
}

/// Returns the requests for a commit object and its detached metadata.
fn commit_requests(server: &Server, commit: CommitId) -> Result<[Request; 2], PullError> {
    Ok([
        server.metadata(commit, "commit")?,
        server.metadata(commit, "commitmeta")?,
    ])
}

/// Returns the delta to a commit from the newest complete commit in the repository, else from the
/// empty commit, as libostree chooses. Returns `None` if the commit is complete, or if deltas are
/// disabled.
fn choose_delta(
    pull: &Pull,
    repo: &Repo,
    complete: &Completeness<'_>,
    summary: Option<&Summary>,
    commit: CommitId,
) -> Result<Option<Delta>, RepoError> {
    let Some(summary) = summary else {
        return Ok(None);
    };
    // Deltas contain whole trees.
    if !pull.deltas || !pull.subpaths.is_empty() || complete.is_complete(commit)? {
        return Ok(None);
    }
    let mut best = None;
    for name in summary.deltas.get(&commit).into_iter().flatten() {
        let age = match name.from {
            None => None,
            Some(from) if complete.is_complete(from)? => Some(repo.commit(from)?.timestamp),
            Some(_) => continue,
        };
        best = best.max(Some((age, *name)));
    }
    Ok(best.map(|(_, name)| Delta::named(name)))
}

/// Checks a received commit, and writes it with its signatures into the scratch repository.
fn store_response(
    server: &Server,
    scratch: &Repo,
    commit: CommitId,
    request: &Request,
    object: Body,
    detached: Option<Body>,
) -> Result<(), PullError> {
    let object = server.bytes(object)?;
    let detached = detached.map(|body| server.bytes(body)).transpose()?;
    server.check_checksum(request, &object, commit)?;
    store_commit(scratch, commit, &object, detached.as_deref())?
        .map_err(|problem| server.refused(request, problem))
}

/// Writes a commit, whose checksum was checked, into the scratch repository. The inner error
/// describes invalid bytes.
pub(super) fn store_commit(
    scratch: &Repo,
    commit: CommitId,
    object: &[u8],
    detached: Option<&[u8]>,
) -> Result<Result<(), String>, RepoError> {
    let Some(object) = parse_variant(object, "(a{sv}aya(say)sstayay)") else {
        return Ok(Err("it is not a valid commit object".to_owned()));
    };
    scratch
        .as_ostree()
        .write_metadata(
            ostree::ObjectType::Commit,
            Some(&commit.to_string()),
            &object,
            gio::Cancellable::NONE,
        )
        .map_err(|source| scratch.failed(&format!("write commit {commit}"), source))?;
    if let Some(bytes) = detached {
        let Some(detached) = parse_variant(bytes, "a{sv}") else {
            let problem = format!("the detached metadata of {commit} is not well-formed");
            return Ok(Err(problem));
        };
        scratch.write_detached(commit, &detached)?;
    }
    Ok(Ok(()))
}

/// Parses bytes as a variant of the given type in normal form.
pub(super) fn parse_variant(bytes: &[u8], format: &str) -> Option<glib::Variant> {
    let format = glib::VariantTy::new(format).ok()?;
    let variant = glib::Variant::from_bytes_with_type(&glib::Bytes::from(bytes), format);
    variant.is_normal_form().then_some(variant)
}

/// Fetches the parents of the commits, as far as [`Pull::depth`] requests and the server has them.
fn fetch_history(
    server: &Server,
    pull: &Pull,
    scratch: &Repo,
    found: &mut [FoundCommit],
) -> Result<(), PullError> {
    let mut count = found.len();
    for found in found {
        let mut seen = HashSet::from([found.commit]);
        let mut left = pull.depth;
        let mut last = found.commit;
        while left != 0
            && let Some(parent) = scratch.commit(last)?.parent
            && seen.insert(parent)
        {
            left -= 1;
            count += 1;
            if count > MAX_COMMITS {
                return Err(too_many_commits(server, count));
            }
            let requests = commit_requests(server, parent)?;
            let mut responses = server.get_all(pull, &requests)?.into_iter();
            let (Some(object), detached) = (responses.next().flatten(), responses.next().flatten())
            else {
                break;
            };
            store_response(server, scratch, parent, &requests[0], object, detached)?;
            found.history.push(parent);
            last = parent;
        }
    }
    Ok(())
}
