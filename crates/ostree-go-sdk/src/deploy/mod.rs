//! Deployments: SDKs checked out on a host, one of them active.
//!
//! # On disk
//!
//! A root is one directory:
//!
//! ```text
//! repo/                    an OSTree repository, mode bare-user
//! deployments/<commit>/    a commit's tree, as hard links to the repository's objects
//! current                  → deployments/<commit>: the active deployment
//! sdk/go-<version>         → ../deployments/<commit>: every deployment, by version; one for
//!                          another machine is sdk/go-<version>.<basearch>
//! state.json               deployments, proofs and history, with a schema number
//! .ostree-go-root          the marker of a root, with the number of this layout
//! .lock                    held by a process that changes anything here
//! .fetch.lock              shared by processes that fetch what they will deploy
//! ```
//!
//! A folder without the marker becomes a root only if it is empty, or was made a root by a
//! version that wrote no marker. Other names in a root are left alone.
//!
//! `current/usr/bin` is what belongs on `PATH`. Deployed files and directories have no write
//! bit. The repository stores modes in an xattr (`bare-user`), so that taking the write bits
//! of an inode that an object and a deployment share changes no checksum.
//!
//! # What decides
//!
//! A deployment exists when `state.json` names it; its folder was complete, checked, sealed
//! and synced (`syncfs`) before. The active deployment is the one that `current` leads to:
//! the rename of that link is the one step that switches. The history is written just before
//! it; an entry that the link contradicts never happened and is dropped. Whatever a killed
//! process leaves (hidden names, folders without an entry, refs without a deployment) is
//! removed by whoever takes the lock next.
//!
//! A state file that was lost is rebuilt from the deployments and the repository, without
//! signatures and history. One that cannot be read is an error, and nothing is changed.
//!
//! # Locks
//!
//! `.lock` is held to change a root, never while the network is used: a rollback does not wait for
//! a download. What was fetched and is not deployed yet is protected by `.fetch.lock`, which a
//! garbage collection takes alone. Who needs both takes `.fetch.lock` first. The kernel releases
//! both when a process ends.
//!
//! Reading takes no lock and changes nothing, so a plain user can look at the system's root.

mod clean;
mod error;
mod fetch;
mod folder;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod gc;
mod install;
mod local;
mod locked;
mod place;
mod rebuild;
mod state;
mod status;
mod switch;
mod upgrade;
mod verify;

pub use error::DeployError;
pub use fetch::InstallSource;
pub use gc::{GcOptions, GcReport};
pub use install::{Install, InstallPlan, Installed};
pub use locked::{DeployOptions, Deployed, LockedRoot, Outcome};
pub use state::{Action, Activation, Deployment};
pub use status::{Check, DeploymentStatus, Status, Verify};
pub use switch::RolledBack;
pub use upgrade::Upgrade;
pub use verify::{DamagedFile, FileProblem};

use crate::arch::Arch;
use crate::catalog::DEPLOYMENT_REF_PREFIX;
use crate::checkout::Listing;
use crate::clock::{Clock, SystemClock};
use crate::fs::lock::{Lock, LockError};
use crate::id::{CommitId, RefName};
use crate::progress::Progress;
use crate::repo::{Repo, RepoError};
use crate::setters::setters;
use error::io;
use state::State;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory that holds a host's repository, deployments and state.
#[derive(Clone)]
pub struct Root {
    path: PathBuf,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Root {
    /// Opens the root at a path.
    ///
    /// # Errors
    /// When there is none, or the folder is not one of this library's.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DeployError> {
        let path = path.into();
        if !path.join("repo").is_dir() {
            return Err(DeployError::NoRoot { path });
        }
        folder::require(&path)?;
        Ok(Self {
            path,
            clock: Arc::new(SystemClock),
        })
    }

