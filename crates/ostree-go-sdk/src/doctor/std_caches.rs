//! Examines the std caches of the active SDK.

use super::finding::Finding;
use crate::deploy::{Deployment, Root, source_repo_of};
use crate::golang::std_cache::{StdCacheId, std_cache_ref};
use crate::id::RefName;
use crate::repo::Repo;
use crate::stdcache::StdCache;

/// Examines the std caches of the active SDK: those that its installation selects but that are missing, and
/// the indexes of those that are installed. `listed` are the refs that the remote of the SDK offers.
pub(super) fn examine(root: &Root, active: &Deployment, listed: &[RefName]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let version = || active.version.clone();
    let installed: Vec<StdCacheId> = active.std_caches.iter().map(|cache| cache.id).collect();
    for (id, dir) in root.std_caches(active) {
        if let Err(error) = StdCache::open(dir) {
            let source = Box::new(error);
            findings.push(Finding::StdCacheDamaged { id, source });
        }
    }
    let missing = StdCacheId::all().into_iter();
    let missing = missing.filter(|id| !installed.contains(id));
    let offered = offered(active, listed);
    let (offered, unknown): (Vec<_>, Vec<_>) = missing.partition(|id| offered.contains(id));
    let selection = &active.std_cache_selection;
    let is_named = |id: &StdCacheId| selection.targets().any(|target| target == id.target);
    let is_native = |id: &StdCacheId| id.target == active.arch;
    let selected = offered.iter().copied();
    let selected = selected.filter(|id| is_named(id) || (is_native(id) && selection.has_native()));
    let selected: Vec<StdCacheId> = selected.collect();
    // A source may have only one of the modes of a target.
    let has_target = |target| {
        installed
            .iter()
            .chain(&selected)
            .any(|id| id.target == target)
    };
    let unknown = unknown.into_iter();
    let unknown: Vec<StdCacheId> = unknown
        .filter(|id| is_named(id) && !has_target(id.target))
        .collect();
    for (ids, is_offered) in [(selected, true), (unknown, false)] {
        if !ids.is_empty() {
            findings.push(Finding::StdCacheMissing {
                version: version(),
                ids,
                is_offered,
            });
        }
    }
    if offered.iter().any(is_native) && !selection.has_native() && !installed.iter().any(is_native)
    {
        findings.push(Finding::StdCacheLeftOut {
            version: version(),
            arch: active.arch,
        });
    }
    if findings.is_empty() && !installed.is_empty() {
        findings.push(Finding::StdCacheGood {
            version: version(),
            ids: installed,
        });
    }
    findings
}

/// Returns the std caches that the source of an SDK is known to offer. The tags of a registry do not name
/// them.
fn offered(active: &Deployment, listed: &[RefName]) -> Vec<StdCacheId> {
    let repo = source_repo_of(active).and_then(|path| Repo::open(path).ok());
    let is_offered = |name: &RefName| match &repo {
        Some(repo) => repo.find(name).is_ok_and(|found| found.is_some()),
        None => listed.contains(name),
    };
    let mut ids = StdCacheId::all();
    ids.retain(|id| {
        let name = std_cache_ref(&active.ref_name, &active.version, *id);
        name.is_ok_and(|name| is_offered(&name))
    });
    ids
}
