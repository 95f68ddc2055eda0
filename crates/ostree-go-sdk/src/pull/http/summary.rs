//! The summary of a server, and its refs.

use super::server::{MAX_METADATA, Server};
use crate::id::{CommitId, RefName};
use crate::publish::SummaryDocument as Summary;
use crate::pull::PullError;
use crate::pull::offered::OfferedRef;
use crate::pull::scratch::{SIGNATURE_FILE, SUMMARY_FILE};
use crate::repo::RepoError;

/// Maximum size of a summary in bytes: about 150,000 refs.
const MAX_SUMMARY: u64 = 16 << 20;
/// Maximum number of times that a mirror fetches the summary and its signature.
const MAX_SUMMARY_TRIES: usize = 5;
/// Maximum size of a ref's file in bytes; it contains a checksum of 64 digits.
const MAX_REF: u64 = 4 << 10;
impl Server {
    /// Returns the summary, if there is one. It is not trusted: the commits that it names are
    /// checked.
    pub(super) fn summary(&self) -> Result<Option<Summary>, PullError> {
        let request = self.request(SUMMARY_FILE, MAX_SUMMARY)?.optional();
        let Some(bytes) = self.get_document(&request)? else {
            return Ok(None);
        };
        match Summary::parse(&bytes) {
            Some(summary) => Ok(Some(summary)),
            None => Err(self.refused(&request, "it is not a valid summary".to_owned())),
        }
    }

    /// Fetches the summary and stores it with its signature in the scratch repository.
    ///
    /// A publisher replaces the two files one after the other. Both are therefore fetched until two
    /// consecutive tries give the same content, at most [`MAX_SUMMARY_TRIES`] times.
    pub(super) fn copy_summary(&self) -> Result<Summary, PullError> {
        let signature_request = self.request(SIGNATURE_FILE, MAX_METADATA)?.optional();
        let mut previous: Option<(Summary, Option<Vec<u8>>)> = None;
        for _ in 0..MAX_SUMMARY_TRIES {
            let summary = self.summary()?.ok_or_else(|| {
                self.absent(PullError::NoSummary {
                    remote: self.session.label().to_owned(),
                    url: self.url(),
                })
            })?;
            let signature = self.get_document(&signature_request)?;
            let is_stable = previous
                .is_some_and(|(other, signed)| other.bytes == summary.bytes && signed == signature);
            previous = Some((summary, signature));
            if is_stable {
                break;
            }
        }
        let (summary, signature) = previous.unwrap_or_default();
        let store = |name: &str, bytes: &[u8]| {
            let path = self.session.scratch.repo.path().join(name);
            std::fs::write(&path, bytes).map_err(|source| RepoError::Io {
                action: "write",
                path,
                source,
            })
        };
        store(SUMMARY_FILE, &summary.bytes)?;
        if let Some(signature) = signature {
            store(SIGNATURE_FILE, &signature)?;
        }
        Ok(summary)
    }

    /// Returns all refs of a summary.
    pub(super) fn all_refs(&self, summary: &Summary) -> Result<Vec<RefName>, PullError> {
        let request = self.request(SUMMARY_FILE, MAX_SUMMARY)?;
        let names = summary.refs.keys().map(|name| {
            name.parse::<RefName>()
                .map_err(|error| self.refused(&request, error.to_string()))
        });
        names.collect()
    }

    /// Returns the commit of a ref on a server without a summary; `None` if the ref does not exist.
    pub(super) fn commit_of_ref(&self, name: &RefName) -> Result<Option<CommitId>, PullError> {
        let request = self.request(&format!("refs/heads/{name}"), MAX_REF)?;
        let Some(bytes) = self.get_document(&request)? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        match text.trim_end().parse() {
            Ok(commit) => Ok(Some(commit)),
            Err(_) => Err(self.refused(
                &request,
                "it is not a checksum of 64 hexadecimal digits".to_owned(),
            )),
        }
    }
}

/// Returns all refs of a summary that have a valid name.
pub(super) fn offered(summary: &Summary) -> Vec<OfferedRef> {
    let refs = summary.refs.iter().filter_map(|(name, commit)| {
        let metadata = summary.metadata.get(name);
        Some(OfferedRef {
            commit: Some(*commit),
            version: metadata.and_then(|metadata| metadata.version.clone()),
            timestamp: metadata.and_then(|metadata| metadata.timestamp),
            ..OfferedRef::named(name.parse().ok()?)
        })
    });
    refs.collect()
}
