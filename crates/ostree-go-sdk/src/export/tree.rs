//! Reads a commit's tree and the content of its files.

use super::ExportError;
use crate::checkout::Listing;
use crate::fs::path::TreePath;
use crate::id::{CommitId, FileId};
use crate::object::{AnyHeader, FileHasher};
use crate::repo::Repo;
use std::collections::BTreeMap;
use std::path::Path;

/// All entries of a commit's tree except its root, by path; directories precede their content.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) entries: BTreeMap<TreePath, Node>,
}

/// An entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// A directory and its complete `st_mode`.
    Directory { mode: u32 },
    /// A file or a symlink.
    Leaf(FileId),
}

/// A file or a symlink that was read and checked.
#[derive(Debug)]
pub(crate) struct Leaf {
    /// The metadata.
    pub(crate) header: AnyHeader,
    /// The content; empty for a symlink.
    pub(crate) content: Vec<u8>,
}

impl Tree {
    /// Reads and checks the directories of a commit.
    pub(super) fn read(repo: &Repo, commit: CommitId) -> Result<Self, ExportError> {
        let listing = Listing::read(repo, commit)?;
        if let Some((path, object)) = listing.damaged.into_iter().next() {
            return Err(ExportError::Damaged {
                commit,
                path,
                object,
            });
        }
        let path = |path: &Path| {
            let parsed = path.to_str().and_then(|path| path.parse::<TreePath>().ok());
            parsed.ok_or_else(|| ExportError::Path {
                commit,
                path: path.to_owned(),
            })
        };
        let mut entries = BTreeMap::new();
        for directory in listing.dirs {
            for (name, id) in directory.files {
                entries.insert(path(&directory.path.join(name))?, Node::Leaf(id));
            }
            if !directory.path.as_os_str().is_empty() {
                let mode = directory.mode;
                entries.insert(path(&directory.path)?, Node::Directory { mode });
            }
        }
        Ok(Self { entries })
    }
}

/// Reads a whole file into memory. The largest of Go 1.26 has 25 MB.
pub(crate) fn read_leaf(repo: &Repo, path: &TreePath, id: FileId) -> Result<Leaf, ExportError> {
    let mut file = repo.file(id)?;
    let bytes = file.read_to_end(u64::MAX)?;
    let header = file.header;
    let mut hasher = FileHasher::framed(&header.framed());
    hasher.update(&bytes);
    let found = hasher.finish();
    if found != id {
        return Err(ExportError::DamagedFile {
            path: path.clone(),
            found,
            expected: id,
        });
    }
    Ok(Leaf {
        header,
        content: bytes,
    })
}
