//! Fetching commits and their signatures from a server, and nothing of what they are made of.

use super::bounds::COMMITS;
use super::delta::Delta;
use super::fetchers::{AT_ONCE, Request};
use super::image::Image;
use super::server::{SUPERBLOCK, Server, Summary};
use super::{Pull, PullError};
use crate::http::Body;
use crate::id::{CommitId, RefName};
use crate::remote;
use crate::repo::{Completeness, Repo, RepoError};
use std::collections::HashSet;

/// What a server has for a ref.
pub(super) struct Found {
    pub(super) commit: CommitId,
    /// The commits before it, as far as they are wanted and there; newest first.
    pub(super) history: Vec<CommitId>,
    /// The delta that leads to it, unless all of it is here.
    pub(super) delta: Option<Delta>,
    /// The image that has it.
    pub(super) image: Option<Box<Image>>,
}

impl Found {
    pub(super) fn commit(commit: CommitId) -> Self {
        Self {
            commit,
            history: Vec::new(),
            delta: None,
            image: None,
        }
    }
}

/// Fetches the commits on a pull's refs, and those before them, into a scratch repository. They
/// are what their checksums say; their signatures are not checked yet. Returns what was found for
/// which ref.
pub(super) fn fetch(
    server: &Server,
    pull: &Pull,
    repo: &Repo,
    scratch: &Repo,
) -> Result<Vec<(RefName, Found)>, PullError> {
    let summary = server.summary(pull)?;
    let names = match pull.takes_all() {
        true => server.all_refs(pull, summary.as_ref(), scratch)?,
        false => pull.refs.clone(),
    };
    if names.len() > COMMITS {
        return Err(too_many(server, names.len()));
    }
    let mut found = Vec::new();
    for name in &names {
        let commit = match &summary {
            Some(summary) => summary.refs.get(name.as_str()).copied(),
            None => server.lookup(pull, name)?,
        };
        let commit = commit.ok_or_else(|| PullError::NoSuchRef {
            name: name.clone(),
            url: server.url(),
        })?;
        found.push(Found::commit(commit));
    }
    let complete = Completeness::of(repo)?;
    for (names, found) in names.chunks(AT_ONCE).zip(found.chunks_mut(AT_ONCE)) {
        some(
            server,
            pull,
            (repo, scratch, &complete),
            summary.as_ref(),
            names,
            found,
        )?;
    }
    // What is known of a delta stays in memory until it is used.
    let mut left = SUPERBLOCK;
    for found in &mut found {
        let size = found.delta.as_ref().map_or(0, Delta::size);
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => found.delta = None,
        }
    }
    history(server, pull, scratch, &mut found)?;
    Ok(names.into_iter().zip(found).collect())
}

/// Fetches some commits, their detached metadata and the superblocks of their deltas.
fn some(
    server: &Server,
    pull: &Pull,
    (repo, scratch, complete): (&Repo, &Repo, &Completeness<'_>),
    summary: Option<&Summary>,
    names: &[RefName],
    found: &mut [Found],
) -> Result<(), PullError> {
    let deltas: Vec<Option<Delta>> = found
        .iter()
        .map(|found| choose(pull, repo, complete, summary, found.commit))
        .collect::<Result<_, _>>()?;
    let mut requests = Vec::new();
    for commit in found.iter() {
        requests.extend(commit_requests(server, commit.commit)?);
    }
    for delta in deltas.iter().flatten() {
        requests.push(server.superblock(&delta.name)?);
    }
    let mut answers = server.get(pull, &requests)?.into_iter();
    for (index, (commit, name)) in found.iter().zip(names).enumerate() {
        let (object, detached) = (answers.next().flatten(), answers.next().flatten());
        let request = &requests[2 * index];
        let object = object.ok_or_else(|| PullError::NoSuchCommit {
            name: name.clone(),
            commit: commit.commit,
            url: server.url(),
        })?;
        take(server, scratch, commit.commit, request, object, detached)?;
    }
    let trust = remote::delta_trust(repo, &pull.remote)?;
    for (found, delta) in found.iter_mut().zip(deltas) {
        if let Some(mut delta) = delta
            && let Some(superblock) = answers.next().flatten()
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

fn too_many(server: &Server, found: usize) -> PullError {
    PullError::Unsafe {
        remote: server.remote().to_owned(),
        url: server.url(),
        problem: format!("it has {found} commits or more, at most {COMMITS} are fetched at a time"),
    }
}

/// A commit's object and its detached metadata.
fn commit_requests(server: &Server, commit: CommitId) -> Result<[Request; 2], PullError> {
    Ok([
        server.metadata(commit, "commit")?,
        server.metadata(commit, "commitmeta")?,
    ])
}

/// The delta to a commit from the newest commit that is here whole, else from nothing:
/// libostree's own choice. None for a commit that is here, and where deltas are not wanted.
fn choose(
    pull: &Pull,
    repo: &Repo,
    complete: &Completeness<'_>,
    summary: Option<&Summary>,
    commit: CommitId,
) -> Result<Option<Delta>, RepoError> {
    let Some(summary) = summary else {
        return Ok(None);
    };
    // Deltas make whole trees.
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

/// Puts a commit that has its checksum, and its signatures, into the scratch repository.
fn take(
    server: &Server,
    scratch: &Repo,
    commit: CommitId,
    request: &Request,
    object: Body,
    detached: Option<Body>,
) -> Result<(), PullError> {
    let object = server.bytes(object)?;
    let detached = detached.map(|body| server.bytes(body)).transpose()?;
    server.check(request, &object, commit)?;
    put(scratch, commit, &object, detached.as_deref())?
        .map_err(|problem| server.refused(request, problem))
}

/// The same for bytes whose checksum was compared. The inner error is what is wrong with them.
pub(super) fn put(
    scratch: &Repo,
    commit: CommitId,
    object: &[u8],
    detached: Option<&[u8]>,
) -> Result<Result<(), String>, RepoError> {
    let Some(object) = variant(object, "(a{sv}aya(say)sstayay)") else {
        return Ok(Err("it is no commit object".to_owned()));
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
        let Some(detached) = variant(bytes, "a{sv}") else {
            let problem = format!("the detached metadata of {commit} is not well-formed");
            return Ok(Err(problem));
        };
        scratch.write_detached(commit, &detached)?;
    }
    Ok(Ok(()))
}

/// Bytes as a variant of a type, if they are one.
pub(super) fn variant(bytes: &[u8], format: &str) -> Option<glib::Variant> {
    let format = glib::VariantTy::new(format).ok()?;
    let variant = glib::Variant::from_bytes_with_type(&glib::Bytes::from(bytes), format);
    variant.is_normal_form().then_some(variant)
}

/// Fetches the commits before those that were found, as far back as [`Pull::depth`] says, or as
/// the server has them.
fn history(
    server: &Server,
    pull: &Pull,
    scratch: &Repo,
    found: &mut [Found],
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
            if count > COMMITS {
                return Err(too_many(server, count));
            }
            let requests = commit_requests(server, parent)?;
            let mut answers = server.get(pull, &requests)?.into_iter();
            let (Some(object), detached) = (answers.next().flatten(), answers.next().flatten())
            else {
                break;
            };
            take(server, scratch, parent, &requests[0], object, detached)?;
            found.history.push(parent);
            last = parent;
        }
    }
    Ok(())
}
