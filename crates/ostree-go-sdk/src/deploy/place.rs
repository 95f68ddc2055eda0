//! Checks out a commit's tree into its deployment folder: complete, checked, sealed and durable.

use super::error::DeployError;
use super::folder;
use super::verify::{self, DamagedFile};
use crate::checkout::{CheckedOut, CheckoutError, CheckoutOptions, Listing, make};
use crate::failpoint;
use crate::fs::context::IoContext;
use crate::fs::{atomic, rename, tree};
use crate::id::CommitId;
use crate::progress::Progress;
use crate::repo::{Partial, Repo, RepoMode};
use rustix::fs::CWD;
use std::fs::File;
use std::path::Path;

/// Checks out the tree under a temporary name beside `dest` and renames it to `dest` in one step.
/// An existing tree at `dest` is [replaced](rename::replace); if that takes two steps and the
/// process is killed between them, the next process that takes the lock moves the existing tree
/// back.
pub(super) fn place(
    repo: &Repo,
    commit: CommitId,
    dest: &Path,
    progress: &dyn Progress,
) -> Result<CheckedOut, DeployError> {
    let staging = dest.with_file_name(format!(".new-{}", std::process::id()));
    let aside = dest.with_file_name(folder::replaced_name(commit));
    let placed = prepare(repo, commit, &staging, progress).and_then(|files| {
        let moved = match dest.symlink_metadata() {
            Ok(_) => rename::replace(&staging, dest, &aside),
            Err(_) => rename::to_free_name(CWD, &staging, dest),
        };
        moved
            .and_then(|()| atomic::sync_directory(dest.parent()))
            .context("move a tree to", dest)?;
        failpoint::hit("deploy.placed");
        Ok(files)
    });
    // The temporary name now has a tree that failed or that was replaced. If it cannot be removed,
    // the next process that takes the lock removes it.
    let _ = tree::remove(&staging);
    if dest.symlink_metadata().is_ok() {
        let _ = tree::remove(&aside);
    }
    placed
}

fn prepare(
    repo: &Repo,
    commit: CommitId,
    staging: &Path,
    progress: &dyn Progress,
) -> Result<CheckedOut, DeployError> {
    // In these modes the repository stores the mode in the inode, so sealing an inode that is
    // shared with an object would change the object.
    let copy = matches!(repo.mode(), RepoMode::Bare | RepoMode::BareUserOnly);
    let options = CheckoutOptions::default().copy(copy).sealed(true);
    let listing = Listing::read(repo, commit)?;
    let files = match make(repo, commit, &listing, staging, &options, progress) {
        Ok(files) => files,
        Err(error @ CheckoutError::Cancelled { .. }) => return Err(error.into()),
        Err(error) => {
            require_objects(repo, commit)?;
            return Err(error.into());
        }
    };
    failpoint::hit("deploy.checked-out");
    let damaged = verify::compare(repo, &listing, staging, progress)?;
    require_undamaged(repo, commit, damaged)?;
    failpoint::hit("deploy.sealed");
    File::open(staging)
        .and_then(|directory| Ok(rustix::fs::syncfs(&directory)?))
        .context("sync", staging)?;
    failpoint::hit("deploy.synced");
    Ok(files)
}

/// Checks that the repository has every object of a commit's tree. Files are not read.
pub(super) fn require_objects(repo: &Repo, commit: CommitId) -> Result<(), DeployError> {
    require_undamaged(repo, commit, verify::missing_objects(repo, commit)?)
}

/// Checks that `damaged` is empty. Otherwise deletes the damaged objects from the repository,
/// whether their content or the mode of their inode is wrong, and marks the commits that need them
/// as partial, so that pulling the commit again fetches them.
fn require_undamaged(
    repo: &Repo,
    commit: CommitId,
    damaged: Vec<DamagedFile>,
) -> Result<(), DeployError> {
    if damaged.is_empty() {
        return Ok(());
    }
    // The damage is the error to report. If this fails, the repository has to be repaired manually.
    let _ = repo
        .mark_partial([commit], Partial::Damaged)
        .and_then(|()| {
            repo.delete_damaged(damaged.iter().filter_map(|file| file.object.as_deref()))
        });
    Err(DeployError::Damaged {
        commit,
        files: damaged,
    })
}
