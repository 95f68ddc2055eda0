//! Changes to files that are seen whole or not at all, and survive a power cut.

use crate::failpoint;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Replaces the file at `path` by one with `content`. Once this returns, the new file is
/// durable; until then a reader sees the old one.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let (mut file, temporary) = (0u32..)
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
                opened => Some(opened.map(|file| (file, temporary))),
            }
        })
        .ok_or(io::ErrorKind::AlreadyExists)??;
    file.write_all(content)
        .and_then(|()| {
            failpoint::hit("file.written");
            rename(&file, &temporary, path)
        })
        .inspect_err(|_| {
            // The first error is the one to tell; what is left over is harmless.
            let _ = fs::remove_file(&temporary);
        })
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
        // What `parent` says of a bare name.
        Some(here) if here.as_os_str().is_empty() => File::open(".")?.sync_all(),
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
