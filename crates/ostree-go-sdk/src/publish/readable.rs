//! Makes published files readable for the user that a web server runs as.
//!
//! Files and folders get their modes from the umask of the process that creates them. With a umask
//! of 077, a web server would answer most requests with 403.

use super::PublishError;
use crate::fs::context::IoContext;
use crate::repo::{Repo, RepoMode};
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The permissions that everyone needs to read a file, and to enter and list a folder.
const READ: u32 = 0o444;
const READ_FOLDER: u32 = 0o555;

/// Files in the repository's folder that clients request.
const FILES: &[&str] = &[
    "config",
    "summary",
    "summary.sig",
    "index.html",
    "index.json",
];
/// Folders that clients request files from.
const FOLDERS: &[&str] = &["refs", "deltas", "delta-indexes"];

/// Makes everything below the folder of a repository that clients request readable for everyone.
pub(super) fn make_readable(repo: &Repo) -> Result<(), PublishError> {
    for name in FILES {
        allow(&repo.path().join(name))?;
    }
    for name in FOLDERS {
        allow_below(&repo.path().join(name), true)?;
    }
    // The modes of objects in other repositories are part of the content.
    let with_files = repo.mode() == RepoMode::Archive;
    allow_below(&repo.path().join("objects"), with_files)
}

/// Makes a file or folder readable for everyone. It may be absent.
pub(super) fn allow(path: &Path) -> Result<(), PublishError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        found => {
            let found = found.context("read the permissions of", path)?;
            add(path, &found)
        }
    }
}

fn allow_below(folder: &Path, with_files: bool) -> Result<(), PublishError> {
    allow(folder)?;
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.context("read", folder)?,
    };
    for entry in entries {
        let entry = entry.context("read", folder)?;
        let kind = entry.file_type().context("read", folder)?;
        if kind.is_dir() {
            allow_below(&entry.path(), with_files)?;
        } else if kind.is_file() && with_files {
            // A pull or a prune may remove a file in the meantime.
            allow(&entry.path())?;
        }
    }
    Ok(())
}

fn add(path: &Path, found: &Metadata) -> Result<(), PublishError> {
    let wanted = match (found.is_dir(), found.is_file()) {
        (true, _) => READ_FOLDER,
        (_, true) => READ,
        _ => return Ok(()),
    };
    let mode = found.permissions().mode();
    if mode & wanted == wanted {
        return Ok(());
    }
    let permissions = Permissions::from_mode((mode | wanted) & 0o7777);
    Ok(fs::set_permissions(path, permissions).context("set the permissions of", path)?)
}
