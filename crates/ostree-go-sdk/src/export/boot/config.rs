//! A host's configuration, which does not depend on its format.

use crate::id::{CommitId, RefName};

/// The configuration of a host, written before its first boot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootConfig {
    /// The SDKs; the first is active.
    pub releases: Vec<BootRelease>,
    /// The files, sorted by path.
    pub files: Vec<BootFile>,
    /// The systemd units, all enabled.
    pub units: Vec<BootUnit>,
}

/// An SDK to install on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootRelease {
    /// The ref. A release is fixed; a channel is upgraded at each boot.
    pub ref_name: RefName,
    /// The commit of the ref when the configuration was generated.
    pub commit: CommitId,
    /// The Go version of the commit.
    pub version: String,
}

/// A file on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootFile {
    /// The absolute path.
    pub path: String,
    /// The permission bits.
    pub mode: u32,
    /// The content.
    pub content: Vec<u8>,
}

/// A systemd unit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootUnit {
    /// The name of the unit.
    pub name: String,
    /// The content of the unit file.
    pub content: String,
}
