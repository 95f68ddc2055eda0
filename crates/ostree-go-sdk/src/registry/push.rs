//! Blobs and manifests into a registry.
//!
//! Source: the OCI distribution specification, "Pushing a blob monolithically" (POST, then PUT)
//! and "Pushing manifests".

use super::auth::encoded;
use super::{Registry, RegistryError};
use crate::http::url::Url;
use crate::http::{HttpError, Outgoing};
use crate::parallel;
use crate::progress::{Event, Phase, Progress};
use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use ureq::Body;
use ureq::http::{Response, header};

/// The header in which a registry says what it has taken.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// How often a stop is looked for.
const TICK: Duration = Duration::from_millis(50);

/// Does `work`, which errors call `name`, on a thread that is left behind when the caller wants to
/// stop, so that a silent registry delays no one. When the system makes no more threads the calling
/// thread does it, and `work` itself looks for a stop.
pub(crate) fn aside<T: Send + 'static>(
    name: &str,
    progress: &Arc<dyn Progress>,
    work: impl FnOnce(&dyn Progress) -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, RegistryError> {
    let (answers, arrived) = channel();
    let hears = progress.clone();
    parallel::run_detached(move || {
        // Nobody may be waiting any more.
        let _ = answers.send(work(hears.as_ref()));
    });
    while !progress.is_cancelled() {
        match arrived.recv_timeout(TICK) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let url = name.to_owned();
    Err(HttpError::Cancelled { url }.into())
}

impl Registry {
    /// Whether the registry has a blob, of this size.
    pub(crate) fn has_blob(
        &self,
        digest: &str,
        size: u64,
        progress: &dyn Progress,
    ) -> Result<bool, RegistryError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        self.retrying(&url, progress, || {
            let answer = self.call("HEAD", &url, &[], Outgoing::Nothing)?;
            match answer.status().as_u16() {
                200 => {
                    let length = text(&answer, header::CONTENT_LENGTH.as_str());
                    Ok(length.is_none_or(|length| length.parse() == Ok(size)))
                }
                404 => Ok(false),
                _ => Err(self.refused(answer)),
            }
        })
    }

    /// Sends a file as a blob, unless the registry has it. Says whether it was sent.
    pub(crate) fn push_blob(
        &self,
        digest: &str,
        file: &File,
        size: u64,
        progress: &dyn Progress,
    ) -> Result<bool, RegistryError> {
        if self.has_blob(digest, size, progress)? {
            return Ok(false);
        }
        let hears = |done| {
            progress.event(&Event::Advanced {
                phase: Phase::Push,
                item: digest,
                done,
                total: Some(size),
            });
            !progress.is_cancelled()
        };
        let uploads = self.url("blobs/uploads/")?;
        let pushed = self.retrying(&uploads, progress, || {
            let url = self.upload(&uploads, digest)?;
            let kind = ("Content-Type", "application/octet-stream".to_owned());
            let answer = self.call("PUT", &url, &[kind], Outgoing::File(file, size, &hears));
            if progress.is_cancelled() {
                return Err(HttpError::Cancelled {
                    url: url.to_string(),
                }
                .into());
            }
            self.taken(answer?, digest)
        });
        progress.event(&Event::Finished {
            phase: Phase::Push,
            item: digest,
        });
        pushed.map(|()| true)
    }

    /// Sends a manifest or an index under a tag or its own digest.
    pub(crate) fn push_manifest(
        &self,
        reference: &str,
        media_type: &str,
        digest: &str,
        bytes: &[u8],
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        let url = self.url(&format!("manifests/{reference}"))?;
        self.retrying(&url, progress, || {
            let kind = ("Content-Type", media_type.to_owned());
            let answer = self.call("PUT", &url, &[kind], Outgoing::Bytes(bytes))?;
            self.taken(answer, digest)
        })
    }

    /// Begins an upload, and returns where it goes.
    fn upload(&self, uploads: &Url, digest: &str) -> Result<Url, RegistryError> {
        let answer = self.call("POST", uploads, &[], Outgoing::Bytes(b""))?;
        if answer.status() != 202 {
            return Err(self.refused(answer));
        }
        let missing = || self.protocol("place to upload to");
        let place = text(&answer, header::LOCATION.as_str()).ok_or_else(missing)?;
        let mark = if place.contains('?') { '&' } else { '?' };
        let base = if place.starts_with('/') {
            self.base.as_str()
        } else {
            ""
        };
        let url = Url::parse(&format!("{base}{place}{mark}digest={}", encoded(digest)));
        // What is sent encrypted to the registry goes encrypted to wherever that leads.
        url.ok()
            .filter(|url| url.is_https() || self.base.starts_with("http:"))
            .ok_or_else(missing)
    }

    /// Whether an answer says that all was taken as it was sent.
    fn taken(&self, answer: Response<Body>, digest: &str) -> Result<(), RegistryError> {
        if answer.status() != 201 {
            return Err(self.refused(answer));
        }
        match text(&answer, CONTENT_DIGEST) {
            Some(found) if found != digest => Err(RegistryError::Digest {
                action: self.access.action(),
                image: self.image.clone().into(),
                expected: digest.to_owned(),
                found,
            }),
            _ => Ok(()),
        }
    }
}

fn text(answer: &Response<Body>, name: &str) -> Option<String> {
    Some(answer.headers().get(name)?.to_str().ok()?.to_owned())
}
