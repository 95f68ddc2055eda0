//! One document in memory, over as many requests as it takes.

use std::io::Read;

use super::download::{HEADWAY, content_length, content_range, read_error, validator};
use super::url::Url;
use super::{HttpClient, HttpError, Retry, status_error};
use crate::progress::Progress;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// What has come so far.
#[derive(Default)]
struct Document {
    bytes: Vec<u8>,
    /// What a request for the rest can name this very content by.
    validator: Option<String>,
}

impl HttpClient {
    /// Fetches a document of at most `limit` bytes.
    pub(crate) fn get(
        &self,
        url: &Url,
        limit: u64,
        progress: &dyn Progress,
    ) -> Result<Vec<u8>, HttpError> {
        self.fetch(url, limit, progress, &|_| !progress.is_cancelled())
    }

    /// The same. `arrived` hears of every piece, by its length, and ends the download by `false`.
    pub(crate) fn fetch(
        &self,
        url: &Url,
        limit: u64,
        progress: &dyn Progress,
        arrived: &dyn Fn(u64) -> bool,
    ) -> Result<Vec<u8>, HttpError> {
        let mut retry = Retry::new(self, url, progress);
        let mut document = Document::default();
        loop {
            let before = document.bytes.len() as u64;
            match self.fetch_once(url, limit, &mut document, arrived) {
                Ok(()) => return Ok(document.bytes),
                Err(error) => {
                    if document.bytes.len() as u64 >= before + HEADWAY {
                        retry.reset();
                    }
                    retry.after(error)?;
                }
            }
        }
    }

    /// Makes one request for what is missing.
    fn fetch_once(
        &self,
        url: &Url,
        limit: u64,
        document: &mut Document,
        arrived: &dyn Fn(u64) -> bool,
    ) -> Result<(), HttpError> {
        let mut headers = Vec::new();
        match &document.validator {
            Some(validator) if !document.bytes.is_empty() => {
                headers.push(("Range", format!("bytes={}-", document.bytes.len())));
                headers.push(("If-Range", validator.clone()));
            }
            _ => document.bytes.clear(),
        }
        let start = document.bytes.len() as u64;
        let response = self.request(url, &headers)?;
        let answer = response.headers();
        let total = match response.status().as_u16() {
            200 => {
                document.bytes.clear();
                document.validator = validator(answer);
                content_length(answer)
            }
            206 if start > 0 => match content_range(answer) {
                Some((first, total)) if first == start => Some(total),
                _ => return start_over(document, url, start),
            },
            416 if start > 0 => return start_over(document, url, start),
            status => return Err(status_error(url, status)),
        };
        let too_large = || HttpError::TooLarge {
            url: url.to_string(),
            limit,
        };
        if total.is_some_and(|total| total > limit) {
            return Err(too_large());
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = [0; PIECE];
        loop {
            let read = body
                .read(&mut buffer)
                .map_err(|error| read_error(url, error, total, document.bytes.len() as u64))?;
            if !arrived(read as u64) {
                return Err(HttpError::Cancelled {
                    url: url.to_string(),
                });
            }
            if read == 0 {
                break;
            }
            document.bytes.extend_from_slice(&buffer[..read]);
            if document.bytes.len() as u64 > limit {
                return Err(too_large());
            }
        }
        let found = document.bytes.len() as u64;
        match total {
            Some(expected) if expected != found => Err(HttpError::Truncated {
                url: url.to_string(),
                expected,
                found,
            }),
            _ => Ok(()),
        }
    }
}

/// The server cannot go on from `start`: the next request asks for everything.
fn start_over(document: &mut Document, url: &Url, start: u64) -> Result<(), HttpError> {
    *document = Document::default();
    Err(HttpError::Range {
        url: url.to_string(),
        expected: start,
    })
}
