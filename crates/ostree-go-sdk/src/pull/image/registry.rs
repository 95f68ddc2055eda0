//! Pulls from a repository of a registry. Requests are made on threads that are abandoned if the
//! caller cancels.

use super::blob::BlobStream;
use crate::http::HttpError;
use crate::id::Sha256;
use crate::oci::format;
use crate::parallel;
use crate::pull::fetchers::Meter;
use crate::pull::server::POLL_INTERVAL;
use crate::pull::{Pull, PullError};
use crate::registry::{self, BlobDownload, RegistryError};
use crate::repo::RepoError;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel, sync_channel};

/// Maximum size of a manifest or index in bytes. Registries have to accept 4 MiB (OCI distribution
/// specification, "Pushing Manifests").
const MAX_MANIFEST: u64 = 4 << 20;
/// Maximum number of pieces of a blob that wait to be decoded.
const MAX_QUEUED_PIECES: usize = 16;

/// A repository of a registry.
#[derive(Debug)]
pub(super) struct Registry {
    client: Arc<registry::Registry>,
    meter: Arc<Meter>,
    remote: String,
    /// The remote's URL without credentials.
    url: String,
    read_timeout: u64,
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
            read_timeout: pull.http.configured_read_timeout().as_secs(),
        }
    }

    /// Returns the location of a manifest for errors.
    pub(super) fn manifest_location(&self, reference: &str) -> String {
        let url = self.client.manifest_url(reference);
        url.map_or_else(|_| self.url.clone(), |url| url.to_string())
    }

    /// Returns the location of a blob for errors.
    pub(super) fn blob_location(&self, digest: Sha256) -> String {
        let url = self.client.blob_url(&format::digest(digest));
        url.map_or_else(|_| self.url.clone(), |url| url.to_string())
    }

    /// Fetches the manifest or index with a tag or a digest; `None` if it does not exist.
    pub(super) fn manifest(
        &self,
        pull: &Pull,
        reference: &str,
    ) -> Result<Option<Vec<u8>>, PullError> {
        let (client, meter) = (self.client.clone(), self.meter.clone());
        let (progress, reference) = (pull.progress.clone(), reference.to_owned());
        let (sender, received) = channel();
        parallel::run_detached(move || {
            let count_piece = |bytes| meter.count(bytes);
            let types = [format::INDEX, format::MANIFEST];
            let response = client.manifest(
                &reference,
                &types,
                MAX_MANIFEST,
                progress.as_ref(),
                &count_piece,
            );
            // The caller may have stopped waiting.
            let _ = sender.send(response);
        });
        loop {
            if pull.progress.is_cancelled() {
                return Err(PullError::Cancelled);
            }
            match received.recv_timeout(POLL_INTERVAL) {
                Ok(response) => return response.map_err(self.error_converter()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Starts to fetch a blob.
    ///
    /// # Errors
    /// Returns an error if no thread can be created.
    pub(super) fn blob(
        &self,
        pull: &Pull,
        digest: Sha256,
        size: u64,
    ) -> Result<BlobStream, RepoError> {
        let (client, meter) = (self.client.clone(), self.meter.clone());
        let (progress, digest) = (pull.progress.clone(), format::digest(digest));
        let (pieces, received) = sync_channel(MAX_QUEUED_PIECES);
        let spawned = parallel::spawn_detached(move || {
            let mut send_piece = |piece: &[u8]| {
                meter.count(piece.len() as u64) && pieces.send(Ok(piece.to_vec())).is_ok()
            };
            let mut blob = BlobDownload {
                digest: &digest,
                size,
                done: 0,
            };
            if let Err(error) = client.blob(&mut blob, progress.as_ref(), &mut send_piece) {
                let _ = pieces.send(Err(error));
            }
        });
        spawned.map_err(RepoError::Thread)?;
        let progress = pull.progress.clone();
        Ok(BlobStream::new(received, progress, self.error_converter()))
    }

    /// Returns a function that converts a registry's error to the error of the pull.
    fn error_converter(&self) -> impl Fn(RegistryError) -> PullError + Send + use<> {
        let (remote, url) = (self.remote.clone(), self.url.clone());
        let (meter, seconds) = (self.meter.clone(), self.read_timeout);
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
