//! Whether every object of a commit is there.

use crate::id::{CommitId, DirTreeId};
use crate::repo::{Repo, RepoError};
use std::collections::HashSet;

/// The first object of a commit's tree that is missing.
///
/// libostree asks only for the objects that a delta lists when the commit itself is there
/// already, as after an interrupted pull, and calls the commit complete then.
pub(super) fn first_missing(repo: &Repo, commit: CommitId) -> Result<Option<String>, RepoError> {
    let has = |kind: ostree::ObjectType, id: &str| {
        repo.as_ostree()
            .has_object(kind, id, gio::Cancellable::NONE)
            .map_err(|source| repo.failed(&format!("look for object {id}"), source))
    };
    let missing = |kind, id: String| Ok((!has(kind, &id)?).then_some(id));
    if let Some(id) = missing(ostree::ObjectType::Commit, commit.to_string())? {
        return Ok(Some(format!("{id}.commit")));
    }
    let commit = repo.commit(commit)?;
    let mut metas = HashSet::from([commit.meta]);
    let mut seen: HashSet<DirTreeId> = HashSet::from([commit.tree]);
    let mut files = HashSet::new();
    let mut trees = vec![commit.tree];
    while let Some(tree) = trees.pop() {
        if let Some(id) = missing(ostree::ObjectType::DirTree, tree.to_string())? {
            return Ok(Some(format!("{id}.dirtree")));
        }
        let tree = repo.dirtree(tree)?;
        for (_, tree, meta) in tree.dirs {
            metas.insert(meta);
            if seen.insert(tree) {
                trees.push(tree);
            }
        }
        files.extend(tree.files.into_iter().map(|(_, file)| file));
    }
    for meta in metas {
        if let Some(id) = missing(ostree::ObjectType::DirMeta, meta.to_string())? {
            return Ok(Some(format!("{id}.dirmeta")));
        }
    }
    for file in files {
        if let Some(id) = missing(ostree::ObjectType::File, file.to_string())? {
            return Ok(Some(format!("{id}.file")));
        }
    }
    Ok(None)
}
