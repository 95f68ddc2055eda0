//! A repository of a registry, to pull from.
//!
//! Source: the OCI distribution specification, "Pull".

use super::blob::Arriving;
use crate::http::url::Url;
use crate::http::{HttpClient, HttpError, Streamed};
use crate::id::Sha256;
use crate::kind::ErrorKind;
use crate::oci::format;
use crate::pull::fetchers::Meter;
use crate::pull::server::TICK;
use crate::pull::{Pull, PullError};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel, sync_channel};

/// The largest manifest or index that is read. Registries take 4 MiB.
const MANIFEST: u64 = 16 << 20;
/// Pieces of a blob that wait to be decoded.
const PIECES: usize = 16;

/// A repository of a registry.
#[derive(Debug)]
pub(super) struct Registry {
    http: HttpClient,
    meter: Arc<Meter>,
    /// Where its manifests and blobs are: `https://registry.example/v2/acme/go-sdk`.
    base: Url,
    remote: String,
    silence: u64,
}

impl Registry {
    pub(super) fn new(
        pull: &Pull,
        http: HttpClient,
        url: &Url,
        name: &str,
        remote: &str,
        meter: &Arc<Meter>,
    ) -> Result<Self, PullError> {
        let base = url.join(&format!("v2/{name}"));
        let base = base.map_err(|error| PullError::Http {
            remote: remote.to_owned(),
            source: Box::new(error.into()),
        })?;
        Ok(Self {
            http,
            meter: meter.clone(),
            base,
            remote: remote.to_owned(),
            silence: pull.http.silence().as_secs(),
        })
    }

    /// What errors call a manifest.
    pub(super) fn manifest_place(&self, reference: &str) -> String {
        format!("{}/manifests/{reference}", self.base)
    }

    /// What errors call a blob.
    pub(super) fn blob_place(&self, digest: Sha256) -> String {
        format!("{}/blobs/{}", self.base, format::digest(digest))
    }

    /// The manifest or index under a tag or a digest; `None` when there is none.
    pub(super) fn manifest(
        &self,
        pull: &Pull,
        reference: &str,
    ) -> Result<Option<Vec<u8>>, PullError> {
        let url = self.at(&format!("manifests/{reference}"))?;
        let accept = format!("{}, {}", format::INDEX, format::MANIFEST);
        let (http, meter, progress) =
            (self.http.clone(), self.meter.clone(), pull.progress.clone());
        let (answers, arrived) = channel();
        std::thread::spawn(move || {
            let goes_on = |bytes| meter.arrived(bytes);
            let headers = [("Accept", accept)];
            let answer = http.fetch(&url, &headers, MANIFEST, progress.as_ref(), &goes_on);
            // Nobody may be waiting any more.
            let _ = answers.send(answer);
        });
        loop {
            if pull.progress.is_cancelled() {
                return Err(PullError::Cancelled);
            }
            match arrived.recv_timeout(TICK) {
                Ok(Ok(bytes)) => return Ok(Some(bytes)),
                Ok(Err(error)) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Ok(Err(error)) => return Err(self.explain()(error)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Begins to fetch a blob, on a thread of its own.
    pub(super) fn blob(
        &self,
        pull: &Pull,
        digest: Sha256,
        size: u64,
    ) -> Result<Arriving, PullError> {
        let url = self.at(&format!("blobs/{}", format::digest(digest)))?;
        let (http, meter, progress) =
            (self.http.clone(), self.meter.clone(), pull.progress.clone());
        let (pieces, arrived) = sync_channel(PIECES);
        std::thread::spawn(move || {
            let mut take = |piece: &[u8]| {
                meter.arrived(piece.len() as u64) && pieces.send(Ok(piece.to_vec())).is_ok()
            };
            let mut what = Streamed {
                url: &url,
                headers: &[],
                size,
                done: &mut 0,
            };
            if let Err(error) = http.stream(&mut what, progress.as_ref(), &mut take) {
                let _ = pieces.send(Err(error));
            }
        });
        Ok(Arriving::new(
            arrived,
            pull.progress.clone(),
            self.explain(),
        ))
    }

    fn at(&self, path: &str) -> Result<Url, PullError> {
        let url = self.base.join(path);
        url.map_err(|error| self.explain()(error.into()))
    }

    /// What went wrong, in the words of a pull.
    fn explain(&self) -> impl Fn(HttpError) -> PullError + Send + 'static {
        let (remote, url) = (self.remote.clone(), self.base.to_string());
        let (meter, seconds) = (self.meter.clone(), self.silence);
        move |source| {
            let remote = remote.clone();
            match (meter.exceeded(), &source) {
                (Some(limit), HttpError::Cancelled { .. }) => PullError::TooLarge {
                    remote,
                    found: meter.bytes(),
                    limit,
                },
                (_, HttpError::Cancelled { .. }) => PullError::Cancelled,
                _ if source.is_timeout() => PullError::Stalled {
                    remote,
                    url: url.clone(),
                    seconds,
                },
                _ => PullError::Http {
                    remote,
                    source: Box::new(source),
                },
            }
        }
    }
}
