//! Locks between processes.

use crate::fs::context::{IoContext, IoFailure};
use crate::progress::{Event, POLL_INTERVAL, Progress};
use rustix::fs::{FlockOperation, OFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A `flock` on a file, held until it is dropped. The kernel releases it when the process ends for
/// any reason, so an existing lock file does not mean that the lock is held. The file is not
/// removed.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// An error of acquiring a lock.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("stopped while waiting for another process")]
    Cancelled,
    #[error("cannot lock {}", .0.path.display())]
    Io(IoFailure),
}

impl Lock {
    /// Acquires the lock exclusively. Waits while another process holds it, and reports this once
    /// through `progress`.
    pub(crate) fn exclusive(path: &Path, progress: &dyn Progress) -> Result<Self, LockError> {
        Self::wait(path, FlockOperation::NonBlockingLockExclusive, progress)
    }

    /// Acquires the lock as shared. Waits while another process holds it exclusively, and reports
    /// this once through `progress`.
    pub(crate) fn shared(path: &Path, progress: &dyn Progress) -> Result<Self, LockError> {
        Self::wait(path, FlockOperation::NonBlockingLockShared, progress)
    }

    fn wait(
        path: &Path,
        operation: FlockOperation,
        progress: &dyn Progress,
    ) -> Result<Self, LockError> {
        let mut reported = false;
        loop {
            let lock = Self::attempt(path, operation).context("lock", path);
            if let Some(lock) = lock.map_err(LockError::Io)? {
                return Ok(lock);
            }
            if !reported {
                progress.event(&Event::Waiting { lock: path });
                reported = true;
            }
            if progress.is_cancelled() {
                return Err(LockError::Cancelled);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Acquires the lock exclusively; returns `None` if another process holds it.
    pub(crate) fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        Self::attempt(path, FlockOperation::NonBlockingLockExclusive)
    }

    fn attempt(path: &Path, operation: FlockOperation) -> io::Result<Option<Self>> {
        // Following a symlink would create or lock a file in another place.
        let nofollow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .custom_flags(nofollow)
            .open(path)?;
        match rustix::fs::flock(&file, operation) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;

    #[test]
    fn locks_are_shared_or_exclusive_and_stale_files_do_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::fs::write(&path, "4711\n").unwrap();
        let one = Lock::shared(&path, &NoProgress).unwrap();
        let two = Lock::shared(&path, &NoProgress).unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop((one, two));
        let alone = Lock::try_exclusive(&path).unwrap();
        assert!(alone.is_some());
        assert!(
            Lock::attempt(&path, FlockOperation::NonBlockingLockShared)
                .unwrap()
                .is_none()
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"4711\n");
    }

    #[test]
    fn symlinks_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, outside) = (dir.path().join("lock"), dir.path().join("outside"));
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        assert!(Lock::try_exclusive(&path).is_err());
        assert!(!outside.exists());
    }
}
