//! A locked root: the changes of a root, and deploying to it.

use super::activation::{Activation, Cause};
use super::error::DeployError;
use super::found::FoundSdk;
use super::job::Job;
use super::root::{self, Root, deployment_ref};
use super::state::{DeployedStdCache, Deployment, State};
use super::verify::DamagedFile;
use super::{folder, place, rebuild, verify};
use crate::arch::Arch;
use crate::catalog::{CommitInfo, CommitKind};
use crate::checkout::{CheckedOut, Listing};
use crate::failpoint;
use crate::fs::context::IoContext;
use crate::fs::lock::Lock;
use crate::fs::tree;
use crate::id::{CommitId, RefName};
use crate::progress::Progress;
use crate::repo::{RefMove, Repo, RepoError, RepoMode};

/// A root that is locked for changes. The lock is released when this is dropped.
#[derive(Debug)]
pub(super) struct LockedRoot<'r> {
    pub(super) root: &'r Root,
    pub(super) repo: Repo,
    pub(super) state: State,
    pub(super) progress: &'r dyn Progress,
    _lock: Lock,
}

/// A deployment that was installed or upgraded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Deployed {
    /// The deployment.
    pub deployment: Deployment,
    /// The state of the deployment before.
    pub outcome: Outcome,
    /// The numbers of files that were linked and copied; zero if the deployment was unchanged.
    pub files: CheckedOut,
    /// The std caches that were installed with it.
    pub std_caches: Vec<PlacedStdCache>,
    /// The std caches that were removed, because the selection does not name them, or because they
    /// were replaced.
    pub removed_std_caches: Vec<DeployedStdCache>,
    /// The targets that were selected earlier, and for which the source has no std cache.
    pub missing_targets: Vec<Arch>,
    /// The deployment of the same commit before.
    pub(super) before: Option<Deployment>,
}

impl Deployed {
    /// Returns true if the deployment is new or was repaired, or its std caches changed.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        let mut outcomes = self.std_caches.iter().map(|placed| placed.outcome);
        self.outcome != Outcome::Unchanged
            || outcomes.any(|outcome| outcome != Outcome::Unchanged)
            || !self.removed_std_caches.is_empty()
    }
}

/// A std cache that was installed with an SDK.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlacedStdCache {
    /// The std cache.
    pub cache: DeployedStdCache,
    /// Its state before.
    pub outcome: Outcome,
}

/// The effect of an installation on a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The deployment is new.
    New,
    /// The deployment existed and was undamaged.
    Unchanged,
    /// The deployment existed, was damaged, and was replaced.
    Repaired,
}

impl Root {
    /// Opens the root's repository, and creates it if it does not exist.
    ///
    /// # Errors
    /// Returns an error if the root cannot be written, or the operation is cancelled while it waits
    /// for another process that changes the root.
    pub fn create_repo(&self, progress: &dyn Progress) -> Result<Repo, DeployError> {
        Ok(self.lock(progress)?.repo)
    }

    /// Pins the deployment with a given name, as for [`Root::find`], or removes the pin. A pinned
    /// deployment is not removed by [`Gc`](super::Gc). Returns the changed deployment.
    ///
    /// # Errors
    /// Returns an error if there is no such deployment, the root cannot be written, or the
    /// operation is cancelled while it waits for another process that changes the root.
    pub fn pin(
        &self,
        name: &str,
        arch: Option<Arch>,
        pinned: bool,
        progress: &dyn Progress,
    ) -> Result<Deployment, DeployError> {
        let mut locked = self.lock(progress)?;
        let commit = locked.find(name, arch)?.commit;
        if let Some(deployment) = locked.state.get_mut(commit) {
            deployment.pinned = pinned;
        }
        locked.save()?;
        locked.get(commit)
    }

    /// Locks the root for changes, waiting while another process holds the lock, and cleans up what
    /// a killed process left. Do not use the network while it is locked:
    /// [`Install`](super::Install) and [`Upgrade`](super::Upgrade) fetch before they lock.
    ///
    /// # Errors
    /// Returns an error if the root cannot be written, its state was written by a newer version of
    /// this library, or the operation is cancelled while it waits.
    pub(super) fn lock<'r>(
        &'r self,
        progress: &'r dyn Progress,
    ) -> Result<LockedRoot<'r>, DeployError> {
        LockedRoot::new(self, None, progress)
    }
}

