//! Sources of the current time.

use std::fmt;

/// A source of the current time.
///
/// It provides the timestamps of channel commits, static deltas, index pages and deployments. Releases
/// and layers do not depend on it.
pub trait Clock: Send + Sync {
    /// Returns seconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> u64;
}

impl fmt::Debug for dyn Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Formats seconds since 1970 as `2026-11-02T20:36:21Z`.
pub(crate) fn rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}

/// A clock with a fixed time, for `SOURCE_DATE_EPOCH` and tests.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(u64);

impl FixedClock {
    /// Creates a clock with a fixed time, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> u64 {
        self.0
    }
}
