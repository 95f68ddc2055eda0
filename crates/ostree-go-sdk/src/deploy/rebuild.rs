//! Rebuilds a missing state file from the deployments and the repository.

use super::error::DeployError;
use super::selection::StdCacheSelection;
use super::state::{DeployedStdCache, Deployment, State};
use crate::catalog::{CommitInfo, CommitKind};
use crate::fs::context::IoContext;
use crate::golang::std_cache::std_cache_ref;
use crate::id::RefName;
use crate::repo::Repo;
use crate::sign::Proof;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind as Io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Name of the remote of a deployment whose origin is unknown.
const UNKNOWN: &str = "unknown";

/// Returns a state with the deployments that can be reconstructed: the commits that are checked out
/// and in the repository. Signatures, pins and the history are lost; the deployments count as
/// unsigned until they are installed again.
pub(super) fn state(root: &Path, repo: &Repo) -> Result<State, DeployError> {
    let mut state = State::default();
    let path = root.join("deployments");
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == Io::NotFound => return Ok(state),
        entries => entries.context("read directory", &path)?,
    };
    let origins = origins(repo)?;
    let mut std_caches = Vec::new();
    for entry in entries {
        let entry = entry.context("read directory", &path)?;
        let metadata = entry.metadata().context("look at", entry.path())?;
        let commit = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(commit) = commit.filter(|_| metadata.is_dir()) else {
            continue;
        };
        let changed_at = u64::try_from(metadata.ctime()).unwrap_or(0);
        if !repo.has_commit(commit)? {
            continue;
        }
        let info = CommitInfo::read(repo, commit)?;
        if let Some(std_cache) = std_cache(&info) {
            std_caches.push((info.version, std_cache));
        } else if let Some(deployment) = deployment(info, &origins, changed_at) {
            state.deployments.push(deployment);
        }
    }
    for deployment in &mut state.deployments {
        add_std_caches(deployment, &std_caches);
    }
    state.deployments.sort_by_key(|d| (d.timestamp, d.commit));
    Ok(state)
}

/// Returns the remotes and refs that point to each commit. Local refs have the remote [`UNKNOWN`].
fn origins(repo: &Repo) -> Result<BTreeMap<String, Vec<(String, String)>>, DeployError> {
    let flags = ostree::RepoListRefsExtFlags::NONE;
    let refs = repo
        .as_ostree()
        .list_refs_ext(None, flags, gio::Cancellable::NONE)
        .map_err(|source| repo.failed("list refs", source))?;
    let mut origins = BTreeMap::<String, Vec<_>>::new();
    for (name, commit) in refs {
        let (remote, name) = name.split_once(':').unwrap_or((UNKNOWN, &name));
        let origin = (remote.to_owned(), name.to_owned());
        origins.entry(commit.to_string()).or_default().push(origin);
    }
    Ok(origins)
}

/// Returns the std cache of a commit, if it is one.
fn std_cache(info: &CommitInfo) -> Option<DeployedStdCache> {
    let id = info
        .std_cache
        .filter(|_| info.kind == CommitKind::StdCache)?;
    Some(DeployedStdCache {
        id,
        commit: info.id,
        ref_name: info.bound_to.first()?.clone(),
        bytes: info.bytes,
    })
}

/// Adds the std caches of its version to a deployment, and selects their targets.
fn add_std_caches(deployment: &mut Deployment, known: &[(Option<String>, DeployedStdCache)]) {
    let of_version = known.iter().filter(|(version, cache)| {
        let expected = std_cache_ref(&deployment.ref_name, &deployment.version, cache.id);
        version.as_ref() == Some(&deployment.version)
            && expected.ok() == Some(cache.ref_name.clone())
    });
    let mut found: Vec<_> = of_version.map(|(_, cache)| cache.clone()).collect();
    found.sort_by_key(|cache| cache.id);
    let mut selection = StdCacheSelection::native();
    for target in found.iter().map(|cache| cache.id.target) {
        if target != deployment.arch {
            selection = selection.with_target(target);
        }
    }
    deployment.std_caches = found;
    deployment.std_cache_selection = selection;
}

fn deployment(
    info: CommitInfo,
    origins: &BTreeMap<String, Vec<(String, String)>>,
    changed_at: u64,
) -> Option<Deployment> {
    let commit = info.id;
    let is_sdk = matches!(info.kind, CommitKind::Release | CommitKind::Channel);
    let (version, arch) = (info.version.filter(|_| is_sdk)?, info.arch?);
    let named = origins.get(&commit.to_string());
    let named = named.into_iter().flatten().find_map(|(remote, name)| {
        let bound = info.bound_to.iter().find(|bound| bound.as_str() == name)?;
        Some((remote.clone(), bound.clone()))
    });
    let first = |name: &RefName| (UNKNOWN.to_owned(), name.clone());
    let (remote, ref_name) = named.or_else(|| info.bound_to.first().map(first))?;
    Some(Deployment {
        commit,
        ref_name,
        version,
        arch,
        timestamp: info.timestamp,
        proof: Proof {
            signatures: Vec::new(),
            remote,
            unsigned: true,
            at: changed_at,
        },
        deployed_at: changed_at,
        damaged_at: None,
        pinned: false,
        std_caches: Vec::new(),
        std_cache_selection: StdCacheSelection::native(),
    })
}
