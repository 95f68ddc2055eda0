//! The root of a host: its paths, and what can be read without its lock.

use super::activation::Activation;
use super::error::DeployError;
use super::state::{Deployment, State};
use super::verify::DamagedFile;
use super::{folder, rebuild, verify};
use crate::arch::Arch;
use crate::catalog::DEPLOYMENT_REF_PREFIX;
use crate::checkout::Listing;
use crate::clock::{Clock, SystemClock};
use crate::fs::context::{IoContext, IoFailure};
use crate::fs::lock::Lock;
use crate::id::{CommitId, RefName};
use crate::progress::Progress;
use crate::repo::{Repo, RepoError};
use crate::setters::setters;
use rustix::fs::StatVfsMountFlags;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory that holds a host's repository, deployments and state.
#[derive(Debug, Clone)]
pub struct Root {
    path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
}

impl Root {
    /// Opens the root at a path.
    ///
    /// # Errors
    /// Returns an error if there is no root at the path, the folder has no marker and content that
    /// this library did not create, or the path contains `:`.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DeployError> {
        let path = path.into();
        folder::require_no_colon(&path)?;
        if !path.join("repo").is_dir() {
            return Err(DeployError::NoRoot { path });
        }
        folder::require_root(&path)?;
        Ok(Self {
            path,
            clock: Arc::new(SystemClock),
        })
    }

    /// Opens the root at a path, or turns an empty or missing folder into one. The repository is
    /// created by the first operation that changes the root.
    ///
    /// The umask determines the permissions of the root and of everything that is written to it
    /// later, except deployed trees: these have the modes of their commits, without the write bits.
    /// Use umask 022 for a root that all users may read.
    ///
    /// # Errors
    /// Returns an error if the folder has other content, or cannot be created, or its path contains
    /// `:`.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, DeployError> {
        let path = path.into();
        folder::require_no_colon(&path)?;
        std::fs::create_dir_all(&path).context("make directory", &path)?;
        if folder::require_root(&path)? == folder::FolderState::Unmarked {
            folder::mark(&path)?;
        }
        Ok(Self {
            path,
            clock: Arc::new(SystemClock),
        })
    }

    setters! {
        /// Sets the clock for times in the state. Default: [`SystemClock`].
        clock;
    }

    /// Returns the directory of the root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns true if the root is on a file system that is mounted with `noexec`, so that no
    /// program of an SDK can be run there.
    ///
    /// # Errors
    /// Returns an error if the file system cannot be examined.
    pub fn is_noexec(&self) -> Result<bool, DeployError> {
        let path = self.path.join("deployments");
        let path = if path.is_dir() { &path } else { &self.path };
        let found = rustix::fs::statvfs(path).context("look at the file system of", path)?;
        Ok(found.f_flag.contains(StatVfsMountFlags::NOEXEC))
    }

    /// Returns the path of the root's repository.
    #[must_use]
    pub fn repo_path(&self) -> PathBuf {
        self.path.join("repo")
    }

    /// Opens the root's repository for reading.
    ///
    /// # Errors
    /// Returns an error if the repository does not exist or cannot be read.
    pub fn repo(&self) -> Result<Repo, DeployError> {
        Ok(Repo::open(self.repo_path())?)
    }

    /// Prevents a garbage collection from starting until the result is dropped or the process ends.
    /// Must be held from before anything is pulled into the root's repository until it is deployed.
    pub(super) fn protect(&self, progress: &dyn Progress) -> Result<Lock, DeployError> {
        let path = self.path.join(folder::FETCH_LOCK);
        Ok(Lock::shared(&path, progress).map_err(RepoError::from)?)
    }

    /// Returns the deployments, in the order in which they were deployed.
    ///
    /// # Errors
    /// Returns an error if the state cannot be read.
    pub fn deployments(&self) -> Result<Vec<Deployment>, DeployError> {
        Ok(self.state()?.deployments)
    }

    /// Returns the history of activations, oldest first.
    ///
    /// # Errors
    /// Returns an error if the state cannot be read.
    pub fn history(&self) -> Result<Vec<Activation>, DeployError> {
        Ok(self.state()?.history)
    }

    /// Returns the active deployment, if there is one.
    ///
    /// # Errors
    /// Returns an error if the state cannot be read.
    pub fn active(&self) -> Result<Option<Deployment>, DeployError> {
        let (state, active) = self.load()?;
        Ok(active.and_then(|active| state.get(active).cloned()))
    }

    /// Returns the deployment with a given version, channel, ref, or prefix of the commit's
    /// checksum (at least 7 digits). Without `arch`, a deployment for this machine is preferred to
    /// those for others. If several match, returns the one that was deployed last.
    ///
    /// # Errors
    /// Returns an error if no deployment matches, or the state cannot be read.
    pub fn find(&self, name: &str, arch: Option<Arch>) -> Result<Deployment, DeployError> {
        let found = find(&self.state()?, name, arch).cloned();
        found.ok_or_else(|| self.no_such_deployment(name))
    }

    /// Compares the tree of a deployment, or of a std cache, with its commit by hashing every file,
    /// and returns the damaged files. Uses no network.
    ///
    /// # Errors
    /// Returns an error if there is no such deployment or std cache, the system fails to read it or the
    /// repository, or the operation is cancelled. Damage is not an error but part of the result.
    pub fn verify(
        &self,
        commit: CommitId,
        progress: &dyn Progress,
    ) -> Result<Vec<DamagedFile>, DeployError> {
        let found = self.compare(&self.repo()?, commit, progress)?;
        found.ok_or_else(|| self.no_such_deployment(&commit.to_string()))
    }

    /// Compares the tree of a deployment or a std cache with its commit, without the root's lock;
    /// returns `None` if it does not exist any more.
    ///
    /// Another process may remove or replace the deployment at the same time. It changes the state
    /// file before it removes anything, so a finding of damage is valid only if the state file is
    /// the same afterwards.
    pub(super) fn compare(
        &self,
        repo: &Repo,
        commit: CommitId,
        progress: &dyn Progress,
    ) -> Result<Option<Vec<DamagedFile>>, DeployError> {
        let top = self.deployment_path(commit);
        let path = self.state_path();
        loop {
            let before = State::file_version(&path)?;
            let exists = self.state()?.uses(commit);
            if !exists {
                return Ok(None);
            }
            let found = Listing::read(repo, commit)
                .and_then(|listing| verify::compare(repo, &listing, &top, progress));
            let is_good = matches!(&found, Ok(damaged) if damaged.is_empty());
            if is_good || matches!(found, Err(RepoError::Cancelled)) {
                return Ok(Some(found?));
            }
            if State::file_version(&path)? == before {
                return Ok(Some(found?));
            }
        }
    }

    pub(super) fn no_such_deployment(&self, name: &str) -> DeployError {
        DeployError::NoSuchDeployment {
            name: name.to_owned(),
            path: self.path.clone(),
        }
    }

    /// Returns the folder of a deployment or of a std cache, by its commit.
    #[must_use]
    pub fn deployment_path(&self, commit: CommitId) -> PathBuf {
        self.path.join("deployments").join(commit.to_string())
    }

    /// Returns the folder of the active deployment's programs. Its path stays the same when another
    /// deployment becomes active.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.current().join("usr/bin")
    }

    /// Returns the folder of a deployment's programs, by version: `sdk/go-1.26.5/usr/bin`.
    #[must_use]
    pub fn bin_of(&self, deployment: &Deployment) -> PathBuf {
        self.path
            .join("sdk")
            .join(link_name(deployment))
            .join("usr/bin")
    }

    pub(super) fn current(&self) -> PathBuf {
        self.path.join("current")
    }

    pub(super) fn state_path(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// Returns the commit that `current` points to; `None` if there is no such link. The deployment
    /// may have been removed.
    ///
    /// # Errors
    /// Returns an error if the link cannot be read, or was not created by this library.
    pub(super) fn active_commit(&self) -> Result<Option<CommitId>, DeployError> {
        let path = self.current();
        let unexpected = |found| DeployError::UnexpectedEntry {
            path: path.clone(),
            found,
            expected: "a symbolic link to a deployment",
        };
        let target = match std::fs::read_link(&path) {
            Ok(target) => target,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            // `readlink` fails with `EINVAL` for a file that is not a symlink.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                return Err(unexpected("not a symbolic link"));
            }
            Err(error) => return Err(IoFailure::new("read link", path, error).into()),
        };
        let name = target.strip_prefix("deployments").ok();
        match name.and_then(|name| name.to_str()?.parse().ok()) {
            Some(commit) => Ok(Some(commit)),
            None => Err(unexpected("a symbolic link to another place")),
        }
    }

    pub(super) fn state(&self) -> Result<State, DeployError> {
        Ok(self.load()?.0)
    }

    /// Loads the state and the active deployment without the lock. The link is read first, because
    /// a deployment is added to the state before the link points to it.
    pub(super) fn load(&self) -> Result<(State, Option<CommitId>), DeployError> {
        let active = self.active_commit()?;
        let mut state = match State::load(&self.state_path())? {
            Some(state) => state,
            None => rebuild::state(&self.path, &self.repo()?)?,
        };
        state.drop_contradicted_activation(active);
        Ok((state, active))
    }
}

