//! Walks, seals and removes directory trees. Symlinks are never followed.

use rustix::fs::{self as sys, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Returns the parent folder of a path.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The write bits of a mode.
pub const WRITE: u32 = 0o222;

/// An entry of a tree.
pub enum TreeEntry<'a> {
    /// A directory, visited after its content.
    Directory(&'a Path, &'a Metadata),
    /// A regular file.
    File(&'a Path, &'a Metadata),
}

/// Calls `each` for all regular files and directories of a tree; the top comes last.
pub fn walk(top: &Path, each: &mut dyn FnMut(&TreeEntry<'_>) -> io::Result<()>) -> io::Result<()> {
    let metadata = top.symlink_metadata()?;
    if metadata.is_file() {
        return each(&TreeEntry::File(top, &metadata));
    }
    if !metadata.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(top)? {
        let entry = entry?;
        if !entry.file_type()?.is_symlink() {
            walk(&entry.path(), each)?;
        }
    }
    each(&TreeEntry::Directory(top, &metadata))
}

/// Removes the write bits of all files and directories.
pub fn seal(top: &Path) -> io::Result<()> {
    walk(top, &mut |found| {
        let (TreeEntry::Directory(path, metadata) | TreeEntry::File(path, metadata)) = found;
        let mode = metadata.permissions().mode();
        if mode & WRITE == 0 {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !WRITE))
    })
}

/// Removes a tree, even if its directories are not writable. Does nothing if the path does not
/// exist. A symlink is removed, not followed.
///
/// # Errors
/// Returns an error if the system refuses to remove an entry; the remaining entries still exist
/// then.
pub fn remove(top: &Path) -> io::Result<()> {
    let Some(name) = top.file_name() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    match open_directory(CWD, folder_of(top), OFlags::empty()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        folder => remove_at(folder?.as_fd(), name),
    }
}

/// Removes the tree `name` in an open directory, as [`remove`] does. Every directory is opened
/// relative to its parent without following symlinks, so that nothing outside of the tree is
/// reached even if another process replaces a directory by a symlink meanwhile.
pub fn remove_at(folder: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let found = match sys::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        found => found?,
    };
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Ok(sys::unlinkat(folder, name, AtFlags::empty())?);
    }
    // The mode of files is not changed, because other trees may share their inode.
    if found.st_mode & 0o700 != 0o700 {
        // Linux before 6.6 has no system call that changes the mode of a path without following
        // symlinks.
        let directory = open_directory(folder, Path::new(name), OFlags::PATH | OFlags::NOFOLLOW)?;
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    let directory = open_directory(folder, Path::new(name), OFlags::NOFOLLOW)?;
    for entry in names(&directory)? {
        remove_at(directory.as_fd(), &entry)?;
    }
    Ok(sys::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

/// Opens a directory relative to another one. With [`OFlags::NOFOLLOW`], a symlink is an error.
pub fn open_directory(at: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(sys::openat(at, path, flags, Mode::empty())?)
}

/// Returns the names in an open directory, without `.` and `..`.
pub fn names(directory: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in sys::Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_tree_is_removed_and_targets_of_its_symlinks_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (top, outside) = (dir.path().join("top"), dir.path().join("outside"));
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        fs::write(top.join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, top.join("a/link")).unwrap();
        seal(&top).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&top.join("a/b/file")) & WRITE, 0);
        assert_eq!(mode(&top.join("a")), 0o555);
        assert_eq!(mode(&outside) & 0o200, 0o200);
        remove(&top).unwrap();
        remove(&top).unwrap();
        assert!(outside.join("kept").exists() && !top.exists());
        // A symlink in place of the tree is removed, and its target is not.
        std::os::unix::fs::symlink(&outside, &top).unwrap();
        remove(&top).unwrap();
        assert!(outside.join("kept").exists() && top.symlink_metadata().is_err());
        assert!(remove(Path::new("/")).is_err());
    }

    #[test]
    fn directories_without_permissions_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::set_permissions(top.join("a/b"), Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(top.join("a"), Permissions::from_mode(0o000)).unwrap();
        remove(&top).unwrap();
        assert!(!top.exists());
    }
}
