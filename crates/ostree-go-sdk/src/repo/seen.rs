//! Files that were found to be certain objects a moment ago.

use crate::fs::tree::WRITE;
use crate::id::FileId;
use rustix::fs::Stat;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What this process has hashed: files that it has read, and objects that it has written. Their
/// inodes need not be read again as long as nobody touched them, under whatever name they are
/// found: an upgrade checks the old tree and the new one, and most of their files are the same.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<HashMap<(u64, u64), (FileId, Identity)>>);

/// What changes when a file does. The time of its inode's change is not of it: a new link to
/// the file changes that, too.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    size: i64,
    modified: (i64, i64),
    mode: u32,
}

impl Identity {
    // The kernel's types differ from one machine to another.
    #[allow(clippy::unnecessary_cast, clippy::cast_possible_wrap)]
    fn of(file: &Stat) -> Self {
        Self {
            size: file.st_size as i64,
            modified: (file.st_mtime as i64, file.st_mtime_nsec as i64),
            mode: file.st_mode & !WRITE,
        }
    }
}

impl Seen {
    /// Whether a file is known to be an object.
    pub(crate) fn is(&self, file: &Stat, id: FileId) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.get(&(file.st_dev, file.st_ino));
        known.is_some_and(|(known, at)| *known == id && *at == Identity::of(file))
    }

    /// Remembers a file that was hashed.
    pub(crate) fn add(&self, file: &Stat, id: FileId) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert((file.st_dev, file.st_ino), (id, Identity::of(file)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_link_is_known_until_somebody_touches_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let id = FileId::from([1; 32]);
        let seen = Seen::default();
        let is = |id| seen.is(&rustix::fs::lstat(&other).unwrap(), id);
        fs::write(&one, "x").unwrap();
        fs::set_permissions(&one, Permissions::from_mode(0o644)).unwrap();
        fs::hard_link(&one, &other).unwrap();
        assert!(!is(id));
        seen.add(&rustix::fs::lstat(&one).unwrap(), id);
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
