//! Whole directory trees: walked, sealed, removed. Links are never followed.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The write bits of a mode.
pub const WRITE: u32 = 0o222;

/// Something in a tree.
pub enum Found<'a> {
    /// A directory, after everything in it.
    Directory(&'a Path, &'a Metadata),
    /// A regular file.
    File(&'a Path, &'a Metadata),
}

/// Calls `each` for every regular file and every directory of a tree, its top last.
pub fn walk(top: &Path, each: &mut dyn FnMut(&Found<'_>) -> io::Result<()>) -> io::Result<()> {
    let metadata = top.symlink_metadata()?;
    if metadata.is_file() {
        return each(&Found::File(top, &metadata));
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
    each(&Found::Directory(top, &metadata))
}

/// Takes the write bits from every file and directory.
pub fn seal(top: &Path) -> io::Result<()> {
    walk(top, &mut |found| {
        let (Found::Directory(path, metadata) | Found::File(path, metadata)) = found;
        let mode = metadata.permissions().mode();
        if mode & WRITE == 0 {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !WRITE))
    })
}

/// Removes a tree, sealed or not. None there is no error.
pub fn remove(top: &Path) -> io::Result<()> {
    let metadata = match top.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !metadata.is_dir() {
        return fs::remove_file(top);
    }
    // Files keep their mode: they may share it with what stays. Only directories open up.
    if metadata.permissions().mode() & 0o700 != 0o700 {
        fs::set_permissions(top, Permissions::from_mode(0o700))?;
    }
    for entry in fs::read_dir(top)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_tree_can_be_removed_and_links_out_of_it_are_left_alone() {
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
    }
}
