//! Lists all paths of a commit's tree.
//!
//! Only the commit's checksum is trusted: the commit and every directory object are hashed on the
//! way down. Objects that do not match their checksum are recorded and not followed.

use crate::fs::digest;
use crate::id::{CommitId, DirMetaId, DirTreeId, FileId, Sha256};
use crate::object::{Commit, DirTree, dirmeta_mode};
use crate::repo::Repo;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The directories of a commit's tree.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// All directories, parents first; the first one is the root directory.
    pub(crate) dirs: Vec<Directory>,
    /// Objects that are damaged or missing, as `00ff….dirtree`, with their directories.
    pub(crate) damaged: Vec<(PathBuf, String)>,
}

/// A directory of a tree.
#[derive(Debug)]
pub(crate) struct Directory {
    /// The path in the tree; empty for the root directory.
    pub(crate) path: PathBuf,
    /// The complete `st_mode`.
    pub(crate) mode: u32,
    /// The names and objects of files and symlinks.
    pub(crate) files: Vec<(String, FileId)>,
    /// The names of subdirectories.
    pub(crate) dirs: Vec<String>,
}

impl Listing {
    /// Reads the tree of a commit.
    pub(crate) fn read(repo: &Repo, commit: CommitId) -> Self {
        let mut listing = Self::default();
        let object = load(repo, ostree::ObjectType::Commit, &commit.to_string());
        match object.and_then(|variant| Commit::parse(&variant)) {
            Some(commit) => listing.walk(repo, commit.tree, commit.meta),
            None => listing.damage(Path::new(""), format!("{commit}.commit")),
        }
        listing
    }

    fn walk(&mut self, repo: &Repo, tree: DirTreeId, meta: DirMetaId) {
        let mut modes = HashMap::new();
        let mut ahead = vec![(PathBuf::new(), tree, meta)];
        while let Some((path, tree, meta)) = ahead.pop() {
            let mode = *modes.entry(meta).or_insert_with(|| {
                let object = load(repo, ostree::ObjectType::DirMeta, &meta.to_string());
                object.and_then(|variant| dirmeta_mode(&variant))
            });
            let object = load(repo, ostree::ObjectType::DirTree, &tree.to_string());
            let entries = object.and_then(|variant| DirTree::parse(&variant));
            if mode.is_none() {
                self.damage(&path, format!("{meta}.dirmeta"));
            }
            if entries.is_none() {
                self.damage(&path, format!("{tree}.dirtree"));
            }
            let (Some(mode), Some(entries)) = (mode, entries) else {
                continue;
            };
            for (name, tree, meta) in &entries.dirs {
                ahead.push((path.join(name), *tree, *meta));
            }
            self.dirs.push(Directory {
                path,
                mode,
                files: entries.files,
                dirs: entries.dirs.into_iter().map(|(name, ..)| name).collect(),
            });
        }
    }

    fn damage(&mut self, path: &Path, object: String) {
        self.damaged.push((path.to_owned(), object));
    }
}

/// Reads a metadata object; returns `None` if it does not match its checksum.
fn load(repo: &Repo, kind: ostree::ObjectType, id: &str) -> Option<glib::Variant> {
    let variant = repo.metadata_object(kind, id).ok()?;
    let expected: Sha256 = id.parse().ok()?;
    (digest::of(variant.data()) == expected).then_some(variant)
}
