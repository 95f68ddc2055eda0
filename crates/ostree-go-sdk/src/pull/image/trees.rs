//! Trees of layers, from the repository and from received archives.

use super::manifest::Image;
use crate::id::{CommitId, DirTreeId};
use crate::object::{Leaf, LeafKind, MetadataObject, Node, Root, Tree, content_id, dirmeta};
use crate::parallel;
use crate::repo::{RepoError, Transaction};
use crate::store::{ObjectWriter, StoreError};
use std::collections::HashMap;
use std::convert::Infallible;

/// Loads a tree that is complete in the repository or in the open transaction; `None` if any object
/// is missing. The sizes of its leaves are not set.
pub(super) fn load_stored(
    transaction: &Transaction<'_>,
    writer: &dyn ObjectWriter,
    root: Root,
) -> Result<Option<Tree>, StoreError> {
    let kind = ostree::ObjectType::DirMeta;
    let has_meta = transaction.repo().has_object(kind, root.meta)?;
    if root.meta != dirmeta().id || !has_meta {
        return Ok(None);
    }
    load_directory(transaction, writer, root.tree)
}

fn load_directory(
    transaction: &Transaction<'_>,
    writer: &dyn ObjectWriter,
    id: DirTreeId,
) -> Result<Option<Tree>, StoreError> {
    let repo = transaction.repo();
    if !repo.has_object(ostree::ObjectType::DirTree, id)? {
        return Ok(None);
    }
    let directory = repo.dirtree(id)?;
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
        let Some(below) = load_directory(transaction, writer, below)? else {
            return Ok(None);
        };
        tree.entries.insert(name, Node::Directory(below));
    }
    Ok(Some(tree))
}

/// The directory objects of a tree, and its root.
pub(super) struct BuiltTree {
    objects: Vec<MetadataObject<DirTreeId>>,
    root: Root,
}

/// Builds the directory objects of trees on all cores, in the order of the trees.
pub(super) fn build_all(trees: &[&Tree]) -> Vec<BuiltTree> {
    let trees: Vec<_> = trees.iter().enumerate().collect();
    let make = |(): &mut (), (index, tree): &(usize, &&Tree)| {
        let mut objects = Vec::new();
        let root = tree.objects(&mut |object| {
            objects.push(object.clone());
            Ok::<_, Infallible>(())
        })?;
        Ok::<_, Infallible>((*index, BuiltTree { objects, root }))
    };
    let Ok(mut built) = parallel::map(&trees, || (), make);
    built.sort_by_key(|(index, _)| *index);
    built.into_iter().map(|(_, built)| built).collect()
}

/// Writes a tree's directories if its root is the expected one. Otherwise the error is the root
/// that it has.
pub(super) fn write(
    transaction: &Transaction<'_>,
    built: &BuiltTree,
    expected: Root,
) -> Result<Result<(), Root>, RepoError> {
    if built.root != expected {
        return Ok(Err(built.root));
    }
    transaction.write(ostree::ObjectType::DirMeta, &dirmeta())?;
    for object in &built.objects {
        transaction.write(ostree::ObjectType::DirTree, object)?;
    }
    Ok(Ok(()))
}

/// Merges an image's layers, the upper ones over the lower ones. The error describes a path that is
/// a directory in only one of two layers.
pub(super) fn merge_layers(image: &Image, trees: &HashMap<CommitId, Tree>) -> Result<Tree, String> {
    let mut merged = Tree::default();
    for layer in &image.layers {
        let Some(tree) = trees.get(&layer.embedded.id) else {
            return Err(format!("layer `{}` was not received", layer.name));
        };
        merged.union(tree, &|_| true).map_err(|overlap| {
            let (name, path) = (&layer.name, overlap.path);
            format!(
                "`{path}` is a directory in layer `{name}` but not in another layer, or the reverse"
            )
        })?;
    }
    Ok(merged)
}

/// Returns the message for a tree with another root than expected.
pub(super) fn tree_mismatch(found: Root, expected: Root) -> String {
    format!(
        "it has the tree {}, expected {}",
        content_id(found.tree, found.meta),
        content_id(expected.tree, expected.meta)
    )
}
