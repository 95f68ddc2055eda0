//! Bytes of a known name and size, handed on as they come.

use std::io::Read;

use super::download::{HEADWAY, content_length, content_range, read_error};
use super::url::Url;
use super::{HttpClient, HttpError, Retry, status_error};
use crate::progress::Progress;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// What is asked for, and how far it has come.
pub(crate) struct Streamed<'a> {
    pub(crate) url: &'a Url,
    /// Headers that every request has.
    pub(crate) headers: &'a [(&'a str, String)],
    /// How many bytes there are. What is under this name never changes, so that the rest may be
    /// asked for without saying of what.
    pub(crate) size: u64,
    /// How many have been handed on.
    pub(crate) done: &'a mut u64,
}

impl HttpClient {
    /// Hands the bytes from `done` on to `take`, which ends it all by `false`.
    pub(crate) fn stream(
        &self,
        what: &mut Streamed<'_>,
        progress: &dyn Progress,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), HttpError> {
        let mut retry = Retry::new(self, what.url, progress);
        loop {
            let before = *what.done;
            match self.stream_once(what, take) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    if *what.done >= before + HEADWAY {
                        retry.reset();
                    }
                    retry.after(error)?;
                }
            }
        }
    }

    /// Makes one request for what is missing.
    fn stream_once(
        &self,
        what: &mut Streamed<'_>,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), HttpError> {
        let (url, start) = (what.url, *what.done);
        let mut headers = what.headers.to_vec();
        if start > 0 {
            headers.push(("Range", format!("bytes={start}-")));
        }
        let response = self.request(url, &headers)?;
        let answer = response.headers();
        // A server that knows no ranges begins anew.
        let (mut skip, total) = match response.status().as_u16() {
            200 => (start, content_length(answer)),
            206 if start > 0 => match content_range(answer) {
                Some((first, total)) if first == start => (0, Some(total)),
                _ => {
                    return Err(HttpError::Range {
                        url: url.to_string(),
                        expected: start,
                    });
                }
            },
            status => return Err(status_error(url, status)),
        };
        let too_large = || HttpError::TooLarge {
            url: url.to_string(),
            limit: what.size,
        };
        if total.is_some_and(|total| total > what.size) {
            return Err(too_large());
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; PIECE];
        loop {
            let read = body
                .read(&mut buffer)
                .map_err(|error| read_error(url, error, total, *what.done))?;
            if read == 0 {
                break;
            }
            let passed = usize::try_from(skip).map_or(read, |skip| skip.min(read));
            skip -= passed as u64;
            let piece = &buffer[passed..read];
            *what.done += piece.len() as u64;
            if *what.done > what.size {
                return Err(too_large());
            }
            if !piece.is_empty() && !take(piece) {
                return Err(HttpError::Cancelled {
                    url: url.to_string(),
                });
            }
        }
        if *what.done < what.size {
            return Err(HttpError::Truncated {
                url: url.to_string(),
                expected: what.size,
                found: *what.done,
            });
        }
        Ok(())
    }
}
