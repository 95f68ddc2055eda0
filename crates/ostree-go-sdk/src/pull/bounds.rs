//! Limits on memory and disk space for content that a server sends.
//!
//! The commits are verified before their content is fetched, so that they can limit it: `sdk.size`
//! is the size of all files of a tree in bytes. A commit without it gets a fixed limit. Sizes that
//! a server, a static delta or an object claims for itself are not trusted.

use crate::progress::Progress;
use crate::store::Budget;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Maximum size of the files of a commit without `sdk.size`, in bytes.
pub(super) const DEFAULT_COMMIT_SIZE: u64 = 16 << 30;
/// Maximum size of the directory objects and extended attributes of one commit, in bytes. Go 1.26
/// has 2 MB.
const MAX_METADATA: u64 = 64 << 20;
/// Maximum number of objects of one pull, because information about each one is kept in memory.
pub(super) const MAX_OBJECTS: usize = 1_000_000;
/// Maximum number of commits of one pull.
pub(super) const MAX_COMMITS: usize = 10_000;
/// Maximum unpacked size of a delta part that is used, and of a single file in it, in bytes. The
/// content of larger parts is fetched object by object. Parts that ostree-go creates have at most
/// 32 MiB, or contain one file.
pub(super) const MAX_PART: u64 = 40 << 20;
/// Maximum size of a file that a patch is applied to, in bytes. Such a file is read into memory as
/// a whole.
pub(super) const MAX_SOURCE: u64 = 64 << 20;
/// Maximum number of parts of one delta. libostree creates one for every 32 MB.
pub(super) const MAX_PARTS: usize = 4096;
/// Memory for files and parts while they are unpacked and written, in bytes.
const UNPACK_MEMORY: u64 = 192 << 20;

/// Bytes of files that are accepted in addition to those that the commits declare.
const TOLERANCE: u64 = 1 << 20;

/// The limits of one pull, shared by all its threads.
pub(super) struct Bounds {
    files: AtomicU64,
    metadata: AtomicU64,
    sources: AtomicU64,
    /// The limit for files at the start, in bytes, without the tolerance.
    pub(super) total: u64,
    /// Memory for content that is being unpacked.
    pub(super) memory: Budget,
    /// Memory for files that patches are applied to. To avoid a deadlock, a thread that holds some
    /// of it must not request more memory.
    pub(super) old_files: Budget,
    stopped: AtomicBool,
    progress: Arc<dyn Progress>,
}

impl Bounds {
    /// Creates limits for commits with the given sizes of files in bytes, where these are known.
    pub(super) fn new(
        sizes: impl IntoIterator<Item = Option<u64>>,
        progress: &Arc<dyn Progress>,
    ) -> Self {
        let (mut files, mut metadata) = (0u64, 0u64);
        for size in sizes {
            files = files.saturating_add(size.unwrap_or(DEFAULT_COMMIT_SIZE));
            metadata = metadata.saturating_add(MAX_METADATA);
        }
        Self {
            // One eighth more, because objects may be received twice, or without being needed;
            // these are removed.
            files: files
                .saturating_add(files / 8)
                .saturating_add(TOLERANCE)
                .into(),
            metadata: metadata.into(),
            // Each new file may be a patch of one that is up to eight times as large.
            sources: files.saturating_mul(8).saturating_add(MAX_SOURCE).into(),
            total: files,
            memory: Budget::new(UNPACK_MEMORY),
            old_files: Budget::new(MAX_SOURCE),
            stopped: AtomicBool::new(false),
            progress: progress.clone(),
        }
    }

    /// Creates limits without any tolerance.
    #[cfg(feature = "fuzzing")]
    pub(super) fn exact(files: u64, metadata: u64, progress: &Arc<dyn Progress>) -> Self {
        Self {
            files: files.into(),
            metadata: metadata.into(),
            ..Self::new([Some(files)], progress)
        }
    }

    /// Reserves space for a file's content.
    pub(super) fn reserve_file(&self, bytes: u64) -> Result<(), String> {
        reserve(&self.files, bytes).map_err(|left| {
            format!(
                "a file has {bytes} bytes, but only {left} of the {} bytes that the commits allow for all files are left",
                self.total
            )
        })
    }

    /// Reserves space for a directory object, or for extended attributes.
    pub(super) fn reserve_metadata(&self, bytes: u64) -> Result<(), String> {
        reserve(&self.metadata, bytes).map_err(|_| {
            format!(
                "directories and extended attributes have more than {MAX_METADATA} bytes per commit"
            )
        })
    }

    /// Counts bytes that are read from files that patches are applied to.
    pub(super) fn count_source(&self, bytes: u64) -> Result<(), String> {
        reserve(&self.sources, bytes).map_err(|_| {
            "the static delta reads more bytes of old files than the size of the commits allows"
                .to_owned()
        })
    }

    /// Returns the maximum size of the next file object as sent, in bytes. Deflate never makes data
    /// much larger than it was, so that one eighth and 2 MiB more than the remaining limit is
    /// enough.
    pub(super) fn max_object_download(&self) -> u64 {
        let left = self.files.load(Ordering::Relaxed);
        left.saturating_add(left / 8).saturating_add(2 << 20)
    }

    /// Returns the maximum number of bytes for all content over the network. This is twice the
    /// limit for the content, because downloads may have to be repeated after a connection broke.
    pub(super) fn max_total_download(&self) -> u64 {
        let metadata = self.metadata.load(Ordering::Relaxed);
        self.total.saturating_add(metadata).saturating_mul(2)
    }

    /// Makes all threads stop.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Returns true if work should stop, because the caller cancelled the pull or another thread
    /// failed.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.progress.is_cancelled()
    }
}

/// Returns the maximum size of the files and directories of a commit with `size` bytes of files.
pub(super) fn max_unpacked(size: Option<u64>) -> u64 {
    size.unwrap_or(DEFAULT_COMMIT_SIZE)
        .saturating_add(MAX_METADATA)
}

/// Subtracts from the remaining amount. The error is the remaining amount, if it is not enough.
fn reserve(left: &AtomicU64, bytes: u64) -> Result<(), u64> {
    let order = Ordering::Relaxed;
    let reserved = left.fetch_update(order, order, |left| left.checked_sub(bytes));
    reserved.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;

    #[test]
    fn commit_sizes_limit_files() {
        let progress: Arc<dyn Progress> = Arc::new(NoProgress);
        let bounds = Bounds::new([Some(100), Some(50)], &progress);
        let all = 150 + 150 / 8 + TOLERANCE;
        assert!(bounds.reserve_file(120).is_ok());
        assert!(bounds.reserve_file(all - 119).is_err());
        assert!(bounds.reserve_file(all - 120).is_ok());
        assert!(bounds.reserve_file(1).is_err() && bounds.reserve_file(0).is_ok());
        assert!(
            bounds.reserve_metadata(2 * MAX_METADATA).is_ok()
                && bounds.reserve_metadata(1).is_err()
        );
        assert!(
            Bounds::new([None], &progress)
                .reserve_file(DEFAULT_COMMIT_SIZE)
                .is_ok()
        );
        assert!(
            Bounds::new([None], &progress)
                .reserve_file(2 * DEFAULT_COMMIT_SIZE)
                .is_err()
        );
    }
}
