//! Differences between two commits.

use crate::catalog::CommitInfo;
use crate::fs::path::TreePath;
use crate::id::{CommitId, DirTreeId, FileId};
use crate::object::DirTree;
use crate::repo::{Repo, RepoError};
use std::collections::BTreeMap;

/// The differences between the trees of two commits.
#[derive(Debug)]
#[non_exhaustive]
pub struct Diff {
    /// The first commit.
    pub from: CommitInfo,
    /// The second commit.
    pub to: CommitInfo,
    /// The paths that differ, sorted.
    pub changes: Vec<Change>,
}

/// A path that differs. At least one side exists.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The path in the tree.
    pub path: TreePath,
    /// The file in the first commit.
    pub from: Option<FileInfo>,
    /// The file in the second commit.
    pub to: Option<FileInfo>,
}

/// A file or symlink of a commit's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInfo {
    /// The size in bytes; 0 for a symlink.
    pub size: u64,
    /// The complete `st_mode`.
    pub mode: u32,
    /// True for an ELF file: a program, an object file or a library.
    pub is_binary: bool,
}

/// Magic number of ELF files (System V ABI, `e_ident`).
const ELF_MAGIC: &[u8; 4] = b"\x7fELF";

impl Repo {
    /// Compares the trees of two commits. Equal directories are not read.
    ///
    /// # Errors
    /// Returns an error if a required object cannot be read.
    pub fn diff(&self, from: CommitId, to: CommitId) -> Result<Diff, RepoError> {
        Self::diff_between((self, from), (self, to))
    }

    /// Compares the trees of commits of two repositories.
    pub(crate) fn diff_between(
        (from_repo, from): (&Self, CommitId),
        (to_repo, to): (&Self, CommitId),
    ) -> Result<Diff, RepoError> {
        let roots = (from_repo.commit(from)?.tree, to_repo.commit(to)?.tree);
        let mut walk = Walk {
            from: from_repo,
            to: to_repo,
            changes: Vec::new(),
        };
        walk.directories(None, Some(roots.0), Some(roots.1))?;
        let mut changes = walk.changes;
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Diff {
            from: CommitInfo::read(from_repo, from)?,
            to: CommitInfo::read(to_repo, to)?,
            changes,
        })
    }
}

struct Walk<'r> {
    from: &'r Repo,
    to: &'r Repo,
    changes: Vec<Change>,
}

impl Walk<'_> {
    fn directories(
        &mut self,
        at: Option<&TreePath>,
        from: Option<DirTreeId>,
        to: Option<DirTreeId>,
    ) -> Result<(), RepoError> {
        if from == to {
            return Ok(());
        }
        let (from, to) = (entries(self.from, from)?, entries(self.to, to)?);
        for (name, from, to) in pair(&from.files, &to.files, |f| (&f.0, f.1)) {
            if from != to
                && let Some(path) = below(at, name)
            {
                let change = Change {
                    path,
                    from: from.map(|id| file(self.from, id)).transpose()?,
                    to: to.map(|id| file(self.to, id)).transpose()?,
                };
                self.changes.push(change);
            }
        }
        for (name, from, to) in pair(&from.dirs, &to.dirs, |d| (&d.0, d.1)) {
            if let Some(path) = below(at, name) {
                self.directories(Some(&path), from, to)?;
            }
        }
        Ok(())
    }
}

fn entries(repo: &Repo, id: Option<DirTreeId>) -> Result<DirTree, RepoError> {
    match id {
        Some(id) => repo.dirtree(id),
        None => Ok(DirTree {
            files: Vec::new(),
            dirs: Vec::new(),
        }),
    }
}

fn file(repo: &Repo, id: FileId) -> Result<FileInfo, RepoError> {
    let file = repo.file(id)?;
    let mut magic = [0; 4];
    file.read(&mut magic)?;
    Ok(FileInfo {
        size: file.size,
        mode: file.header.mode,
        is_binary: &magic == ELF_MAGIC,
    })
}

fn below(at: Option<&TreePath>, name: &str) -> Option<TreePath> {
    let name: TreePath = name.parse().ok()?;
    Some(at.map_or_else(|| name.clone(), |at| name.below(at)))
}

/// Pairs the entries of two sorted lists by name.
fn pair<'a, E, Id: Copy>(
    from: &'a [E],
    to: &'a [E],
    entry: impl Fn(&'a E) -> (&'a String, Id),
) -> Vec<(&'a str, Option<Id>, Option<Id>)> {
    let mut pairs: BTreeMap<&str, (Option<Id>, Option<Id>)> = BTreeMap::new();
    for (name, id) in from.iter().map(&entry) {
        pairs.entry(name).or_default().0 = Some(id);
    }
    for (name, id) in to.iter().map(&entry) {
        pairs.entry(name).or_default().1 = Some(id);
    }
    pairs
        .into_iter()
        .map(|(name, (from, to))| (name, from, to))
        .collect()
}
