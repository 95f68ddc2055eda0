//! Locks between processes.

use crate::progress::{Event, Progress};
use rustix::fs::FlockOperation;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How long to wait before asking for a held lock again.
const RETRY: Duration = Duration::from_millis(50);

/// An exclusive `flock` on a file, held until dropped. The kernel lets go of it when the
/// process dies, however it dies. The file itself stays.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("stopped while waiting for another process")]
    Cancelled,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Lock {
    /// Takes the lock, waiting for whoever has it; says so once through `progress`.
    pub(crate) fn exclusive(path: &Path, progress: &dyn Progress) -> Result<Self, LockError> {
        let mut said = false;
        loop {
            if let Some(lock) = Self::try_exclusive(path)? {
                return Ok(lock);
            }
            if !said {
                progress.event(&Event::Waiting { lock: path });
                said = true;
            }
            if progress.is_cancelled() {
                return Err(LockError::Cancelled);
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Takes the lock if nobody has it.
    pub(crate) fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}
