//! Removes what a killed process left in a root, and updates its links to match its state.
//!
//! Only names that this library creates are removed, and only if they have the expected type: see
//! [`folder`]. Directories are opened without following links. All these names are used under the
//! root's lock, so the holder of the lock knows that the processes that created them have ended: a
//! lock is released when its process ends, whereas the number in a name may belong to another
//! process by now.

use super::activation::Action;
use super::error::DeployError;
use super::folder;
use super::links::{self, remove_file, target};
use super::locked::LockedRoot;
use super::root::{Root, link_name};
use super::state::Deployment;
use crate::catalog::DEPLOYMENT_REF_PREFIX;
use crate::failpoint;
use crate::fs::context::IoContext;
use crate::fs::{atomic, rename, tree};
use crate::id::CommitId;
use crate::stdcache::VERIFIED_DIR;
use rustix::fs::FileType;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind as Io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

impl LockedRoot<'_> {
    /// Makes the files on disk agree with the state and the link `current`.
    pub(super) fn clean_up(&mut self) -> Result<(), DeployError> {
        let before = self.state.clone();
        let active = self.root.active_commit()?;
        let root = folder::open(self.root.path())?;
        self.remove_temporary(&root)?;
        let deployments = folder::directory(&root, self.root.path(), "deployments")?;
        self.finish_replacements(&deployments)?;
        self.remove_trees(&deployments, active)?;
        self.remove_records(&root)?;
        self.drop_absent(&deployments)?;
        self.state.drop_contradicted_activation(active);
        let last = self.state.history.last().map(|a| a.commit);
        if let Some(commit) = active
            && last != Some(commit)
            && let Some(deployment) = self.state.get(commit).cloned()
        {
            self.record(&deployment, Action::External);
        }
        if self.state != before {
            self.save()?;
        }
        for (name, commit) in self.repo.refs()? {
            if name.as_str().starts_with(DEPLOYMENT_REF_PREFIX) && !self.state.uses(commit) {
                self.set_ref(&name, None)?;
            }
        }
        self.link_sdks()
    }

    /// Drops the deployments and std caches that have no folder from the state.
    fn drop_absent(&mut self, deployments: &OwnedFd) -> Result<(), DeployError> {
        let root = self.root;
        let is_present = |commit: CommitId| {
            let found = folder::kind(deployments, OsStr::new(&commit.to_string()));
            let found = found.context("look at", root.deployment_path(commit))?;
            Ok::<_, DeployError>(found == Some(FileType::Directory))
        };
        let mut present = Vec::new();
        for mut deployment in std::mem::take(&mut self.state.deployments) {
            if !is_present(deployment.commit)? {
                continue;
            }
            for cache in std::mem::take(&mut deployment.std_caches) {
                if is_present(cache.commit)? {
                    deployment.std_caches.push(cache);
                }
            }
            present.push(deployment);
        }
        self.state.deployments = present;
        Ok(())
    }

    fn remove_temporary(&self, root: &OwnedFd) -> Result<(), DeployError> {
        let path = self.root.path();
        for name in tree::names(root).context("read directory", path)? {
            let text = name.to_string_lossy();
            let expected = if folder::is_temporary_link(&text) {
                FileType::Symlink
            } else if folder::is_temporary_state(&text) {
                FileType::RegularFile
            } else {
                continue;
            };
            let full = path.join(&name);
            if folder::kind(root, &name).context("look at", &full)? == Some(expected) {
                remove_file(root, &name).context("remove", &full)?;
            }
        }
        Ok(())
    }

    /// Moves a tree back whose replacement did not reach its place, and removes one whose
    /// replacement did.
    fn finish_replacements(&self, deployments: &OwnedFd) -> Result<(), DeployError> {
        let path = self.root.path().join("deployments");
        for name in tree::names(deployments).context("read directory", &path)? {
            let full = path.join(&name);
            let Some(commit) = folder::commit_of_replaced(&name.to_string_lossy()) else {
                continue;
            };
            if folder::kind(deployments, &name).context("look at", &full)?
                != Some(FileType::Directory)
            {
                continue;
            }
            let place = commit.to_string();
            match folder::kind(deployments, OsStr::new(&place)).context("look at", &full)? {
                None => {
                    rename::to_free_name(deployments, Path::new(&name), Path::new(&place))
                        .context("rename", &full)?;
                    atomic::sync_directory(Some(&path)).context("sync", &path)?;
                }
                Some(_) => {
                    tree::remove_at(deployments.as_fd(), &name).context("remove", &full)?;
                }
            }
        }
        Ok(())
    }

    /// Removes trees that are not deployments.
    fn remove_trees(
        &self,
        deployments: &OwnedFd,
        active: Option<CommitId>,
    ) -> Result<(), DeployError> {
        let path = self.root.path().join("deployments");
        for name in tree::names(deployments).context("read directory", &path)? {
            let (text, full) = (name.to_string_lossy(), path.join(&name));
            let commit = text.parse::<CommitId>().ok();
            let is_kept = |c: CommitId| self.state.uses(c) || active == Some(c);
            let is_garbage = commit.is_some_and(|commit| !is_kept(commit));
            if !is_garbage && !folder::is_temporary_tree(&text) {
                continue;
            }
            let found = folder::kind(deployments, &name).context("look at", &full)?;
            if found != Some(FileType::Directory) {
                continue;
            }
            let mut to_remove = name.clone();
            if is_garbage {
                // A partly removed tree must not have the name of a complete one.
                let hidden = OsString::from(format!(".gone-{}", std::process::id()));
                tree::remove_at(deployments.as_fd(), &hidden).context("remove", &full)?;
                rename::to_free_name(deployments, Path::new(&name), Path::new(&hidden))
                    .context("rename", &full)?;
                failpoint::hit("clean.renamed");
                to_remove = hidden;
            }
            tree::remove_at(deployments.as_fd(), &to_remove).context("remove", &full)?;
        }
        Ok(())
    }

    /// Removes the records of std caches that do not exist any more, and temporary names of records.
    fn remove_records(&self, root: &OwnedFd) -> Result<(), DeployError> {
        if folder::kind(root, OsStr::new(VERIFIED_DIR)).is_ok_and(|kind| kind.is_none()) {
            return Ok(());
        }
        let path = self.root.path().join(VERIFIED_DIR);
        let dir = folder::directory(root, self.root.path(), VERIFIED_DIR)?;
        for name in tree::names(&dir).context("read directory", &path)? {
            let text = name.to_string_lossy();
            let commit = text.parse::<CommitId>().ok();
            let is_garbage = match commit {
                Some(commit) => !self.state.uses(commit),
                None => folder::is_temporary_record(&text),
            };
            if is_garbage {
                remove_file(&dir, &name).context("remove", path.join(&name))?;
            }
        }
        Ok(())
    }

    /// Updates the links in `sdk/` and `toolchains/` to match the deployments. Entries that this
    /// library did not create are kept, even if a link has the same name.
    pub(super) fn link_sdks(&self) -> Result<(), DeployError> {
        let deployments = self.state.deployments.iter();
        let wanted = deployments.map(|d| (link_name(d), target_of(d))).collect();
        let is_ours = |target: &Path| folder::commit_of_sdk(target).is_some();
        links::update(self.root, "sdk", "go-", wanted, is_ours)?;
        self.link_toolchains()
    }
}

impl Root {
    /// Checks that the name of a deployment's link in `sdk/` is free or belongs to a link that this
    /// library created.
    pub(super) fn require_free_link(&self, deployment: &Deployment) -> Result<(), DeployError> {
        let path = self.path().join("sdk").join(link_name(deployment));
        let found = match path.symlink_metadata() {
            Err(error) if error.kind() == Io::NotFound => return Ok(()),
            found => FileType::from_raw_mode(mode(&found.context("look at", &path)?)),
        };
        let commit = target(&path)?.and_then(|target| folder::commit_of_sdk(&target));
        match commit {
            Some(_) => Ok(()),
            None => Err(DeployError::UnexpectedEntry {
                path,
                found: match found {
                    FileType::Symlink => "a symbolic link to another place",
                    other => folder::describe(Some(other)),
                },
                expected: "a symbolic link to a deployment",
            }),
        }
    }
}

fn mode(found: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(found)
}

/// Returns the target of a deployment's link in `sdk/`.
fn target_of(deployment: &Deployment) -> PathBuf {
    Path::new("../deployments").join(deployment.commit.to_string())
}
