//! Requests that are more than a download.

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
    pub(crate) body: Outgoing<'a>,
}

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) enum Outgoing<'a> {
    Nothing,
    Bytes(&'a [u8]),
    /// A file from its start. The function hears how many bytes have gone, and ends the request
    /// by `false`.
    File(&'a File, u64, &'a dyn Fn(u64) -> bool),
}

impl HttpClient {
    /// Makes one request. An answer with any status is an answer.
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<Response<Body>, HttpError> {
        let url = request.url;
        let mut built = http::Request::builder()
            .method(request.method)
            .uri(url.secret());
        for (name, value) in &request.headers {
            built = built.header(*name, value);
        }
        match request.body {
            Outgoing::Nothing => self.run(url, built.body(())),
            Outgoing::Bytes(bytes) => self.run(url, built.body(bytes)),
            Outgoing::File(mut file, size, hears) => {
                file.rewind().map_err(|source| HttpError::Request {
                    url: url.to_string(),
                    source: source.into(),
                })?;
                let mut body = Tracked {
                    file,
                    gone: 0,
                    hears,
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
        // A header that is none: there is nothing else in a request that can be wrong here.
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

/// Tells how much of a file has gone.
struct Tracked<'a> {
    file: &'a File,
    gone: u64,
    hears: &'a dyn Fn(u64) -> bool,
}

impl Read for Tracked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.gone += read as u64;
        match (self.hears)(self.gone) {
            true => Ok(read),
            false => Err(io::Error::other("stopped")),
        }
    }
}
