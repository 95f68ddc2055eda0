//! The documents of a vulnerability database or a download index, in a directory or on a server.

use super::error::AuditError;
use super::fetch::{Fetched, Fetcher};
use crate::fs::context::IoContext;
use crate::http::url::Url;
use crate::http::{HttpError, InvalidUrl};
use crate::kind::ErrorKind;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The first bytes of a gzip file (RFC 1952, 2.3.1). A web server can also decompress what it serves.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The origin of data, and its age.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Origin {
    /// The directory or file, or the URL without credentials.
    pub location: String,
    /// The time of the last change of the database, as it says itself; `None` if it does not say it.
    pub modified: Option<String>,
    /// The time at which the server confirmed that the data is its own, in seconds since 1970; `None`
    /// for a directory.
    pub confirmed: Option<u64>,
    /// The reason why the server could not be asked now, so that a copy in the cache was used.
    pub unreachable: Option<Arc<HttpError>>,
}

/// A directory, or the URL of a server.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Directory(PathBuf),
    Url(Url),
}

impl Place {
    /// Parses a location: a text with `://` is a URL, everything else a path.
    pub(super) fn parse(location: &str) -> Result<Self, InvalidUrl> {
        if !location.contains("://") {
            return Ok(Self::Directory(location.into()));
        }
        let url = Url::parse(location)?;
        Ok(url.local_path().map_or(Self::Url(url), Self::Directory))
    }

    /// Returns the location without credentials.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Url(url) => url.to_string(),
        }
    }
}

/// A document, decompressed.
#[derive(Debug)]
pub(super) struct Document {
    /// The file or URL, for errors.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) confirmed: Option<u64>,
    pub(super) unreachable: Option<HttpError>,
}

/// The documents below a place, each of which can be compressed with the suffix `.gz`.
pub(super) struct Documents {
    pub(super) place: Place,
    fetcher: Fetcher,
    /// True if the server has no compressed documents.
    is_plain: AtomicBool,
}

impl Documents {
    pub(super) fn new(place: Place, fetcher: Fetcher) -> Self {
        Self {
            place,
            fetcher,
            is_plain: AtomicBool::new(false),
        }
    }

    /// Reads a document of at most `limit` bytes; `None` if it does not exist.
    pub(super) fn read(
        &self,
        name: &str,
        limit: u64,
        max_age: u64,
    ) -> Result<Option<Document>, AuditError> {
        match &self.place {
            Place::Directory(directory) => {
                let found = read_file(&directory.join(name), limit)?;
                match found {
                    None => read_file(&directory.join(format!("{name}.gz")), limit),
                    found => Ok(found),
                }
            }
            Place::Url(base) => self.fetch(base, name, limit, max_age),
        }
    }

    /// Returns the copy of a document of a server in the cache, however old it is.
    pub(super) fn cached(&self, name: &str, limit: u64) -> Option<Document> {
        let Place::Url(base) = &self.place else {
            return None;
        };
        let urls = self.urls(base, name).ok()?;
        urls.iter().find_map(|url| {
            let bytes = self.fetcher.cached(url)?;
            Some(Document {
                name: url.to_string(),
                bytes: decompressed(&url.to_string(), bytes, limit).ok()?,
                confirmed: None,
                unreachable: None,
            })
        })
    }

    fn fetch(
        &self,
        base: &Url,
        name: &str,
        limit: u64,
        max_age: u64,
    ) -> Result<Option<Document>, AuditError> {
        let mut refused = None;
        for url in self.urls(base, name)? {
            match self.fetcher.get(&url, limit, max_age) {
                Ok(fetched) => {
                    let is_plain = !url.key().ends_with(".gz");
                    self.is_plain.store(is_plain, Ordering::Relaxed);
                    return document(&url, fetched, limit).map(Some);
                }
                // Some servers answer with 403 for files that do not exist.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => refused = Some(error),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        refused.map_or(Ok(None), |error| Err(error.into()))
    }

    /// Returns the URLs of a document, in the order in which they are tried.
    fn urls(&self, base: &Url, name: &str) -> Result<[Url; 2], AuditError> {
        let url = |name: &str| base.join(name).map_err(HttpError::from);
        let (compressed, plain) = (url(&format!("{name}.gz"))?, url(name)?);
        let has_plain = || self.fetcher.cached(&plain).is_some();
        Ok(match self.is_plain.load(Ordering::Relaxed) || has_plain() {
            true => [plain, compressed],
            false => [compressed, plain],
        })
    }
}

/// Reads the document at exactly one place, which is not compressed: a file or a URL.
pub(super) fn read_one(
    place: &Place,
    suffix: &str,
    fetcher: &Fetcher,
    limit: u64,
    max_age: u64,
) -> Result<Document, AuditError> {
    match place {
        Place::Directory(path) => {
            let found = read_file(path, limit)?;
            let missing = || io::Error::from(io::ErrorKind::NotFound);
            Ok(found.ok_or_else(missing).context("read", path)?)
        }
        Place::Url(base) => {
            let url = base.join(suffix).map_err(HttpError::from)?;
            document(&url, fetcher.get(&url, limit, max_age)?, limit)
        }
    }
}

fn document(url: &Url, fetched: Fetched, limit: u64) -> Result<Document, AuditError> {
    let name = url.to_string();
    Ok(Document {
        bytes: decompressed(&name, fetched.bytes, limit)?,
        name,
        confirmed: Some(fetched.confirmed),
        unreachable: fetched.unreachable,
    })
}

/// Reads a regular file; `None` if it does not exist.
fn read_file(path: &Path, limit: u64) -> Result<Option<Document>, AuditError> {
    let metadata = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.context("read", path)?,
    };
    // Opening a named pipe would wait for a writer.
    if !metadata.is_file() {
        let error = io::Error::other("it is not a regular file");
        return Err(error).context("read", path).map_err(Into::into);
    }
    let name = path.display().to_string();
    let file = File::open(path).context("read", path)?;
    let bytes = read_limited(file, limit).context("read", path)?;
    let bytes = bytes.ok_or_else(|| AuditError::TooLarge {
        document: name.clone(),
        limit,
    })?;
    Ok(Some(Document {
        bytes: decompressed(&name, bytes, limit)?,
        name,
        confirmed: None,
        unreachable: None,
    }))
}

/// Decompresses a document that is compressed.
fn decompressed(name: &str, bytes: Vec<u8>, limit: u64) -> Result<Vec<u8>, AuditError> {
    if !bytes.starts_with(GZIP) {
        return Ok(bytes);
    }
    let read = read_limited(MultiGzDecoder::new(&*bytes), limit);
    let read = read.map_err(|source| AuditError::Gzip {
        document: name.to_owned(),
        source,
    })?;
    read.ok_or_else(|| AuditError::TooLarge {
        document: name.to_owned(),
        limit,
    })
}

/// Reads everything; `None` if there is more than `limit` bytes.
fn read_limited(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}
