//! SDKs that were found in a source, with the std caches that are installed with them.

use super::error::DeployError;
use super::job::Job;
use super::selection::StdCacheSelection;
use crate::arch::Arch;
use crate::catalog::{CommitInfo, CommitKind};
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, RefName};
use crate::pull::Download;
use crate::sign::Verified;

/// The verified commit of a ref.
pub(super) struct FoundCommit {
    pub(super) name: RefName,
    pub(super) commit: Verified<CommitId>,
    pub(super) info: CommitInfo,
    /// The content that was missing when the commit was found.
    pub(super) download: Download,
}

/// An SDK, and the std caches that are installed with it.
pub(super) struct FoundSdk {
    pub(super) sdk: FoundCommit,
    pub(super) selection: StdCacheSelection,
    pub(super) std_caches: Vec<(StdCacheId, FoundCommit)>,
    /// The further targets of an earlier selection for which the source has no std cache.
    pub(super) missing: Vec<Arch>,
}

impl FoundSdk {
    /// Combines an SDK with its std caches. `offered` are all std caches of its version that the
    /// source has.
    ///
    /// # Errors
    /// Returns an error if a commit is not the std cache that its ref names, or the source has no
    /// std cache for a target that this operation requests.
    pub(super) fn new(
        job: &Job,
        sdk: FoundCommit,
        std_caches: Vec<(StdCacheId, FoundCommit)>,
        offered: &[StdCacheId],
    ) -> Result<Self, DeployError> {
        let version = sdk.info.version.clone().unwrap_or_default();
        for (id, found) in &std_caches {
            require_std_cache(*id, &version, found)?;
        }
        let selection = job.std_caches.of(&sdk.name);
        let is_missing = |target: &Arch| offered.iter().all(|id| id.target != *target);
        let missing: Vec<Arch> = selection.targets().filter(is_missing).collect();
        // What was selected earlier must not prevent an upgrade.
        if let Some(target) = missing
            .first()
            .filter(|_| job.std_caches.requested.is_some())
        {
            return Err(DeployError::NoStdCache {
                version,
                target: *target,
                remote: sdk.commit.proof().remote.clone(),
                offered: offered.to_vec(),
            });
        }
        Ok(Self {
            sdk,
            selection,
            std_caches,
            missing,
        })
    }
}

/// Checks that the commit on the ref of a std cache is that std cache.
fn require_std_cache(
    expected: StdCacheId,
    version: &str,
    found: &FoundCommit,
) -> Result<(), DeployError> {
    let info = &found.info;
    let is_std_cache = info.kind == CommitKind::StdCache;
    let id = info.std_cache.filter(|_| is_std_cache);
    let of_version = info.version.as_deref() == Some(version);
    if id != Some(expected) || !of_version {
        return Err(DeployError::StdCacheMismatch {
            commit: info.id,
            name: found.name.clone(),
            found: id.map(|id| Box::new((id, info.version.clone().unwrap_or_default()))),
            expected,
            version: version.to_owned(),
        });
    }
    if !info.bound_to.contains(&found.name) {
        return Err(DeployError::RefMismatch {
            commit: info.id,
            name: found.name.clone(),
            bound_to: info.bound_to.clone(),
        });
    }
    Ok(())
}
