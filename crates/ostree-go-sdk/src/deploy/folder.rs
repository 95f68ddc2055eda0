//! The folder of a root: the marker that identifies it, and the names in it that belong to this
//! library. All other names in the folder are left alone.

use super::error::DeployError;
use super::state::State;
use crate::fs::context::{IoContext, IoFailure};
use crate::fs::{atomic, tree};
use crate::id::CommitId;
use crate::repo::Repo;
use crate::stdcache::VERIFIED_DIR;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind as Io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Name of the marker file, which makes a folder a root. It contains [`PREFIX`] and the version of
/// the layout.
pub(super) const MARKER: &str = ".ostree-go-root";
const PREFIX: &str = "ostree-go root, format ";
/// The version of the layout that is read and written. A higher version is refused.
const FORMAT: u32 = 1;

/// Name of the lock that is held while a root is changed.
pub(super) const LOCK: &str = ".lock";
/// Name of the lock that is shared by processes that fetch what they will deploy; a garbage
/// collection takes it exclusively.
pub(super) const FETCH_LOCK: &str = ".fetch.lock";
/// Name of the lock that is held while hooks run.
pub(super) const HOOKS_LOCK: &str = ".hooks.lock";

/// The names in a root, except temporary ones.
const NAMES: [&str; 11] = [
    MARKER,
    LOCK,
    FETCH_LOCK,
    HOOKS_LOCK,
    "repo",
    "deployments",
    "sdk",
    "toolchains",
    VERIFIED_DIR,
    "current",
    "state.json",
];

/// The state of a folder that may be used as a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FolderState {
    /// The folder has a marker.
    Marked,
    /// The folder has no marker and may get one: it is empty, or a version of this library that did
    /// not write markers created the root.
    Unmarked,
}

/// Checks that the programs of a root at this path can be found through `PATH`.
pub(super) fn require_no_colon(path: &Path) -> Result<(), DeployError> {
    match path.as_os_str().as_bytes().contains(&b':') {
        false => Ok(()),
        true => Err(DeployError::Colon {
            path: path.to_owned(),
        }),
    }
}

/// Checks that a folder is a root or may become one.
///
/// # Errors
/// Returns an error if the folder has other content, or its layout is newer than this library.
pub(super) fn require_root(path: &Path) -> Result<FolderState, DeployError> {
    if has_marker(path)? {
        return Ok(FolderState::Marked);
    }
    match foreign_entry(path)? {
        None => Ok(FolderState::Unmarked),
        // Another process may have created the marker meanwhile.
        Some(_) if has_marker(path)? => Ok(FolderState::Marked),
        Some(found) => Err(DeployError::NotARoot {
            path: path.to_owned(),
            found,
        }),
    }
}

/// Writes the marker of a root, durably.
pub(super) fn mark(path: &Path) -> Result<(), DeployError> {
    let marker = path.join(MARKER);
    let text = format!("{PREFIX}{FORMAT}\n");
    Ok(atomic::write(&marker, text.as_bytes()).context("write", &marker)?)
}

fn has_marker(path: &Path) -> Result<bool, DeployError> {
    let marker = path.join(MARKER);
    let text = match fs::read_to_string(&marker) {
        Err(error) if error.kind() == Io::NotFound => return Ok(false),
        text => text.context("read", &marker)?,
    };
    let format = text.trim_end().strip_prefix(PREFIX);
    match format.and_then(|format| format.parse::<u32>().ok()) {
        Some(found) if found > FORMAT => Err(DeployError::NewerRoot {
            path: path.to_owned(),
            found,
            known: FORMAT,
        }),
        Some(_) => Ok(true),
        None => Err(DeployError::NotARoot {
            path: path.to_owned(),
            found: format!("a {MARKER} that is not well-formed"),
        }),
    }
}

