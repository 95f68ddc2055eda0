//! Pushes blobs and manifests to a registry.
//!
//! Source: the OCI distribution specification, "Pushing a blob monolithically" (POST, then PUT)
//! and "Pushing manifests".

use super::auth::encoded;
use super::{Registry, RegistryError};
use crate::http::url::Url;
use crate::http::{HttpError, RequestBody};
use crate::progress::{Event, Phase, Progress};
use std::fs::File;
use ureq::Body;
use ureq::http::{Response, header};

/// The header with the digest of the content that the registry stored.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// The header by which a registry says that it supports referrers.
const SUBJECT: &str = "oci-subject";

impl Registry {
    /// Returns true if the registry has a blob with this digest and size.
    pub(crate) fn has_blob(
        &self,
        digest: &str,
        size: u64,
        progress: &dyn Progress,
    ) -> Result<bool, RegistryError> {
        let url = self.url(&format!("blobs/{digest}"))?;
        self.retrying(&url, progress, || {
            let response = self.call("HEAD", &url, &[], RequestBody::Empty)?;
            match response.status().as_u16() {
                200 => {
                    let length = header_text(&response, header::CONTENT_LENGTH.as_str());
                    Ok(length.is_none_or(|length| length.parse() == Ok(size)))
                }
                404 => Ok(false),
                _ => Err(self.refused(response)),
            }
        })
    }

    /// Pushes a file as a blob, unless the registry has it. Returns true if it was pushed.
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
        let report_sent = |done| {
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
            let response = self.call(
                "PUT",
                &url,
                &[kind],
                RequestBody::File(file, size, &report_sent),
            );
            if progress.is_cancelled() {
                return Err(HttpError::Cancelled {
                    url: url.to_string(),
                }
                .into());
            }
            self.check_stored(response?, digest)
        });
        progress.event(&Event::Finished {
            phase: Phase::Push,
            item: digest,
        });
        pushed.map(|()| true)
    }

    /// Pushes a manifest or an index with a tag or its own digest.
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
            let response = self.call("PUT", &url, &[kind], RequestBody::Bytes(bytes))?;
            self.check_stored(response, digest)
        })
    }

    /// Pushes a manifest that refers to another one, with its own digest. Returns true if the registry
    /// lists it among the referrers of the other one. Source: the OCI distribution specification,
    /// "Pushing Manifests with Subject".
    pub(crate) fn push_referrer(
        &self,
        media_type: &str,
        digest: &str,
        bytes: &[u8],
        progress: &dyn Progress,
    ) -> Result<bool, RegistryError> {
        let url = self.url(&format!("manifests/{digest}"))?;
        self.retrying(&url, progress, || {
            let kind = ("Content-Type", media_type.to_owned());
            let response = self.call("PUT", &url, &[kind], RequestBody::Bytes(bytes))?;
            let is_listed = response.headers().contains_key(SUBJECT);
            self.check_stored(response, digest)?;
            Ok(is_listed)
        })
    }

    /// Starts an upload, and returns its URL.
    fn upload(&self, uploads: &Url, digest: &str) -> Result<Url, RegistryError> {
        let response = self.call("POST", uploads, &[], RequestBody::Bytes(b""))?;
        if response.status() != 202 {
            return Err(self.refused(response));
        }
        let missing = || self.protocol("upload location");
        let location = header_text(&response, header::LOCATION.as_str()).ok_or_else(missing)?;
        let separator = if location.contains('?') { '&' } else { '?' };
        let base = if location.starts_with('/') {
            self.base.as_str()
        } else {
            ""
        };
        let url = Url::parse(&format!(
            "{base}{location}{separator}digest={}",
            encoded(digest)
        ));
        // If the registry uses encryption, the upload must use it as well.
        url.ok()
            .filter(|url| url.is_https() || self.base.starts_with("http:"))
            .ok_or_else(missing)
    }

    /// Checks that the registry stored the content with the expected digest.
    fn check_stored(&self, response: Response<Body>, digest: &str) -> Result<(), RegistryError> {
        if response.status() != 201 {
            return Err(self.refused(response));
        }
        match header_text(&response, CONTENT_DIGEST) {
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

fn header_text(response: &Response<Body>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}
