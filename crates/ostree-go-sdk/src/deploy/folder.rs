//! The folder of a root: the marker that makes it one, and the names in it that belong to this
//! library. Everything else in the folder is left alone.

use super::error::{DeployError, io};
use super::state::State;
use crate::fs::{atomic, tree};
use crate::id::CommitId;
use crate::repo::Repo;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind as Io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The file that makes a folder a root. It holds [`PREFIX`] and the number of the layout.
pub(super) const MARKER: &str = ".ostree-go-root";
const PREFIX: &str = "ostree-go root, format ";
/// The layout that this version reads and writes. A higher number is refused.
const FORMAT: u32 = 1;

/// The lock of those who change a root.
pub(super) const LOCK: &str = ".lock";
/// Shared by those who fetch what they will deploy; exclusive for a garbage collection.
pub(super) const FETCH_LOCK: &str = ".fetch.lock";

/// The names that a root has, besides temporary ones.
const NAMES: [&str; 8] = [
    MARKER,
    LOCK,
    FETCH_LOCK,
    "repo",
    "deployments",
    "sdk",
    "current",
    "state.json",
];

/// The state of a folder, as far as it may be used as a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has a marker.
    Marked,
    /// It has no marker and may get one: it is empty, or was made a root by a version that wrote
    /// no markers.
    Adoptable,
}

/// Requires a folder to be a root, or one that may become one.
///
/// # Errors
/// When it holds something else, or its layout is newer than this library.
pub(super) fn require(path: &Path) -> Result<Standing, DeployError> {
    if has_marker(path)? {
        return Ok(Standing::Marked);
    }
    let stranger = stranger(path)?;
    match stranger {
        None => Ok(Standing::Adoptable),
        // Another process may have made it a root meanwhile.
        Some(_) if has_marker(path)? => Ok(Standing::Marked),
        Some(found) => Err(DeployError::NotARoot {
            path: path.to_owned(),
            found,
        }),
    }
}

/// Makes a folder a root, durably.
pub(super) fn mark(path: &Path) -> Result<(), DeployError> {
    let marker = path.join(MARKER);
    let text = format!("{PREFIX}{FORMAT}\n");
    atomic::write(&marker, text.as_bytes()).map_err(io("write", &marker))
}

fn has_marker(path: &Path) -> Result<bool, DeployError> {
    let marker = path.join(MARKER);
    let text = match fs::read_to_string(&marker) {
        Err(error) if error.kind() == Io::NotFound => return Ok(false),
        text => text.map_err(io("read", &marker))?,
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

/// Returns something in a folder without a marker that keeps it from becoming a root.
fn stranger(path: &Path) -> Result<Option<String>, DeployError> {
    let folder = open(path)?;
    let names = tree::names(&folder).map_err(io("read directory", path))?;
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
    // A file system of its own has this folder from the start.
    let is_ours = |name: &str| NAMES.contains(&name) || is_temporary(name) || name == "lost+found";
    if let Some(other) = names.iter().find(|name| !is_ours(name)) {
        return Ok(Some(format!("`{}`", other.escape_debug())));
    }
    // Every version has made these together, before anything was deployed.
    if is_repo && is_file(LOCK) && is_directory(&folder, "deployments") {
        return Ok(None);
    }
    for name in ["state.json", "current", "deployments", "sdk"] {
        if has(name) {
            return Ok(Some(format!("`{name}`")));
        }
    }
    // A repository may be put there before, such as one on another file system. It has to be
    // empty, because a garbage collection removes what is not deployed.
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

/// Returns the type of an entry, without following links; `None` when there is none.
pub(super) fn kind(folder: &OwnedFd, name: &OsStr) -> std::io::Result<Option<FileType>> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        found => Ok(Some(FileType::from_raw_mode(found?.st_mode))),
    }
}

/// Opens the folder of a root.
pub(super) fn open(path: &Path) -> Result<OwnedFd, DeployError> {
    tree::open_directory(CWD, path, OFlags::empty()).map_err(io("open directory", path))
}

/// Opens a directory of a root, and makes it where there is none.
///
/// # Errors
/// When something else has its name, such as a symlink: what it leads to is not the root's.
pub(super) fn directory(
    root: &OwnedFd,
    path: &Path,
    name: &'static str,
) -> Result<OwnedFd, DeployError> {
    let full = path.join(name);
    match rustix::fs::mkdirat(root, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(io("make directory", &full)(errno.into())),
    }
    let found = kind(root, OsStr::new(name)).map_err(io("look at", &full))?;
    if found.is_some_and(|found| found != FileType::Directory) {
        return Err(DeployError::Foreign {
            path: full,
            found: describe(found),
            expected: "a directory",
        });
    }
    tree::open_directory(root.as_fd(), Path::new(name), OFlags::NOFOLLOW)
        .map_err(io("open directory", &full))
}

/// A word for what is in the place of something else.
pub(super) fn describe(kind: Option<FileType>) -> &'static str {
    match kind {
        Some(FileType::Symlink) => "a symbolic link",
        Some(FileType::Directory) => "a directory",
        Some(FileType::RegularFile) => "a file",
        _ => "something else",
    }
}

