//! Trees of layers, from what the repository has and from what has come.

use super::manifest::Image;
use crate::id::{CommitId, DirTreeId};
use crate::object::{Leaf, LeafKind, MetadataObject, Node, Root, Tree, content_id, dirmeta};
use crate::parallel;
use crate::repo::{RepoError, Transaction};
use crate::store::{ObjectWriter, StoreError};
use std::collections::HashMap;
use std::convert::Infallible;

/// The tree that a repository or an open transaction has whole; `None` when something of it is
/// not there. Leaves have no sizes.
pub(super) fn stored(
    transaction: &Transaction<'_>,
    writer: &dyn ObjectWriter,
    root: Root,
) -> Result<Option<Tree>, StoreError> {
    let has_meta = has(transaction, ostree::ObjectType::DirMeta, &root.meta)?;
    if root.meta != dirmeta().id || !has_meta {
        return Ok(None);
    }
    stored_directory(transaction, writer, root.tree)
}

fn stored_directory(
    transaction: &Transaction<'_>,
    writer: &dyn ObjectWriter,
    id: DirTreeId,
) -> Result<Option<Tree>, StoreError> {
    if !has(transaction, ostree::ObjectType::DirTree, &id)? {
        return Ok(None);
    }
    let directory = transaction.repo().dirtree(id)?;
    let mut tree = Tree::default();
    for (name, id) in directory.files {
        if !writer.has(id)? {
            return Ok(None);
        }
        let leaf = Leaf {
            id,
            size: 0,
            kind: LeafKind::File,
        };
        tree.entries.insert(name, Node::Leaf(leaf));
    }
    for (name, below, meta) in directory.dirs {
        if meta != dirmeta().id {
            return Ok(None);
        }
        let Some(below) = stored_directory(transaction, writer, below)? else {
            return Ok(None);
        };
        tree.entries.insert(name, Node::Directory(below));
    }
    Ok(Some(tree))
}

fn has(
    transaction: &Transaction<'_>,
    kind: ostree::ObjectType,
    id: &dyn std::fmt::Display,
) -> Result<bool, RepoError> {
    let repo = transaction.repo();
    let found = repo
        .as_ostree()
        .has_object(kind, &id.to_string(), gio::Cancellable::NONE);
    found.map_err(|source| repo.failed(&format!("look for object {id}"), source))
}

/// A tree's directories as objects, and the root that they make.
pub(super) struct Made {
    objects: Vec<MetadataObject<DirTreeId>>,
    root: Root,
}

/// Makes the directories of trees, in the order of these, on every core.
pub(super) fn made(trees: &[&Tree]) -> Vec<Made> {
    let trees: Vec<_> = trees.iter().enumerate().collect();
    let make = |(): &mut (), (index, tree): &(usize, &&Tree)| {
        let mut objects = Vec::new();
        let root = tree.objects(&mut |object| {
            objects.push(object.clone());
            Ok::<_, Infallible>(())
        })?;
        Ok::<_, Infallible>((*index, Made { objects, root }))
    };
    let Ok(mut made) = parallel::map(&trees, || (), make);
    made.sort_by_key(|(index, _)| *index);
    made.into_iter().map(|(_, made)| made).collect()
}

/// Writes a tree's directories if the tree is the one that is expected. The error is the root
/// that it has.
pub(super) fn write(
    transaction: &Transaction<'_>,
    made: &Made,
    expected: Root,
) -> Result<Result<(), Root>, RepoError> {
    if made.root != expected {
        return Ok(Err(made.root));
    }
    transaction.write(ostree::ObjectType::DirMeta, &dirmeta())?;
    for object in &made.objects {
        transaction.write(ostree::ObjectType::DirTree, object)?;
    }
    Ok(Ok(()))
}

/// The union of an image's layers, the upper ones over the lower. The error is the path that a
/// layer makes a directory and another does not.
pub(super) fn union(image: &Image, trees: &HashMap<CommitId, Tree>) -> Result<Tree, String> {
    let mut union = Tree::default();
    for layer in &image.layers {
        let Some(tree) = trees.get(&layer.packed.id) else {
            return Err(format!("layer `{}` has not come", layer.name));
        };
        union.union(tree, &|_| true).map_err(|overlap| {
            let (name, path) = (&layer.name, overlap.path);
            format!("layer `{name}` makes `{path}` a directory, or no directory, against another")
        })?;
    }
    Ok(union)
}

/// What is wrong with a tree.
pub(super) fn differs(found: Root, expected: Root) -> String {
    format!(
        "it makes the tree {}, expected {}",
        content_id(found.tree, found.meta),
        content_id(expected.tree, expected.meta)
    )
}
