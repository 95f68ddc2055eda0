//! Comparison of a deployed tree with its commit, file by file.
//!
//! The commit object and all directory objects in the repository are hashed first, then every
//! deployed file. The repository is not trusted, and no network is used.

use crate::checkout::{Directory, Listing};
use crate::fs::context::{IoContext, IoFailure};
use crate::fs::digest;
use crate::id::{CommitId, FileId, Sha256};
use crate::object::{FileHasher, FileHeader};
use crate::parallel;
use crate::progress::Progress;
use crate::repo::{KnownFiles, Repo, RepoError};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file of a deployment that differs from its commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct DamagedFile {
    /// The path in the tree, without a leading `/`; empty for the root directory and the commit
    /// object.
    pub path: String,
    /// The difference.
    pub problem: FileProblem,
    /// The object that the file should be, or the object that describes the directory, by checksum
    /// and type: `00ff….file`, `00ff….dirtree`. `None` for the directory itself and for a path that
    /// should not exist.
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

/// A difference between a deployed file and its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FileProblem {
    /// The file does not exist.
    Missing,
    /// The content, the type, or the read or execute permissions differ.
    Changed,
    /// The commit does not have this path.
    Extra,
    /// The file cannot be read.
    Unreadable,
    /// The directory object is damaged or missing in the repository. The stable word is
    /// `undescribed`.
    DirectoryObject,
}

impl FileProblem {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Extra => "extra",
            Self::Unreadable => "unreadable",
            Self::DirectoryObject => "undescribed",
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
            Self::DirectoryObject => "has a damaged or missing directory object in the repository",
        })
    }
}

/// Compares the tree at `top` with a commit's tree, on all cores. Write bits are ignored. Files
/// that are [known](Repo::known_files) to be unchanged are not read.
///
/// # Errors
/// Returns an error if the system fails to read the status of an existing file, or the operation is
/// cancelled. Damage is not an error but part of the result.
pub(super) fn compare(
    repo: &Repo,
    listing: &Listing,
    top: &Path,
    progress: &dyn Progress,
) -> Result<Vec<DamagedFile>, RepoError> {
    let mut damaged = damaged_directories(listing);
    let mut unknown = Vec::new();
    let look = |repo: &mut Repo, dir: &Directory| {
        Ok::<_, RepoError>((
            directory(top, dir)?,
            files_to_read(repo.known_files(), top, dir),
        ))
    };
    for (problems, files) in parallel::map(&listing.dirs, || repo.clone(), look)? {
        damaged.extend(problems);
        unknown.extend(files);
    }
    let about = top.to_string_lossy();
    let state = || (repo.clone(), vec![0; digest::CHUNK]);
    let problem = |(repo, buffer): &mut (Repo, Vec<u8>), (path, id): &(PathBuf, FileId)| {
        let problem = check(repo, &top.join(path), *id, buffer).transpose()?;
        Some(problem.map(|problem| DamagedFile::file(path, problem, *id)))
    };
    let found = parallel::find_problems(&unknown, &about, progress, state, problem);
    for file in found.ok_or(RepoError::Cancelled)? {
        damaged.push(file?);
    }
    damaged.sort();
    Ok(damaged)
}

/// Returns the objects of a commit's tree that are not intact in the repository: directory objects
/// that are damaged or missing, and file objects that are missing.
pub(super) fn missing_objects(
    repo: &Repo,
    commit: CommitId,
) -> Result<Vec<DamagedFile>, RepoError> {
    let listing = Listing::read(repo, commit)?;
    let mut missing = damaged_directories(&listing);
    for (path, id) in files(&listing) {
        if !repo.has_object(ostree::ObjectType::File, id)? {
            missing.push(DamagedFile::file(&path, FileProblem::Missing, id));
        }
    }
    Ok(missing)
}

fn files(listing: &Listing) -> impl Iterator<Item = (PathBuf, FileId)> {
    listing.dirs.iter().flat_map(|dir| {
        let files = dir.files.iter();
        files.map(|(name, id)| (dir.path.join(name), *id))
    })
}

/// Returns the files of a directory that have to be read because they are not known to be
/// unchanged.
fn files_to_read(known: &KnownFiles, top: &Path, dir: &Directory) -> Vec<(PathBuf, FileId)> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(top.join(&dir.path), flags, Mode::empty());
    let is_known = |name: &str, id| {
        let Ok(folder) = &folder else { return false };
        let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| known.contains(&found, id))
    };
    let files = dir.files.iter();
    files
        .filter(|(name, id)| !is_known(name, *id))
        .map(|(name, id)| (dir.path.join(name), *id))
        .collect()
}

fn damaged_directories(listing: &Listing) -> Vec<DamagedFile> {
    let damaged = listing.damaged.iter();
    damaged
        .map(|(path, object)| {
            DamagedFile::new(path, FileProblem::DirectoryObject, Some(object.clone()))
        })
        .collect()
}