/// Returns whether a name in a root is a temporary one of [`atomic`]: they are used by those who
/// hold the root's lock, or while a root is made.
fn is_temporary(name: &str) -> bool {
    is_temporary_link(name) || is_temporary_state(name) || has_number(name, &format!(".{MARKER}."))
}

/// Returns whether a name is one that `current` has before it is renamed.
pub(super) fn is_temporary_link(name: &str) -> bool {
    has_number(name, ".current.")
}

/// Returns whether a name is one that `state.json` has before it is renamed.
pub(super) fn is_temporary_state(name: &str) -> bool {
    has_number(name, ".state.json.")
}

/// Returns whether a name in `deployments/` is one of a tree that is being made or removed.
pub(super) fn is_temporary_tree(name: &str) -> bool {
    has_number(name, ".new-") || has_number(name, ".gone-")
}

/// Returns whether a name is a prefix and process numbers, as in `.new-4711`.
fn has_number(name: &str, prefix: &str) -> bool {
    let Some(number) = name.strip_prefix(prefix) else {
        return false;
    };
    let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    number.starts_with(|first: char| first.is_ascii_digit()) && number.bytes().all(is_number)
}

/// Returns the commit that the target of a link in `sdk/` names, if this library makes such links.
pub(super) fn commit_of_sdk(target: &Path) -> Option<CommitId> {
    let name = target.strip_prefix("../deployments").ok()?.to_str()?;
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_empty_folders_and_roots_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        assert_eq!(require(path).unwrap(), Standing::Adoptable);
        for name in [".lock", "..ostree-go-root.12-0", ".current.7"] {
            fs::write(path.join(name), "").unwrap();
        }
        fs::create_dir(path.join("lost+found")).unwrap();
        assert_eq!(require(path).unwrap(), Standing::Adoptable);
        for name in [
            "notes.txt",
            "deployments",
            "sdk",
            ".current.x",
            "state.json",
        ] {
            fs::write(path.join(name), "").unwrap();
            let error = require(path).unwrap_err().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
            fs::remove_file(path.join(name)).unwrap();
        }
        fs::write(path.join("notes.txt"), "").unwrap();
        mark(path).unwrap();
        assert_eq!(require(path).unwrap(), Standing::Marked);
        fs::write(path.join(MARKER), "ostree-go root, format 2\n").unwrap();
        let error = require(path).unwrap_err().to_string();
        assert!(
            error.ends_with("has format 2, expected at most 1"),
            "{error}"
        );
        fs::write(path.join(MARKER), "").unwrap();
        assert!(matches!(require(path), Err(DeployError::NotARoot { .. })));
    }

    #[test]
    fn a_link_is_no_directory() {
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
    fn names_of_our_own_making() {
        assert!(is_temporary_tree(".new-4711") && is_temporary_tree(".gone-1"));
        for other in [".new-", ".new-a", ".new-1x", "new-1", ".old-1", ".new--1"] {
            assert!(!is_temporary_tree(other), "{other}");
        }
        assert!(is_temporary_state(".state.json.12-0"));
        let commit = "a".repeat(64);
        let target = format!("../deployments/{commit}");
        assert!(commit_of_sdk(Path::new(&target)).is_some());
        assert!(commit_of_sdk(Path::new("../deployments/x")).is_none());
        assert!(commit_of_sdk(Path::new(&format!("../x/{commit}"))).is_none());
    }
}
