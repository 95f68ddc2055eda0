//! Trees in memory, from which directory objects are created.

use super::{FileHeader, MetadataObject, dirmeta, dirtree};
use crate::fs::path::TreePath;
use crate::id::{ContentId, DirMetaId, DirTreeId, FileId};
use std::collections::BTreeMap;

/// A directory: its entries by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) entries: BTreeMap<String, Node>,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Leaf(Leaf),
    Directory(Tree),
}

/// A file or a symlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) id: FileId,
    /// The size of the content in bytes; 0 for a symlink.
    pub(crate) size: u64,
    pub(crate) kind: LeafKind,
}

/// The type of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeafKind {
    File,
    Executable,
    Symlink,
}

impl From<&FileHeader> for LeafKind {
    fn from(header: &FileHeader) -> Self {
        match header {
            FileHeader::Regular { executable: true } => Self::Executable,
            FileHeader::Regular { executable: false } => Self::File,
            FileHeader::Symlink { .. } => Self::Symlink,
        }
    }
}

/// The error for a path that two trees contain with different content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlap {
    pub(crate) path: TreePath,
}

impl Tree {
    /// Adds a leaf and its parent directories.
    ///
    /// # Errors
    /// Returns an error if the path, or one of its parents, exists as something else.
    pub(crate) fn insert(&mut self, path: &TreePath, leaf: Leaf) -> Result<(), Overlap> {
        let overlap = || Overlap { path: path.clone() };
        let mut directory = self;
        let mut components = path.components().peekable();
        while let Some(name) = components.next() {
            let entry = directory.entries.entry(name.to_owned());
            if components.peek().is_none() {
                let node = entry.or_insert(Node::Leaf(leaf));
                return (*node == Node::Leaf(leaf))
                    .then_some(())
                    .ok_or_else(overlap);
            }
            directory = match entry.or_insert_with(|| Node::Directory(Self::default())) {
                Node::Directory(below) => below,
                Node::Leaf(_) => return Err(overlap()),
            };
        }
        Ok(())
    }

    /// Adds a directory and its parent directories.
    ///
    /// # Errors
    /// Returns an error if the path, or one of its parents, exists as something else.
    pub(crate) fn insert_directory(&mut self, path: &TreePath) -> Result<(), Overlap> {
        let mut directory = self;
        for name in path.components() {
            let entry = directory.entries.entry(name.to_owned());
            directory = match entry.or_insert_with(|| Node::Directory(Self::default())) {
                Node::Directory(below) => below,
                Node::Leaf(_) => return Err(Overlap { path: path.clone() }),
            };
        }
        Ok(())
    }

    /// Merges `upper` into this tree. If both contain a path with different content, `upper` takes
    /// precedence if `may_override` returns true for the path.
    ///
    /// # Errors
    /// Returns an error if a path must not be overridden; the tree is then partly merged.
    pub(crate) fn union(
        &mut self,
        upper: &Self,
        may_override: &dyn Fn(&TreePath) -> bool,
    ) -> Result<(), Overlap> {
        self.union_below(None, upper, may_override)
    }

    fn union_below(
        &mut self,
        at: Option<&TreePath>,
        upper: &Self,
        may_override: &dyn Fn(&TreePath) -> bool,
    ) -> Result<(), Overlap> {
        for (name, theirs) in &upper.entries {
            let Some(ours) = self.entries.get_mut(name) else {
                self.entries.insert(name.clone(), theirs.clone());
                continue;
            };
            let Some(path) = join(at, name) else { continue };
            match (ours, theirs) {
                (Node::Directory(ours), Node::Directory(theirs)) => {
                    ours.union_below(Some(&path), theirs, may_override)?;
                }
                (ours, theirs) if ours == theirs => {}
                (Node::Leaf(ours), Node::Leaf(theirs)) if may_override(&path) => *ours = *theirs,
                _ => return Err(Overlap { path }),
            }
        }
        Ok(())
    }

    /// Returns true if a path exists, or if one of its parents exists as a leaf.
    pub(crate) fn contains(&self, path: &TreePath) -> bool {
        let mut directory = self;
        for name in path.components() {
            match directory.entries.get(name) {
                Some(Node::Directory(below)) => directory = below,
                Some(Node::Leaf(_)) => return true,
                None => return false,
            }
        }
        true
    }

    /// Returns the leaf at a path.
    #[cfg(test)]
    pub(crate) fn get(&self, path: &TreePath) -> Option<&Leaf> {
        let mut directory = self;
        let mut found = None;
        for name in path.components() {
            match directory.entries.get(name)? {
                Node::Directory(below) if found.is_none() => directory = below,
                Node::Leaf(leaf) if found.is_none() => found = Some(leaf),
                _ => return None,
            }
        }
        found
    }

