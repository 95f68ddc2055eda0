//! Documents of a server, with a cache.
//!
//! The cache is a folder with one file for each URL, named by the SHA-256 of the URL: a line with a JSON
//! object (`url`, `etag`, `last_modified`, `confirmed`, `sha256`), and then the document as it was
//! received. A file that is damaged or belongs to another URL is ignored.

use crate::fs::{atomic, digest};
use crate::http::url::Url;
use crate::http::{HttpClient, HttpError, Validators};
use crate::kind::ErrorKind;
use crate::progress::Progress;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Fetches documents.
pub(super) struct Fetcher {
    pub(super) http: HttpClient,
    pub(super) cache: Option<PathBuf>,
    /// In seconds since 1970.
    pub(super) now: u64,
    pub(super) progress: Arc<dyn Progress>,
}

/// A document as the server sent it.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    /// The time at which the server confirmed that this is its content, in seconds since 1970.
    pub(super) confirmed: u64,
    /// The reason why the server could not confirm it now.
    pub(super) unreachable: Option<HttpError>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    url: String,
    #[serde(default)]
    etag: Option<String>,
    #[serde(default)]
    last_modified: Option<String>,
    confirmed: u64,
    sha256: String,
}

impl Fetcher {
    /// Returns the document at a URL, of at most `limit` bytes. A copy in the cache is used without a
    /// request if it was confirmed less than `max_age` seconds ago, and after a failed request if there
    /// is one at all.
    pub(super) fn get(&self, url: &Url, limit: u64, max_age: u64) -> Result<Fetched, HttpError> {
        let Some((header, bytes)) = self.read(url) else {
            let fetched =
                self.http
                    .get_if_changed(url, limit, &Validators::default(), &*self.progress)?;
            return Ok(self.received(url, fetched.unwrap_or_default()));
        };
        let age = self.now.checked_sub(header.confirmed);
        if age.is_some_and(|age| age < max_age) {
            return Ok(Fetched {
                bytes,
                confirmed: header.confirmed,
                unreachable: None,
            });
        }
        let known = Validators {
            etag: header.etag,
            last_modified: header.last_modified,
        };
        // The copy takes the place of retries.
        let http = self.http.without_retries();
        match http.get_if_changed(url, limit, &known, &*self.progress) {
            Ok(Some(new)) => Ok(self.received(url, new)),
            Ok(None) => Ok(self.received(url, (bytes, known))),
            Err(error) if error.kind() == ErrorKind::Network => Ok(Fetched {
                bytes,
                confirmed: header.confirmed,
                unreachable: Some(error),
            }),
            Err(error) => Err(error),
        }
    }

    /// Returns the copy of a document in the cache, however old it is.
    pub(super) fn cached(&self, url: &Url) -> Option<Vec<u8>> {
        self.read(url).map(|(_, bytes)| bytes)
    }

    fn received(&self, url: &Url, (bytes, validators): (Vec<u8>, Validators)) -> Fetched {
        let confirmed = self.now;
        // Without a copy, the next audit makes the same request again: no reason to fail.
        let _ = self.write(url, &bytes, validators);
        Fetched {
            bytes,
            confirmed,
            unreachable: None,
        }
    }

    fn read(&self, url: &Url) -> Option<(Header, Vec<u8>)> {
        let mut bytes = std::fs::read(self.path(url)?).ok()?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let header: Header = serde_json::from_slice(&bytes[..end]).ok()?;
        bytes.drain(..=end);
        let is_intact = header.sha256 == digest::of(&bytes).to_string();
        (is_intact && header.url == url.key()).then_some((header, bytes))
    }

    fn write(&self, url: &Url, bytes: &[u8], validators: Validators) -> io::Result<()> {
        let Some(path) = self.path(url) else {
            return Ok(());
        };
        let header = Header {
            url: url.key(),
            etag: validators.etag,
            last_modified: validators.last_modified,
            confirmed: self.now,
            sha256: digest::of(bytes).to_string(),
        };
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let mut pending = atomic::Pending::new(&path)?;
        serde_json::to_writer(&mut pending.file, &header)?;
        pending.file.write_all(b"\n")?;
        pending.file.write_all(bytes)?;
        // A file that a power failure has damaged is ignored because of its digest.
        pending.persist_unsynced()
    }

    fn path(&self, url: &Url) -> Option<PathBuf> {
        let name = digest::of(url.key().as_bytes()).to_string();
        Some(self.cache.as_ref()?.join(name))
    }
}
