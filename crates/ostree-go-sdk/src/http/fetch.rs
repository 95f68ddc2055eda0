//! Fetches a document or object, with as many requests as necessary.

use std::path::Path;

use super::download::{PROGRESS_THRESHOLD, content_length, content_range, read_error, validator};
use super::url::Url;
use super::{Body, HttpClient, HttpError, Retry, status_error};
use crate::progress::Progress;

/// The size of the read buffer in bytes.
const BUFFER_SIZE: usize = 64 << 10;

/// A body that is being fetched.
struct Fetch<'a> {
    client: &'a HttpClient,
    url: &'a Url,
    limit: u64,
    on_bytes: &'a dyn Fn(u64) -> bool,
    body: Body,
    /// Identifies the content in a request for the rest of it.
    validator: Option<String>,
}

impl HttpClient {
    /// Fetches a document of at most `limit` bytes into memory.
    pub(crate) fn get(
        &self,
        url: &Url,
        limit: u64,
        progress: &dyn Progress,
    ) -> Result<Vec<u8>, HttpError> {
        let on_bytes = |_| !progress.is_cancelled();
        let body = self.fetch(url, limit, None, progress, &on_bytes)?;
        body.into_bytes().map_err(|source| spool_error(url, source))
    }

    /// Fetches a body of at most `limit` bytes. A body that exceeds a small buffer is stored in a
    /// temporary file in the folder `spool_in`. `on_bytes` is called with the length of every
    /// piece, and stops the download by returning false; before each attempt it is called with 0.
    ///
    /// A failed request is repeated as often as the client's options allow. The count starts again
    /// only if the server continued the download by at least [`PROGRESS_THRESHOLD`] bytes beyond
    /// the previous maximum, so that a server which always starts over cannot keep the request
    /// alive.
    pub(crate) fn fetch(
        &self,
        url: &Url,
        limit: u64,
        spool_in: Option<&Path>,
        progress: &dyn Progress,
        on_bytes: &dyn Fn(u64) -> bool,
    ) -> Result<Body, HttpError> {
        let mut retry = Retry::new(self, url, progress);
        let mut fetch = Fetch {
            client: self,
            url,
            limit,
            on_bytes,
            body: Body::new(spool_in),
            validator: None,
        };
        let mut max_length = 0;
        loop {
            match fetch.request() {
                Ok(()) => return Ok(fetch.body),
                Err((error, continued)) => {
                    let length = fetch.body.len();
                    if continued && length >= max_length + PROGRESS_THRESHOLD {
                        retry.reset();
                    }
                    max_length = max_length.max(length);
                    retry.wait_after(error)?;
                }
            }
        }
    }
}

impl Fetch<'_> {
    /// Makes one request for the missing part. An error comes with a flag that is true if the
    /// response continued where the previous one ended.
    fn request(&mut self) -> Result<(), (HttpError, bool)> {
        let not_continued = |error| (error, false);
        let mut headers = Vec::new();
        match &self.validator {
            Some(validator) if self.body.len() > 0 => {
                headers.push(("Range", format!("bytes={}-", self.body.len())));
                headers.push(("If-Range", validator.clone()));
            }
            _ => self.body.clear(),
        }
        let start = self.body.len();
        (self.on_bytes)(0);
        let response = self
            .client
            .request(self.url, &headers)
            .map_err(not_continued)?;
        let response_headers = response.headers();
        let (total, continued) = match response.status().as_u16() {
            200 => {
                self.body.clear();
                self.validator = validator(response_headers);
                (content_length(response_headers), start == 0)
            }
            206 if start > 0 => match content_range(response_headers) {
                Some((first, total)) if first == start => (Some(total), true),
                _ => return Err(not_continued(self.start_over(start))),
            },
            416 if start > 0 => return Err(not_continued(self.start_over(start))),
            _ => return Err(not_continued(status_error(self.url, &response))),
        };
        if total.is_some_and(|total| total > self.limit) {
            return Err(not_continued(self.too_large()));
        }
        self.copy(response, total)
            .map_err(|error| (error, continued))
    }

    fn copy(
        &mut self,
        response: ureq::http::Response<ureq::Body>,
        total: Option<u64>,
    ) -> Result<(), HttpError> {
        let url = self.url;
        let mut input = response.into_body().into_reader();
        let mut rate_check = self.client.rate_check();
        let mut buffer = [0; BUFFER_SIZE];
        loop {
            let read = rate_check.read(&mut input, &mut buffer, url)?;
            let read = read.map_err(|error| read_error(url, error, total, self.body.len()))?;
            if !(self.on_bytes)(read as u64) {
                let url = url.to_string();
                return Err(HttpError::Cancelled { url });
            }
            if read == 0 {
                break;
            }
            if self.body.len() + read as u64 > self.limit {
                return Err(self.too_large());
            }
            let appended = self.body.append(&buffer[..read]);
            appended.map_err(|source| spool_error(url, source))?;
        }
        let found = self.body.len();
        match total {
            Some(expected) if expected != found => Err(HttpError::Truncated {
                url: url.to_string(),
                expected,
                found,
            }),
            _ => Ok(()),
        }
    }

    /// Handles a server that cannot continue from `start`: the next request is for the whole file.
    fn start_over(&mut self, start: u64) -> HttpError {
        self.body.clear();
        self.validator = None;
        HttpError::Range {
            url: self.url.to_string(),
            expected: start,
        }
    }

    fn too_large(&self) -> HttpError {
        HttpError::TooLarge {
            url: self.url.to_string(),
            limit: self.limit,
        }
    }
}

fn spool_error(url: &Url, source: std::io::Error) -> HttpError {
    HttpError::Spool {
        url: url.to_string(),
        source,
    }
}
