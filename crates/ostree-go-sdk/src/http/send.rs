//! Requests with any method, headers and body.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fs::File;
use std::io::{self, Read, Seek};

use ureq::http::{self, Response, header};
use ureq::{AsSendBody, Body, RequestExt, SendBody};

use super::redirect::{self, MAX_REDIRECTS, Redirect};
use super::url::Url;
use super::{HttpClient, HttpError, InvalidUrl, TransportError, request_error};

/// Maximum number of bytes that are read from the body of a redirect.
const MAX_DRAINED: u64 = 16 << 10;

/// A request with a method, headers and a body.
pub(crate) struct Request<'a> {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`.
    pub(crate) method: &'static str,
    pub(crate) url: &'a Url,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: RequestBody<'a>,
}

/// The body of a request.
#[derive(Clone, Copy)]
pub(crate) enum RequestBody<'a> {
    Empty,
    Bytes(&'a [u8]),
    /// A file, from its start, and its size. The callback receives the number of bytes sent so far,
    /// and cancels the request by returning false.
    File(&'a File, u64, &'a dyn Fn(u64) -> bool),
}

impl HttpClient {
    /// Makes one `GET` request with headers.
    pub(super) fn request(
        &self,
        url: &Url,
        headers: &[(&'static str, String)],
    ) -> Result<Response<Body>, HttpError> {
        self.send(&Request {
            method: "GET",
            url,
            headers: headers.to_vec(),
            body: RequestBody::Empty,
        })
    }

    /// Makes one request, and follows redirects. Responses with any status are returned, without an
    /// error.
    ///
    /// Credentials stay with the server that they are meant for: the header `Authorization` and the
    /// user information of the URL are sent again only to the same scheme, host and port.
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<Response<Body>, HttpError> {
        let explicit = request
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            .map(|(_, value)| value.clone());
        let mut authorization = explicit.or_else(|| self.authorization(request.url));
        let mut response = self.send_once(request, authorization.as_deref())?;
        let mut url = request.url.clone();
        let mut method = request.method;
        let mut left = MAX_REDIRECTS;
        while let Some(next) = redirect::next(&url, method, &response)? {
            if request.url.is_https() && !next.url.is_https() {
                let url = request.url.to_string();
                return Err(HttpError::InsecureRedirect { url });
            }
            left = left
                .checked_sub(1)
                .ok_or_else(|| request_error(request.url, ureq::Error::TooManyRedirects))?;
            if !next.url.has_same_origin(&url) {
                authorization = self.authorization(&next.url);
            }
            drain(response);
            response = self.follow(request, &next, authorization.as_deref())?;
            (url, method) = (next.url, next.method);
        }
        Ok(response)
    }

    /// Makes the request that follows a redirect.
    fn follow(
        &self,
        first: &Request<'_>,
        next: &Redirect,
        authorization: Option<&str>,
    ) -> Result<Response<Body>, HttpError> {
        let has_body = !matches!(first.body, RequestBody::Empty);
        let headers = first.headers.iter();
        let kept = headers.filter(|(name, _)| !has_body || !name.starts_with("Content-"));
        let request = Request {
            method: next.method,
            url: &next.url,
            headers: kept.cloned().collect(),
            body: RequestBody::Empty,
        };
        self.send_once(&request, authorization)
    }

    /// Returns the value of `Authorization` for a URL: its user information, or the credentials for
    /// its host.
    pub(super) fn authorization(&self, url: &Url) -> Option<String> {
        url.basic_authorization().or_else(|| {
            let host = url.host();
            let netrc = self.options.netrc.credentials(&host);
            let (user, password) = netrc.filter(|_| url.is_https())?;
            let text = BASE64_STANDARD.encode(format!("{user}:{password}"));
            Some(format!("Basic {text}"))
        })
    }

    fn send_once(
        &self,
        request: &Request<'_>,
        authorization: Option<&str>,
    ) -> Result<Response<Body>, HttpError> {
        let url = request.url;
        let mut built = http::Request::builder()
            .method(request.method)
            .uri(url.key());
        let headers = request.headers.iter();
        for (name, value) in headers.filter(|(name, _)| !name.eq_ignore_ascii_case("authorization"))
        {
            built = built.header(*name, value);
        }
        if let Some(value) = authorization {
            built = built.header(header::AUTHORIZATION, value);
        }
        match request.body {
            RequestBody::Empty => self.run(url, built.body(())),
            RequestBody::Bytes(bytes) => self.run(url, built.body(bytes)),
            RequestBody::File(mut file, size, on_sent) => {
                file.rewind().map_err(|source| HttpError::Request {
                    url: url.to_string(),
                    source: TransportError::new(source.into()),
                })?;
                let mut body = ReportingReader {
                    file,
                    sent: 0,
                    on_sent,
                };
                let built = built.header(header::CONTENT_LENGTH, size);
                self.run(url, built.body(SendBody::from_reader(&mut body)))
            }
        }
    }

    fn run(
        &self,
        url: &Url,
        request: Result<http::Request<impl AsSendBody>, http::Error>,
    ) -> Result<Response<Body>, HttpError> {
        // This can only be an invalid header, because everything else in a request was checked.
        let request = request.map_err(|_| {
            HttpError::Url(InvalidUrl {
                found: url.to_string(),
            })
        })?;
        let proxy = match url.is_https() {
            true => self.https_proxy.clone(),
            false => self.http_proxy.clone(),
        };
        request
            .with_agent(&self.agent)
            .configure()
            .proxy(proxy)
            .build()
            .run()
            .map_err(|error| request_error(url, error))
    }
}

/// Reads the body of a redirect if it is small, so that the connection can be used again.
fn drain(response: Response<Body>) {
    let mut body = response.into_body().into_reader().take(MAX_DRAINED);
    // An error closes the connection, which is what happens to larger bodies as well.
    let _ = io::copy(&mut body, &mut io::sink());
}

/// A reader that reports how much of a file was sent.
struct ReportingReader<'a> {
    file: &'a File,
    sent: u64,
    on_sent: &'a dyn Fn(u64) -> bool,
}

impl Read for ReportingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.sent += read as u64;
        match (self.on_sent)(self.sent) {
            true => Ok(read),
            false => Err(io::Error::other("stopped")),
        }
    }
}
