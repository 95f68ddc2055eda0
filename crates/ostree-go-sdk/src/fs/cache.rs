//! Downloads that are kept: complete ones under their digest, others to be resumed.
//!
//! ```text
//! sha256/<hex>              a complete file, named by its content
//! url/<sha256 of the URL>   {"url", "sha256", "size"}: what an immutable URL holds
//! partial/<sha256 of the URL>            a download under way, locked by who writes it
//! partial/<sha256 of the URL>.validator  the ETag or date it may be resumed with
//! ```
//! Several processes may share a cache: files appear in `sha256` and `url` whole or not at
//! all, and one process at a time writes to a partial file. Everything may be removed at
//! any time, at the price of another download.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::{atomic, digest};
use crate::failpoint;
use crate::id::Sha256;
use crate::kind::ErrorKind;
use crate::progress::{Event, Progress};

/// How often a process that waits for another one's download looks again.
const POLL: Duration = Duration::from_millis(50);

/// A directory that downloads are kept in. It is made when the first one arrives.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A file of the cache could not be read, written, locked or removed.
    #[error("cannot use the cached download {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The caller asked for a stop.
    #[error("stopped while using the cached download {}", path.display())]
    Cancelled {
        /// The file in use.
        path: PathBuf,
    },
}

impl CacheError {
    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::Cancelled { .. } => ErrorKind::Cancelled,
        }
    }
}

/// A file whose content has been checked, open at its start.
#[derive(Debug)]
pub(crate) struct VerifiedFile {
    pub file: File,
    pub path: PathBuf,
    pub sha256: Sha256,
    pub size: u64,
}

#[derive(Serialize, Deserialize)]
struct UrlRecord {
    url: String,
    sha256: String,
    size: u64,
}

/// Names `path` in an error.
fn at(path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    move |source| CacheError::Io {
        path: path.to_owned(),
        source,
    }
}

impl Cache {
    /// A cache in `dir`, which need not exist yet.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The complete file with this digest, checked again. A damaged one is removed.
    pub(crate) fn get(
        &self,
        sha256: Sha256,
        progress: &dyn Progress,
    ) -> Result<Option<VerifiedFile>, CacheError> {
        let path = self.complete_path(sha256);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(at(&path))?,
        };
        let total = file.metadata().map_err(at(&path))?.len();
        let (hasher, size) = digest::hash(&mut file, &sha256.to_string(), Some(total), progress)
            .map_err(at(&path))?
            .ok_or_else(|| CacheError::Cancelled { path: path.clone() })?;
        if digest::finish(hasher) != sha256 {
            remove(&path)?;
            return Ok(None);
        }
        file.rewind().map_err(at(&path))?;
        Ok(Some(VerifiedFile {
            file,
            path,
            sha256,
            size,
        }))
    }

    /// Removes the complete file with this digest: its content is not what it should be, so that
    /// the next try must not find it again.
    pub(crate) fn forget(&self, sha256: Sha256) -> Result<(), CacheError> {
        remove(&self.complete_path(sha256))
    }

    /// The complete file that [`Cache::remember_url`] was told this immutable URL holds.
    pub(crate) fn get_by_url(
        &self,
        url: &str,
        progress: &dyn Progress,
    ) -> Result<Option<VerifiedFile>, CacheError> {
        let path = self.url_path(url);
        let json = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(at(&path))?,
        };
        let record: Option<UrlRecord> = serde_json::from_slice(&json).ok();
        match record.and_then(|record| record.sha256.parse().ok()) {
            Some(sha256) => self.get(sha256, progress),
            None => Ok(None),
        }
    }

    /// Remembers what an immutable URL holds.
    pub(crate) fn remember_url(
        &self,
        url: &str,
        sha256: Sha256,
        size: u64,
    ) -> Result<(), CacheError> {
        let path = self.url_path(url);
        let record = UrlRecord {
            url: url.to_owned(),
            sha256: sha256.to_string(),
            size,
        };
        let json = serde_json::to_vec(&record)
            .map_err(io::Error::from)
            .map_err(at(&path))?;
        fs::create_dir_all(self.dir.join("url")).map_err(at(&path))?;
        atomic::write(&path, &json).map_err(at(&path))
    }

    /// Opens the partial file of a URL, once no other process writes to it.
    ///
    /// What an earlier process left in it is kept only if `resume` is set: a power cut may
    /// have damaged it, so it is for those who will check the digest.
    pub(crate) fn partial(
        &self,
        url: &str,
        resume: bool,
        progress: &dyn Progress,
    ) -> Result<Partial, CacheError> {
        let path = self.dir.join("partial").join(key(url));
        fs::create_dir_all(self.dir.join("partial")).map_err(at(&path))?;
        let file = lock(&path, progress)?;
        let mut partial = Partial {
            validator_path: path.with_extension("validator"),
            cache: self.clone(),
            file,
            hasher: sha2::Sha256::new(),
            len: 0,
            validator: None,
            path,
        };
        partial.validator = resume
            .then(|| fs::read_to_string(&partial.validator_path).ok())
            .flatten();
        if partial.validator.is_none() {
            partial.restart(None)?;
            return Ok(partial);
        }
        let path = &partial.path;
        let total = partial.file.metadata().map_err(at(path))?.len();
        let item = path.to_string_lossy();
        (partial.hasher, partial.len) =
            digest::hash(&mut partial.file, &item, Some(total), progress)
                .map_err(at(path))?
                .ok_or_else(|| CacheError::Cancelled { path: path.clone() })?;
        Ok(partial)
    }

    fn complete_path(&self, sha256: Sha256) -> PathBuf {
        self.dir.join("sha256").join(sha256.to_string())
    }

    fn url_path(&self, url: &str) -> PathBuf {
        self.dir.join("url").join(key(url))
    }
}

