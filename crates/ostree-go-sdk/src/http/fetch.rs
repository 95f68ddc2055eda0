//! One document or object, over as many requests as it takes.

use std::path::Path;

use super::download::{HEADWAY, content_length, content_range, read_error, validator};
use super::url::Url;
use super::{Body, HttpClient, HttpError, Retry, status_error};
use crate::progress::Progress;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// A body that is being fetched.
struct Fetch<'a> {
    client: &'a HttpClient,
    url: &'a Url,
    limit: u64,
    arrived: &'a dyn Fn(u64) -> bool,
    body: Body,
    /// Identifies this very content in a request for the rest of it.
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
        let goes_on = |_| !progress.is_cancelled();
        let body = self.fetch(url, limit, None, progress, &goes_on)?;
        body.into_bytes().map_err(|source| spool_error(url, source))
    }

    /// Fetches a body of at most `limit` bytes; what does not fit into a small buffer goes into a
    /// temporary file in the folder `spool_in`. `arrived` is called with the length of every
    /// piece, and ends the download by returning `false`; it is called with 0 before each try.
    ///
    /// A request that failed is made again as often as the client's options say. That count
    /// begins anew only where the server has gone on by at least [`HEADWAY`] bytes from where it
    /// was: a server that begins again and again does not keep it going.
    pub(crate) fn fetch(
        &self,
        url: &Url,
        limit: u64,
        spool_in: Option<&Path>,
        progress: &dyn Progress,
        arrived: &dyn Fn(u64) -> bool,
    ) -> Result<Body, HttpError> {
        let mut retry = Retry::new(self, url, progress);
        let mut fetch = Fetch {
            client: self,
            url,
            limit,
            arrived,
            body: Body::new(spool_in),
            validator: None,
        };
        let mut most = 0;
        loop {
            match fetch.request() {
                Ok(()) => return Ok(fetch.body),
                Err((error, went_on)) => {
                    let length = fetch.body.len();
                    if went_on && length >= most + HEADWAY {
                        retry.reset();
                    }
                    most = most.max(length);
                    retry.after(error)?;
                }
            }
        }
    }
}

impl Fetch<'_> {
    /// Makes one request for what is missing. An error comes with whether the answer went on
    /// where the one before it ended.
    fn request(&mut self) -> Result<(), (HttpError, bool)> {
        let fresh = |error| (error, false);
        let mut headers = Vec::new();
        match &self.validator {
            Some(validator) if self.body.len() > 0 => {
                headers.push(("Range", format!("bytes={}-", self.body.len())));
                headers.push(("If-Range", validator.clone()));
            }
            _ => self.body.clear(),
        }
        let start = self.body.len();
        (self.arrived)(0);
        let response = self.client.request(self.url, &headers).map_err(fresh)?;
        let answer = response.headers();
        let (total, went_on) = match response.status().as_u16() {
            200 => {
                self.body.clear();
                self.validator = validator(answer);
                (content_length(answer), start == 0)
            }
            206 if start > 0 => match content_range(answer) {
                Some((first, total)) if first == start => (Some(total), true),
                _ => return Err(fresh(self.start_over(start))),
            },
            416 if start > 0 => return Err(fresh(self.start_over(start))),
            status => return Err(fresh(status_error(self.url, status))),
        };
        if total.is_some_and(|total| total > self.limit) {
            return Err(fresh(self.too_large()));
        }
        self.copy(response, total).map_err(|error| (error, went_on))
    }

    fn copy(
        &mut self,
        response: ureq::http::Response<ureq::Body>,
        total: Option<u64>,
    ) -> Result<(), HttpError> {
        let url = self.url;
        let mut input = response.into_body().into_reader();
        let mut pace = self.client.pace();
        let mut buffer = [0; PIECE];
        loop {
            let read = pace.read(&mut input, &mut buffer, url)?;
            let read = read.map_err(|error| read_error(url, error, total, self.body.len()))?;
            if !(self.arrived)(read as u64) {
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

    /// The server cannot go on from `start`: the next request asks for everything.
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
