//! The download cache: complete files by digest, and partial downloads that can be resumed.
//!
//! ```text
//! sha256/<hex>              a complete file, named by its content
//! url/<sha256 of the URL>   {"url", "sha256", "size"}: the content of an immutable URL
//! partial/<sha256 of the URL>            a partial download, locked by its writer
//! partial/<sha256 of the URL>.validator  the ETag or date for resuming it
//! ```
//! Several processes may share a cache: files appear atomically in `sha256` and `url`, and only one
//! process at a time writes to a partial file. All files may be removed at any time, at the cost of
//! another download.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::{atomic, digest};
use crate::failpoint;
use crate::id::Sha256;
use crate::kind::ErrorKind;
use crate::progress::{Event, POLL_INTERVAL, Progress};

/// A directory of cached downloads. It is created with the first download.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

/// An error of the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A file of the cache could not be read, written, locked or removed.
    #[error("cannot use the cached download {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The operation was cancelled.
    #[error("stopped while using the cached download {}", path.display())]
    Cancelled {
        /// The file in use.
        path: PathBuf,
    },
}

impl CacheError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } => ErrorKind::of_io(source),
            Self::Cancelled { .. } => ErrorKind::Cancelled,
        }
    }
}

/// An open file whose content was verified, positioned at its start.
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

/// Returns a function that adds `path` to an error.
fn io_error(path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    move |source| CacheError::Io {
        path: path.to_owned(),
        source,
    }
}

impl Cache {
    /// Returns a cache in `dir`, which does not have to exist.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns the complete file with this digest after verifying it. A damaged file is removed.
    pub(crate) fn get(
        &self,
        sha256: Sha256,
        progress: &dyn Progress,
    ) -> Result<Option<VerifiedFile>, CacheError> {
        let path = self.complete_path(sha256);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io_error(&path))?,
        };
        let total = file.metadata().map_err(io_error(&path))?.len();
        let (hasher, size) = digest::hash(&mut file, &sha256.to_string(), Some(total), progress)
            .map_err(io_error(&path))?
            .ok_or_else(|| CacheError::Cancelled { path: path.clone() })?;
        if digest::finish(hasher) != sha256 {
            remove(&path)?;
            return Ok(None);
        }
        file.rewind().map_err(io_error(&path))?;
        Ok(Some(VerifiedFile {
            file,
            path,
            sha256,
            size,
        }))
    }

    /// Removes the complete file with this digest. To be used if its content is not the expected
    /// one, so that the next attempt does not find it again.
    pub(crate) fn remove(&self, sha256: Sha256) -> Result<(), CacheError> {
        remove(&self.complete_path(sha256))
    }

    /// Returns the complete file of an immutable URL that [`Cache::record_url`] has recorded.
    pub(crate) fn get_by_url(
        &self,
        url: &str,
        progress: &dyn Progress,
    ) -> Result<Option<VerifiedFile>, CacheError> {
        let path = self.url_path(url);
        let json = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(io_error(&path))?,
        };
        let record: Option<UrlRecord> = serde_json::from_slice(&json).ok();
        match record.and_then(|record| record.sha256.parse().ok()) {
            Some(sha256) => self.get(sha256, progress),
            None => Ok(None),
        }
    }

    /// Records the content of an immutable URL.
    pub(crate) fn record_url(
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
            .map_err(io_error(&path))?;
        fs::create_dir_all(self.dir.join("url")).map_err(io_error(&path))?;
        atomic::write(&path, &json).map_err(io_error(&path))
    }

    /// Opens the partial file of a URL, after waiting for other processes that write to it.
    ///
    /// Bytes of an earlier process are kept only if `resume` is set. A power failure may have
    /// damaged them, so the caller must check the digest then.
    pub(crate) fn partial(
        &self,
        url: &str,
        resume: bool,
        progress: &dyn Progress,
    ) -> Result<Partial, CacheError> {
        let path = self.dir.join("partial").join(key(url));
        fs::create_dir_all(self.dir.join("partial")).map_err(io_error(&path))?;
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
        let total = partial.file.metadata().map_err(io_error(path))?.len();
        let item = path.to_string_lossy();
        (partial.hasher, partial.len) =
            digest::hash(&mut partial.file, &item, Some(total), progress)
                .map_err(io_error(path))?
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
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path)(error)),
        _ => Ok(()),
    }
}

/// Opens and locks the file at `path`, and waits while another process holds the lock.
fn lock(path: &Path, progress: &dyn Progress) -> Result<File, CacheError> {
    let mut reported = false;
    loop {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(io_error(path))?;
        match file.try_lock() {
            Ok(()) => {
                // The previous holder of the lock may have moved the file to its final path.
                let held = file.metadata().map_err(io_error(path))?;
                match fs::metadata(path) {
                    Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => {
                        return Ok(file);
                    }
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(io_error(path)(error));
                    }
                    _ => {}
                }
            }
            Err(TryLockError::Error(error)) => return Err(io_error(path)(error)),
            Err(TryLockError::WouldBlock) => {
                if progress.is_cancelled() {
                    return Err(CacheError::Cancelled {
                        path: path.to_owned(),
                    });
                }
                if !reported {
                    progress.event(&Event::Waiting { lock: path });
                    reported = true;
                }
                std::thread::sleep(POLL_INTERVAL);
            }
        }
    }
}

/// A partial download. Its lock is held until it is dropped or finished.
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
    /// Returns the number of downloaded bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns the ETag or date of the downloaded bytes. Without it, the download cannot be
    /// resumed.
    pub fn validator(&self) -> Option<&str> {
        self.validator.as_deref()
    }

    /// Returns the digest of the downloaded bytes.
    pub fn sha256(&self) -> Sha256 {
        digest::finish(self.hasher.clone())
    }

    /// Discards the downloaded bytes.
    pub fn restart(&mut self, validator: Option<&str>) -> Result<(), CacheError> {
        self.file.set_len(0).map_err(io_error(&self.path))?;
        self.hasher = sha2::Sha256::new();
        self.len = 0;
        self.validator = validator.map(str::to_owned);
        match validator {
            Some(validator) => atomic::write(&self.validator_path, validator.as_bytes())
                .map_err(io_error(&self.validator_path)),
            None => remove(&self.validator_path),
        }
    }

    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.file.write_all(bytes).map_err(io_error(&self.path))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Removes the partial file.
    pub fn discard(self) -> Result<(), CacheError> {
        remove(&self.validator_path)?;
        remove(&self.path)
    }

    /// Makes the partial file a complete file of the cache.
    pub fn finish(mut self) -> Result<VerifiedFile, CacheError> {
        let sha256 = self.sha256();
        let complete = self.cache.complete_path(sha256);
        fs::create_dir_all(self.cache.dir.join("sha256")).map_err(io_error(&complete))?;
        remove(&self.validator_path)?;
        failpoint::hit("cache.completing");
        atomic::rename(&self.file, &self.path, &complete).map_err(io_error(&complete))?;
        failpoint::hit("cache.completed");
        self.file.rewind().map_err(io_error(&complete))?;
        // The lock applied to the partial download, not to the complete file.
        self.file.unlock().map_err(io_error(&complete))?;
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
