//! Atomic changes to files, which are durable after a power failure.

use super::hidden::{self, HiddenName};
pub use super::tree::folder_of;
use crate::failpoint;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Replaces the file at `path` by one with `content`. The new file is durable when this returns;
/// until then a reader sees the old file.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    write_pending(Pending::new(path)?, content)
}

/// Replaces the file at `path` like [`write`]; every user can read the new file, regardless of the
/// umask.
pub fn write_public(path: &Path, content: &[u8]) -> io::Result<()> {
    write_pending(Pending::public(path)?, content)
}

fn write_pending(mut pending: Pending, content: &[u8]) -> io::Result<()> {
    pending.file.write_all(content)?;
    failpoint::hit("file.written");
    pending.persist()
}

/// A file that is being written under a temporary name and will replace another file. It is removed
/// if it is dropped before.
#[derive(Debug)]
pub struct Pending {
    pub file: File,
    temporary: HiddenName,
    path: PathBuf,
}

impl Pending {
    /// Creates an empty file beside `path`.
    pub fn new(path: &Path) -> io::Result<Self> {
        let (temporary, file) = HiddenName::make(path, |temporary| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).open(temporary)
        })?;
        // Tells the file from one that a killed process has left.
        hidden::try_lock(&file);
        Ok(Self {
            file,
            temporary,
            path: path.to_owned(),
        })
    }

    /// Returns the hidden path of the file.
    pub fn temporary(&self) -> &Path {
        self.temporary.path()
    }

    /// Creates an empty file beside `path` that every user can read, regardless of the umask.
    pub fn public(path: &Path) -> io::Result<Self> {
        let pending = Self::new(path)?;
        let permissions = fs::Permissions::from_mode(0o644);
        pending.file.set_permissions(permissions)?;
        Ok(pending)
    }

    /// Renames the file to its final path. Neither the file nor its directory entry is synced.
    pub fn persist_unsynced(self) -> io::Result<()> {
        fs::rename(self.temporary(), &self.path)
    }

    /// Renames the file to its final path, durably.
    pub fn persist(self) -> io::Result<()> {
        rename(&self.file, self.temporary(), &self.path)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // After the rename there is no file with this name, and a leftover file does no harm.
        let _ = fs::remove_file(self.temporary());
    }
}

/// Renames `file` from `from` to `to` atomically, and makes it durable.
pub fn rename(file: &File, from: &Path, to: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(from, to)?;
    sync_directory(to.parent())
}

/// Creates or replaces the symlink at `path` atomically, and makes it durable.
pub fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(hidden);
    match std::os::unix::fs::symlink(target, &temporary) {
        // A killed process with the same process ID has left it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&temporary)?;
            std::os::unix::fs::symlink(target, &temporary)?;
        }
        made => made?,
    }
    fs::rename(&temporary, path).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })?;
    sync_directory(path.parent())
}

/// Makes the entries of a directory durable.
pub fn sync_directory(directory: Option<&Path>) -> io::Result<()> {
    match directory {
        // The parent of a plain file name is the current directory.
        Some(directory) if directory.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write(&dir.path().join("no/such"), b"").is_err());
        fs::create_dir(dir.path().join("d")).unwrap();
        assert!(write(&dir.path().join("d"), b"").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
