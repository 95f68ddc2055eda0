//! Putting a commit's tree in its place: complete, checked, sealed and durable.

use super::error::{DeployError, io};
use super::verify::{self, DamagedFile};
use crate::checkout::{CheckedOut, CheckoutOptions, Listing, make};
use crate::failpoint;
use crate::fs::{atomic, tree};
use crate::id::CommitId;
use crate::progress::Progress;
use crate::repo::{Partial, Repo, RepoMode};
use rustix::fs::{CWD, RenameFlags};
use std::fs::File;
use std::path::Path;

/// Makes the tree under a hidden name beside `dest` and moves it there in one step. A tree
/// that is at `dest` already is replaced.
pub(super) fn place(
    repo: &Repo,
    commit: CommitId,
    dest: &Path,
    progress: &dyn Progress,
) -> Result<CheckedOut, DeployError> {
    let staging = dest.with_file_name(format!(".new-{}", std::process::id()));
    let placed = prepare(repo, commit, &staging, progress).and_then(|files| {
        let flags = if dest.symlink_metadata().is_ok() {
            RenameFlags::EXCHANGE
        } else {
            RenameFlags::NOREPLACE
        };
        rustix::fs::renameat_with(CWD, &staging, CWD, dest, flags)
            .map_err(std::io::Error::from)
            .and_then(|()| atomic::sync_directory(dest.parent()))
            .map_err(io("move a tree to", dest))?;
        failpoint::hit("deploy.placed");
        Ok(files)
    });
    // What is under the hidden name now failed, or was replaced. What cannot be removed is
    // removed by whoever takes the lock next.
    let _ = tree::remove(&staging);
    placed
}

fn prepare(
    repo: &Repo,
    commit: CommitId,
    staging: &Path,
    progress: &dyn Progress,
) -> Result<CheckedOut, DeployError> {
    // Where modes are in the inode, sealing a shared one would change the object.
    let copy = matches!(repo.mode(), RepoMode::Bare | RepoMode::BareUserOnly);
    let options = CheckoutOptions::default().copy(copy).sealed(true);
    let listing = Listing::read(repo, commit)?;
    let files = match make(repo, commit, &listing, staging, &options) {
        Ok(files) => files,
        Err(error) => {
            require(repo, commit)?;
            return Err(error.into());
        }
    };
    failpoint::hit("deploy.checked-out");
    let damaged = verify::compare(repo, &listing, staging, progress)?;
    whole(repo, commit, damaged)?;
    failpoint::hit("deploy.sealed");
    File::open(staging)
        .and_then(|directory| Ok(rustix::fs::syncfs(&directory)?))
        .map_err(io("sync", staging))?;
    failpoint::hit("deploy.synced");
    Ok(files)
}

/// Requires every object of a commit's tree to be in the repository.
pub(super) fn require(repo: &Repo, commit: CommitId) -> Result<(), DeployError> {
    whole(repo, commit, verify::absent(repo, commit)?)
}

/// Requires that nothing of a tree is damaged. Otherwise the damaged objects are deleted from the
/// repository, be it their content or the mode of their inode, and the commits that need them are
/// marked as partial, so that pulling the commit again fetches them.
fn whole(repo: &Repo, commit: CommitId, damaged: Vec<DamagedFile>) -> Result<(), DeployError> {
    if damaged.is_empty() {
        return Ok(());
    }
    // The damage is the error to report. Where this fails, it has to be repaired by hand.
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
