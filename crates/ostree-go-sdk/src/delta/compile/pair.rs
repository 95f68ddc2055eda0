//! Which objects are new, and which old file each may be a version of.

use super::reach::Tree;
use crate::arch::Arch;
use crate::delta::format::{ObjectKey, ObjectKind};
use crate::golang::elf::elf_machine;
use crate::id::{FileId, Sha256};
use crate::repo::{Repo, RepoError};
use gio::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The most bytes of an old and a new file together that are made a patch of: libostree's own
/// limit, which is what a client has to have in memory. Source: `max_bsdiff_size`
/// (`ostree_repo_static_delta_generate`).
const MOST_PATCHED: u64 = 128_000_000;
/// Smaller files are sent whole: the old file's checksum alone takes 32 bytes.
const LEAST_PATCHED: u64 = 256;
/// Smaller files are not looked at for being programs: Go's own are larger, and its test data, of all
/// machines, is in good company elsewhere.
const LEAST_PROGRAM: u64 = 1 << 20;
const REGULAR: gio::FileType = gio::FileType::Regular;
/// That everybody may read a file.
const WORLD_READABLE: u32 = 0o004;

/// An object that the delta has to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) key: ObjectKey,
    /// Where it is in the tree; empty for directories' objects.
    pub(super) path: String,
    /// Bytes of its content, or of a metadata object about.
    pub(super) size: u64,
    /// Which machine it is a program for.
    pub(super) program: Option<Arch>,
    /// The old file that a patch could start from.
    pub(super) from: Option<FileId>,
}

/// The objects of `new` that `old` has not.
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
    let predecessors = Predecessors::new(&old, &new);
    for (path, id) in &new.files {
        if known.contains(id) || !seen.insert(*id) {
            continue;
        }
        let facts = Facts::of(repo, *id)?;
        items.push(Item {
            key: ObjectKey {
                kind: ObjectKind::File,
                checksum: Sha256(*id.as_bytes()),
            },
            size: facts.size,
            program: facts.program(repo, *id)?,
            from: predecessors.of(repo, path, &facts)?,
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

/// What is known of a file without reading its content.
struct Facts {
    size: u64,
    regular: bool,
    world_readable: bool,
}

impl Facts {
    fn of(repo: &Repo, id: FileId) -> Result<Self, RepoError> {
        let (_, info, _) = load(repo, id)?;
        Ok(Self {
            size: info.size().try_into().unwrap_or(0),
            regular: info.file_type() == REGULAR,
            world_readable: info.attribute_uint32("unix::mode") & WORLD_READABLE != 0,
        })
    }

    fn program(&self, repo: &Repo, id: FileId) -> Result<Option<Arch>, RepoError> {
        if !self.regular || self.size < LEAST_PROGRAM {
            return Ok(None);
        }
        let mut start = [0; 20];
        if let (Some(content), ..) = load(repo, id)? {
            content
                .read_all(&mut start, gio::Cancellable::NONE)
                .map_err(|source| repo.failed(&format!("read object {id}"), source))?;
        }
        let machine = elf_machine(&start);
        let mut known = Arch::ALL.into_iter();
        Ok(known.find(|arch| machine == Some(arch.elf_machine())))
    }
}

type Loaded = (Option<gio::InputStream>, gio::FileInfo, glib::Variant);

/// A file's content, unless it is a symlink, and its header.
pub(super) fn load(repo: &Repo, id: FileId) -> Result<Loaded, RepoError> {
    repo.as_ostree()
        .load_file(&id.to_string(), gio::Cancellable::NONE)
        .map_err(|source| repo.failed(&format!("read object {id}"), source))
}

/// Finds old files by path, else by name among those whose path is gone.
struct Predecessors<'t> {
    by_path: &'t BTreeMap<String, FileId>,
    gone: BTreeMap<&'t str, Vec<FileId>>,
}

impl<'t> Predecessors<'t> {
    fn new(old: &'t Tree, new: &Tree) -> Self {
        let mut gone: BTreeMap<&str, Vec<FileId>> = BTreeMap::new();
        for (path, id) in &old.files {
            if !new.files.contains_key(path) {
                gone.entry(basename(path)).or_default().push(*id);
            }
        }
        Self {
            by_path: &old.files,
            gone,
        }
    }

    fn of(&self, repo: &Repo, path: &str, new: &Facts) -> Result<Option<FileId>, RepoError> {
        if !new.regular || new.size < LEAST_PATCHED {
            return Ok(None);
        }
        let same = self.by_path.get(path);
        let renamed = self.gone.get(basename(path)).into_iter().flatten();
        let mut best = None;
        for id in same.into_iter().chain(renamed.filter(|_| same.is_none())) {
            let old = Facts::of(repo, *id)?;
            // A client may not be able to read what not everybody can, as libostree has it.
            let usable = old.regular && old.world_readable && old.size > 0;
            if usable && old.size + new.size <= MOST_PATCHED {
                let candidate = (old.size.abs_diff(new.size), *id);
                best = best.into_iter().chain([candidate]).min();
            }
        }
        Ok(best.map(|(_, id)| id))
    }
}

fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
