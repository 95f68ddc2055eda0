//! Bounds on memory and disk for content that a server sends.
//!
//! The commits are checked before their content is fetched, so that what they say can bound it:
//! `sdk.size` is how many bytes the files of a tree have. A commit that does not say it has a
//! fixed bound. Nothing that a server, a static delta or an object says of itself counts.

use crate::progress::Progress;
use crate::store::Budget;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The most bytes of files of a commit that has no `sdk.size`.
pub(super) const UNKNOWN_SIZE: u64 = 16 << 30;
/// The most bytes of directories and of extended attributes of one commit. Go 1.26 has 2 MB.
const METADATA: u64 = 64 << 20;
/// The most objects of one pull: what is known of each is in memory.
pub(super) const OBJECTS: usize = 1_000_000;
/// The most commits of one pull.
pub(super) const COMMITS: usize = 10_000;
/// The largest part of a delta, in bytes of what it makes, that is used, and the largest file in
/// one. What is larger is fetched object by object. Our own parts have at most 32 MiB, or one file.
pub(super) const PART: u64 = 40 << 20;
/// The largest file that a part may be a patch of. It is in memory as a whole.
pub(super) const SOURCE: u64 = 64 << 20;
/// The most parts of one delta. libostree makes one of every 32 MB.
pub(super) const PARTS: usize = 4096;
/// Bytes that files and parts may take in memory while they are unpacked and written.
const UNPACKING: u64 = 192 << 20;

/// Bytes of files that may come beside those that the commits say.
const SLACK: u64 = 1 << 20;

/// What all threads of one pull share.
pub(super) struct Bounds {
    files: AtomicU64,
    metadata: AtomicU64,
    sources: AtomicU64,
    /// Bytes of files, at the start.
    pub(super) total: u64,
    /// Memory for what is being unpacked.
    pub(super) memory: Budget,
    /// Memory for files that patches are applied to. Whoever has some of it asks for no other.
    pub(super) old_files: Budget,
    stopped: AtomicBool,
    progress: Arc<dyn Progress>,
}

impl Bounds {
    /// For commits whose trees have so many bytes of files, where that is known.
    pub(super) fn new(
        sizes: impl IntoIterator<Item = Option<u64>>,
        progress: &Arc<dyn Progress>,
    ) -> Self {
        let (mut files, mut metadata) = (0u64, 0u64);
        for size in sizes {
            files = files.saturating_add(size.unwrap_or(UNKNOWN_SIZE));
            metadata = metadata.saturating_add(METADATA);
        }
        Self {
            // An eighth more, for objects that come twice or that nobody needs: these are removed.
            files: files.saturating_add(files / 8).saturating_add(SLACK).into(),
            metadata: metadata.into(),
            // Each new file may be a patch of one that is several times as large.
            sources: files.saturating_mul(8).saturating_add(SOURCE).into(),
            total: files,
            memory: Budget::new(UNPACKING),
            old_files: Budget::new(SOURCE),
            stopped: AtomicBool::new(false),
            progress: progress.clone(),
        }
    }

    /// Takes the room for a file's content.
    pub(super) fn file(&self, bytes: u64) -> Result<(), String> {
        take(&self.files, bytes).map_err(|left| {
            format!(
                "a file has {bytes} bytes, and {left} are left of the {} that the commits allow for all",
                self.total
            )
        })
    }

    /// Takes the room for an object that is no file, or for extended attributes.
    pub(super) fn metadata(&self, bytes: u64) -> Result<(), String> {
        take(&self.metadata, bytes).map_err(|_| {
            format!("directories and extended attributes have more than {METADATA} bytes a commit")
        })
    }

    /// Counts what is read of files that patches are applied to.
    pub(super) fn source(&self, bytes: u64) -> Result<(), String> {
        take(&self.sources, bytes)
            .map_err(|_| "the static delta reads old files again and again".to_owned())
    }

    /// The most bytes of a file object that is still to come, compressed. Deflate makes nothing
    /// much larger than it was.
    pub(super) fn largest_download(&self) -> u64 {
        let left = self.files.load(Ordering::Relaxed);
        left.saturating_add(left / 8).saturating_add(2 << 20)
    }

    /// The most bytes over the network for all content: twice what there is, as connections break.
    pub(super) fn most_downloads(&self) -> u64 {
        let metadata = self.metadata.load(Ordering::Relaxed);
        self.total.saturating_add(metadata).saturating_mul(2)
    }

    /// Ends the work of all threads.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether work should end, as the caller asked for it or as something else failed.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.progress.is_cancelled()
    }
}

/// The most bytes of files and directories of a commit that has so many bytes of files.
pub(super) fn allowed(size: Option<u64>) -> u64 {
    size.unwrap_or(UNKNOWN_SIZE).saturating_add(METADATA)
}

/// Takes from what is left; the error is what there is.
fn take(left: &AtomicU64, bytes: u64) -> Result<(), u64> {
    let order = Ordering::Relaxed;
    let taken = left.fetch_update(order, order, |left| left.checked_sub(bytes));
    taken.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;

    #[test]
    fn what_commits_say_bounds_their_files() {
        let progress: Arc<dyn Progress> = Arc::new(NoProgress);
        let bounds = Bounds::new([Some(100), Some(50)], &progress);
        let all = 150 + 150 / 8 + SLACK;
        assert!(bounds.file(120).is_ok());
        assert!(bounds.file(all - 119).is_err());
        assert!(bounds.file(all - 120).is_ok());
        assert!(bounds.file(1).is_err() && bounds.file(0).is_ok());
        assert!(bounds.metadata(2 * METADATA).is_ok() && bounds.metadata(1).is_err());
        assert!(Bounds::new([None], &progress).file(UNKNOWN_SIZE).is_ok());
        assert!(
            Bounds::new([None], &progress)
                .file(2 * UNKNOWN_SIZE)
                .is_err()
        );
    }
}