    /// Opens the root at a path, or makes an empty or missing folder one. Its repository is made
    /// when it is [locked](Root::lock).
    ///
    /// The umask decides who may look at it, and at all that is written later but the deployed
    /// trees: these have the modes of their commits, less the write bits. 022 is right for a
    /// root that every user installs from.
    ///
    /// # Errors
    /// When the folder holds something else, or cannot be made.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, DeployError> {
        let path = path.into();
        std::fs::create_dir_all(&path).map_err(io("make directory", &path))?;
        if folder::require(&path)? == folder::Standing::Adoptable {
            folder::mark(&path)?;
        }
        Ok(Self {
            path,
            clock: Arc::new(SystemClock),
        })
    }

    setters! {
        /// Where times in the state come from. Default: [`SystemClock`].
        clock;
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its repository is.
    #[must_use]
    pub fn repo_path(&self) -> PathBuf {
        self.path.join("repo")
    }

    /// Opens its repository, to look at.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn repo(&self) -> Result<Repo, DeployError> {
        Ok(Repo::open(self.repo_path())?)
    }

    /// Locks the root for changes, waits while another process has it locked, and cleans up what a
    /// killed process left. Everything that changes the root is a method of the result. Do not use
    /// the network while it is locked: [`Install`] and [`Upgrade`] fetch before they lock.
    ///
    /// # Errors
    /// When the root cannot be written, its state is newer than this library, or the caller
    /// asks for a stop while it waits.
    pub fn lock<'r>(&'r self, progress: &'r dyn Progress) -> Result<LockedRoot<'r>, DeployError> {
        LockedRoot::new(self, None, progress)
    }

    /// Keeps a garbage collection from starting, until the result is dropped or the process ends.
    /// To be held from before something is pulled into the root's repository until it is deployed.
    fn protect(&self, progress: &dyn Progress) -> Result<Lock, DeployError> {
        let path = self.path.join(folder::FETCH_LOCK);
        Lock::shared(&path, progress).map_err(|error| not_locked(error, &path))
    }

    /// Its deployments, in the order they were made.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn deployments(&self) -> Result<Vec<Deployment>, DeployError> {
        Ok(self.state()?.deployments)
    }

    /// What was active and when, oldest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn history(&self) -> Result<Vec<Activation>, DeployError> {
        Ok(self.state()?.history)
    }

    /// The active deployment, if there is one.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn active(&self) -> Result<Option<Deployment>, DeployError> {
        let (state, active) = self.look()?;
        Ok(active.and_then(|active| state.get(active).cloned()))
    }

    /// The deployment that a version, a channel, a ref or the beginning of a commit's checksum
    /// names, for an architecture (default: this machine's, else any). Of several, the one
    /// deployed last.
    ///
    /// # Errors
    /// When there is none, or the state cannot be read.
    pub fn find(&self, name: &str, arch: Option<Arch>) -> Result<Deployment, DeployError> {
        let found = find(&self.state()?, name, arch).cloned();
        found.ok_or_else(|| self.no_such(name))
    }

    /// Compares a deployment's tree with its commit: every file's checksum. Needs no network.
    ///
    /// # Errors
    /// When there is no such deployment, the system fails to read it or the repository, or the
    /// caller asks for a stop; damage is the result.
    pub fn verify(
        &self,
        commit: CommitId,
        progress: &dyn Progress,
    ) -> Result<Vec<DamagedFile>, DeployError> {
        let found = self.compare(&self.repo()?, commit, progress)?;
        found.ok_or_else(|| self.no_such(&commit.to_string()))
    }

    /// Compares a deployment's tree with its commit, without the root's lock; returns `None` if
    /// the deployment is gone.
    ///
    /// Another process may remove or replace the deployment meanwhile. It changes the state file
    /// before it removes anything, so what was found counts only if the state is the same after.
    fn compare(
        &self,
        repo: &Repo,
        commit: CommitId,
        progress: &dyn Progress,
    ) -> Result<Option<Vec<DamagedFile>>, DeployError> {
        let top = self.deployment_path(commit);
        let path = self.state_path();
        loop {
            let before = State::version(&path)?;
            let is_there = self.state()?.get(commit).is_some();
            if !is_there {
                return Ok(None);
            }
            let found = Listing::read(repo, commit)
                .and_then(|listing| verify::compare(repo, &listing, &top, progress));
            let is_good = matches!(&found, Ok(damaged) if damaged.is_empty());
            if is_good || matches!(found, Err(RepoError::Cancelled)) {
                return Ok(Some(found?));
            }
            if State::version(&path)? == before {
                return Ok(Some(found?));
            }
        }
    }

    fn no_such(&self, name: &str) -> DeployError {
        DeployError::NoSuchDeployment {
            name: name.to_owned(),
            path: self.path.clone(),
        }
    }

    /// The folder of a deployment.
    #[must_use]
    pub fn deployment_path(&self, commit: CommitId) -> PathBuf {
        self.path.join("deployments").join(commit.to_string())
    }

    /// The folder whose programs are those of the active deployment, now and later.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.current().join("usr/bin")
    }

    /// The folder with one deployment's programs, by version: `sdk/go-1.26.5/usr/bin`.
    #[must_use]
    pub fn bin_of(&self, deployment: &Deployment) -> PathBuf {
        self.path
            .join("sdk")
            .join(link_name(deployment))
            .join("usr/bin")
    }

    fn current(&self) -> PathBuf {
        self.path.join("current")
    }

    fn state_path(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// Returns the commit that `current` leads to, `None` when there is no such link. The
    /// deployment may be gone.
    ///
    /// # Errors
    /// When the link cannot be read, or is not one of this library's.
    fn active_commit(&self) -> Result<Option<CommitId>, DeployError> {
        let path = self.current();
        let foreign = |found| DeployError::Foreign {
            path: path.clone(),
            found,
            expected: "a symbolic link to a deployment",
        };
        let target = match std::fs::read_link(&path) {
            Ok(target) => target,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            // What is no symlink has no target: `EINVAL`.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {
                return Err(foreign("no symbolic link"));
            }
            Err(error) => return Err(io("read link", &path)(error)),
        };
        let name = target.strip_prefix("deployments").ok();
        match name.and_then(|name| name.to_str()?.parse().ok()) {
            Some(commit) => Ok(Some(commit)),
            None => Err(foreign("a symbolic link to another place")),
        }
    }

    fn state(&self) -> Result<State, DeployError> {
        Ok(self.look()?.0)
    }

    /// The state and the active deployment, without the lock. The link is read first: what it
    /// leads to is in the state from before the link did.
    fn look(&self) -> Result<(State, Option<CommitId>), DeployError> {
        let active = self.active_commit()?;
        let mut state = match State::load(&self.state_path())? {
            Some(state) => state,
            None => rebuild::state(self, &self.repo()?)?,
        };
        state.settle(active);
        Ok((state, active))
    }
}

fn not_locked(error: LockError, path: &Path) -> DeployError {
    match error {
        LockError::Cancelled => RepoError::Cancelled.into(),
        LockError::Io(source) => io("lock", path)(source),
    }
}

/// The name of a deployment's link in `sdk/`.
fn link_name(deployment: &Deployment) -> String {
    if Some(deployment.arch) == Arch::host() {
        format!("go-{}", deployment.version)
    } else {
        format!("go-{}.{}", deployment.version, deployment.arch)
    }
}

/// The ref that keeps a deployment's objects.
fn keeper(commit: CommitId) -> Result<RefName, DeployError> {
    let name = format!("{DEPLOYMENT_REF_PREFIX}{commit}").parse();
    // A constant and hexadecimal digits are always a ref.
    name.map_err(|_| DeployError::NoSuchDeployment {
        name: commit.to_string(),
        path: PathBuf::new(),
    })
}

fn find<'s>(state: &'s State, name: &str, arch: Option<Arch>) -> Option<&'s Deployment> {
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
