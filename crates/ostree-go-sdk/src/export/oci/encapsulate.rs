//! The layers of an encapsulated commit.

use super::super::ExportError;
use super::super::tree::{Node, Tree};
use super::OciError;
use super::layer::{BITS, Part};
use crate::fs::path::TreePath;
use crate::id::CommitId;
use crate::object::{Commit, DirTree};
use crate::oci::{encapsulated, format, layer};
use crate::repo::Repo;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Returns the first layer: the commit, its signatures, and the metadata of all directories.
pub(super) fn release(
    repo: &Repo,
    commit: CommitId,
    tree: &Tree,
) -> Result<Vec<Part>, ExportError> {
    let failed = |source| ExportError::from(repo.failed(&format!("read commit {commit}"), source));
    let mut made = encapsulated::repository();
    made.push(encapsulated::commit(
        commit,
        repo.commit_bytes(commit).map_err(failed)?,
    ));
    let detached = repo.detached_variant(commit)?;
    if let Some(detached) = detached.filter(|dict| dict.n_children() > 0) {
        made.push(encapsulated::commitmeta(commit, detached.data().to_vec()));
    }
    made.extend(directories(repo, commit)?);
    let in_tree = tree.entries.iter().filter_map(|(path, node)| match *node {
        Node::Directory { mode } => Some(directory(path, mode)),
        Node::Leaf(_) => None,
    });
    Ok(parts(made).chain(in_tree).collect())
}

/// Returns the layer with the files of an SDK layer's commit, which determines it completely.
pub(super) fn content(commit: CommitId, tree: &Tree) -> Result<Vec<Part>, OciError> {
    let mut made = encapsulated::repository();
    made.push(encapsulated::no_xattrs());
    let mut written = HashSet::new();
    let in_tree = tree.entries.iter().map(|(path, node)| {
        if path.components().next() == Some(encapsulated::SYSROOT) {
            let path = path.clone();
            return Err(OciError::Encapsulated { commit, path });
        }
        Ok(match *node {
            Node::Directory { mode } => directory(path, mode),
            Node::Leaf(id) => Part::Object {
                path: path.clone(),
                id,
                is_first: written.insert(id),
            },
        })
    });
    parts(made).map(Ok).chain(in_tree).collect()
}

fn parts(made: Vec<(layer::Entry, Vec<u8>)>) -> impl Iterator<Item = Part> {
    made.into_iter()
        .map(|(entry, bytes)| Part::Made(entry, bytes))
}

fn directory(path: &TreePath, mode: u32) -> Part {
    Part::Made(
        encapsulated::directory_in_tree(path, mode & BITS),
        Vec::new(),
    )
}

/// Reads the dirtree and dirmeta objects of a commit, sorted by checksum.
fn directories(repo: &Repo, commit: CommitId) -> Result<Vec<(layer::Entry, Vec<u8>)>, ExportError> {
    let damaged = |object: String| ExportError::Damaged {
        commit,
        path: Path::new("").to_owned(),
        object,
    };
    let load = |kind, id: &dyn std::fmt::Display, suffix: &str| {
        let id = id.to_string();
        let variant = repo.metadata_object(kind, &id).ok();
        let checked = variant.filter(|variant| format::sha256(variant.data()).to_string() == id);
        checked.ok_or_else(|| damaged(format!("{id}.{suffix}")))
    };
    let root: Commit = repo.commit(commit)?;
    let (mut metas, mut trees) = (BTreeMap::new(), BTreeMap::new());
    let mut ahead = vec![(root.tree, root.meta)];
    while let Some((tree, meta)) = ahead.pop() {
        if let Entry::Vacant(vacant) = metas.entry(meta) {
            let variant = load(ostree::ObjectType::DirMeta, &meta, "dirmeta")?;
            vacant.insert(variant.data().to_vec());
        }
        if let Entry::Vacant(vacant) = trees.entry(tree) {
            let variant = load(ostree::ObjectType::DirTree, &tree, "dirtree")?;
            let parsed = DirTree::parse(&variant);
            let parsed = parsed.ok_or_else(|| damaged(format!("{tree}.dirtree")))?;
            let inside = parsed.dirs.into_iter();
            ahead.extend(inside.map(|(_, tree, meta)| (tree, meta)));
            vacant.insert(variant.data().to_vec());
        }
    }
    let metas = metas
        .into_iter()
        .map(|(id, bytes)| encapsulated::dirmeta(id, bytes));
    let trees = trees
        .into_iter()
        .map(|(id, bytes)| encapsulated::dirtree(id, bytes));
    Ok(metas.chain(trees).collect())
}