/// Returns the name of a deployment's link in `sdk/`.
pub(super) fn link_name(deployment: &Deployment) -> String {
    if Some(deployment.arch) == Arch::host() {
        format!("go-{}", deployment.version)
    } else {
        format!("go-{}.{}", deployment.version, deployment.arch)
    }
}

/// Returns the ref that protects a deployment's objects from a garbage collection.
pub(super) fn deployment_ref(commit: CommitId) -> Result<RefName, DeployError> {
    let name = format!("{DEPLOYMENT_REF_PREFIX}{commit}").parse();
    // The prefix followed by hexadecimal digits is always a valid ref.
    name.map_err(|_| DeployError::NoSuchDeployment {
        name: commit.to_string(),
        path: PathBuf::new(),
    })
}

pub(super) fn find<'s>(state: &'s State, name: &str, arch: Option<Arch>) -> Option<&'s Deployment> {
    let version = name.strip_prefix("go").unwrap_or(name);
    let named = |d: &&Deployment| {
        let reference = d.ref_name.as_str();
        let is_commit = name.len() >= 7 && d.commit.to_string().starts_with(name);
        let is_ref = reference == name || reference.rsplit('/').next() == Some(name);
        d.version == version || is_ref || is_commit
    };
    let of = |arch: Option<Arch>| {
        let mut matching = state.deployments.iter().rev().filter(named);
        matching.find(|d| arch.is_none_or(|arch| arch == d.arch))
    };
    match arch {
        Some(_) => of(arch),
        None => of(Arch::host()).or_else(|| of(None)),
    }
}