/// Returns an entry of a folder without a marker that prevents it from becoming a root.
fn foreign_entry(path: &Path) -> Result<Option<String>, DeployError> {
    let folder = open(path)?;
    let names = tree::names(&folder).context("read directory", path)?;
    let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
    let has = |name: &str| names.iter().any(|found| found == name);
    let is_file = |name: &str| {
        let found = path.join(name).symlink_metadata();
        found.is_ok_and(|found| found.is_file())
    };
    let repo = path.join("repo");
    let is_repo = repo.join("config").is_file() && repo.join("objects").is_dir();
    if is_repo && is_file("state.json") && State::is_state(&path.join("state.json")) {
        return Ok(None);
    }
    // A new file system contains `lost+found`.
    let is_ours = |name: &str| NAMES.contains(&name) || is_temporary(name) || name == "lost+found";
    if let Some(other) = names.iter().find(|name| !is_ours(name)) {
        return Ok(Some(format!("`{}`", other.escape_debug())));
    }
    // Every version of this library created these together, before anything was deployed.
    if is_repo && is_file(LOCK) && is_directory(&folder, "deployments") {
        return Ok(None);
    }
    for name in ["state.json", "current", "deployments", "sdk", "toolchains"] {
        if has(name) {
            return Ok(Some(format!("`{name}`")));
        }
    }
    // The user may create the repository beforehand, for example on another file system. It must
    // have no refs, because a garbage collection removes refs that are not deployed.
    let is_empty = Repo::is_absent(&repo) || Repo::open(&repo).is_ok_and(|repo| has_no_refs(&repo));
    match has("repo") && !is_empty {
        true => Ok(Some("a `repo` with refs".to_owned())),
        false => Ok(None),
    }
}

fn has_no_refs(repo: &Repo) -> bool {
    let refs = repo.as_ostree().list_refs(None, gio::Cancellable::NONE);
    refs.is_ok_and(|refs| refs.is_empty())
}

fn is_directory(folder: &OwnedFd, name: &str) -> bool {
    kind(folder, OsStr::new(name)).is_ok_and(|kind| kind == Some(FileType::Directory))
}

/// Returns the type of an entry without following links; `None` if it does not exist.
pub(super) fn kind(folder: &OwnedFd, name: &OsStr) -> std::io::Result<Option<FileType>> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        found => Ok(Some(FileType::from_raw_mode(found?.st_mode))),
    }
}

/// Opens the folder of a root.
pub(super) fn open(path: &Path) -> Result<OwnedFd, DeployError> {
    Ok(tree::open_directory(CWD, path, OFlags::empty()).context("open directory", path)?)
}

/// Opens a directory of a root, and creates it if it does not exist.
///
/// # Errors
/// Returns an error if the name belongs to something else, such as a symlink: its target is not
/// part of the root.
pub(super) fn directory(
    root: &OwnedFd,
    path: &Path,
    name: &'static str,
) -> Result<OwnedFd, DeployError> {
    let full = path.join(name);
    match rustix::fs::mkdirat(root, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(IoFailure::new("make directory", full, errno).into()),
    }
    let found = kind(root, OsStr::new(name)).context("look at", &full)?;
    if found.is_some_and(|found| found != FileType::Directory) {
        return Err(DeployError::UnexpectedEntry {
            path: full,
            found: describe(found),
            expected: "a directory",
        });
    }
    let opened = tree::open_directory(root.as_fd(), Path::new(name), OFlags::NOFOLLOW);
    Ok(opened.context("open directory", full)?)
}

/// Returns a description of a file type for error messages.
pub(super) fn describe(kind: Option<FileType>) -> &'static str {
    match kind {
        Some(FileType::Symlink) => "a symbolic link",
        Some(FileType::Directory) => "a directory",
        Some(FileType::RegularFile) => "a file",
        _ => "something else",
    }
}

/// Returns true if a name in a root is a temporary name of [`atomic`]. These names are used while
/// the root's lock is held, or while a root is created.
fn is_temporary(name: &str) -> bool {
    is_temporary_link(name) || is_temporary_state(name) || has_number(name, &format!(".{MARKER}."))
}

/// Returns true if a name is a temporary name of `current`, which is used before the rename.
pub(super) fn is_temporary_link(name: &str) -> bool {
    has_number(name, ".current.")
}

/// Returns true if a name is a temporary name of `state.json`, which is used before the rename.
pub(super) fn is_temporary_state(name: &str) -> bool {
    has_number(name, ".state.json.")
}

/// Returns true if a name in `verified/` is a temporary name of a record, which is used before the rename:
/// `.COMMIT.4711-0`.
pub(super) fn is_temporary_record(name: &str) -> bool {
    let commit = name.strip_prefix('.').and_then(|rest| rest.split_once('.'));
    commit.is_some_and(|(commit, _)| {
        commit.parse::<CommitId>().is_ok() && has_number(name, &format!(".{commit}."))
    })
}

