//! Changes to files that are seen whole or not at all, and survive a power cut.

use crate::failpoint;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The folder that a path is in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Replaces the file at `path` by one with `content`. Once this returns, the new file is
/// durable; until then a reader sees the old one.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut pending = Pending::new(path)?;
    pending.file.write_all(content)?;
    failpoint::hit("file.written");
    pending.put()
}

/// A file that is being written under a hidden name, and is to replace another. It goes when
/// it is dropped before that.
#[derive(Debug)]
pub struct Pending<'a> {
    pub file: File,
    temporary: PathBuf,
    path: &'a Path,
}

impl<'a> Pending<'a> {
    /// An empty one beside `path`.
    pub fn new(path: &'a Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        (0u32..)
            .find_map(|n| {
                let mut hidden = OsString::from(".");
                hidden.push(name);
                hidden.push(format!(".{}-{n}", std::process::id()));
                let temporary = path.with_file_name(hidden);
                match OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(&temporary)
                {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                    opened => Some(opened.map(|file| Self {
                        file,
                        temporary,
                        path,
                    })),
                }
            })
            .ok_or(io::ErrorKind::AlreadyExists)?
    }

    /// Moves it to its place. Neither the file nor its name is synced.
    pub fn show(self) -> io::Result<()> {
        fs::rename(&self.temporary, self.path)
    }

    /// Moves it to its place, durably.
    pub fn put(self) -> io::Result<()> {
        rename(&self.file, &self.temporary, self.path)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        // Once it is in its place nothing has that name; and what is left over is harmless.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Moves `file`, which is at `from`, to `to` in one step, and makes it durable there.
pub fn rename(file: &File, from: &Path, to: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(from, to)?;
    sync_directory(to.parent())
}

/// Makes or replaces the symlink at `path` in one step, and makes it durable.
pub fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(hidden);
    match std::os::unix::fs::symlink(target, &temporary) {
        // Left over from a process of this number that was killed.
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

/// Makes the names in a directory durable.
pub fn sync_directory(directory: Option<&Path>) -> io::Result<()> {
    match directory {
        // What has no folder in its name is in this one.
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
