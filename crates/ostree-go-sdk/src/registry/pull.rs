//! Manifests and blobs from a registry.
//!
//! Source: the OCI distribution specification, "Pull".

use super::{Registry, RegistryError};
use crate::http::url::Url;
use crate::http::{HEADWAY, HttpError, Outgoing, Retry, content_length, content_range, read_error};
use crate::progress::Progress;
use std::io::Read;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// A blob that is asked for, and how far it has come. What is under its name never changes, so
/// that the rest may be asked for without saying of what.
pub(crate) struct Streamed<'a> {
    pub(crate) digest: &'a str,
    /// How many bytes there are.
    pub(crate) size: u64,
    /// How many have been handed on.
    pub(crate) done: u64,
}

impl Registry {
    /// Where a manifest is.
    pub(crate) fn manifest_url(&self, reference: &str) -> Result<Url, RegistryError> {
        self.url(&format!("manifests/{reference}"))
    }

    /// Where a blob is.
    pub(crate) fn blob_url(&self, digest: &str) -> Result<Url, RegistryError> {
        self.url(&format!("blobs/{digest}"))
    }

    /// The document of one of some media types, of at most `limit` bytes, under a tag or a
    /// digest; `None` when there is none. `arrived` hears of every piece, by its length, and
    /// ends the download by `false`.
    pub(crate) fn manifest(
        &self,
        reference: &str,
        types: &[&str],
        limit: u64,
        progress: &dyn Progress,
        arrived: &dyn Fn(u64) -> bool,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let url = self.manifest_url(reference)?;
        let accept = [("Accept", types.join(", "))];
        self.retrying(&url, progress, || {
            let answer = self.call("GET", &url, &accept, Outgoing::Nothing)?;
            match answer.status().as_u16() {
                200 => {}
                404 => return Ok(None),
                _ => return Err(self.refused(answer)),
            }
            let total = content_length(answer.headers());
            let mut bytes = Vec::new();
            let mut take = |piece: &[u8]| {
                bytes.extend_from_slice(piece);
                arrived(piece.len() as u64)
            };
            let body = answer.into_body().into_reader();
            let found = self.copy(&url, body, (0, limit), total, &mut take)?;
            match total {
                Some(expected) if expected != found => Err(HttpError::Truncated {
                    url: url.to_string(),
                    expected,
                    found,
                }
                .into()),
                _ => Ok(Some(bytes)),
            }
        })
    }

    /// Hands a blob's bytes to `take`, which ends it all by `false`, as they come. Where the
    /// connection breaks, what is missing is asked for.
    pub(crate) fn blob(
        &self,
        blob: &mut Streamed<'_>,
        progress: &dyn Progress,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), RegistryError> {
        let url = self.blob_url(blob.digest)?;
        let mut retry = Retry::new(&self.client, &url, progress);
        loop {
            let before = blob.done;
            let mut went_on = true;
            let Err(error) = self.blob_once(&url, blob, &mut went_on, take) else {
                return Ok(());
            };
            // A server that sends again what has come would be asked a number of times that grows
            // with the blob.
            if went_on && blob.done >= before + HEADWAY {
                retry.reset();
            }
            if !error.is_worth_a_retry() || !retry.wait(&error)? {
                return Err(error);
            }
        }
    }

    /// Makes one request for what is missing. `went_on` is whether the answer begins where the one
    /// before it ended.
    fn blob_once(
        &self,
        url: &Url,
        blob: &mut Streamed<'_>,
        went_on: &mut bool,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), RegistryError> {
        let start = blob.done;
        let range = (start > 0).then(|| ("Range", format!("bytes={start}-")));
        let answer = self.call("GET", url, range.as_slice(), Outgoing::Nothing)?;
        let headers = answer.headers();
        // A server that knows no ranges begins anew.
        let (skip, total) = match answer.status().as_u16() {
            200 => (start, content_length(headers)),
            206 if start > 0 => match content_range(headers) {
                Some((first, total)) if first == start => (0, Some(total)),
                _ => {
                    return Err(HttpError::Range {
                        url: url.to_string(),
                        expected: start,
                    }
                    .into());
                }
            },
            _ => return Err(self.refused(answer)),
        };
        *went_on = skip == 0;
        let body = answer.into_body().into_reader();
        let (size, done) = (blob.size, &mut blob.done);
        let limit = match skip {
            0 => size - start,
            _ => size,
        };
        let mut hand_on = |piece: &[u8]| {
            *done += piece.len() as u64;
            take(piece)
        };
        if total.is_some_and(|total| total > size) {
            return Err(too_large(url, size));
        }
        self.copy(url, body, (skip, limit), total, &mut hand_on)?;
        if *done < size {
            return Err(HttpError::Truncated {
                url: url.to_string(),
                expected: size,
                found: *done,
            }
            .into());
        }
        Ok(())
    }