/// Returns true if a name in `deployments/` is a temporary name of a tree that is being created or
/// removed.
pub(super) fn is_temporary_tree(name: &str) -> bool {
    has_number(name, ".new-") || has_number(name, ".gone-")
}

/// Prefix of the name in `deployments/` of a tree that is being replaced.
const REPLACED: &str = ".old-";

/// Returns the name in `deployments/` that the tree of a commit has while it is replaced, if the
/// file system cannot exchange two directories in one step.
pub(super) fn replaced_name(commit: CommitId) -> String {
    format!("{REPLACED}{commit}")
}

/// Returns the commit of a tree that is being replaced, by its name.
pub(super) fn commit_of_replaced(name: &str) -> Option<CommitId> {
    name.strip_prefix(REPLACED)?.parse().ok()
}

/// Returns true if a name consists of a prefix and process numbers, as in `.new-4711`.
fn has_number(name: &str, prefix: &str) -> bool {
    let Some(number) = name.strip_prefix(prefix) else {
        return false;
    };
    let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    number.starts_with(|first: char| first.is_ascii_digit()) && number.bytes().all(is_number)
}

/// Returns the commit in the target of a link in `sdk/`; `None` if this library does not create
/// such links.
pub(super) fn commit_of_sdk(target: &Path) -> Option<CommitId> {
    let name = target.strip_prefix("../deployments").ok()?.to_str()?;
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_empty_folders_and_roots_are_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        assert_eq!(require_root(path).unwrap(), FolderState::Unmarked);
        for name in [".lock", "..ostree-go-root.12-0", ".current.7"] {
            fs::write(path.join(name), "").unwrap();
        }
        fs::create_dir(path.join("lost+found")).unwrap();
        assert_eq!(require_root(path).unwrap(), FolderState::Unmarked);
        for name in [
            "notes.txt",
            "deployments",
            "sdk",
            "toolchains",
            ".current.x",
            "state.json",
        ] {
            fs::write(path.join(name), "").unwrap();
            let error = require_root(path).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
            fs::remove_file(path.join(name)).unwrap();
        }
        fs::write(path.join("notes.txt"), "").unwrap();
        mark(path).unwrap();
        assert_eq!(require_root(path).unwrap(), FolderState::Marked);
        fs::write(path.join(MARKER), "ostree-go root, format 2\n").unwrap();
        let error = require_root(path).unwrap_err().to_string();
        assert!(
            error.ends_with("has format 2, expected at most 1"),
            "{error}"
        );
        fs::write(path.join(MARKER), "").unwrap();
        assert!(matches!(
            require_root(path),
            Err(DeployError::NotARoot { .. })
        ));
    }

    #[test]
    fn a_symlink_in_place_of_a_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let root = open(dir.path()).unwrap();
        directory(&root, dir.path(), "sdk").unwrap();
        symlink(outside.path(), dir.path().join("deployments")).unwrap();
        let error = directory(&root, dir.path(), "deployments").unwrap_err();
        let text = error.to_string();
        assert!(
            text.ends_with("is a symbolic link, expected a directory"),
            "{text}"
        );
    }

    #[test]
    fn recognizes_the_names_that_this_library_creates() {
        assert!(is_temporary_tree(".new-4711") && is_temporary_tree(".gone-1"));
        for other in [".new-", ".new-a", ".new-1x", "new-1", ".old-1", ".new--1"] {
            assert!(!is_temporary_tree(other), "{other}");
        }
        assert!(is_temporary_state(".state.json.12-0"));
        let commit = "a".repeat(64);
        assert!(is_temporary_record(&format!(".{commit}.12-0")));
        for other in [&commit, ".x.12-0", &format!(".{commit}.x")] {
            assert!(!is_temporary_record(other), "{other}");
        }
        let id = commit.parse().unwrap();
        assert_eq!(commit_of_replaced(&replaced_name(id)), Some(id));
        assert_eq!(commit_of_replaced(&commit), None);
        let target = format!("../deployments/{commit}");
        assert!(commit_of_sdk(Path::new(&target)).is_some());
        assert!(commit_of_sdk(Path::new("../deployments/x")).is_none());
        assert!(commit_of_sdk(Path::new(&format!("../x/{commit}"))).is_none());
    }
}
