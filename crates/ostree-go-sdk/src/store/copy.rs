//! Copies a commit from another repository on this machine, on all cores.

use super::{Content, ObjectWriter, StoreError, writer};
use crate::id::{CommitId, DirTreeId, FileId};
use crate::object::{AnyHeader, Commit, DirTree, MetadataObject, parse_archived};
use crate::parallel;
use crate::progress::{Event, Phase, Progress};
use crate::repo::{Repo, RepoError, RepoMode, StoredFile, Transaction};
use libdeflater::Decompressor;
use ostree::ObjectType;
use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Files whose stored form is larger than this, in bytes, are not read into memory as a whole.
const MAX_WHOLE: u64 = 16 << 20;

/// Copies a commit with its detached metadata and all objects that the transaction's repository
/// lacks. The checksum of every object is verified. `item` names the commit in progress events.
///
/// # Errors
/// Returns an error if an object is missing or damaged, the repository cannot be written, or the
/// operation is cancelled.
pub(crate) fn copy_commit(
    transaction: &Transaction<'_>,
    from: &Repo,
    id: CommitId,
    item: &str,
    progress: &dyn Progress,
) -> Result<(), StoreError> {
    let repo = transaction.repo();
    let variant = from.verified_metadata(ObjectType::Commit, id)?;
    let commit = Commit::parse(&variant).ok_or_else(|| from.malformed("commit", id))?;
    let files = copy_directories(transaction, from, &commit, progress)?;
    copy_files(transaction, from, &files, item, progress)?;
    transaction.write(ObjectType::Commit, &MetadataObject { id, variant })?;
    if let Some(detached) = from.detached_variant(id)?
        && repo.detached_variant(id)?.as_ref() != Some(&detached)
    {
        repo.write_detached(id, &detached)?;
    }
    Ok(())
}

/// A file to copy, and the size of its stored form in bytes.
#[derive(Debug, Clone, Copy)]
struct File {
    id: FileId,
    size: u64,
}

/// Copies the directories of a commit, and returns the files that the repository lacks.
fn copy_directories(
    transaction: &Transaction<'_>,
    from: &Repo,
    commit: &Commit,
    progress: &dyn Progress,
) -> Result<Vec<File>, StoreError> {
    let target = writer(transaction);
    let (mut seen_trees, mut seen_metas) = (HashSet::new(), HashSet::new());
    let (mut seen_files, mut files) = (HashSet::new(), Vec::new());
    let mut todo = vec![(commit.tree, commit.meta)];
    while let Some((id, meta)) = todo.pop() {
        if progress.is_cancelled() {
            return Err(RepoError::Cancelled.into());
        }
        if seen_metas.insert(meta) {
            let variant = from.verified_metadata(ObjectType::DirMeta, meta)?;
            transaction.write(ObjectType::DirMeta, &MetadataObject { id: meta, variant })?;
        }
        if !seen_trees.insert(id) {
            continue;
        }
        let variant = from.verified_metadata(ObjectType::DirTree, id)?;
        let tree = parse_tree(from, id, &variant)?;
        transaction.write(ObjectType::DirTree, &MetadataObject { id, variant })?;
        for (_, file) in tree.files {
            if seen_files.insert(file) && !target.has(file)? {
                let stored = from.file_object_path(file).metadata();
                let size = stored.map_or(0, |stored| stored.len());
                files.push(File { id: file, size });
            }
        }
        todo.extend(tree.dirs.into_iter().map(|(_, tree, meta)| (tree, meta)));
    }
    Ok(files)
}

/// Parses a directory, whose names must be in order: libostree searches them by bisection.
fn parse_tree(from: &Repo, id: DirTreeId, variant: &glib::Variant) -> Result<DirTree, RepoError> {
    let tree = DirTree::parse(variant).filter(|tree| tree.misordered_name().is_none());
    tree.ok_or_else(|| from.malformed("dirtree", id))
}

