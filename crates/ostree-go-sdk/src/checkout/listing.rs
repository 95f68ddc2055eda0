//! Lists all paths of a commit's tree.
//!
//! Only the commit's checksum is trusted: the commit and every directory object are hashed on the
//! way down. Objects that do not match their checksum are recorded and not followed.

use crate::fs::digest;
use crate::id::{CommitId, DirMetaId, DirTreeId, FileId, Sha256};
use crate::object::{Commit, DirTree, dirmeta_mode};
use crate::repo::{Repo, RepoError};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
    ///
    /// # Errors
    /// When the system cannot read an object that is there. Damaged and missing objects are part of
    /// the result.
    pub(crate) fn read(repo: &Repo, commit: CommitId) -> Result<Self, RepoError> {
        let mut listing = Self::default();
        let object = load(repo, ostree::ObjectType::Commit, &commit.to_string())?;
        match object.and_then(|variant| Commit::parse(&variant)) {
            Some(commit) => listing.walk(repo, commit.tree, commit.meta)?,
            None => listing.damage(Path::new(""), format!("{commit}.commit")),
        }
        Ok(listing)
    }

    fn walk(&mut self, repo: &Repo, tree: DirTreeId, meta: DirMetaId) -> Result<(), RepoError> {
        let mut modes = HashMap::new();
        let mut ahead = vec![(PathBuf::new(), tree, meta)];
        while let Some((path, tree, meta)) = ahead.pop() {
            let mode = match modes.entry(meta) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => {
                    let object = load(repo, ostree::ObjectType::DirMeta, &meta.to_string())?;
                    *unknown.insert(object.and_then(|variant| dirmeta_mode(&variant)))
                }
            };
            let object = load(repo, ostree::ObjectType::DirTree, &tree.to_string())?;
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
        Ok(())
    }

    fn damage(&mut self, path: &Path, object: String) {
        self.damaged.push((path.to_owned(), object));
    }
}

/// Reads an object that is not a file's; returns `None` when it is missing or damaged.
fn load(
    repo: &Repo,
    kind: ostree::ObjectType,
    id: &str,
) -> Result<Option<glib::Variant>, RepoError> {
    let variant = match repo.metadata_object(kind, id) {
        Ok(variant) => variant,
        Err(_) => match repo.check_object(kind, id, || repo.as_ostree().load_variant(kind, id))? {
            Ok(_) => repo.metadata_object(kind, id)?,
            Err(_) => return Ok(None),
        },
    };
    let is_whole = id
        .parse::<Sha256>()
        .is_ok_and(|expected| digest::of(variant.data()) == expected);
    Ok(is_whole.then_some(variant))
}
