//! Pulls manifests and blobs from a registry.
//!
//! Source: the OCI distribution specification, "Pull".

use super::{Registry, RegistryError};
use crate::http::url::Url;
use crate::http::{
    HttpError, RequestBody, Resume, Retry, Transfer, check_no_web_page, content_length, is_html,
    read_error, run_transfer,
};
use crate::progress::Progress;
use ureq::Body;
use ureq::http::{HeaderMap, Response};

/// The size of the read buffer in bytes.
const BUFFER_SIZE: usize = 256 << 10;

/// A blob that is being downloaded. The content of a digest never changes, so that the rest can be
/// requested without a validator.
struct BlobTransfer<'a> {
    registry: &'a Registry,
    url: &'a Url,
    /// The size of the blob in bytes.
    size: u64,
    /// The number of bytes that were passed to the caller.
    done: u64,
    /// The position of the current response in the blob. It is less than `done` if a server without
    /// support for ranges starts from the beginning.
    position: u64,
    consume: &'a mut dyn FnMut(&[u8]) -> bool,
}

impl Registry {
    /// Returns the URL of a manifest.
    pub(crate) fn manifest_url(&self, reference: &str) -> Result<Url, RegistryError> {
        self.url(&format!("manifests/{reference}"))
    }

    /// Returns the URL of a blob.
    pub(crate) fn blob_url(&self, digest: &str) -> Result<Url, RegistryError> {
        self.url(&format!("blobs/{digest}"))
    }

