//! Renames of directories that replace nothing, or that exchange two directories.
//!
//! Linux has flags for both, `RENAME_NOREPLACE` and `RENAME_EXCHANGE`, which NFS, FUSE file systems, older versions of ZFS and
//! others do not implement. There, the same result takes several system calls.

use super::atomic;
use crate::failpoint;
use rustix::fs::{self as sys, AtFlags, CWD, RenameFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// Returns true if a rename with flags failed because the file system does not implement them.
pub fn lacks_flags(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// Renames the directory `from` to `to`, which must not exist. Both are relative to an open directory.
///
/// On a file system without `RENAME_NOREPLACE`, an empty directory that another process creates at `to` in the same moment is
/// replaced. Nothing else ever is: a plain rename of a directory fails if there is a file or a directory with content.
///
/// # Errors
/// Returns an error of the kind `AlreadyExists` if there is something at `to`.
pub fn to_free_name(at: impl AsFd, from: &Path, to: &Path) -> io::Result<()> {
    match sys::renameat_with(&at, from, &at, to, RenameFlags::NOREPLACE) {
        Err(errno) if lacks_flags(errno) => without_flags(at, from, to),
        renamed => Ok(renamed?),
    }
}

fn without_flags(at: impl AsFd, from: &Path, to: &Path) -> io::Result<()> {
    match sys::statat(&at, to, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
        Ok(_) => return Err(Errno::EXIST.into()),
    }
    match sys::renameat(&at, from, &at, to) {
        Err(Errno::NOTEMPTY | Errno::NOTDIR) => Err(Errno::EXIST.into()),
        renamed => Ok(renamed?),
    }
}

/// Puts the directory `new` in the place of the existing directory `path`. The old directory is then at `new` or at `aside`,
/// which must be free.
///
/// This is one step. On a file system without `RENAME_EXCHANGE` it is two: between them nothing is at `path`, and the old
/// directory is at `aside`. If the second step fails, the old directory is moved back. After a kill or a power failure between
/// the steps, the caller has to do that.
pub fn replace(new: &Path, path: &Path, aside: &Path) -> io::Result<()> {
    match sys::renameat_with(CWD, new, CWD, path, RenameFlags::EXCHANGE) {
        Err(errno) if lacks_flags(errno) => replace_in_two_steps(new, path, aside),
        renamed => Ok(renamed?),
    }
}

fn replace_in_two_steps(new: &Path, path: &Path, aside: &Path) -> io::Result<()> {
    to_free_name(CWD, path, aside)?;
    failpoint::hit("rename.moved-aside");
    if let Err(error) = to_free_name(CWD, new, path) {
        // The first error is reported; the caller moves the directory back if this fails.
        let _ = to_free_name(CWD, aside, path);
        return Err(error);
    }
    atomic::sync_directory(path.parent())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn nothing_is_replaced_without_flags() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("from/content")).unwrap();
        fs::create_dir_all(path("full/content")).unwrap();
        fs::create_dir(path("empty")).unwrap();
        fs::write(path("file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", path("link")).unwrap();
        for name in ["full", "empty", "file", "link"] {
            for rename in [to_free_name, without_flags] {
                let error = rename(CWD, &path("from"), &path(name)).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{name}");
            }
        }
        without_flags(CWD, &path("from"), &path("free")).unwrap();
        assert!(path("free/content").is_dir() && !path("from").exists());
        to_free_name(CWD, &path("free"), &path("from")).unwrap();
        assert!(path("from/content").is_dir());
        let error = to_free_name(CWD, &path("missing"), &path("free")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_directory_is_replaced_with_and_without_flags() {
        for replace in [replace, replace_in_two_steps] {
            let dir = tempfile::tempdir().unwrap();
            let path = |name: &str| dir.path().join(name);
            fs::create_dir_all(path("old/before")).unwrap();
            fs::create_dir_all(path("new/after")).unwrap();
            replace(&path("new"), &path("old"), &path("aside")).unwrap();
            assert!(path("old/after").is_dir() && !path("old/before").exists());
            assert!(path("new/before").exists() != path("aside/before").exists());
        }
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("old/before")).unwrap();
        let error = replace_in_two_steps(&path("new"), &path("old"), &path("aside"));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(path("old/before").is_dir() && !path("aside").exists());
    }
}
