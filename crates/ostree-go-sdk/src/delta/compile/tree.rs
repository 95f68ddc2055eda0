//! Lists the objects of a commit's tree.

use crate::delta::format::{ObjectKey, ObjectKind};
use crate::id::{CommitId, DirMetaId, DirTreeId, FileId, Sha256};
use crate::repo::{Repo, RepoError};
use std::collections::{BTreeMap, BTreeSet};

/// The objects of a tree, without the commit itself.
#[derive(Debug, Default)]
pub(in crate::delta) struct Tree {
    /// The objects of directories.
    pub(in crate::delta) metadata: BTreeSet<ObjectKey>,
    /// Files and symlinks by path. For a directory that occurs twice, only one path is listed.
    pub(in crate::delta) files: BTreeMap<String, FileId>,
}

/// Reads all directories of a commit.
pub(in crate::delta) fn read_tree(repo: &Repo, commit: CommitId) -> Result<Tree, RepoError> {
    let commit = repo.commit(commit)?;
    let mut tree = Tree::default();
    let mut pending = vec![(String::new(), commit.tree, commit.meta)];
    while let Some((at, dirtree, dirmeta)) = pending.pop() {
        tree.metadata.insert(meta_key(dirmeta));
        if !tree.metadata.insert(tree_key(dirtree)) {
            continue;
        }
        let entries = repo.dirtree(dirtree)?;
        for (name, id) in entries.files {
            tree.files.insert(format!("{at}{name}"), id);
        }
        let below = entries.dirs.into_iter();
        pending.extend(below.map(|(name, tree, meta)| (format!("{at}{name}/"), tree, meta)));
    }
    Ok(tree)
}

fn tree_key(id: DirTreeId) -> ObjectKey {
    ObjectKey {
        kind: ObjectKind::DirTree,
        checksum: Sha256(*id.as_bytes()),
    }
}

fn meta_key(id: DirMetaId) -> ObjectKey {
    ObjectKey {
        kind: ObjectKind::DirMeta,
        checksum: Sha256(*id.as_bytes()),
    }
}