fn key(url: &str) -> String {
    digest::of(url.as_bytes()).to_string()
}

fn remove(path: &Path) -> Result<(), CacheError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

/// Opens and locks the file at `path`, waiting for who holds the lock.
fn lock(path: &Path, progress: &dyn Progress) -> Result<File, CacheError> {
    let mut said = false;
    loop {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(at(path))?;
        match file.try_lock() {
            Ok(()) => {
                // Who held the lock may have moved the file to its final place.
                let held = file.metadata().map_err(at(path))?;
                match fs::metadata(path) {
                    Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => {
                        return Ok(file);
                    }
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(at(path)(error));
                    }
                    _ => {}
                }
            }
            Err(TryLockError::Error(error)) => return Err(at(path)(error)),
            Err(TryLockError::WouldBlock) => {
                if progress.is_cancelled() {
                    return Err(CacheError::Cancelled {
                        path: path.to_owned(),
                    });
                }
                if !said {
                    progress.event(&Event::Waiting { lock: path });
                    said = true;
                }
                std::thread::sleep(POLL);
            }
        }
    }
}

/// A download under way. The lock on it is held until it is dropped or finished.
#[derive(Debug)]
pub(crate) struct Partial {
    cache: Cache,
    file: File,
    path: PathBuf,
    validator_path: PathBuf,
    hasher: sha2::Sha256,
    len: u64,
    validator: Option<String>,
}

impl Partial {
    /// The bytes that have arrived.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The ETag or date that the bytes belong to. Without one they cannot be resumed.
    pub fn validator(&self) -> Option<&str> {
        self.validator.as_deref()
    }

    /// The digest of the bytes that have arrived.
    pub fn sha256(&self) -> Sha256 {
        digest::finish(self.hasher.clone())
    }

    /// Throws away what has arrived.
    pub fn restart(&mut self, validator: Option<&str>) -> Result<(), CacheError> {
        self.file.set_len(0).map_err(at(&self.path))?;
        self.hasher = sha2::Sha256::new();
        self.len = 0;
        self.validator = validator.map(str::to_owned);
        match validator {
            Some(validator) => atomic::write(&self.validator_path, validator.as_bytes())
                .map_err(at(&self.validator_path)),
            None => remove(&self.validator_path),
        }
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.file.write_all(bytes).map_err(at(&self.path))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Gives up what has arrived and the partial file with it.
    pub fn discard(self) -> Result<(), CacheError> {
        remove(&self.validator_path)?;
        remove(&self.path)
    }

    /// Makes what has arrived a complete file of the cache.
    pub fn finish(mut self) -> Result<VerifiedFile, CacheError> {
        let sha256 = self.sha256();
        let complete = self.cache.complete_path(sha256);
        fs::create_dir_all(self.cache.dir.join("sha256")).map_err(at(&complete))?;
        remove(&self.validator_path)?;
        failpoint::hit("cache.completing");
        atomic::rename(&self.file, &self.path, &complete).map_err(at(&complete))?;
        failpoint::hit("cache.completed");
        self.file.rewind().map_err(at(&complete))?;
        // The lock was on the download, not on the file it has become.
        self.file.unlock().map_err(at(&complete))?;
        Ok(VerifiedFile {
            file: self.file,
            path: complete,
            sha256,
            size: self.len,
        })
    }
}

#[cfg(test)]
mod tests;