impl<'r> LockedRoot<'r> {
    /// Locks a root. If `repo` is its open repository, files that this handle knows are not hashed
    /// again.
    pub(super) fn new(
        root: &'r Root,
        repo: Option<&Repo>,
        progress: &'r dyn Progress,
    ) -> Result<Self, DeployError> {
        let folder_state = folder::require_root(root.path())?;
        let path = root.path().join(folder::LOCK);
        let lock = Lock::exclusive(&path, progress).map_err(RepoError::from)?;
        failpoint::hit("deploy.locked");
        // The state is read first, so that a root of a newer version is not changed.
        let state = State::load(&root.state_path())?;
        if folder_state == folder::FolderState::Unmarked {
            folder::mark(root.path())?;
        }
        let repo_path = root.repo_path();
        let repo = match repo {
            Some(repo) => repo.clone(),
            None if Repo::is_absent(&repo_path) => Repo::create(&repo_path, RepoMode::BareUser)?,
            None => Repo::open(&repo_path)?,
        };
        let is_new = state.is_none();
        let state = match state {
            Some(state) => state,
            None => rebuild::state(root.path(), &repo)?,
        };
        let mut locked = Self {
            root,
            repo,
            state,
            progress,
            _lock: lock,
        };
        if is_new {
            // From now on, a missing state file means that it was lost.
            locked.save()?;
        }
        locked.clean_up()?;
        Ok(locked)
    }

    /// Returns the active deployment, if there is one.
    ///
    /// # Errors
    /// Returns an error if the link `current` cannot be read.
    pub(super) fn active(&self) -> Result<Option<&Deployment>, DeployError> {
        let active = self.root.active_commit()?;
        Ok(active.and_then(|active| self.state.get(active)))
    }

    /// Returns the deployment with a given name, as [`Root::find`] does.
    ///
    /// # Errors
    /// Returns an error if no deployment matches.
    pub(super) fn find(&self, name: &str, arch: Option<Arch>) -> Result<Deployment, DeployError> {
        let found = root::find(&self.state, name, arch).cloned();
        found.ok_or_else(|| self.root.no_such_deployment(name))
    }

    /// Returns the files of a deployment that differ from its commit.
    pub(super) fn compare(&self, commit: CommitId) -> Result<Vec<DamagedFile>, RepoError> {
        let top = self.root.deployment_path(commit);
        let listing = Listing::read(&self.repo, commit)?;
        verify::compare(&self.repo, &listing, &top, self.progress)
    }

    /// Compares a deployment with its commit, records the result in the state, and returns the
    /// damaged files.
    ///
    /// # Errors
    /// Returns an error if there is no such deployment, or the state cannot be written.
    pub(super) fn check(&mut self, commit: CommitId) -> Result<Vec<DamagedFile>, DeployError> {
        self.get(commit)?;
        let files = self.compare(commit)?;
        self.record_damage(commit, files)
    }

    fn record_damage(
        &mut self,
        commit: CommitId,
        files: Vec<DamagedFile>,
    ) -> Result<Vec<DamagedFile>, DeployError> {
        let known = self.get(commit)?.damaged_at;
        let found = (!files.is_empty()).then(|| known.unwrap_or(self.root.clock.now()));
        if found != known {
            if let Some(deployment) = self.state.get_mut(commit) {
                deployment.damaged_at = found;
            }
            self.save()?;
        }
        Ok(files)
    }

    /// Checks out a commit beside the existing deployments, verifies every file, removes the write
    /// bits, and makes the tree durable. An existing undamaged tree is not changed; a damaged one is
    /// replaced in one step. Until the state lists the commit, the next process that takes the lock
    /// removes the tree.
    pub(super) fn place(&self, commit: CommitId) -> Result<(Outcome, CheckedOut), DeployError> {
        let dest = self.root.deployment_path(commit);
        let known = self.state.uses(commit);
        let placed = if known && self.compare(commit)?.is_empty() {
            place::require_objects(&self.repo, commit)?;
            tree::seal(&dest).context("seal", &dest)?;
            (Outcome::Unchanged, CheckedOut::default())
        } else {
            let files = place::place(&self.repo, commit, &dest, self.progress)?;
            let outcome = match known {
                true => Outcome::Repaired,
                false => Outcome::New,
            };
            (outcome, files)
        };
        self.set_ref(&deployment_ref(commit)?, Some(commit))?;
        failpoint::hit("deploy.kept");
        Ok(placed)
    }

