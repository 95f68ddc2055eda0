//! Downloads of files into the cache, with as many requests as necessary.

use std::fs::File;
use std::io::{Read, Seek};

use ureq::http::{HeaderMap, header};

use super::url::Url;
use super::{HttpClient, HttpError, Retry, request_error, status_error};
use crate::failpoint;
use crate::fs::cache::{Cache, Partial, VerifiedFile};
use crate::fs::digest;
use crate::id::Sha256;
use crate::progress::{Event, Phase, Progress};

/// The number of bytes by which a download has to grow for the count of retries to start again.
pub(crate) const PROGRESS_THRESHOLD: u64 = 1 << 20;

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
}

impl Download<'_> {
    fn run(mut self) -> Result<VerifiedFile, HttpError> {
        self.resumed = self.partial.len() > 0;
        let mut retry = Retry::new(self.client, self.url, self.progress);
        let mut last_progress = self.partial.len();
        let mut restarted = false;
        loop {
            let is_complete =
                self.partial.len() > 0 && self.expected == Some(self.partial.sha256());
            if !is_complete && let Err(error) = self.transfer() {
                if self.partial.len() >= last_progress.saturating_add(PROGRESS_THRESHOLD) {
                    last_progress = self.partial.len();
                    retry.reset();
                }
                retry.wait_after(error)?;
                continue;
            }
            let found = self.partial.sha256();
            match self.expected {
                Some(expected) if expected != found => {
                    if !self.resumed || restarted {
                        self.partial.discard()?;
                        return Err(HttpError::Mismatch {
                            url: self.url.to_string(),
                            expected,
                            found,
                        });
                    }
                    // The parts may belong to different files. This is done only once, because a
                    // server that sends different parts each time would be asked forever.
                    restarted = true;
                    self.resumed = false;
                    self.partial.restart(None)?;
                }
                _ => return Ok(self.partial.finish()?),
            }
        }
    }

    /// Makes one request for the missing part, and appends the response.
    fn transfer(&mut self) -> Result<(), HttpError> {
        let start = match self.partial.validator() {
            Some(_) => self.partial.len(),
            None => 0,
        };
        let mut request_headers = Vec::new();
        if let (1.., Some(validator)) = (start, self.partial.validator()) {
            request_headers.push(("Range", format!("bytes={start}-")));
            request_headers.push(("If-Range", validator.to_owned()));
        }
        let response = self.client.request(self.url, &request_headers)?;
        let status = response.status().as_u16();
        let headers = response.headers();
        let total = match status {
            200 => {
                self.partial.restart(validator(headers).as_deref())?;
                content_length(headers)
            }
            206 if start > 0 => match content_range(headers) {
                Some((first, total)) if first == start => {
                    self.resumed = true;
                    Some(total)
                }
                _ => return self.start_over(start),
            },
            416 if start > 0 => return self.start_over(start),
            _ => return Err(status_error(self.url, &response)),
        };
        let has_known_end = total.is_some() || headers.contains_key(header::TRANSFER_ENCODING);
        if !has_known_end && self.expected.is_none() {
            return Err(HttpError::NoLength {
                url: self.url.to_string(),
            });
        }
        self.check_size(total.unwrap_or(0))?;
        self.copy(&mut response.into_body().into_reader(), total)
    }

    fn copy(&mut self, body: &mut dyn Read, total: Option<u64>) -> Result<(), HttpError> {
        let item = self.url.to_string();
        let mut buffer = vec![0; digest::CHUNK];
        let mut rate_check = self.client.rate_check();
        loop {
            if self.progress.is_cancelled() {
                return Err(HttpError::Cancelled { url: item });
            }
            let read = match rate_check.read(body, &mut buffer, self.url)? {
                Ok(read) => read,
                Err(error) => return Err(read_error(self.url, error, total, self.partial.len())),
            };
            if read == 0 {
                break;
            }
            self.check_size(self.partial.len() + read as u64)?;
            self.partial.append(&buffer[..read])?;
            failpoint::hit("download.appended");
            self.progress.event(&Event::Advanced {
                phase: Phase::Download,
                item: &item,
                done: self.partial.len(),
                total,
            });
        }
        match total {
            Some(expected) if expected != self.partial.len() => Err(HttpError::Truncated {
                url: item,
                expected,
                found: self.partial.len(),
            }),
            _ => Ok(()),
        }
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

    /// Handles a server that cannot continue from `start`: the next request is for the whole file.
    fn start_over(&mut self, start: u64) -> Result<(), HttpError> {
        self.partial.restart(None)?;
        Err(HttpError::Range {
            url: self.url.to_string(),
            expected: start,
        })
    }
}

/// Returns the error for a response that could not be read completely.
pub(crate) fn read_error(
    url: &Url,
    error: std::io::Error,
    total: Option<u64>,
    found: u64,
) -> HttpError {
    match (request_error(url, error.into()), total) {
        (
            HttpError::Request {
                source: ureq::Error::Io(error),
                ..
            },
            Some(expected),
        ) if error.kind() == std::io::ErrorKind::UnexpectedEof => HttpError::Truncated {
            url: url.to_string(),
            expected,
            found,
        },
        (error, _) => error,
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the validator by which a later request can refer to the same content: a strong ETag,
/// else the date (RFC 9110, 13.1.5: weak ETags must not be used for ranges).
pub(super) fn validator(headers: &HeaderMap) -> Option<String> {
    text(headers, header::ETAG)
        .filter(|etag| !etag.starts_with("W/"))
        .or_else(|| text(headers, header::LAST_MODIFIED))
        .map(str::to_owned)
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_LENGTH)?.trim().parse().ok()
}

/// Parses the first byte and the total size in `Content-Range: bytes 5-9/10` (RFC 9110, 14.4).
pub(crate) fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let (range, total) = text(headers, header::CONTENT_RANGE)?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()?))
}
