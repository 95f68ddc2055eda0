//! Pulls from a repository of a registry. Requests are made on threads that are abandoned if the
//! caller cancels.

use crate::http::HttpError;
use crate::id::Sha256;
use crate::oci::format;
use crate::oci::image_source::ImageSource;
use crate::parallel::{self, Interrupted};
use crate::pull::monitor::Monitor;
use crate::pull::session::Session;
use crate::pull::{PullError, client};
use crate::registry::{self, ImageReference, RegistryAuth, RegistryError};
use crate::repo::RepoError;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// Maximum size of a manifest or index in bytes. Registries have to accept 4 MiB (OCI distribution
/// specification, "Pushing Manifests").
const MAX_MANIFEST: u64 = 4 << 20;
/// Maximum number of pieces of a blob that wait to be decoded.
const MAX_QUEUED_PIECES: usize = 16;

/// A repository of a registry.
#[derive(Debug)]
pub(super) struct Registry {
    monitor: Arc<Monitor>,
    client: Arc<registry::Registry>,
    /// The URL for messages, without credentials.
    url: String,
}

impl Registry {
    /// Creates a client. Nothing is requested yet.
    pub(super) fn new(
        session: &Session,
        source: &ImageSource,
        image: &ImageReference,
    ) -> Result<Self, PullError> {
        let auth = match &source.auth {
            RegistryAuth::Anonymous => session.options.auth.clone(),
            source_auth => source_auth.clone(),
        };
        let http = client::connect(session)?;
        let client = registry::Registry::new(image, source.is_encrypted, http, auth);
        Ok(Self {
            monitor: session.monitor.clone(),
            client: Arc::new(client),
            url: source.to_string(),
        })
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
    pub(super) fn manifest(&self, reference: &str) -> Result<Option<Vec<u8>>, PullError> {
        let (client, monitor) = (self.client.clone(), self.monitor.clone());
        let reference = reference.to_owned();
        let fetch = parallel::run_abandonable(&self.monitor.progress, move |progress| {
            let types = [format::INDEX, format::MANIFEST];
            let count_piece = |bytes| monitor.count(bytes);
            client.manifest(&reference, &types, MAX_MANIFEST, progress, &count_piece)
        });
        let response = fetch.ok_or(PullError::Cancelled)?;
        response.map_err(|error| self.registry_error(error))
    }

    /// Fetches the list of tags.
    pub(super) fn tags(&self) -> Result<Vec<String>, PullError> {
        let client = self.client.clone();
        let fetch = parallel::run_abandonable(&self.monitor.progress, move |progress| {
            client.tags(progress)
        });
        let response = fetch.ok_or(PullError::Cancelled)?;
        response.map_err(|error| self.registry_error(error))
    }

    /// Starts to fetch a blob.
    ///
    /// # Errors
    /// Returns an error if no thread can be created.
    pub(super) fn blob(&self, digest: Sha256, size: u64) -> Result<BlobStream<'_>, RepoError> {
        let (client, monitor) = (self.client.clone(), self.monitor.clone());
        let digest = format::digest(digest);
        let (pieces, received) = sync_channel(MAX_QUEUED_PIECES);
        let spawned = parallel::spawn_detached(move || {
            let mut send_piece = |piece: &[u8]| {
                monitor.count(piece.len() as u64) && pieces.send(Ok(piece.to_vec())).is_ok()
            };
            if let Err(error) =
                client.blob(&digest, size, monitor.progress.as_ref(), &mut send_piece)
            {
                let _ = pieces.send(Err(error));
            }
        });
        spawned.map_err(RepoError::Thread)?;
        Ok(BlobStream {
            registry: self,
            pieces: received,
            current: io::Cursor::default(),
        })
    }

    /// Converts a registry's error to the error of the pull.
    fn registry_error(&self, source: RegistryError) -> PullError {
        let is_cancelled = matches!(source, RegistryError::Http(HttpError::Cancelled { .. }));
        let interruption = self
            .monitor
            .interruption(&self.url, is_cancelled, source.is_timeout());
        interruption.unwrap_or_else(|| PullError::Registry {
            remote: self.monitor.label.clone(),
            source: Box::new(source),
        })
    }
}

/// Bytes that another thread fetches. A caller that is cancelled abandons the thread.
pub(super) struct BlobStream<'r> {
    registry: &'r Registry,
    pieces: Receiver<Result<Vec<u8>, RegistryError>>,
    current: io::Cursor<Vec<u8>>,
}

impl BlobStream<'_> {
    /// Reads received bytes; returns 0 at the end of the blob.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, PullError> {
        loop {
            if let Ok(read @ 1..) = self.current.read(buffer) {
                return Ok(read);
            }
            let progress = self.registry.monitor.progress.as_ref();
            match parallel::receive(&self.pieces, progress) {
                Ok(Ok(piece)) => self.current = io::Cursor::new(piece),
                Ok(Err(error)) => return Err(self.registry.registry_error(error)),
                Err(Interrupted::Cancelled) => return Err(PullError::Cancelled),
                Err(Interrupted::Ended) => return Ok(0),
            }
        }
    }
}
