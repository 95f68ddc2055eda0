//! Watches the transfers of a pull: counts and limits what is received, reports progress, and
//! describes failures.

use super::{Pull, PullError};
use crate::progress::{Event, Phase, Progress};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The monitor of one pull, which all its threads share.
pub(super) struct Monitor {
    /// The name of the remote for messages; without a remote, the source of the image.
    pub(super) label: String,
    pub(super) progress: Arc<dyn Progress>,
    /// The maximum time in which a server may send nothing, in seconds.
    read_timeout: u64,
    bytes: AtomicU64,
    /// The number of events so far: pieces that were received, and attempts of requests.
    activity: AtomicU64,
    /// The caller's limit.
    limit: Option<u64>,
    /// The maximum number of bytes according to the commits, once these are known.
    bound: AtomicU64,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("label", &self.label)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Monitor {
    pub(super) fn new(options: &Pull) -> Self {
        Self {
            label: options.label(),
            progress: options.progress.clone(),
            read_timeout: options.http.configured_read_timeout().as_secs(),
            bytes: AtomicU64::new(0),
            activity: AtomicU64::new(0),
            limit: options.max_bytes,
            bound: AtomicU64::new(u64::MAX),
        }
    }

    /// Returns the number of bytes received so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of events so far; an unchanged value means that nothing was received.
    pub(super) fn activity(&self) -> u64 {
        self.activity.load(Ordering::Relaxed)
    }

    /// Returns the caller's limit if it is exceeded.
    fn exceeded(&self) -> Option<u64> {
        self.limit.filter(|limit| self.bytes() > *limit)
    }

    /// Sets the bound to `bytes` more than were received so far.
    pub(super) fn set_bound(&self, bytes: u64) {
        let bound = self.bytes().saturating_add(bytes);
        self.bound.store(bound, Ordering::Relaxed);
    }

    /// Returns true if more bytes were received than the commits allow.
    fn exceeds_bound(&self) -> bool {
        self.bytes() > self.bound.load(Ordering::Relaxed)
    }

    /// Counts received bytes, and returns true if more may be received.
    pub(super) fn count(&self, bytes: u64) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.activity.fetch_add(1, Ordering::Relaxed);
        self.exceeded().is_none() && !self.exceeds_bound()
    }

    /// Reports the number of bytes that were received or read so far.
    pub(super) fn report(&self, item: &str, done: u64, total: Option<u64>) {
        self.progress.event(&Event::Advanced {
            phase: Phase::Pull,
            item,
            done,
            total: total.map(|total| total.max(done)),
        });
    }

    /// Returns an error if the caller cancelled the pull.
    pub(super) fn check_cancelled(&self) -> Result<(), PullError> {
        match self.progress.is_cancelled() {
            true => Err(PullError::Cancelled),
            false => Ok(()),
        }
    }

    /// Returns the error for a transfer that ended because it was cancelled or because nothing was
    /// received; `None` if it failed for another reason.
    pub(super) fn interruption(
        &self,
        url: &str,
        is_cancelled: bool,
        is_timeout: bool,
    ) -> Option<PullError> {
        let (remote, url) = (self.label.clone(), url.to_owned());
        let found = self.bytes();
        match self.exceeded() {
            Some(limit) if is_cancelled => Some(PullError::TooLarge {
                remote,
                found,
                limit,
            }),
            None if is_cancelled && self.exceeds_bound() => Some(PullError::Unsafe {
                remote,
                url,
                problem: format!(
                    "it has sent {found} bytes, which is more than the content of the commits can have"
                ),
            }),
            _ if is_cancelled => Some(PullError::Cancelled),
            _ if is_timeout => Some(PullError::Stalled {
                remote,
                url,
                seconds: self.read_timeout,
            }),
            _ => None,
        }
    }

    /// Returns the error for invalid content.
    pub(super) fn refused(&self, url: impl Into<String>, problem: String) -> PullError {
        PullError::Refused {
            remote: self.label.clone(),
            url: url.into(),
            problem,
        }
    }

    /// Returns the error for content that would need too much memory or disk space.
    pub(super) fn unsafe_content(&self, url: impl Into<String>, problem: String) -> PullError {
        PullError::Unsafe {
            remote: self.label.clone(),
            url: url.into(),
            problem,
        }
    }
}
