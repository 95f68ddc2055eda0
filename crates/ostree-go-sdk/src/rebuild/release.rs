//! The release of a commit, and a temporary directory for the work on it.

use super::error::RebuildError;
use crate::catalog::{CommitInfo, CommitKind};
use crate::fs::context::IoContext;
use crate::fs::path::TreePath;
use crate::id::{CommitId, DirTreeId, FileId};
use crate::repo::{Repo, RepoError};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// Returns the release of a commit, which is itself or the release of a channel.
pub(super) fn release(repo: &Repo, id: CommitId) -> Result<CommitInfo, RebuildError> {
    let info = CommitInfo::read(repo, id)?;
    match info.kind {
        CommitKind::Release => return Ok(info),
        CommitKind::Channel => {
            let is_release = |other: &CommitInfo| {
                other.kind == CommitKind::Release
                    && (other.content, other.arch, &other.version)
                        == (info.content, info.arch, &info.version)
            };
            let mut listed = repo.list()?.into_iter().map(|(_, other)| other);
            if let Some(release) = listed.find(is_release) {
                return Ok(release);
            }
        }
        _ => {}
    }
    Err(RebuildError::NotARelease {
        commit: id,
        kind: info.kind,
    })
}

/// Makes a temporary directory.
pub(super) fn folder(temporary: &Path) -> Result<TempDir, RebuildError> {
    let made = tempfile::Builder::new()
        .prefix("ostree-go-rebuild-")
        .tempdir_in(temporary);
    Ok(made.context("make a directory in", temporary)?)
}

/// Returns all files of a commit.
pub(super) fn files(repo: &Repo, id: CommitId) -> Result<BTreeMap<TreePath, FileId>, RepoError> {
    let mut files = BTreeMap::new();
    walk(repo, None, repo.commit(id)?.tree, &mut files)?;
    Ok(files)
}

fn walk(
    repo: &Repo,
    at: Option<&TreePath>,
    id: DirTreeId,
    files: &mut BTreeMap<TreePath, FileId>,
) -> Result<(), RepoError> {
    let entries = repo.dirtree(id)?;
    let path = |name: &str| -> Option<TreePath> {
        let name: TreePath = name.parse().ok()?;
        Some(at.map_or_else(|| name.clone(), |at| name.below(at)))
    };
    for (name, id) in &entries.files {
        if let Some(path) = path(name) {
            files.insert(path, *id);
        }
    }
    for (name, tree, _) in &entries.dirs {
        if let Some(path) = path(name) {
            walk(repo, Some(&path), *tree, files)?;
        }
    }
    Ok(())
}

/// Returns the directory of the SDK in a commit: the one with `VERSION` and `bin/go`.
pub(super) fn prefix(repo: &Repo, id: CommitId) -> Result<TreePath, RebuildError> {
    let files = files(repo, id)?;
    let has_go = |folder: &TreePath| files.contains_key(&folder.join("bin").join("go"));
    let mut found = files
        .keys()
        .filter(|path| path.file_name() == "VERSION")
        .filter_map(TreePath::parent)
        .filter(has_go);
    match (found.next(), found.count()) {
        (Some(prefix), 0) => Ok(prefix),
        (first, more) => Err(RebuildError::NoSdk {
            commit: id,
            found: more + usize::from(first.is_some()),
        }),
    }
}
