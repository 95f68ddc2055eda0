//! Downloads of files into the cache, with as many requests as necessary.

use std::fs::File;
use std::io::Seek;

use ureq::http::{HeaderMap, Response, header};

use super::retry::Retry;
use super::transfer::{self, Resume, Transfer, validator};
use super::url::Url;
use super::{HttpClient, HttpError, status_error};
use crate::failpoint;
use crate::fs::cache::{Cache, Partial, VerifiedFile};
use crate::fs::digest;
use crate::id::Sha256;
use crate::progress::{Event, Phase, Progress};

impl HttpClient {
    /// Downloads a file into the cache, unless the cache has a file with the expected digest. The
    /// file of a `file` URL is used where it is. In both cases the content has been checked against
    /// `expected`.
    pub(crate) fn download(
        &self,
        url: &Url,
        expected: Option<Sha256>,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<VerifiedFile, HttpError> {
        if url.local_path().is_some() {
            return read_local(url, expected, progress);
        }
        let cached = || expected.map_or(Ok(None), |sha256| cache.get(sha256, progress));
        if let Some(file) = cached()? {
            return Ok(file);
        }
        let partial = cache.partial(&url.key(), expected.is_some(), progress)?;
        // Another process may have finished the same download in the meantime.
        if let Some(file) = cached()? {
            partial.discard()?;
            return Ok(file);
        }
        let done = Download {
            client: self,
            url,
            expected,
            partial,
            progress,
            resumed: false,
            total: None,
        }
        .run();
        progress.event(&Event::Finished {
            phase: Phase::Download,
            item: &url.to_string(),
        });
        done
    }
}

/// The file of a `file` URL, where it is.
pub(crate) fn read_local(
    url: &Url,
    expected: Option<Sha256>,
    progress: &dyn Progress,
) -> Result<VerifiedFile, HttpError> {
    let path = url.local_path().unwrap_or_default();
    let cannot_read = |source| HttpError::File {
        path: path.clone(),
        source,
    };
    let mut file = File::open(&path).map_err(cannot_read)?;
    let total = file.metadata().map_err(cannot_read)?.len();
    let (hasher, size) = digest::hash(&mut file, &url.to_string(), Some(total), progress)
        .map_err(cannot_read)?
        .ok_or_else(|| HttpError::Cancelled {
            url: url.to_string(),
        })?;
    let sha256 = digest::finish(hasher);
    file.rewind().map_err(cannot_read)?;
    match expected {
        Some(expected) if expected != sha256 => Err(HttpError::Mismatch {
            url: url.to_string(),
            expected,
            found: sha256,
        }),
        _ => Ok(VerifiedFile {
            file,
            path,
            sha256,
            size,
        }),
    }
}

struct Download<'a> {
    client: &'a HttpClient,
    url: &'a Url,
    expected: Option<Sha256>,
    partial: Partial,
    progress: &'a dyn Progress,
    /// Set if the file consists of parts of more than one response.
    resumed: bool,
    /// The size that the server declares, for progress events.
    total: Option<u64>,
}

impl Download<'_> {
    fn run(mut self) -> Result<VerifiedFile, HttpError> {
        self.resumed = self.partial.len() > 0;
        let mut retry = Retry::new(self.client, self.url, self.progress);
        transfer::run(self.client, self.url, &mut retry, &mut self)?;
        if !self.is_expected() && self.resumed {
            // The parts may belong to different files. This is done only once, because a server
            // that sends different parts each time would be asked forever.
            self.resumed = false;
            self.partial.restart(None)?;
            transfer::run(self.client, self.url, &mut retry, &mut self)?;
        }
        let found = self.partial.sha256();
        match self.expected {
            Some(expected) if expected != found => {
                self.partial.discard()?;
                Err(HttpError::Mismatch {
                    url: self.url.to_string(),
                    expected,
                    found,
                })
            }
            _ => Ok(self.partial.finish()?),
        }
    }

    /// Returns true if the file has the expected digest, or if any digest is accepted.
    fn is_expected(&self) -> bool {
        let expected = self.expected;
        expected.is_none_or(|expected| expected == self.partial.sha256())
    }

    fn check_size(&self, size: u64) -> Result<(), HttpError> {
        let limit = self.client.options.max_size;
        if size > limit {
            return Err(HttpError::TooLarge {
                url: self.url.to_string(),
                limit,
            });
        }
        Ok(())
    }

    fn check_cancelled(&self) -> Result<(), HttpError> {
        if self.progress.is_cancelled() {
            let url = self.url.to_string();
            return Err(HttpError::Cancelled { url });
        }
        Ok(())
    }
}

impl Transfer for Download<'_> {
    type Error = HttpError;

    fn send(
        &mut self,
        headers: &[(&'static str, String)],
    ) -> Result<Response<ureq::Body>, HttpError> {
        self.client.request(self.url, headers)
    }

    fn refused(&self, response: Response<ureq::Body>) -> HttpError {
        status_error(self.url, &response)
    }

    fn len(&self) -> u64 {
        self.partial.len()
    }

    fn resume(&self) -> Resume {
        match self.partial.validator() {
            Some(validator) => Resume::IfUnchanged(validator.to_owned()),
            None => Resume::Never,
        }
    }

    fn is_complete(&self) -> bool {
        self.partial.len() > 0 && self.expected == Some(self.partial.sha256())
    }

    fn begin(
        &mut self,
        start: u64,
        total: Option<u64>,
        headers: &HeaderMap,
    ) -> Result<Option<u64>, HttpError> {
        match start {
            0 => self.partial.restart(validator(headers).as_deref())?,
            _ => self.resumed = true,
        }
        let has_known_end = total.is_some() || headers.contains_key(header::TRANSFER_ENCODING);
        if !has_known_end && self.expected.is_none() {
            return Err(HttpError::NoLength {
                url: self.url.to_string(),
            });
        }
        self.check_size(total.unwrap_or(0))?;
        self.total = total;
        self.check_cancelled()?;
        Ok(total)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        self.check_size(self.partial.len() + bytes.len() as u64)?;
        self.partial.append(bytes)?;
        failpoint::hit("download.appended");
        self.progress.event(&Event::Advanced {
            phase: Phase::Download,
            item: &self.url.to_string(),
            done: self.partial.len(),
            total: self.total,
        });
        self.check_cancelled()
    }

    fn discard(&mut self) -> Result<(), HttpError> {
        Ok(self.partial.restart(None)?)
    }
}
