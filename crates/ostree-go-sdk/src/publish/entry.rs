//! A release or channel in `index.json` and on the page.

use serde::Serialize;

/// A release or channel.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    #[serde(rename = "ref")]
    pub(super) name: String,
    pub(super) version: String,
    pub(super) arch: String,
    pub(super) commit: String,
    pub(super) bytes: u64,
    pub(super) files: u64,
    /// In seconds since 1970.
    pub(super) timestamp: u64,
    /// The fingerprints of the keys that signed it.
    pub(super) signed_by: Vec<String>,
}
