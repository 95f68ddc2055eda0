//! The newest signed heads of checksum databases that this machine has seen.

use crate::fs::atomic;
use crate::fs::context::{IoContext, IoFailure};
use crate::golang::sumdb::{SignedHead, VerifierKey};
use std::io;
use std::path::{Path, PathBuf};

/// The file with the newest head.
const NEWEST: &str = "newest";

/// A directory with the newest signed head of each checksum database that was seen, and with the evidence of databases that
/// have shown different trees. It has one directory for each key.
///
/// Several processes can use it at the same time. If two of them store a head at once, the last one wins.
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

    /// Stores the newest head. It is durable when this returns.
    pub(super) fn store(&self, key: &VerifierKey, head: &SignedHead) -> Result<(), IoFailure> {
        self.write(key, NEWEST, &head.note).map(drop)
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
