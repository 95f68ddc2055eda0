//! Directories for temporary files on the host, for backends that cannot mount a file system in memory.
//!
//! A directory is locked as long as it is in use. One that is not locked was left by a killed process, and is
//! removed by the next one.

use super::error::SandboxError;
use crate::fs::context::{IoContext, IoFailure};
use crate::fs::lock::Lock;
use crate::fs::tree;
use crate::progress::NoProgress;
use rustix::fs::{FlockOperation, StatVfsMountFlags};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The free space that a directory should have: building the standard library takes a third of it.
const WANTED: u64 = 1_000_000_000;

/// A directory for temporary files, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    /// The number of free bytes of the file system when the directory was created.
    pub free: u64,
    lock: Option<File>,
}

impl Scratch {
    /// Creates a directory below the first candidate with enough free space, and removes those that killed
    /// processes left.
    pub fn create(candidates: &[PathBuf]) -> Result<Self, SandboxError> {
        let usable = candidates.iter().filter_map(|path| {
            let found = rustix::fs::statvfs(path).ok()?;
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let is_noexec = found.f_flag.contains(StatVfsMountFlags::NOEXEC);
            let top = (!is_noexec).then(|| private_directory(path))?;
            Some((top?, free))
        });
        let mut usable: Vec<(PathBuf, u64)> = usable.collect();
        let best = usable.iter().position(|(_, free)| *free >= WANTED);
        let best = best.or_else(|| (0..usable.len()).max_by_key(|at| usable[*at].1));
        let Some(best) = best else {
            let path = candidates.first().cloned();
            let path = path.unwrap_or_else(|| PathBuf::from("/tmp"));
            let source = io::Error::from(io::ErrorKind::PermissionDenied);
            return Err(
                IoFailure::new("make a directory for temporary files in", path, source).into(),
            );
        };
        let (top, free) = usable.swap_remove(best);
        // Nobody removes directories between their creation and their lock.
        let guard = top.join("lock");
        let _guard = Lock::exclusive(&guard, &NoProgress).map_err(|_| {
            let source = io::Error::from(io::ErrorKind::PermissionDenied);
            SandboxError::from(IoFailure::new("lock", guard, source))
        })?;
        remove_leftovers(&top);
        let made = tempfile::Builder::new().prefix("run-").tempdir_in(&top);
        let path = made.context("make a directory in", &top)?.keep();
        let lock = lock(&path).context("lock", &path)?;
        let made = Self {
            path,
            free,
            lock: Some(lock),
        };
        for name in ["tmp", "tmp/home", "tmp/go-build"] {
            let path = made.path.join(name);
            std::fs::create_dir(&path).context("make directory", path)?;
        }
        Ok(made)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the directory for temporary files of the command.
    pub fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.path);
        drop(self.lock.take());
    }
}

/// Locks the directory of another process, which waits until this one has removed it.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    let folder = File::open(path)?;
    rustix::fs::flock(&folder, FlockOperation::LockShared)?;
    Ok(folder)
}

/// Removes a directory. What cannot be removed is removed by the next process.
pub(super) fn remove(path: &Path) {
    let _ = tree::remove(path);
}

/// Creates a directory that only this user can read and write.
fn private_directory(parent: &Path) -> Option<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let path = parent.join(format!("ostree-go-run-{user}"));
    // An error means that it exists, or that it cannot be created.
    let _ = DirBuilder::new().mode(0o700).create(&path);
    let found = path.symlink_metadata().ok()?;
    let is_private = found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0;
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    (is_private && rustix::fs::access(&path, access).is_ok()).then_some(path)
}

fn remove_leftovers(top: &Path) {
    let Ok(entries) = std::fs::read_dir(top) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let Ok(folder) = File::open(&path) else {
            continue;
        };
        let is_directory = folder.metadata().is_ok_and(|found| found.is_dir());
        let locked = rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).is_err();
        if is_directory && !locked {
            remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_in_use_is_removed_by_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let candidates = [dir.path().join("missing"), dir.path().to_owned()];
        let first = Scratch::create(&candidates).unwrap();
        let left = first.path().with_file_name("run-left");
        std::fs::create_dir_all(left.join("tmp/a")).unwrap();
        let second = Scratch::create(&candidates).unwrap();
        assert!(first.temporary().is_dir() && second.path().is_dir() && !left.exists());
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists() && first.path().exists());
    }

    #[test]
    fn a_directory_of_others_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = private_directory(dir.path()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(private_directory(dir.path()), None);
        assert!(Scratch::create(&[dir.path().to_owned()]).is_err());
    }
}