    /// Deploys an SDK of a job, whose std caches have been [placed](LockedRoot::place_std_caches).
    /// The deployment is not [activated](LockedRoot::activate).
    ///
    /// # Errors
    /// Returns an error if the commit is not an SDK, is not bound to the ref, is for another
    /// architecture, is older than the deployed commit of the ref, or its tree is damaged. Nothing
    /// is deployed then. Damaged objects are removed from the repository and the commits that need
    /// them are marked as partial, so that pulling the commit again fetches them.
    pub(super) fn deploy(
        &mut self,
        found: &FoundSdk,
        std_caches: Vec<PlacedStdCache>,
        job: &Job,
    ) -> Result<Deployed, DeployError> {
        let (name, commit) = (&found.sdk.name, &found.sdk.commit);
        let id = *commit.value();
        let info = CommitInfo::read(&self.repo, id)?;
        let (version, arch) = accept(&self.state, name, &info, job)?;
        let mut deployment = Deployment {
            commit: id,
            ref_name: name.clone(),
            version,
            arch,
            timestamp: info.timestamp,
            proof: commit.proof().clone(),
            deployed_at: self.root.clock.now(),
            damaged_at: None,
            pinned: false,
            std_caches: std_caches.iter().map(|p| p.cache.clone()).collect(),
            std_cache_selection: found.selection.clone(),
        };
        self.root.require_free_link(&deployment)?;
        let (outcome, files) = self.place(id)?;
        let before = self.state.get(id).cloned();
        if let Some(at) = self.state.deployments.iter().position(|d| d.commit == id) {
            let old = self.state.deployments.remove(at);
            deployment.pinned = old.pinned;
            // What the selection does not name is removed when all SDKs are deployed.
            let new = &mut deployment.std_caches;
            let mut old_caches = old.std_caches;
            old_caches.retain(|cache| new.iter().all(|other| other.commit != cache.commit));
            new.extend(old_caches);
            if outcome == Outcome::Unchanged {
                deployment.deployed_at = old.deployed_at;
            }
            if deployment.proof.unsigned && !old.proof.unsigned {
                // An unsigned proof must not replace a signed one.
                deployment.proof = old.proof;
            }
        }
        self.state.deployments.push(deployment.clone());
        self.save()?;
        failpoint::hit("deploy.recorded");
        self.link_sdks()?;
        Ok(Deployed {
            deployment,
            outcome,
            files,
            std_caches,
            removed_std_caches: Vec::new(),
            missing_targets: found.missing.clone(),
            before,
        })
    }

    pub(super) fn get(&self, commit: CommitId) -> Result<Deployment, DeployError> {
        self.find(&commit.to_string(), None)
    }

    pub(super) fn save(&self) -> Result<(), DeployError> {
        self.state.save(&self.root.state_path())
    }

    /// Adds an entry to the history, in memory.
    pub(super) fn record(&mut self, deployment: &Deployment, cause: impl Into<Cause>) {
        let cause = cause.into();
        self.state.history.push(Activation {
            at: self.root.clock.now(),
            action: cause.action,
            commit: deployment.commit,
            ref_name: deployment.ref_name.clone(),
            version: deployment.version.clone(),
            remote: deployment.proof.remote.clone(),
            signed_by: deployment.signed_by().map(str::to_owned).collect(),
            hooks: cause.hooks,
            switched_back: cause.switched_back,
        });
    }

    pub(super) fn set_ref(
        &self,
        name: &RefName,
        commit: Option<CommitId>,
    ) -> Result<(), DeployError> {
        Ok(self.repo.move_ref(&RefMove::local(name, commit))?)
    }
}

/// Checks that a commit may be deployed from a ref, and returns its Go version and
/// architecture.
pub(super) fn accept(
    state: &State,
    name: &RefName,
    info: &CommitInfo,
    job: &Job,
) -> Result<(String, Arch), DeployError> {
    let is_sdk = matches!(info.kind, CommitKind::Release | CommitKind::Channel);
    let version = match &info.version {
        // The version becomes part of a file name.
        Some(version) if is_sdk && !version.contains('/') => version.clone(),
        _ => {
            return Err(DeployError::NotAnSdk {
                commit: info.id,
                name: name.clone(),
            });
        }
    };
    if !info.bound_to.contains(name) {
        return Err(DeployError::RefMismatch {
            commit: info.id,
            name: name.clone(),
            bound_to: info.bound_to.clone(),
        });
    }
    let arch = match info.arch {
        Some(found) if found == job.arch => found,
        found => {
            return Err(DeployError::WrongArch {
                name: name.clone(),
                found,
                expected: job.arch,
            });
        }
    };
    let mut of_ref = state.deployments.iter().rev();
    if let Some(last) = of_ref.find(|d| d.ref_name == *name)
        && last.timestamp > info.timestamp
        && !job.allow_downgrade
        && state.get(info.id).is_none()
    {
        return Err(DeployError::Downgrade {
            name: name.clone(),
            found: info.timestamp,
            commit: last.commit,
            deployed: last.timestamp,
        });
    }
    Ok((version, arch))
}