    /// Returns all leaves with their paths, sorted by path.
    pub(crate) fn leaves(&self) -> Vec<(TreePath, Leaf)> {
        fn collect(tree: &Tree, at: Option<&TreePath>, into: &mut Vec<(TreePath, Leaf)>) {
            for (name, node) in &tree.entries {
                let Some(path) = join(at, name) else { continue };
                match node {
                    Node::Leaf(leaf) => into.push((path, *leaf)),
                    Node::Directory(below) => collect(below, Some(&path), into),
                }
            }
        }
        let mut leaves = Vec::new();
        collect(self, None, &mut leaves);
        leaves
    }

    /// Returns the number of leaves and the total size of their content.
    pub(crate) fn size(&self) -> TreeSize {
        let mut size = TreeSize::default();
        for node in self.entries.values() {
            match node {
                Node::Leaf(leaf) => {
                    size.files += 1;
                    size.bytes += leaf.size;
                }
                Node::Directory(below) => {
                    let below = below.size();
                    size.files += below.files;
                    size.bytes += below.bytes;
                }
            }
        }
        size
    }

    /// Builds the directory objects bottom-up, passes each to `write`, and returns the root.
    ///
    /// # Errors
    /// Returns the errors of `write`.
    pub(crate) fn objects<E>(
        &self,
        write: &mut dyn FnMut(&MetadataObject<DirTreeId>) -> Result<(), E>,
    ) -> Result<Root, E> {
        let meta = dirmeta().id;
        let mut dirs = Vec::new();
        let mut files = Vec::new();
        for (name, node) in &self.entries {
            match node {
                Node::Leaf(leaf) => files.push((name.as_str(), leaf.id)),
                Node::Directory(below) => {
                    dirs.push((name.as_str(), below.objects(write)?.tree, meta));
                }
            }
        }
        let object = dirtree(files.into_iter(), dirs.into_iter());
        write(&object)?;
        Ok(Root {
            tree: object.id,
            meta,
        })
    }
}

fn join(at: Option<&TreePath>, name: &str) -> Option<TreePath> {
    let name: TreePath = name.parse().ok()?;
    Some(match at {
        Some(at) => name.below(at),
        None => name,
    })
}

/// The size of a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TreeSize {
    /// The total size of all files in bytes.
    pub(crate) bytes: u64,
    /// The number of files and symlinks.
    pub(crate) files: u64,
}

/// The two objects that identify a whole tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) tree: DirTreeId,
    pub(crate) meta: DirMetaId,
}

impl Root {
    pub(crate) fn content_id(self) -> ContentId {
        super::content_id(self.tree, self.meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    fn leaf(byte: u8) -> Leaf {
        Leaf {
            id: [byte; 32].into(),
            size: u64::from(byte),
            kind: LeafKind::File,
        }
    }

    fn tree(leaves: &[(&str, u8)]) -> Tree {
        let mut tree = Tree::default();
        for (at, byte) in leaves {
            tree.insert(&path(at), leaf(*byte)).unwrap();
        }
        tree
    }

    #[test]
    fn union_refuses_different_content_and_accepts_equal_content() {
        let lower = tree(&[("a/x", 1), ("a/y", 2)]);
        let never = |_: &TreePath| false;
        let mut union = lower.clone();
        union.union(&tree(&[("a/y", 2), ("b", 3)]), &never).unwrap();
        assert_eq!(union.size(), TreeSize { bytes: 6, files: 3 });
        assert_eq!(union.get(&path("b")), Some(&leaf(3)));
        assert_eq!(union.get(&path("a")), None);
        assert_eq!(union.get(&path("a/x/y")), None);

        for (clash, at) in [(("a/y", 9), "a/y"), (("a", 9), "a"), (("a/x/z", 9), "a/x")] {
            let overlap = lower.clone().union(&tree(&[clash]), &never).unwrap_err();
            assert_eq!(overlap.path, path(at));
        }
        let mut overridden = lower.clone();
        overridden
            .union(&tree(&[("a/y", 9)]), &|p| p.as_str() == "a/y")
            .unwrap();
        assert_eq!(overridden.get(&path("a/y")), Some(&leaf(9)));
        // A file never replaces a directory.
        assert!(lower.clone().union(&tree(&[("a", 9)]), &|_| true).is_err());
    }

    proptest! {
        #[test]
        fn insertion_order_does_not_matter(
            leaves in proptest::collection::btree_map("[a-c](/[a-c]){0,3}x", any::<u8>(), 1..12),
            seed in any::<u64>(),
        ) {
            let mut shuffled: Vec<_> = leaves.iter().collect();
            shuffled.sort_by_key(|(name, _)| {
                name.bytes().fold(seed, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)))
            });
            let root = |leaves: &[(&String, &u8)]| {
                let mut tree = Tree::default();
                for (at, byte) in leaves {
                    tree.insert(&path(at), leaf(**byte)).unwrap();
                }
                tree.objects::<Infallible>(&mut |_| Ok(())).unwrap()
            };
            prop_assert_eq!(root(&leaves.iter().collect::<Vec<_>>()), root(&shuffled));
        }
    }
}