    /// Hands a body on, but for its first bytes; returns how many it had. More than the limit are
    /// an error.
    fn copy(
        &self,
        url: &Url,
        mut body: impl Read,
        (mut skip, limit): (u64, u64),
        total: Option<u64>,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<u64, RegistryError> {
        let mut buffer = vec![0; PIECE];
        let mut pace = self.client.pace();
        let mut found = 0;
        loop {
            let read = pace.read(&mut body, &mut buffer, url)?;
            let read = read.map_err(|error| read_error(url, error, total, found))?;
            if read == 0 {
                return Ok(found);
            }
            found += read as u64;
            if found > limit {
                return Err(too_large(url, limit));
            }
            let passed = usize::try_from(skip).map_or(read, |skip| skip.min(read));
            skip -= passed as u64;
            let piece = &buffer[passed..read];
            if !piece.is_empty() && !take(piece) {
                let url = url.to_string();
                return Err(HttpError::Cancelled { url }.into());
            }
        }
    }
}

fn too_large(url: &Url, limit: u64) -> RegistryError {
    let url = url.to_string();
    HttpError::TooLarge { url, limit }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::test_server::{Request, TestServer, respond, serve, serve_part};
    use crate::http::{HttpClient, HttpOptions};
    use crate::progress::NoProgress;
    use crate::registry::{ImageReference, RegistryAuth};
    use std::net::TcpStream;
    use std::time::Duration;

    fn content() -> Vec<u8> {
        (0..300_000u32)
            .map(|n| (n.wrapping_mul(n) % 251) as u8)
            .collect()
    }

    fn registry(server: &TestServer, auth: RegistryAuth) -> Registry {
        let options = HttpOptions::new().retry_delay(Duration::from_millis(1));
        let host = server.url.trim_start_matches("http://");
        let image = ImageReference::in_url(&format!("{host}/a/b")).unwrap();
        Registry::at(&image, false, HttpClient::new(&options).unwrap(), auth)
    }

    /// Streams what the server has; the bytes, and the ranges that were asked for.
    fn streamed(
        answer: impl Fn(usize, &Request, &mut TcpStream) + Send + 'static,
    ) -> (Result<Vec<u8>, RegistryError>, Vec<Option<usize>>) {
        let server = TestServer::start(answer);
        let mut bytes = Vec::new();
        let done = registry(&server, RegistryAuth::Anonymous).blob(
            &mut Streamed {
                digest: "sha256:00",
                size: content().len() as u64,
                done: 0,
            },
            &NoProgress,
            &mut |piece| {
                bytes.extend_from_slice(piece);
                true
            },
        );
        let ranges = server.requests().iter().map(Request::range).collect();
        (done.map(|()| bytes), ranges)
    }

    #[test]
    fn a_blob_goes_on_where_it_broke_off() {
        let (bytes, ranges) = streamed(|number, request, stream| match number {
            1 => serve_part(request, stream, &content(), 100_000),
            2 => respond(stream, "503 Busy", "", b""),
            _ => serve(request, stream, &content()),
        });
        assert_eq!(bytes.unwrap(), content());
        assert_eq!(ranges, [None, Some(100_000), Some(100_000)]);
        // A server that knows no ranges sends again what has come.
        let (bytes, _) = streamed(|number, _, stream| {
            let end = if number == 1 {
                100_000
            } else {
                content().len()
            };
            let length = format!("content-length: {}\r\n", content().len());
            respond(stream, "200 OK", &length, &content()[..end]);
        });
        assert_eq!(bytes.unwrap(), content());
    }

    #[test]
    fn a_blob_has_its_size_and_no_other() {
        let longer = [content(), vec![0]].concat();
        let (bytes, _) = streamed(move |_, request, stream| serve(request, stream, &longer));
        let error = bytes.unwrap_err();
        assert!(
            matches!(error, RegistryError::Http(HttpError::TooLarge { .. })),
            "{error}"
        );
        let (bytes, _) = streamed(|_, request, stream| serve(request, stream, &content()[..1000]));
        let error = bytes.unwrap_err();
        assert!(
            matches!(error, RegistryError::Http(HttpError::Truncated { .. })),
            "{error}"
        );
    }

    #[test]
    fn a_token_is_asked_for_and_shown() {
        let server = TestServer::start(|_, request, stream| {
            let host = request.header("host").unwrap_or_default();
            match request.header("authorization") {
                _ if request.path.starts_with("/token") => {
                    respond(stream, "200 OK", "", b"{\"token\":\"t\"}");
                }
                Some("Bearer t") => respond(stream, "200 OK", "content-length: 2\r\n", b"{}"),
                _ => {
                    let ask = format!(
                        "www-authenticate: Bearer realm=\"http://{host}/token\",service=\"s\"\r\n"
                    );
                    respond(stream, "401 Unauthorized", &ask, b"");
                }
            }
        });
        let registry = registry(&server, RegistryAuth::Anonymous);
        let goes_on = |_| true;
        let found = registry.manifest("1.26", &["x/y"], 10, &NoProgress, &goes_on);
        assert_eq!(found.unwrap().unwrap(), b"{}");
        let requests = server.requests();
        let paths: Vec<&str> = requests.iter().map(|r| r.path.as_str()).collect();
        let token = "/token?service=s&scope=repository%3Aa%2Fb%3Apull";
        let manifest = "/v2/a/b/manifests/1.26";
        assert_eq!(paths, [manifest, token, manifest]);
        assert_eq!(requests[0].header("accept"), Some("x/y"));
    }
}
