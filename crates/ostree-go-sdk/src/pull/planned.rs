//! The refs of a pull, with their commits and downloads.

use super::PullError;
use crate::catalog::CommitInfo;
use crate::golang::std_cache::StdCacheId;
use crate::id::{CommitId, RefName};
use crate::sign::Verified;

/// A ref of a pull.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedRef {
    /// The ref's name on the remote.
    pub name: RefName,
    /// The verified commit that the remote's ref points to.
    pub verified: Verified<CommitId>,
    /// Information from the commit's metadata.
    pub info: CommitInfo,
    /// The commit that the local ref points to now.
    pub current: Option<CommitId>,
    /// The content that has to be downloaded.
    pub download: Download,
    pub(super) detached: glib::Variant,
    /// The verified parent commits that are pulled too, newest first.
    pub(super) history: Vec<CommitId>,
}

/// A ref that a pull of all refs leaves out, because its commit was refused.
#[derive(Debug)]
#[non_exhaustive]
pub struct RefusedRef {
    /// The ref's name on the remote.
    pub name: RefName,
    /// The reason.
    pub error: PullError,
}

/// The std caches that the remote has for a planned release or channel.
#[derive(Debug, Clone)]
pub(crate) struct PlannedStdCaches {
    /// The ref of the release or channel.
    pub(crate) of: RefName,
    /// The names of those that the remote has.
    pub(crate) offered: Vec<StdCacheId>,
    /// The names and refs of those that are pulled.
    pub(crate) pulled: Vec<(StdCacheId, RefName)>,
}

/// The download for a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Download {
    /// Nothing: the commit is complete.
    Nothing,
    /// A static delta.
    Delta {
        /// The number of bytes to download.
        bytes: u64,
        /// The size of the new content on disk in bytes.
        unpacked: u64,
    },
    /// The missing layers of an image.
    Layers {
        /// The number of bytes to download.
        bytes: u64,
        /// The size of their content in bytes, some of which may exist in the repository.
        unpacked: u64,
    },
    /// The missing objects, one by one.
    Objects {
        /// The size of the whole tree in bytes, if the commit declares it. The download is smaller,
        /// because it is compressed and excludes existing objects.
        tree: Option<u64>,
    },
}

impl Download {
    /// Returns the number of bytes to download, if known in advance.
    #[must_use]
    pub const fn bytes(self) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Delta { bytes, .. } | Self::Layers { bytes, .. } => Some(bytes),
            Self::Objects { .. } => None,
        }
    }

    /// Returns the maximum disk space that is needed in bytes, if known in advance.
    #[must_use]
    pub const fn unpacked(self) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Delta { unpacked, .. } | Self::Layers { unpacked, .. } => Some(unpacked),
            Self::Objects { tree } => tree,
        }
    }
}

/// Returns the refs whose content has to be downloaded, without duplicates. Of several refs with
/// the same tree, such as a release and its channel, only the one with the smallest download is
/// included. A layer is not included if a release that contains it is also pulled.
pub(super) fn deduplicated(refs: &[PlannedRef]) -> Vec<&PlannedRef> {
    let mut deduplicated: Vec<&PlannedRef> = Vec::new();
    let is_layer_of_release = |layer: &PlannedRef| {
        let mut layers = refs.iter().flat_map(|planned| &planned.info.layers);
        layers.any(|(_, id)| *id == layer.info.id)
    };
    for planned in refs {
        if planned.download == Download::Nothing || is_layer_of_release(planned) {
            continue;
        }
        let same = |other: &&mut &PlannedRef| other.info.content == planned.info.content;
        match deduplicated.iter_mut().find(same) {
            Some(other) => {
                let bytes = |planned: &PlannedRef| planned.download.bytes().unwrap_or(u64::MAX);
                if bytes(planned) < bytes(other) {
                    *other = planned;
                }
            }
            None => deduplicated.push(planned),
        }
    }
    deduplicated
}

/// The amount to download for several refs together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// Bytes to download over the network, as far as known.
    pub(super) bytes: u64,
    /// True if the sizes of all downloads are known.
    pub(super) is_known: bool,
    /// Bytes that may be needed on disk, as far as known.
    pub(super) unpacked: u64,
}

impl Cost {
    /// Adds up the downloads for refs.
    pub(super) fn sum(refs: &[&PlannedRef]) -> Self {
        let mut cost = Self {
            bytes: 0,
            is_known: true,
            unpacked: 0,
        };
        for planned in refs {
            let (bytes, unpacked) = (planned.download.bytes(), planned.download.unpacked());
            cost.is_known &= bytes.is_some();
            cost.bytes = cost.bytes.saturating_add(bytes.unwrap_or(0));
            cost.unpacked = cost.unpacked.saturating_add(unpacked.unwrap_or(0));
        }
        cost
    }
}
