//! Fetches a document or object into a [`Body`].

use super::retry::Retry;
use super::transfer::{self, Resume, Transfer, text, validator};
use super::url::Url;
use super::{Body, HttpClient, HttpError, status_error};
use crate::progress::Progress;
use std::path::Path;
use ureq::http::{HeaderMap, Response, header};

/// The status of an answer to a conditional request for content that has not changed.
const NOT_MODIFIED: u16 = 304;

/// What identifies the content of a URL at a time, as its server sent it (RFC 9110, 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        let own = |name| text(headers, name).map(str::to_owned);
        Self {
            etag: own(header::ETAG),
            last_modified: own(header::LAST_MODIFIED),
        }
    }

    /// Returns the headers of a request for content that is not this one (RFC 9110, 13.1). A server
    /// prefers the ETag.
    fn conditions(&self) -> Vec<(&'static str, String)> {
        let etag = self.etag.clone().map(|etag| ("If-None-Match", etag));
        let date = self.last_modified.clone();
        let date = date.map(|date| ("If-Modified-Since", date));
        etag.into_iter().chain(date).collect()
    }
}

/// A body that is being fetched.
struct Fetch<'a> {
    client: &'a HttpClient,
    url: &'a Url,
    limit: u64,
    on_bytes: &'a dyn Fn(u64) -> bool,
    body: Body,
    /// Identifies the content in a request for the rest of it.
    validator: Option<String>,
    /// Headers of requests for the whole content.
    conditions: Vec<(&'static str, String)>,
    validators: Validators,
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
    pub(crate) fn fetch(
        &self,
        url: &Url,
        limit: u64,
        spool_in: Option<&Path>,
        progress: &dyn Progress,
        on_bytes: &dyn Fn(u64) -> bool,
    ) -> Result<Body, HttpError> {
        let mut fetch = Fetch::new(self, url, limit, Body::new(spool_in), on_bytes);
        let mut retry = Retry::new(self, url, progress);
        transfer::run(self, url, &mut retry, &mut fetch)?;
        Ok(fetch.body)
    }

    /// Fetches a document of at most `limit` bytes into memory, with its validators, unless the
    /// content is still the one of `known`: then the result is `None`.
    pub(crate) fn get_if_changed(
        &self,
        url: &Url,
        limit: u64,
        known: &Validators,
        progress: &dyn Progress,
    ) -> Result<Option<(Vec<u8>, Validators)>, HttpError> {
        let on_bytes = |_| !progress.is_cancelled();
        let mut fetch = Fetch::new(self, url, limit, Body::new(None), &on_bytes);
        fetch.conditions = known.conditions();
        let is_conditional = !fetch.conditions.is_empty();
        let mut retry = Retry::new(self, url, progress);
        match transfer::run(self, url, &mut retry, &mut fetch) {
            Err(HttpError::Status {
                status: NOT_MODIFIED,
                ..
            }) if is_conditional => return Ok(None),
            done => done?,
        }
        let (body, validators) = (fetch.body, fetch.validators);
        let bytes = body.into_bytes();
        let bytes = bytes.map_err(|source| spool_error(url, source))?;
        Ok(Some((bytes, validators)))
    }
}

impl<'a> Fetch<'a> {
    fn new(
        client: &'a HttpClient,
        url: &'a Url,
        limit: u64,
        body: Body,
        on_bytes: &'a dyn Fn(u64) -> bool,
    ) -> Self {
        Self {
            client,
            url,
            limit,
            on_bytes,
            body,
            validator: None,
            conditions: Vec::new(),
            validators: Validators::default(),
        }
    }
}

impl Transfer for Fetch<'_> {
    type Error = HttpError;

    fn send(
        &mut self,
        headers: &[(&'static str, String)],
    ) -> Result<Response<ureq::Body>, HttpError> {
        (self.on_bytes)(0);
        // A request for a part has a condition of its own.
        let conditions = self.conditions.iter().filter(|_| headers.is_empty());
        let headers: Vec<_> = headers.iter().chain(conditions).cloned().collect();
        self.client.request(self.url, &headers)
    }

    fn refused(&self, response: Response<ureq::Body>) -> HttpError {
        status_error(self.url, &response)
    }

    fn len(&self) -> u64 {
        self.body.len()
    }

    fn resume(&self) -> Resume {
        match &self.validator {
            Some(validator) => Resume::IfUnchanged(validator.clone()),
            None => Resume::Never,
        }
    }

    fn begin(
        &mut self,
        start: u64,
        total: Option<u64>,
        headers: &HeaderMap,
    ) -> Result<Option<u64>, HttpError> {
        if start == 0 {
            self.body.clear();
            self.validator = validator(headers);
            self.validators = Validators::of(headers);
        }
        match total {
            Some(total) if total > self.limit => Err(self.too_large()),
            total => Ok(total),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        if !(self.on_bytes)(bytes.len() as u64) {
            let url = self.url.to_string();
            return Err(HttpError::Cancelled { url });
        }
        if self.body.len() + bytes.len() as u64 > self.limit {
            return Err(self.too_large());
        }
        let appended = self.body.append(bytes);
        appended.map_err(|source| spool_error(self.url, source))
    }

    fn discard(&mut self) -> Result<(), HttpError> {
        self.body.clear();
        self.validator = None;
        Ok(())
    }
}

impl Fetch<'_> {
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
