//! The size of a pull, and the checks against the caller's limit and the free disk space.

use super::PullError;
use super::image::Images;
use super::preflight::{Download, PlannedRef, Preflight};
use crate::repo::{Completeness, RepoError};

/// The amount to download for all refs together. Content that several refs share counts once.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    /// Bytes to download over the network, as far as known.
    bytes: u64,
    /// Set if the sizes of all downloads are known.
    is_known: bool,
    /// Bytes that may be needed on disk, as far as known.
    unpacked: u64,
}

impl Cost {
    pub(super) fn of(complete: &Completeness<'_>, refs: &[PlannedRef]) -> Result<Self, RepoError> {
        let deduplicated = deduplicated(refs);
        let images = deduplicated
            .iter()
            .filter_map(|planned| planned.image.as_deref());
        let (bytes, unpacked) = Images::missing_bytes(complete, images)?;
        let mut cost = Self {
            bytes,
            is_known: true,
            unpacked,
        };
        for planned in deduplicated
            .iter()
            .filter(|planned| planned.image.is_none())
        {
            let (bytes, unpacked) = (planned.download.bytes(), planned.download.unpacked());
            cost.is_known &= bytes.is_some();
            cost.bytes = cost.bytes.saturating_add(bytes.unwrap_or(0));
            cost.unpacked = cost.unpacked.saturating_add(unpacked.unwrap_or(0));
        }
        Ok(cost)
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

impl Preflight<'_> {
    /// Returns the number of bytes to download, if it is known from static deltas or image layers.
    /// Content that several refs share counts once.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.cost.is_known.then_some(self.cost.bytes)
    }

    /// Checks the size of the download against the caller's limit and the free disk space.
    ///
    /// # Errors
    /// Returns an error if the size according to static deltas or image layers exceeds
    /// [`Pull::max_bytes`](super::Pull::max_bytes), or the file system of the repository has less
    /// free space than the new content needs.
    pub fn check_limits(&self) -> Result<(), PullError> {
        let found = self.cost.bytes;
        if let Some(limit) = self.pull.max_bytes.filter(|limit| found > *limit) {
            return Err(PullError::TooLarge {
                remote: self.remote.name.clone(),
                found,
                limit,
            });
        }
        // Part of a tree needs less space, and the amount is unknown.
        if !self.pull.subpaths.is_empty() {
            return Ok(());
        }
        let path = self.repo.path();
        let free = rustix::fs::statvfs(path).map_err(|error| RepoError::Io {
            action: "get the free space of",
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
