//! Comparing a deployed tree with its commit, file by file.
//!
//! The commit's checksum is where trust starts: the commit object and every directory object
//! in the repository are hashed on the way down, then every deployed file. Nothing of the
//! repository is believed, and no network is needed.

use crate::fs::digest;
use crate::id::{CommitId, DirTreeId, FileId, Sha256};
use crate::object::{Commit, DirTree, FileHasher, FileHeader};
use crate::progress::{Event, Phase, Progress};
use crate::repo::{Repo, RepoError};
use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A file of a deployment that is not what its commit says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct DamagedFile {
    /// Its path in the tree, without a leading `/`; empty for the tree's own objects.
    pub path: String,
    /// What is wrong with it.
    pub problem: FileProblem,
    /// The object it should be; none for a path that should not be.
    pub object: Option<FileId>,
}

impl fmt::Display for DamagedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{} {}", self.path, self.problem)
    }
}

/// What is wrong with a deployed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FileProblem {
    /// It is not there.
    Missing,
    /// Its content, its type or its execute bit differs.
    Changed,
    /// The commit has no such path.
    Extra,
    /// It cannot be read.
    Unreadable,
    /// The object that describes the directory is damaged or missing in the repository.
    Undescribed,
}

impl FileProblem {
    /// A stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Extra => "extra",
            Self::Unreadable => "unreadable",
            Self::Undescribed => "undescribed",
        }
    }
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Changed => "is changed",
            Self::Extra => "is not in the commit",
            Self::Unreadable => "cannot be read",
            Self::Undescribed => "has a damaged or missing directory object in the repository",
        })
    }
}

/// A file to check.
struct Expected {
    path: PathBuf,
    id: FileId,
}

/// Compares the tree at `top` with a commit, on every core. Write bits do not count.
///
/// # Errors
/// When the caller asks for a stop; damage is the result.
pub(super) fn compare(
    repo: &Repo,
    commit: CommitId,
    top: &Path,
    progress: &dyn Progress,
) -> Result<Vec<DamagedFile>, RepoError> {
    let mut walk = Walk {
        repo,
        top,
        files: Vec::new(),
        damaged: Vec::new(),
    };
    match root(repo, commit) {
        Some(tree) => walk.directory(Path::new(""), tree),
        None => walk.report(Path::new(""), FileProblem::Undescribed, None),
    }
    let Walk {
        files, mut damaged, ..
    } = walk;
    damaged.extend(check_all(repo, top, &files, progress)?);
    damaged.sort();
    Ok(damaged)
}

fn root(repo: &Repo, commit: CommitId) -> Option<DirTreeId> {
    let object = ostree::ObjectType::Commit;
    let variant = repo
        .as_ostree()
        .load_variant(object, &commit.to_string())
        .ok()?;
    let intact = CommitId::from(digest::of(variant.data())) == commit;
    intact
        .then(|| Commit::parse(&variant))
        .flatten()
        .map(|c| c.tree)
}

struct Walk<'a> {
    repo: &'a Repo,
    top: &'a Path,
    files: Vec<Expected>,
    damaged: Vec<DamagedFile>,
}

impl Walk<'_> {
    fn report(&mut self, path: &Path, problem: FileProblem, object: Option<FileId>) {
        self.damaged.push(DamagedFile {
            path: path.to_string_lossy().into_owned(),
            problem,
            object,
        });
    }

    fn directory(&mut self, at: &Path, id: DirTreeId) {
        let full = self.top.join(at);
        let is_dir = full.symlink_metadata().map(|metadata| metadata.is_dir());
        match is_dir {
            Ok(true) => {}
            Ok(false) => return self.report(at, FileProblem::Changed, None),
            Err(_) => return self.report(at, FileProblem::Missing, None),
        }
        let Some(tree) = self.dirtree(id) else {
            return self.report(at, FileProblem::Undescribed, None);
        };
        let mut known = HashSet::new();
        for (name, id) in tree.files {
            self.files.push(Expected {
                path: at.join(&name),
                id,
            });
            known.insert(name);
        }
        for (name, id, _) in tree.dirs {
            self.directory(&at.join(&name), id);
            known.insert(name);
        }
        let Ok(entries) = fs::read_dir(&full) else {
            return self.report(at, FileProblem::Unreadable, None);
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !name.to_str().is_some_and(|name| known.contains(name)) {
                self.report(&at.join(name), FileProblem::Extra, None);
            }
        }
    }

    fn dirtree(&self, id: DirTreeId) -> Option<DirTree> {
        let object = ostree::ObjectType::DirTree;
        let variant = self
            .repo
            .as_ostree()
            .load_variant(object, &id.to_string())
            .ok()?;
        let intact = DirTreeId::from(digest::of(variant.data())) == id;
        intact.then(|| DirTree::parse(&variant)).flatten()
    }
}