/// Compares a directory's mode and the names of its entries with the commit.
fn directory(top: &Path, expected: &Directory) -> Result<Vec<DamagedFile>, RepoError> {
    let (path, full) = (&expected.path, top.join(&expected.path));
    let damage = |problem| vec![DamagedFile::new(path, problem, None)];
    let found = match full.symlink_metadata() {
        Ok(found) if found.is_dir() => found,
        Ok(_) => return Ok(damage(FileProblem::Changed)),
        Err(error) => return Ok(damage(problem_of("look at", &full, error)?)),
    };
    let mut damaged = Vec::new();
    if !same_access(found.permissions().mode(), expected.mode) {
        damaged = damage(FileProblem::Changed);
    }
    let entries = fs::read_dir(&full).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            damaged.extend(damage(problem_of("read directory", &full, error)?));
            return Ok(damaged);
        }
    };
    let names = expected.files.iter().map(|(name, _)| name);
    let known: HashSet<&str> = names.chain(&expected.dirs).map(String::as_str).collect();
    for entry in entries {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| known.contains(name)) {
            let extra = path.join(name);
            damaged.push(DamagedFile::new(&extra, FileProblem::Extra, None));
        }
    }
    Ok(damaged)
}

/// Converts an error of accessing a deployed file to a problem: the file is missing, or its
/// permissions were changed.
///
/// # Errors
/// Returns all other errors, which say nothing about the file.
fn problem_of(
    action: &'static str,
    path: &Path,
    source: io::Error,
) -> Result<FileProblem, RepoError> {
    use io::ErrorKind as Kind;
    match source.kind() {
        Kind::NotFound | Kind::NotADirectory => Ok(FileProblem::Missing),
        Kind::PermissionDenied => Ok(FileProblem::Unreadable),
        _ => Err(IoFailure::new(action, path, source).into()),
    }
}

/// Returns true if two modes grant the same read and execute permissions.
fn same_access(one: u32, other: u32) -> bool {
    (one ^ other) & 0o555 == 0
}

fn check(
    repo: &Repo,
    path: &Path,
    id: FileId,
    buffer: &mut [u8],
) -> Result<Option<FileProblem>, RepoError> {
    let found = match rustix::fs::lstat(path) {
        Ok(found) if repo.known_files().contains(&found, id) => return Ok(None),
        Ok(found) => found,
        Err(error) => return problem_of("look at", path, error.into()).map(Some),
    };
    match hash(path, found.st_mode, buffer) {
        Ok(Hashed::Checksum(hashed)) if hashed == id => {
            repo.known_files().add(&found, id);
            Ok(None)
        }
        Ok(Hashed::Unreadable) => Ok(Some(FileProblem::Unreadable)),
        // A tree that another tool composed may have other owners or xattrs, which only the object
        // records.
        Ok(_) => {
            let is_object = is_object(repo, path, id)?;
            Ok((!is_object).then_some(FileProblem::Changed))
        }
        Err(error) => problem_of("read", path, error).map(Some),
    }
}

/// The result of hashing a deployed file.
enum Hashed {
    /// The checksum that the file has with the metadata that the composer writes.
    Checksum(FileId),
    /// The composer does not write files of this type or mode.
    Unsupported,
    /// The file exists, but its content cannot be read. This is damage to the file, which can be
    /// repaired.
    Unreadable,
}

fn hash(path: &Path, mode: u32, buffer: &mut [u8]) -> io::Result<Hashed> {
    let kind = FileType::from_raw_mode(mode);
    if kind == FileType::Symlink {
        let target = fs::read_link(path)?;
        let Some(target) = target.to_str().map(str::to_owned) else {
            return Ok(Hashed::Unsupported);
        };
        let hasher = FileHasher::new(&FileHeader::Symlink { target });
        return Ok(Hashed::Checksum(hasher.finish()));
    }
    if kind != FileType::RegularFile {
        return Ok(Hashed::Unsupported);
    }
    let header = FileHeader::Regular {
        executable: mode & 0o111 != 0,
    };
    if !same_access(mode, header.mode()) {
        return Ok(Hashed::Unsupported);
    }
    let mut hasher = FileHasher::new(&header);
    let mut file = File::open(path)?;
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(Hashed::Checksum(hasher.finish())),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(Hashed::Unreadable),
        }
    }
}

/// Returns true if a file has the checksum of an object, given the owner, mode and xattrs that the
/// object has in the repository, and if its read and execute permissions are the object's.
fn is_object(repo: &Repo, path: &Path, id: FileId) -> Result<bool, RepoError> {
    use gio::prelude::*;
    let (kind, checksum) = (ostree::ObjectType::File, id.to_string());
    let none = gio::Cancellable::NONE;
    let loaded = repo.check_object(kind, &checksum, || {
        repo.as_ostree().load_file(&checksum, none)
    })?;
    let Ok((_, info, xattrs)) = loaded else {
        return Ok(false);
    };
    let metadata = path.symlink_metadata().context("read", path)?;
    let input = if metadata.is_file() {
        // libostree always grants read permission to the owner of an object.
        let mode = info.attribute_uint32("unix::mode") | 0o400;
        if !same_access(mode, metadata.permissions().mode()) {
            return Ok(false);
        }
        info.set_size(i64::try_from(metadata.len()).unwrap_or(i64::MAX));
        let input = gio::File::for_path(path).read(none);
        let about = |source| repo.failed(&format!("compare {}", path.display()), source);
        Some(input.map_err(about)?)
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
        none,
    );
    Ok(found.is_ok_and(|sum| {
        let sum: Option<Sha256> = sum.to_hex().parse().ok();
        sum.map(FileId::from) == Some(id)
    }))
}
