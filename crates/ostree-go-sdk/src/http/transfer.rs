//! Transfers that are resumed after a failure, with as many requests as necessary.

use super::error::Transient;
use super::retry::Retry;
use super::url::Url;
use super::{HttpClient, HttpError, request_error};
use ureq::http::{HeaderMap, Response, header};

/// The number of bytes by which a transfer has to grow for the count of retries to start again.
const PROGRESS_THRESHOLD: u64 = 1 << 20;
/// The size of the read buffer in bytes.
const BUFFER_SIZE: usize = 256 << 10;

/// The content that a transfer requests, and the place where it is stored.
pub(crate) trait Transfer {
    type Error: Transient;

    /// Makes a request with additional headers. Responses with any status are returned, without an
    /// error.
    fn send(
        &mut self,
        headers: &[(&'static str, String)],
    ) -> Result<Response<ureq::Body>, Self::Error>;

    /// Returns the error for a response with an error status.
    fn refused(&self, response: Response<ureq::Body>) -> Self::Error;

    /// Returns the number of bytes stored.
    fn len(&self) -> u64;

    /// Returns how the rest can be requested.
    fn resume(&self) -> Resume;

    /// Returns true if all bytes are known to be stored.
    fn is_complete(&self) -> bool {
        false
    }

    /// Prepares for the bytes of a response from position `start` on, which is 0 or the number of
    /// bytes stored. `total` is the size of the whole content, if the server declares it. Returns
    /// the size if it is known.
    fn begin(
        &mut self,
        start: u64,
        total: Option<u64>,
        headers: &HeaderMap,
    ) -> Result<Option<u64>, Self::Error>;

    /// Stores the next bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Discards what is stored, because the server cannot continue from there.
    fn discard(&mut self) -> Result<(), Self::Error>;
}

/// The way to request the rest of an interrupted transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resume {
    /// The whole content has to be requested again.
    Never,
    /// The rest can be requested, if the content still has this validator.
    IfUnchanged(String),
    /// The rest can be requested, because the content never changes.
    Always,
}

/// A failed attempt.
struct Failure<E> {
    error: E,
    /// True if the server has sent the content from the start, although the rest was requested.
    restarted: bool,
}

impl<E> Failure<E> {
    fn new(error: E) -> Self {
        Self {
            error,
            restarted: false,
        }
    }
}

/// Makes requests until the transfer is complete, fails permanently, or no retries are left.
///
/// The count of retries starts again only after the server continued the transfer by at least
/// [`PROGRESS_THRESHOLD`] bytes beyond the previous maximum. Bytes that it sends once more are no
/// progress: otherwise a server that always starts over could keep the transfer alive.
pub(crate) fn run<T: Transfer>(
    client: &HttpClient,
    url: &Url,
    retry: &mut Retry<'_>,
    transfer: &mut T,
) -> Result<(), T::Error> {
    let mut counted = transfer.len();
    while !transfer.is_complete() {
        let Err(failure) = attempt(client, url, transfer) else {
            return Ok(());
        };
        let length = transfer.len();
        if failure.restarted {
            counted = counted.max(length);
        } else if length >= counted.saturating_add(PROGRESS_THRESHOLD) {
            counted = length;
            retry.reset();
        }
        retry.wait_after(failure.error)?;
    }
    Ok(())
}

/// Makes one request for the missing part.
fn attempt<T: Transfer>(
    client: &HttpClient,
    url: &Url,
    transfer: &mut T,
) -> Result<(), Failure<T::Error>> {
    let resume = transfer.resume();
    let start = match resume {
        Resume::Never => 0,
        Resume::IfUnchanged(_) | Resume::Always => transfer.len(),
    };
    let mut headers = Vec::new();
    if start > 0 {
        headers.push(("Range", format!("bytes={start}-")));
        if let Resume::IfUnchanged(validator) = &resume {
            headers.push(("If-Range", validator.clone()));
        }
    }
    let response = transfer.send(&headers).map_err(Failure::new)?;
    let (first, total) = match response.status().as_u16() {
        200 => (0, content_length(response.headers())),
        206 if start > 0 => match content_range(response.headers()) {
            Some((first, total)) if first == start => (start, Some(total)),
            _ => return Err(Failure::new(start_over(url, start, transfer))),
        },
        // The content may have become shorter.
        416 if start > 0 && resume != Resume::Always => {
            return Err(Failure::new(start_over(url, start, transfer)));
        }
        _ => return Err(Failure::new(transfer.refused(response))),
    };
    let begun = transfer.begin(first, total, response.headers());
    let total = begun.map_err(Failure::new)?;
    copy(client, url, response, total, transfer).map_err(|error| Failure {
        error,
        restarted: first < start,
    })
}

/// Stores the body of a response.
fn copy<T: Transfer>(
    client: &HttpClient,
    url: &Url,
    response: Response<ureq::Body>,
    total: Option<u64>,
    transfer: &mut T,
) -> Result<(), T::Error> {
    let is_html = is_html(response.headers());
    let mut is_start = transfer.len() == 0;
    let mut body = response.into_body().into_reader();
    let mut rate_check = client.rate_check();
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        let read = rate_check.read(&mut body, &mut buffer, url)?;
        let read = read.map_err(|error| read_error(url, error, total, transfer.len()))?;
        if read == 0 {
            break;
        }
        if std::mem::take(&mut is_start) {
            check_no_web_page(url, is_html, &buffer[..read])?;
        }
        transfer.append(&buffer[..read])?;
    }
    let found = transfer.len();
    match total {
        Some(expected) if expected != found => Err(HttpError::Truncated {
            url: url.to_string(),
            expected,
            found,
        }
        .into()),
        _ => Ok(()),
    }
}

/// Handles a server that cannot continue from `start`.
fn start_over<T: Transfer>(url: &Url, start: u64, transfer: &mut T) -> T::Error {
    match transfer.discard() {
        Err(error) => error,
        Ok(()) => HttpError::Range {
            url: url.to_string(),
            expected: start,
        }
        .into(),
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
        (HttpError::Request { source, .. }, Some(expected)) if source.is_unexpected_end() => {
            HttpError::Truncated {
                url: url.to_string(),
                expected,
                found,
            }
        }
        (error, _) => error,
    }
}

/// Returns true if a response is declared as a web page.
pub(crate) fn is_html(headers: &HeaderMap) -> bool {
    let kind = text(headers, header::CONTENT_TYPE).unwrap_or_default();
    kind.to_ascii_lowercase().starts_with("text/html")
}

/// Checks by the first bytes of a body that it is not a web page, because none is ever requested.
pub(crate) fn check_no_web_page(url: &Url, is_html: bool, start: &[u8]) -> Result<(), HttpError> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let start = start.trim_ascii_start();
    let starts_with = |tag: &[u8]| {
        let begin = start.get(..tag.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(tag))
    };
    if starts_with(b"<!doctype html") || starts_with(b"<html") || is_html && starts_with(b"<") {
        let url = url.to_string();
        return Err(HttpError::WebPage { url });
    }
    Ok(())
}

pub(super) fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
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
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let (range, total) = text(headers, header::CONTENT_RANGE)?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()?))
}
