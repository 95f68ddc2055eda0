//! What a pull costs, and whether that is allowed and has room.

use super::PullError;
use super::image::Images;
use super::preflight::{Download, PlannedRef, Preflight};
use crate::repo::{Completeness, RepoError};

/// What there is to download for all refs together. What several share counts once.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    /// Bytes over the network, as far as they are known.
    bytes: u64,
    /// Whether that is all of them.
    is_known: bool,
    /// Bytes that may be needed on the disk, as far as they are known.
    unpacked: u64,
}

impl Cost {
    pub(super) fn of(complete: &Completeness<'_>, refs: &[PlannedRef]) -> Result<Self, RepoError> {
        let once = once(refs);
        let images = once.iter().filter_map(|planned| planned.image.as_deref());
        let (bytes, unpacked) = Images::missing(complete, images)?;
        let mut cost = Self {
            bytes,
            is_known: true,
            unpacked,
        };
        for planned in once.iter().filter(|planned| planned.image.is_none()) {
            let (bytes, unpacked) = (planned.download.bytes(), planned.download.unpacked());
            cost.is_known &= bytes.is_some();
            cost.bytes = cost.bytes.saturating_add(bytes.unwrap_or(0));
            cost.unpacked = cost.unpacked.saturating_add(unpacked.unwrap_or(0));
        }
        Ok(cost)
    }
}

/// The refs that have something to download which no other has: of those with the same tree, as a
/// release and its channel, the one that takes the fewest bytes, and no layer of a release that
/// comes as well.
pub(super) fn once(refs: &[PlannedRef]) -> Vec<&PlannedRef> {
    let mut once: Vec<&PlannedRef> = Vec::new();
    let of_release = |layer: &PlannedRef| {
        let mut layers = refs.iter().flat_map(|planned| &planned.info.layers);
        layers.any(|(_, id)| *id == layer.info.id)
    };
    for planned in refs {
        if planned.download == Download::Nothing || of_release(planned) {
            continue;
        }
        let same = |other: &&mut &PlannedRef| other.info.content == planned.info.content;
        match once.iter_mut().find(same) {
            Some(other) => {
                let bytes = |planned: &PlannedRef| planned.download.bytes().unwrap_or(u64::MAX);
                if bytes(planned) < bytes(other) {
                    *other = planned;
                }
            }
            None => once.push(planned),
        }
    }
    once
}

impl Preflight<'_> {
    /// Bytes to download, where deltas or layers say it. What several refs share counts once.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.cost.is_known.then_some(self.cost.bytes)
    }

    /// Checks that what there is to download is allowed and has room on the disk.
    ///
    /// # Errors
    /// When deltas or layers say that it is more than [`Pull::max_bytes`](super::Pull::max_bytes),
    /// or the file system of the repository has less free than the new content takes.
    pub fn check_limits(&self) -> Result<(), PullError> {
        let found = self.cost.bytes;
        if let Some(limit) = self.pull.max_bytes.filter(|limit| found > *limit) {
            return Err(PullError::TooLarge {
                remote: self.remote.name.clone(),
                found,
                limit,
            });
        }
        // A part of a tree takes less, and nobody knows how much.
        if !self.pull.subpaths.is_empty() {
            return Ok(());
        }
        let path = self.repo.path();
        let free = rustix::fs::statvfs(path).map_err(|error| RepoError::Io {
            action: "ask for the free space of",
            path: path.to_owned(),
            source: error.into(),
        })?;
        let available = free.f_bavail.saturating_mul(free.f_frsize);
        let needed = self.cost.unpacked;
        if needed > available {
            return Err(PullError::NoSpace {
                path: path.to_owned(),
                available,
                needed,
            });
        }
        Ok(())
    }
}
