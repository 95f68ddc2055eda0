//! A repository of a registry, to pull from. Requests are made on threads that a caller who wants
//! to stop leaves behind.

use super::blob::Arriving;
use crate::http::HttpError;
use crate::id::Sha256;
use crate::oci::format;
use crate::parallel;
use crate::pull::fetchers::Meter;
use crate::pull::server::TICK;
use crate::pull::{Pull, PullError};
use crate::registry::{self, RegistryError, Streamed};
use crate::repo::RepoError;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel, sync_channel};

/// The largest manifest or index that is read: registries have to take 4 MiB (OCI distribution
/// specification, "Pushing Manifests").
const MANIFEST: u64 = 4 << 20;
/// Pieces of a blob that wait to be decoded.
const PIECES: usize = 16;

/// A repository of a registry.
#[derive(Debug)]
pub(super) struct Registry {
    client: Arc<registry::Registry>,
    meter: Arc<Meter>,
    remote: String,
    /// The remote's URL, as it may be shown.
    url: String,
    silence: u64,
}

impl Registry {
    pub(super) fn new(
        pull: &Pull,
        client: registry::Registry,
        (remote, url): (&str, String),
        meter: &Arc<Meter>,
    ) -> Self {
        Self {
            client: Arc::new(client),
            meter: meter.clone(),
            remote: remote.to_owned(),
            url,
            silence: pull.http.silence().as_secs(),
        }
    }

    /// What errors call a manifest.
    pub(super) fn manifest_place(&self, reference: &str) -> String {
        let url = self.client.manifest_url(reference);
        url.map_or_else(|_| self.url.clone(), |url| url.to_string())
    }

    /// What errors call a blob.
    pub(super) fn blob_place(&self, digest: Sha256) -> String {
        let url = self.client.blob_url(&format::digest(digest));
        url.map_or_else(|_| self.url.clone(), |url| url.to_string())
    }

    /// The manifest or index under a tag or a digest; `None` when there is none.
    pub(super) fn manifest(
        &self,
        pull: &Pull,
        reference: &str,
    ) -> Result<Option<Vec<u8>>, PullError> {
        let (client, meter) = (self.client.clone(), self.meter.clone());
        let (progress, reference) = (pull.progress.clone(), reference.to_owned());
        let (answers, arrived) = channel();
        parallel::run_detached(move || {
            let goes_on = |bytes| meter.arrived(bytes);
            let types = [format::INDEX, format::MANIFEST];
            let answer = client.manifest(&reference, &types, MANIFEST, progress.as_ref(), &goes_on);
            // Nobody may be waiting any more.
            let _ = answers.send(answer);
        });
        loop {
            if pull.progress.is_cancelled() {
                return Err(PullError::Cancelled);
            }
            match arrived.recv_timeout(TICK) {
                Ok(answer) => return answer.map_err(self.explain()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Begins to fetch a blob.
    ///
    /// # Errors
    /// When the system makes no thread for it.
    pub(super) fn blob(
        &self,
        pull: &Pull,
        digest: Sha256,
        size: u64,
    ) -> Result<Arriving, RepoError> {
        let (client, meter) = (self.client.clone(), self.meter.clone());
        let (progress, digest) = (pull.progress.clone(), format::digest(digest));
        let (pieces, arrived) = sync_channel(PIECES);
        let spawned = parallel::spawn_detached(move || {
            let mut take = |piece: &[u8]| {
                meter.arrived(piece.len() as u64) && pieces.send(Ok(piece.to_vec())).is_ok()
            };
            let mut blob = Streamed {
                digest: &digest,
                size,
                done: 0,
            };
            if let Err(error) = client.blob(&mut blob, progress.as_ref(), &mut take) {
                let _ = pieces.send(Err(error));
            }
        });
        spawned.map_err(RepoError::Thread)?;
        let progress = pull.progress.clone();
        Ok(Arriving::new(arrived, progress, self.explain()))
    }

    /// What went wrong, in the words of a pull.
    fn explain(&self) -> impl Fn(RegistryError) -> PullError + Send + use<> {
        let (remote, url) = (self.remote.clone(), self.url.clone());
        let (meter, seconds) = (self.meter.clone(), self.silence);
        move |source| {
            let (remote, url) = (remote.clone(), url.clone());
            let is_stopped = matches!(source, RegistryError::Http(HttpError::Cancelled { .. }));
            match meter.exceeded() {
                Some(limit) if is_stopped => PullError::TooLarge {
                    remote,
                    found: meter.bytes(),
                    limit,
                },
                _ if is_stopped => PullError::Cancelled,
                _ if source.is_timeout() => PullError::Stalled {
                    remote,
                    url,
                    seconds,
                },
                _ => PullError::Registry {
                    remote,
                    source: Box::new(source),
                },
            }
        }
    }
}
