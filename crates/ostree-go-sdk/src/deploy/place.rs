//! Putting a commit's tree in its place: complete, checked, sealed and durable.

use super::error::{DeployError, io};
use super::verify::{self, DamagedFile};
use crate::checkout::{CheckedOut, CheckoutOptions, checkout};
use crate::failpoint;
use crate::fs::{atomic, tree};
use crate::id::CommitId;
use crate::progress::Progress;
use crate::repo::{Repo, RepoMode};
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
    let options = CheckoutOptions::default().copy(copy).sync(false);
    let files = checkout(repo, commit, staging, &options)?;
    failpoint::hit("deploy.checked-out");
    let damaged = verify::compare(repo, commit, staging, progress)?;
    if !damaged.is_empty() {
        discard(repo, commit, &damaged);
        return Err(DeployError::Damaged {
            commit,
            files: damaged,
        });
    }
    tree::seal(staging).map_err(io("seal", staging))?;
    failpoint::hit("deploy.sealed");
    File::open(staging)
        .and_then(|directory| Ok(rustix::fs::syncfs(&directory)?))
        .map_err(io("sync", staging))?;
    failpoint::hit("deploy.synced");
    Ok(files)
}

/// Removes the objects that a tree just made of them shows to be damaged, be it their content
/// or the mode of their inode, and marks the commit as partial, so that pulling it again
/// fetches them. At worst, that has to be done by hand.
fn discard(repo: &Repo, commit: CommitId, damaged: &[DamagedFile]) {
    let inner = repo.as_ostree();
    for object in damaged.iter().filter_map(|file| file.object) {
        let id = object.to_string();
        let _ = inner.delete_object(ostree::ObjectType::File, &id, gio::Cancellable::NONE);
    }
    let _ = inner.mark_commit_partial(&commit.to_string(), true);
}
