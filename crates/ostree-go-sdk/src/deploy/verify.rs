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
use std::collections::HashSet;
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
/// When the system fails to look at a file that is there, or the caller asks for a stop; damage is
/// the result.
pub(super) fn compare(
    repo: &Repo,
    listing: &Listing,
    top: &Path,
    progress: &dyn Progress,
) -> Result<Vec<DamagedFile>, RepoError> {
    let mut damaged = undescribed(listing);
    let mut unknown = Vec::new();
    let look = |repo: &mut Repo, dir: &Directory| {
        Ok::<_, RepoError>((directory(top, dir)?, unseen(repo.seen(), top, dir)))
    };
    for (problems, files) in parallel::each(&listing.dirs, || repo.clone(), look)? {
        damaged.extend(problems);
        unknown.extend(files);
    }
    let about = top.to_string_lossy();
    let state = || (repo.clone(), vec![0; digest::CHUNK]);
    let problem = |(repo, buffer): &mut (Repo, Vec<u8>), (path, id): &(PathBuf, FileId)| {
        let problem = check(repo, &top.join(path), *id, buffer).transpose()?;
        Some(problem.map(|problem| DamagedFile::file(path, problem, *id)))
    };
    let found = parallel::check(&unknown, &about, progress, state, problem);
    for file in found.ok_or(RepoError::Cancelled)? {
        damaged.push(file?);
    }
    damaged.sort();
    Ok(damaged)
}

/// Returns the objects of a commit's tree that the repository lacks: those of directories that are
/// damaged or missing, and those of files that are missing.
pub(super) fn absent(repo: &Repo, commit: CommitId) -> Result<Vec<DamagedFile>, RepoError> {
    let listing = Listing::read(repo, commit)?;
    let mut absent = undescribed(&listing);
    for (path, id) in files(&listing) {
        let (kind, checksum) = (ostree::ObjectType::File, id.to_string());
        let found = repo
            .as_ostree()
            .has_object(kind, &checksum, gio::Cancellable::NONE)
            .map_err(|source| repo.failed(&format!("look for object {checksum}"), source))?;
        if !found {
            absent.push(DamagedFile::file(&path, FileProblem::Missing, id));
        }
    }
    Ok(absent)
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

/// Compares a directory itself, and the names in it.
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

/// Returns what an error says of a deployed file: that it is missing, or that access to it was
/// changed.
///
/// # Errors
/// When the error says nothing of the file: the system failed to look at it.
fn problem_of(
    action: &'static str,
    path: &Path,
    source: io::Error,
) -> Result<FileProblem, RepoError> {
    use io::ErrorKind as Kind;
    match source.kind() {
        Kind::NotFound | Kind::NotADirectory => Ok(FileProblem::Missing),
        Kind::PermissionDenied => Ok(FileProblem::Unreadable),
        _ => Err(RepoError::Io {
            action,
            path: path.to_owned(),
            source,
        }),
    }
}

/// Whether two modes let the same users read and execute.
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
        Ok(found) if repo.seen().is(&found, id) => return Ok(None),
        Ok(found) => found,
        Err(error) => return problem_of("look at", path, error.into()).map(Some),
    };
    match hash(path, found.st_mode, buffer) {
        Ok(Hashed::Like(hashed)) if hashed == id => {
            repo.seen().add(&found, id);
            Ok(None)
        }
        Ok(Hashed::Unreadable) => Ok(Some(FileProblem::Unreadable)),
        // A tree of other origin may have owners or xattrs, which only the object knows.
        Ok(_) => {
            let is_object = is_object(repo, path, id)?;
            Ok((!is_object).then_some(FileProblem::Changed))
        }
        Err(error) => problem_of("read", path, error).map(Some),
    }
}

/// The result of hashing a deployed file.
enum Hashed {
    /// The checksum of the file as the composer would have written it.
    Like(FileId),
    /// The composer writes no such file.
    Other,
    /// The file is there, and the medium does not give its content. That is damage to this file,
    /// which can be repaired.
    Unreadable,
}

fn hash(path: &Path, mode: u32, buffer: &mut [u8]) -> io::Result<Hashed> {
    let kind = FileType::from_raw_mode(mode);
    if kind == FileType::Symlink {
        let target = fs::read_link(path)?;
        let Some(target) = target.to_str().map(str::to_owned) else {
            return Ok(Hashed::Other);
        };
        let hasher = FileHasher::new(&FileHeader::Symlink { target });
        return Ok(Hashed::Like(hasher.finish()));
    }
    if kind != FileType::RegularFile {
        return Ok(Hashed::Other);
    }
    let header = FileHeader::Regular {
        executable: mode & 0o111 != 0,
    };
    if !same_access(mode, header.mode()) {
        return Ok(Hashed::Other);
    }
    let mut hasher = FileHasher::new(&header);
    let mut file = File::open(path)?;
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(Hashed::Like(hasher.finish())),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(Hashed::Unreadable),
        }
    }
}

/// Returns whether a file has the checksum of an object under the owner, mode and xattrs that the
/// object has in the repository; who may read and execute it must be the object's.
fn is_object(repo: &Repo, path: &Path, id: FileId) -> Result<bool, RepoError> {
    use gio::prelude::*;
    let (kind, checksum) = (ostree::ObjectType::File, id.to_string());
    let none = gio::Cancellable::NONE;
    let loaded = repo.examine(kind, &checksum, || {
        repo.as_ostree().load_file(&checksum, none)
    })?;
    let Ok((_, info, xattrs)) = loaded else {
        return Ok(false);
    };
    let failed = |source| RepoError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let metadata = path.symlink_metadata().map_err(failed)?;
    let input = if metadata.is_file() {
        // libostree lets the owner of an object read it.
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
