//! Locks between processes.

use crate::progress::{Event, Progress};
use rustix::fs::{FlockOperation, OFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// How long to wait before asking for a held lock again.
const RETRY: Duration = Duration::from_millis(50);

/// A `flock` on a file, held until dropped. The kernel releases it when the process ends, however
/// it ends, so that a lock file that is there means nothing by itself. The file stays.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("stopped while waiting for another process")]
    Cancelled,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Lock {
    /// Takes the lock exclusively. Waits while another process holds it, and reports so once
    /// through `progress`.
    pub(crate) fn exclusive(path: &Path, progress: &dyn Progress) -> Result<Self, LockError> {
        Self::wait(path, FlockOperation::NonBlockingLockExclusive, progress)
    }

    /// Takes the lock together with others who share it. Waits while another process holds it
    /// exclusively, and reports so once through `progress`.
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
            if let Some(lock) = Self::attempt(path, operation)? {
                return Ok(lock);
            }
            if !reported {
                progress.event(&Event::Waiting { lock: path });
                reported = true;
            }
            if progress.is_cancelled() {
                return Err(LockError::Cancelled);
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Takes the lock exclusively if nobody holds it.
    pub(crate) fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        Self::attempt(path, FlockOperation::NonBlockingLockExclusive)
    }

    fn attempt(path: &Path, operation: FlockOperation) -> io::Result<Option<Self>> {
        // A link would have a file made, or a lock taken, in another place.
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
    fn is_shared_or_exclusive_and_a_stale_file_blocks_nobody() {
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
    fn follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let (path, outside) = (dir.path().join("lock"), dir.path().join("outside"));
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        assert!(Lock::try_exclusive(&path).is_err());
        assert!(!outside.exists());
    }
}