fn check_all(
    repo: &Repo,
    top: &Path,
    files: &[Expected],
    progress: &dyn Progress,
) -> Result<Vec<DamagedFile>, RepoError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let item = top.to_string_lossy();
    let work = |repo: Repo| {
        let mut damaged = Vec::new();
        let mut buffer = vec![0; digest::CHUNK];
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            if progress.is_cancelled() {
                return Err(RepoError::Cancelled);
            }
            if let Some(problem) = check(&repo, &top.join(&file.path), file.id, &mut buffer) {
                damaged.push(DamagedFile {
                    path: file.path.to_string_lossy().into_owned(),
                    problem,
                    object: Some(file.id),
                });
            }
            progress.event(&Event::Advanced {
                phase: Phase::Fsck,
                item: &item,
                done: done.fetch_add(1, Ordering::Relaxed) + 1,
                total: Some(files.len() as u64),
            });
        }
        Ok(damaged)
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (repo, work) = (repo.clone(), &work);
                scope.spawn(move || work(repo))
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    progress.event(&Event::Finished {
        phase: Phase::Fsck,
        item: &item,
    });
    let mut damaged = Vec::new();
    for found in results {
        damaged.extend(found?);
    }
    Ok(damaged)
}

fn check(repo: &Repo, path: &Path, id: FileId, buffer: &mut [u8]) -> Option<FileProblem> {
    match hash(path, buffer) {
        Ok(Some(found)) if found == id => None,
        // A tree of other origin may have owners or xattrs, which only the object knows.
        Ok(Some(_)) if is_object(repo, path, id) => None,
        Ok(_) => Some(FileProblem::Changed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(FileProblem::Missing),
        Err(_) => Some(FileProblem::Unreadable),
    }
}

/// The checksum of a deployed file as the composer would have written it.
fn hash(path: &Path, buffer: &mut [u8]) -> io::Result<Option<FileId>> {
    let metadata = path.symlink_metadata()?;
    if metadata.is_symlink() {
        let target = fs::read_link(path)?;
        let Some(target) = target.to_str().map(str::to_owned) else {
            return Ok(None);
        };
        return Ok(Some(
            FileHasher::new(&FileHeader::Symlink { target }).finish(),
        ));
    }
    if !metadata.is_file() {
        return Ok(None);
    }
    let executable = metadata.permissions().mode() & 0o111 != 0;
    let mut hasher = FileHasher::new(&FileHeader::Regular { executable });
    let mut file = File::open(path)?;
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(Some(hasher.finish())),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a file has the checksum of an object under the owner, mode and xattrs that the
/// object has in the repository; its execute bit must be the object's.
fn is_object(repo: &Repo, path: &Path, id: FileId) -> bool {
    use gio::prelude::*;
    let Ok((_, info, xattrs)) = repo
        .as_ostree()
        .load_file(&id.to_string(), gio::Cancellable::NONE)
    else {
        return false;
    };
    let Ok(metadata) = path.symlink_metadata() else {
        return false;
    };
    let input = if metadata.is_file() {
        let mode = info.attribute_uint32("unix::mode");
        if (mode ^ metadata.permissions().mode()) & 0o100 != 0 {
            return false;
        }
        info.set_size(i64::try_from(metadata.len()).unwrap_or(i64::MAX));
        match gio::File::for_path(path).read(gio::Cancellable::NONE) {
            Ok(input) => Some(input),
            Err(_) => return false,
        }
    } else {
        let target = fs::read_link(path).unwrap_or_default();
        info.set_symlink_target(&target);
        None
    };
    let found = ostree::checksum_file_from_input(
        &info,
        Some(&xattrs),
        input.as_ref(),
        ostree::ObjectType::File,
        gio::Cancellable::NONE,
    );
    found.is_ok_and(|sum| {
        let sum: Option<Sha256> = sum.to_hex().parse().ok();
        sum.map(FileId::from) == Some(id)
    })
}
