//! Finds new objects, and likely predecessors of new files.

use super::similar::{Similar, is_named_by_content};
use super::tree::Tree;
use crate::arch::Arch;
use crate::delta::format::{ObjectKey, ObjectKind};
use crate::golang::elf::elf_machine;
use crate::id::{FileId, Sha256};
use crate::repo::{Repo, RepoError};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum total size of an old and a new file for a patch, in bytes: libostree's own limit,
/// because clients hold both in memory. Source: `max_bsdiff_size`
/// (`ostree_repo_static_delta_generate`).
const MAX_PATCHED: u64 = 128_000_000;
/// Minimum size for a patch: smaller files are stored whole, because the old file's checksum alone
/// takes 32 bytes.
const MIN_PATCHED: u64 = 256;
/// Minimum size of files that are checked for being programs: Go's own are larger, and the small
/// ones in its test data are for various machines.
const MIN_PROGRAM: u64 = 1 << 20;
/// Mode bit for read permission of others.
const WORLD_READABLE: u32 = 0o004;

/// An object of the delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) key: ObjectKey,
    /// The path in the tree; empty for objects of directories.
    pub(super) path: String,
    /// The size of the content, or the approximate size of a metadata object, in bytes.
    pub(super) size: u64,
    /// The architecture, if the object is a program.
    pub(super) program: Option<Arch>,
    /// The old file to base a patch on.
    pub(super) from: Option<FileId>,
}

/// Returns the objects of `new` that are not in `old`.
pub(super) fn items(repo: &Repo, new: Tree, old: Tree) -> Result<Vec<Item>, RepoError> {
    let mut items = Vec::new();
    for key in new.metadata.difference(&old.metadata) {
        items.push(Item {
            key: *key,
            path: String::new(),
            size: metadata_size(repo, key)?,
            program: None,
            from: None,
        });
    }
    let known: BTreeSet<FileId> = old.files.values().copied().collect();
    let mut seen = BTreeSet::new();
    let mut predecessors = Predecessors::new(repo, &old, &new)?;
    for (path, id) in &new.files {
        if known.contains(id) || !seen.insert(*id) {
            continue;
        }
        let properties = FileProperties::of(repo, *id)?;
        items.push(Item {
            key: ObjectKey {
                kind: ObjectKind::File,
                checksum: Sha256(*id.as_bytes()),
            },
            size: properties.size,
            program: properties.program(repo, *id)?,
            from: predecessors.of(repo, path, *id, &properties)?,
            path: path.clone(),
        });
    }
    Ok(items)
}

fn metadata_size(repo: &Repo, key: &ObjectKey) -> Result<u64, RepoError> {
    repo.as_ostree()
        .query_object_storage_size(
            key.kind.to_ostree(),
            &key.checksum.to_string(),
            gio::Cancellable::NONE,
        )
        .map_err(|source| repo.failed(&format!("read object {key}"), source))
}

/// Properties of a file that are known without reading its content.
struct FileProperties {
    size: u64,
    regular: bool,
    world_readable: bool,
}

impl FileProperties {
    fn of(repo: &Repo, id: FileId) -> Result<Self, RepoError> {
        let file = repo.file(id)?;
        Ok(Self {
            size: file.size,
            regular: !file.header.is_symlink(),
            world_readable: file.header.mode & WORLD_READABLE != 0,
        })
    }

    /// Returns true if a patch can be based on the file. A client may not be able to read files without
    /// world read permission; libostree does the same.
    fn is_usable(&self) -> bool {
        self.regular && self.world_readable && self.size > 0
    }

    fn program(&self, repo: &Repo, id: FileId) -> Result<Option<Arch>, RepoError> {
        if !self.regular || self.size < MIN_PROGRAM {
            return Ok(None);
        }
        let mut start = [0; 20];
        repo.file(id)?.read(&mut start)?;
        let machine = elf_machine(&start);
        let mut known = Arch::ALL.into_iter();
        Ok(known.find(|arch| machine == Some(arch.elf_machine())))
    }
}

/// Finds old files by path, else by name among files whose path no longer exists; those that are
/// named by their content, by similarity.
struct Predecessors<'t> {
    by_path: &'t BTreeMap<String, FileId>,
    removed: BTreeMap<&'t str, Vec<FileId>>,
    similar: Similar,
}

impl<'t> Predecessors<'t> {
    fn new(repo: &Repo, old: &'t Tree, new: &Tree) -> Result<Self, RepoError> {
        let mut removed: BTreeMap<&str, Vec<FileId>> = BTreeMap::new();
        let mut named_by_content = Vec::new();
        for (path, id) in &old.files {
            if new.files.contains_key(path) {
                continue;
            }
            removed.entry(basename(path)).or_default().push(*id);
            if is_named_by_content(path) {
                let properties = FileProperties::of(repo, *id)?;
                if properties.is_usable() {
                    named_by_content.push((properties.size, *id));
                }
            }
        }
        Ok(Self {
            by_path: &old.files,
            removed,
            similar: Similar::new(named_by_content),
        })
    }

    fn of(
        &mut self,
        repo: &Repo,
        path: &str,
        id: FileId,
        new: &FileProperties,
    ) -> Result<Option<FileId>, RepoError> {
        if !new.regular || new.size < MIN_PATCHED {
            return Ok(None);
        }
        let same = self.by_path.get(path);
        let renamed = self.removed.get(basename(path)).into_iter().flatten();
        let mut best = None;
        for id in same.into_iter().chain(renamed.filter(|_| same.is_none())) {
            let old = FileProperties::of(repo, *id)?;
            if old.is_usable() && old.size + new.size <= MAX_PATCHED {
                let candidate = (old.size.abs_diff(new.size), *id);
                best = best.into_iter().chain([candidate]).min();
            }
        }
        if let Some((_, old)) = best {
            return Ok(Some(old));
        }
        match is_named_by_content(path) {
            true => self.similar.find(repo, id, new.size, MAX_PATCHED),
            false => Ok(None),
        }
    }
}

fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
