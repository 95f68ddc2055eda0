//! Comparing a deployed tree with its commit, file by file.
//!
//! The commit object and every directory object in the repository are hashed on the way down,
//! then every deployed file. Nothing of the repository is believed, and no network is needed.

use crate::checkout::{Directory, Listing};
use crate::fs::digest;
use crate::id::{CommitId, FileId, Sha256};
use crate::object::{FileHasher, FileHeader};
use crate::parallel;
use crate::progress::Progress;
use crate::repo::{Repo, RepoError, Seen};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file of a deployment that is not what its commit says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct DamagedFile {
    /// Its path in the tree, without a leading `/`; empty for the tree's own objects.
    pub path: String,
    /// What is wrong with it.
    pub problem: FileProblem,
    /// The object that it should be or that describes it, by checksum and type:
    /// `00ff….file`, `00ff….dirtree`. None for a directory itself and for a path that should
    /// not be.
    pub object: Option<String>,
}

impl DamagedFile {
    fn new(path: &Path, problem: FileProblem, object: Option<String>) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            problem,
            object,
        }
    }

    fn file(path: &Path, problem: FileProblem, object: FileId) -> Self {
        Self::new(path, problem, Some(format!("{object}.file")))
    }
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
    /// Its content, its type, or who may read and execute it differs.
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

/// Compares the tree at `top` with a commit's, on every core. Write bits do not count. Files
/// that the repository's handle [knows](Repo::seen) are not read.
///
/// # Errors
/// When the caller asks for a stop; damage is the result.
pub(super) fn compare(
    repo: &Repo,
    listing: &Listing,
    top: &Path,
    progress: &dyn Progress,
) -> Result<Vec<DamagedFile>, RepoError> {
    let mut damaged = undescribed(listing);
    let mut unknown = Vec::new();
    let look = |repo: &mut Repo, dir: &Directory| {
        Ok::<_, Infallible>((directory(top, dir), unseen(repo.seen(), top, dir)))
    };
    let Ok(looked) = parallel::each(&listing.dirs, || repo.clone(), look);
    for (problems, files) in looked {
        damaged.extend(problems);
        unknown.extend(files);
    }
    let about = top.to_string_lossy();
    let state = || (repo.clone(), vec![0; digest::CHUNK]);
    let problem = |(repo, buffer): &mut (Repo, Vec<u8>), (path, id): &(PathBuf, FileId)| {
        let problem = check(repo, &top.join(path), *id, buffer)?;
        Some(DamagedFile::file(path, problem, *id))
    };
    let found = parallel::check(&unknown, &about, progress, state, problem);
    damaged.extend(found.ok_or(RepoError::Cancelled)?);
    damaged.sort();
    Ok(damaged)
}

/// What a commit's tree lacks in the repository: objects of directories that are damaged or
/// missing, objects of files that are missing.
pub(super) fn absent(repo: &Repo, commit: CommitId) -> Vec<DamagedFile> {
    let listing = Listing::read(repo, commit);
    let has = |id: FileId| {
        let kind = ostree::ObjectType::File;
        let found = repo.as_ostree();
        found.has_object(kind, &id.to_string(), gio::Cancellable::NONE)
    };
    let gone = files(&listing)
        .filter(|(_, id)| matches!(has(*id), Ok(false)))
        .map(|(path, id)| DamagedFile::file(&path, FileProblem::Missing, id));
    undescribed(&listing).into_iter().chain(gone).collect()
}

fn files(listing: &Listing) -> impl Iterator<Item = (PathBuf, FileId)> {
    listing.dirs.iter().flat_map(|dir| {
        let files = dir.files.iter();
        files.map(|(name, id)| (dir.path.join(name), *id))
    })
}

/// The files of a directory that have to be read.
fn unseen(seen: &Seen, top: &Path, dir: &Directory) -> Vec<(PathBuf, FileId)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(top.join(&dir.path), flags, Mode::empty());
    let is_seen = |name: &str, id| {
        let Ok(folder) = &folder else { return false };
        let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| seen.is(&found, id))
    };
    let files = dir.files.iter();
    files
        .filter(|(name, id)| !is_seen(name, *id))
        .map(|(name, id)| (dir.path.join(name), *id))
        .collect()
}

fn undescribed(listing: &Listing) -> Vec<DamagedFile> {
    let damaged = listing.damaged.iter();
    damaged
        .map(|(path, object)| {
            DamagedFile::new(path, FileProblem::Undescribed, Some(object.clone()))
        })
        .collect()
}

/// What is wrong with a directory itself, and with what is in it that should not be.
fn directory(top: &Path, expected: &Directory) -> Vec<DamagedFile> {
    let (path, full) = (&expected.path, top.join(&expected.path));
    let problem = match full.symlink_metadata() {
        Ok(found) if found.is_dir() && same_access(found.permissions().mode(), expected.mode) => {
            None
        }
        Ok(_) => Some(FileProblem::Changed),
        Err(_) => Some(FileProblem::Missing),
    };
    let mut damaged = Vec::new();
    damaged.extend(problem.map(|problem| DamagedFile::new(path, problem, None)));
    if !full.is_dir() {
        return damaged;
    }
    let Ok(entries) = fs::read_dir(&full) else {
        damaged.push(DamagedFile::new(path, FileProblem::Unreadable, None));
        return damaged;
    };
    let names = expected.files.iter().map(|(name, _)| name);
    let known: HashSet<&str> = names.chain(&expected.dirs).map(String::as_str).collect();
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| known.contains(name)) {
            let extra = path.join(name);
            damaged.push(DamagedFile::new(&extra, FileProblem::Extra, None));
        }
    }
    damaged
}

/// Whether two modes let the same users read and execute.
fn same_access(one: u32, other: u32) -> bool {
    (one ^ other) & 0o555 == 0
}

fn check(repo: &Repo, path: &Path, id: FileId, buffer: &mut [u8]) -> Option<FileProblem> {
    let found = match rustix::fs::lstat(path) {
        Ok(found) if repo.seen().is(&found, id) => return None,
        Ok(found) => found,
        Err(Errno::NOENT) => return Some(FileProblem::Missing),
        Err(_) => return Some(FileProblem::Unreadable),
    };
    match hash(path, found.st_mode, buffer) {
        Ok(Some(hashed)) if hashed == id => {
            repo.seen().add(&found, id);
            None
        }
        // A tree of other origin may have owners or xattrs, which only the object knows.
        Ok(_) if is_object(repo, path, id) => None,
        Ok(_) => Some(FileProblem::Changed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(FileProblem::Missing),
        Err(_) => Some(FileProblem::Unreadable),
    }
}

/// The checksum of a deployed file as the composer would have written it.
fn hash(path: &Path, mode: u32, buffer: &mut [u8]) -> io::Result<Option<FileId>> {
    let kind = FileType::from_raw_mode(mode);
    if kind == FileType::Symlink {
        let target = fs::read_link(path)?;
        let Some(target) = target.to_str().map(str::to_owned) else {
            return Ok(None);
        };
        return Ok(Some(
            FileHasher::new(&FileHeader::Symlink { target }).finish(),
        ));
    }
    if kind != FileType::RegularFile {
        return Ok(None);
    }
    let header = FileHeader::Regular {
        executable: mode & 0o111 != 0,
    };
    if !same_access(mode, header.mode()) {
        return Ok(None);
    }
    let mut hasher = FileHasher::new(&header);
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
/// object has in the repository; who may read and execute it must be the object's.
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
        // libostree lets the owner of an object read it.
        let mode = info.attribute_uint32("unix::mode") | 0o400;
        if !same_access(mode, metadata.permissions().mode()) {
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
