//! Files that are known to have the content of an object.

use crate::fs::tree::WRITE;
use crate::id::FileId;
use rustix::fs::Stat;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Files that this process has hashed, and objects that it has written. Their inodes do not have to
/// be read again while they are unchanged, regardless of the path: an upgrade checks the old and
/// the new tree, and most of their files are the same.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles(Mutex<HashMap<(u64, u64), (FileId, FileState)>>);

/// Attributes that change when a file is changed. The status change time (`ctime`) is not included,
/// because a new hard link to the file changes it too.
#[derive(Debug, PartialEq, Eq)]
struct FileState {
    size: i64,
    modified: (i64, i64),
    mode: u32,
}

impl FileState {
    // The types of these fields differ between architectures.
    #[allow(clippy::unnecessary_cast, clippy::cast_possible_wrap)]
    fn of(file: &Stat) -> Self {
        Self {
            size: file.st_size as i64,
            modified: (file.st_mtime as i64, file.st_mtime_nsec as i64),
            mode: file.st_mode & !WRITE,
        }
    }
}

impl KnownFiles {
    /// Returns true if a file is known to have the content of an object.
    pub(crate) fn contains(&self, file: &Stat, id: FileId) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(&(file.st_dev, file.st_ino));
        known.is_some_and(|(known, at)| *known == id && *at == FileState::of(file))
    }

    /// Adds a file that was hashed.
    pub(crate) fn add(&self, file: &Stat, id: FileId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((file.st_dev, file.st_ino), (id, FileState::of(file)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_hard_link_is_known_until_the_file_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let id = FileId::from([1; 32]);
        let known = KnownFiles::default();
        let is = |id| known.contains(&rustix::fs::lstat(&other).unwrap(), id);
        fs::write(&one, "x").unwrap();
        fs::set_permissions(&one, Permissions::from_mode(0o644)).unwrap();
        fs::hard_link(&one, &other).unwrap();
        assert!(!is(id));
        known.add(&rustix::fs::lstat(&one).unwrap(), id);
        assert!(is(id) && !is(FileId::from([2; 32])));
        fs::set_permissions(&one, Permissions::from_mode(0o444)).unwrap();
        assert!(is(id), "sealed");
        fs::set_permissions(&one, Permissions::from_mode(0o755)).unwrap();
        assert!(!is(id), "made executable");
        fs::set_permissions(&one, Permissions::from_mode(0o644)).unwrap();
        let file = fs::File::options().write(true).open(&one).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert!(!is(id), "of another time");
    }
}
