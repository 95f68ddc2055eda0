//! The newest signed heads of checksum databases that this machine has seen.

use super::error::UpstreamError;
use crate::fs::atomic;
use crate::fs::context::{IoContext, IoFailure};
use crate::fs::lock::{Lock, LockError};
use crate::golang::sumdb::{SignedHead, VerifierKey};
use crate::progress::Progress;
use std::io;
use std::path::{Path, PathBuf};

/// The file with the newest head.
const NEWEST: &str = "newest";
/// The file that is locked while the newest head is replaced.
const LOCK: &str = "lock";

/// A directory with the newest signed head of each checksum database that was seen, and with the evidence of databases that
/// have shown different trees. It has one directory for each key.
///
/// Several threads and processes can use it at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadStore {
    dir: PathBuf,
}

impl HeadStore {
    /// Describes a directory, which is created when the first head is stored.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns the path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Returns the newest head that is signed by a key. A file that is damaged or not signed by the key counts as absent.
    ///
    /// # Errors
    /// Returns an error if the file exists and cannot be read.
    pub(super) fn newest(&self, key: &VerifierKey) -> Result<Option<SignedHead>, IoFailure> {
        let path = self.dir_of(key).join(NEWEST);
        match std::fs::read_to_string(&path) {
            Ok(note) => Ok(key.open_head(&note).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(IoFailure::new("read", path, error)),
        }
    }

    /// Stores the newest head if the one in the store is still `known`; returns false if it is not. It is durable when this
    /// returns.
    pub(super) fn replace(
        &self,
        key: &VerifierKey,
        known: Option<&SignedHead>,
        head: &SignedHead,
        progress: &dyn Progress,
    ) -> Result<bool, UpstreamError> {
        let dir = self.dir_of(key);
        std::fs::create_dir_all(&dir).context("make directory", &dir)?;
        let lock = Lock::exclusive(&dir.join(LOCK), progress);
        let _lock = lock.map_err(|error| match error {
            LockError::Cancelled => UpstreamError::Stopped,
            LockError::Io(failure) => failure.into(),
        })?;
        if self.newest(key)?.map(|newest| newest.head) != known.map(|known| known.head) {
            return Ok(false);
        }
        self.write(key, NEWEST, &head.note)?;
        Ok(true)
    }

    /// Stores two heads that contradict each other, and returns the path of the file. It is durable when this returns.
    pub(super) fn store_fork(
        &self,
        key: &VerifierKey,
        older: &SignedHead,
        newer: &SignedHead,
    ) -> Result<PathBuf, IoFailure> {
        let name = format!("fork-{}-{}", older.head.size, newer.head.size);
        self.write(key, &name, &format!("{}\n{}", older.note, newer.note))
    }

    fn write(&self, key: &VerifierKey, name: &str, text: &str) -> Result<PathBuf, IoFailure> {
        let dir = self.dir_of(key);
        std::fs::create_dir_all(&dir).context("make directory", &dir)?;
        let path = dir.join(name);
        atomic::write(&path, text.as_bytes()).context("write", &path)?;
        Ok(path)
    }

    /// Returns the directory for a key. The name of a key can contain slashes.
    fn dir_of(&self, key: &VerifierKey) -> PathBuf {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ['.', '-', '+'].contains(&c);
        let name = key.to_string();
        let name = name.trim_start_matches('.');
        self.dir.join(name.replace(|c| !is_plain(c), "_"))
    }
}