fn copy_files(
    transaction: &Transaction<'_>,
    from: &Repo,
    files: &[File],
    item: &str,
    progress: &dyn Progress,
) -> Result<(), StoreError> {
    let total = files.iter().map(|file| file.size).sum();
    let done = AtomicU64::new(0);
    let state = || Copier::new(transaction, from);
    let copied = parallel::map(files, state, |copier, file| {
        if progress.is_cancelled() {
            return Err(RepoError::Cancelled.into());
        }
        copier.copy(*file)?;
        progress.event(&Event::Advanced {
            phase: Phase::Write,
            item,
            done: done.fetch_add(file.size, Ordering::Relaxed) + file.size,
            total: Some(total),
        });
        Ok(())
    });
    progress.event(&Event::Finished {
        phase: Phase::Write,
        item,
    });
    copied.map(drop)
}

/// Copies file objects. Each thread has its own.
struct Copier {
    from: Repo,
    writer: Box<dyn ObjectWriter>,
    /// The repository, if its objects have the same form, so that a file can be linked or cloned
    /// after its checksum was verified.
    same_mode: Option<Repo>,
    is_archive: bool,
    spool_in: PathBuf,
    inflate: Decompressor,
}

impl Copier {
    fn new(transaction: &Transaction<'_>, from: &Repo) -> Self {
        let repo = transaction.repo();
        Self {
            from: from.clone(),
            writer: writer(transaction),
            same_mode: (repo.mode() == from.mode()).then(|| repo.clone()),
            is_archive: from.mode() == RepoMode::Archive,
            spool_in: repo.path().join("tmp"),
            inflate: Decompressor::new(),
        }
    }

    fn copy(&mut self, File { id, size }: File) -> Result<(), StoreError> {
        // An object in a parent repository is not at the path, and has no size.
        let archived = match self.is_archive && size > 0 && size <= MAX_WHOLE {
            true => self.read_archived(id),
            false => None,
        };
        let (header, content) = match archived {
            Some(read) => read,
            None => self.read(id)?,
        };
        let found = content
            .checksum(&header)
            .map_err(|source| self.spool_error(source))?;
        if found != id {
            return Err(RepoError::ChecksumMismatch {
                id,
                found: Box::new(found),
                path: self.from.path().to_owned(),
            }
            .into());
        }
        match &self.same_mode {
            Some(repo) => repo.import_verified_file(&self.from, id)?,
            None => match header.to_composed() {
                Some(composed) => self.writer.write(id, &composed, &content)?,
                None => self.writer.write_any(id, &header, &content)?,
            },
        }
        Ok(())
    }

    /// Reads an object of an `archive` repository, in half the time that libostree needs. Returns
    /// `None` if that fails for any reason: libostree then reads the object, or describes the
    /// failure.
    fn read_archived(&mut self, id: FileId) -> Option<(AnyHeader, Content)> {
        let stored = std::fs::read(self.from.file_object_path(id)).ok()?;
        let (header, size, start) = parse_archived(&stored)?;
        if header.is_symlink() {
            return Some((header, Vec::new().into()));
        }
        if size > Content::max_memory(size) {
            return None;
        }
        let mut content = vec![0; usize::try_from(size).ok()?];
        let inflated = self
            .inflate
            .deflate_decompress(stored.get(start..)?, &mut content);
        (inflated == Ok(content.len())).then(|| (header, content.into()))
    }

    fn read(&self, id: FileId) -> Result<(AnyHeader, Content), StoreError> {
        let file = self.from.file(id)?;
        let content = Content::read(&mut ContentReader(&file), file.size, &self.spool_in);
        let content = content.map_err(|source| match source.downcast::<RepoError>() {
            Ok(error) => error.into(),
            Err(source) => self.spool_error(source),
        })?;
        Ok((file.header, content))
    }

    fn spool_error(&self, source: io::Error) -> StoreError {
        StoreError::Spool {
            path: self.spool_in.clone(),
            source,
        }
    }
}

/// Reads the content of a stored file. Errors contain a [`RepoError`].
struct ContentReader<'f>(&'f StoredFile<'f>);

impl io::Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(io::Error::other)
    }
}
