//! Requests with any method, headers and body.

use std::fs::File;
use std::io::{self, Read, Seek};

use ureq::http::{self, Response, header};
use ureq::{AsSendBody, Body, RequestExt, SendBody};

use super::url::Url;
use super::{HttpClient, HttpError, InvalidUrl, request_error};

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

    /// Makes one request. Responses with any status are returned, without an error.
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<Response<Body>, HttpError> {
        let url = request.url;
        let mut built = http::Request::builder()
            .method(request.method)
            .uri(url.secret());
        for (name, value) in &request.headers {
            built = built.header(*name, value);
        }
        match request.body {
            RequestBody::Empty => self.run(url, built.body(())),
            RequestBody::Bytes(bytes) => self.run(url, built.body(bytes)),
            RequestBody::File(mut file, size, on_sent) => {
                file.rewind().map_err(|source| HttpError::Request {
                    url: url.to_string(),
                    source: source.into(),
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
            .https_only(url.is_https())
            .proxy(proxy)
            .build()
            .run()
            .map_err(|error| request_error(url, error))
    }
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
