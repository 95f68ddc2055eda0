//! Pulls manifests and blobs from a registry.
//!
//! Source: the OCI distribution specification, "Pull".

use super::{Registry, RegistryError};
use crate::http::url::Url;
use crate::http::{
    HttpError, PROGRESS_THRESHOLD, RequestBody, Retry, content_length, content_range, read_error,
};
use crate::progress::Progress;
use std::io::Read;

/// The size of the read buffer in bytes.
const BUFFER_SIZE: usize = 256 << 10;

/// A blob that is being downloaded. The content of a digest never changes, so that the rest can be
/// requested without a validator.
pub(crate) struct BlobDownload<'a> {
    pub(crate) digest: &'a str,
    /// The size of the blob in bytes.
    pub(crate) size: u64,
    /// The number of bytes that were passed to the caller.
    pub(crate) done: u64,
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
            let mut bytes = Vec::new();
            let mut consume = |piece: &[u8]| {
                bytes.extend_from_slice(piece);
                on_bytes(piece.len() as u64)
            };
            let body = response.into_body().into_reader();
            let found = self.copy(&url, body, (0, limit), total, &mut consume)?;
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

    /// Passes a blob's bytes to `consume` as they are received; it cancels the download by
    /// returning false. After a broken connection, the missing part is requested.
    pub(crate) fn blob(
        &self,
        blob: &mut BlobDownload<'_>,
        progress: &dyn Progress,
        consume: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), RegistryError> {
        let url = self.blob_url(blob.digest)?;
        let mut retry = Retry::new(&self.client, &url, progress);
        loop {
            let before = blob.done;
            let mut continued = true;
            let Err(error) = self.blob_once(&url, blob, &mut continued, consume) else {
                return Ok(());
            };
            // Skipped bytes are not progress. Otherwise a server without ranges could be asked a
            // number of times that grows with the size of the blob.
            if continued && blob.done >= before + PROGRESS_THRESHOLD {
                retry.reset();
            }
            if !error.is_transient() || !retry.wait(&error, error.retry_after())? {
                return Err(error);
            }
        }
    }

    /// Makes one request for the missing part. Sets `continued` to whether the response starts
    /// where the previous one ended.
    fn blob_once(
        &self,
        url: &Url,
        blob: &mut BlobDownload<'_>,
        continued: &mut bool,
        consume: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), RegistryError> {
        let start = blob.done;
        let range = (start > 0).then(|| ("Range", format!("bytes={start}-")));
        let response = self.call("GET", url, range.as_slice(), RequestBody::Empty)?;
        let headers = response.headers();
        // A server without support for ranges starts from the beginning.
        let (skip, total) = match response.status().as_u16() {
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
            _ => return Err(self.refused(response)),
        };
        *continued = skip == 0;
        let body = response.into_body().into_reader();
        let (size, done) = (blob.size, &mut blob.done);
        let limit = match skip {
            0 => size - start,
            _ => size,
        };
        let mut pass_on = |piece: &[u8]| {
            *done += piece.len() as u64;
            consume(piece)
        };
        if total.is_some_and(|total| total > size) {
            return Err(too_large(url, size));
        }
        self.copy(url, body, (skip, limit), total, &mut pass_on)?;
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

    /// Passes a body to `consume`, except for the first `skip` bytes, and returns its length. A
    /// body of more than `limit` bytes is an error.
    pub(super) fn copy(
        &self,
        url: &Url,
        mut body: impl Read,
        (mut skip, limit): (u64, u64),
        total: Option<u64>,
        consume: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<u64, RegistryError> {
        let mut buffer = vec![0; BUFFER_SIZE];
        let mut rate_check = self.client.rate_check();
        let mut found = 0;
        loop {
            let read = rate_check.read(&mut body, &mut buffer, url)?;
            let read = read.map_err(|error| read_error(url, error, total, found))?;
            if read == 0 {
                return Ok(found);
            }
            found += read as u64;
            if found > limit {
                return Err(too_large(url, limit));
            }
            let skipped = usize::try_from(skip).map_or(read, |skip| skip.min(read));
            skip -= skipped as u64;
            let piece = &buffer[skipped..read];
            if !piece.is_empty() && !consume(piece) {
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
        Registry::new(&image, false, HttpClient::new(&options).unwrap(), auth)
    }

    /// Downloads a blob, and returns its bytes and the requested ranges.
    fn download(
        response: impl Fn(usize, &Request, &mut TcpStream) + Send + 'static,
    ) -> (Result<Vec<u8>, RegistryError>, Vec<Option<usize>>) {
        let server = TestServer::start(response);
        let mut bytes = Vec::new();
        let done = registry(&server, RegistryAuth::Anonymous).blob(
            &mut BlobDownload {
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