    /// Fetches the document with a tag or a digest, with one of the given media types and of at
    /// most `limit` bytes; `None` if it does not exist. `on_bytes` is called with the length of
    /// every piece, and cancels the download by returning false.
    pub(crate) fn manifest(
        &self,
        reference: &str,
        types: &[&str],
        limit: u64,
        progress: &dyn Progress,
        on_bytes: &dyn Fn(u64) -> bool,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let url = self.manifest_url(reference)?;
        let accept = [("Accept", types.join(", "))];
        self.retrying(&url, progress, || {
            let response = self.call("GET", &url, &accept, RequestBody::Empty)?;
            match response.status().as_u16() {
                200 => {}
                404 => return Ok(None),
                _ => return Err(self.refused(response)),
            }
            let total = content_length(response.headers());
            let bytes = self.read(&url, response, limit, on_bytes)?;
            let found = bytes.len() as u64;
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

    /// Passes the bytes of a blob with a digest and a size to `consume` as they are received; it
    /// cancels the download by returning false. After a broken connection, the missing part is
    /// requested.
    pub(crate) fn blob(
        &self,
        digest: &str,
        size: u64,
        progress: &dyn Progress,
        consume: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), RegistryError> {
        let url = self.blob_url(digest)?;
        let mut retry = Retry::new(&self.client, &url, progress);
        let mut blob = BlobTransfer {
            registry: self,
            url: &url,
            size,
            done: 0,
            position: 0,
            consume,
        };
        run_transfer(&self.client, &url, &mut retry, &mut blob)
    }

    /// Reads the body of a response of at most `limit` bytes. `on_bytes` is called with the length
    /// of every piece, and cancels the download by returning false.
    pub(super) fn read(
        &self,
        url: &Url,
        response: Response<Body>,
        limit: u64,
        on_bytes: &dyn Fn(u64) -> bool,
    ) -> Result<Vec<u8>, RegistryError> {
        let total = content_length(response.headers());
        let is_html = is_html(response.headers());
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; BUFFER_SIZE];
        let mut rate_check = self.client.rate_check();
        let mut bytes = Vec::new();
        loop {
            let read = rate_check.read(&mut body, &mut buffer, url)?;
            let read = read.map_err(|error| read_error(url, error, total, bytes.len() as u64))?;
            if read == 0 {
                return Ok(bytes);
            }
            if bytes.is_empty() {
                check_no_web_page(url, is_html, &buffer[..read])?;
            }
            if (bytes.len() + read) as u64 > limit {
                return Err(too_large(url, limit));
            }
            bytes.extend_from_slice(&buffer[..read]);
            if !on_bytes(read as u64) {
                return Err(cancelled(url));
            }
        }
    }
}

impl Transfer for BlobTransfer<'_> {
    type Error = RegistryError;

    fn send(
        &mut self,
        headers: &[(&'static str, String)],
    ) -> Result<Response<Body>, RegistryError> {
        let empty = RequestBody::Empty;
        self.registry.call("GET", self.url, headers, empty)
    }

    fn refused(&self, response: Response<Body>) -> RegistryError {
        self.registry.refused(response)
    }

    fn len(&self) -> u64 {
        self.done
    }

    fn resume(&self) -> Resume {
        Resume::Always
    }

    fn begin(
        &mut self,
        start: u64,
        total: Option<u64>,
        _: &HeaderMap,
    ) -> Result<Option<u64>, RegistryError> {
        self.position = start;
        match total {
            Some(total) if total > self.size => Err(too_large(self.url, self.size)),
            _ => Ok(Some(self.size)),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), RegistryError> {
        let skipped = usize::try_from(self.done - self.position);
        let skipped = skipped.map_or(bytes.len(), |skipped| skipped.min(bytes.len()));
        self.position += bytes.len() as u64;
        if self.position > self.size {
            return Err(too_large(self.url, self.size));
        }
        let piece = &bytes[skipped..];
        self.done += piece.len() as u64;
        if !piece.is_empty() && !(self.consume)(piece) {
            return Err(cancelled(self.url));
        }
        Ok(())
    }

    fn discard(&mut self) -> Result<(), RegistryError> {
        Ok(())
    }
}

fn cancelled(url: &Url) -> RegistryError {
    let url = url.to_string();
    HttpError::Cancelled { url }.into()
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
        Registry::new(&image, false, HttpClient::new(&options).unwrap(), auth)
    }

    /// Downloads a blob, and returns its bytes and the requested ranges.
    fn download(
        response: impl Fn(usize, &Request, &mut TcpStream) + Send + 'static,
    ) -> (Result<Vec<u8>, RegistryError>, Vec<Option<usize>>) {
        let server = TestServer::start(response);
        let mut bytes = Vec::new();
        let done = registry(&server, RegistryAuth::Anonymous).blob(
            "sha256:00",
            content().len() as u64,
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
    fn a_truncated_blob_is_resumed() {
        let (bytes, ranges) = download(|number, request, stream| match number {
            1 => serve_part(request, stream, &content(), 100_000),
            2 => respond(stream, "503 Busy", "", b""),
            _ => serve(request, stream, &content()),
        });
        assert_eq!(bytes.unwrap(), content());
        assert_eq!(ranges, [None, Some(100_000), Some(100_000)]);
        // A server without support for ranges sends the first part again.
        let (bytes, _) = download(|number, _, stream| {
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
    fn a_blob_of_another_size_is_refused() {
        let longer = [content(), vec![0]].concat();
        let (bytes, _) = download(move |_, request, stream| serve(request, stream, &longer));
        let error = bytes.unwrap_err();
        assert!(
            matches!(error, RegistryError::Http(HttpError::TooLarge { .. })),
            "{error}"
        );
        let (bytes, _) = download(|_, request, stream| serve(request, stream, &content()[..1000]));
        let error = bytes.unwrap_err();
        assert!(
            matches!(error, RegistryError::Http(HttpError::Truncated { .. })),
            "{error}"
        );
    }

    #[test]
    fn a_token_is_requested_and_sent() {
        let server = TestServer::start(|_, request, stream| {
            let host = request.header("host").unwrap_or_default();
            match request.header("authorization") {
                _ if request.path.starts_with("/token") => {
                    respond(stream, "200 OK", "", b"{\"token\":\"t\"}");
                }
                Some("Bearer t") => respond(stream, "200 OK", "content-length: 2\r\n", b"{}"),
                _ => {
                    let challenge = format!(
                        "www-authenticate: Bearer realm=\"http://{host}/token\",service=\"s\"\r\n"
                    );
                    respond(stream, "401 Unauthorized", &challenge, b"");
                }
            }
        });
        let registry = registry(&server, RegistryAuth::Anonymous);
        let on_bytes = |_| true;
        let found = registry.manifest("1.26", &["x/y"], 10, &NoProgress, &on_bytes);
        assert_eq!(found.unwrap().unwrap(), b"{}");
        let requests = server.requests();
        let paths: Vec<&str> = requests.iter().map(|r| r.path.as_str()).collect();
        let token = "/token?service=s&scope=repository%3Aa%2Fb%3Apull";
        let manifest = "/v2/a/b/manifests/1.26";
        assert_eq!(paths, [manifest, token, manifest]);
        assert_eq!(requests[0].header("accept"), Some("x/y"));
    }
}
