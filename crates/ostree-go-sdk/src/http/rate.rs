//! A minimum rate at which bodies have to be received.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::HttpError;
use super::url::Url;

/// The number of bytes that all requests of a client received. Concurrent requests share the
/// bandwidth, so that the rate of a single request is not meaningful.
#[derive(Debug, Clone, Default)]
pub(super) struct Received(Arc<AtomicU64>);

impl Received {
    fn add(&self, bytes: u64) -> u64 {
        self.0.fetch_add(bytes, Ordering::Relaxed) + bytes
    }
}

/// Measures the receive rate over windows of [`HttpOptions::read_timeout`] while a body is read.
///
/// Only the time spent in reads counts, so that a slow reader is not attributed to the server.
///
/// [`HttpOptions::read_timeout`]: super::HttpOptions::read_timeout
#[derive(Debug)]
pub(crate) struct RateCheck {
    received: Received,
    /// The minimum rate in bytes per second; 0 for no limit.
    min_rate: u64,
    window: Duration,
    elapsed: Duration,
    window_start: u64,
}

/// A rate below the minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TooSlow {
    bytes: u64,
    seconds: u64,
}

impl RateCheck {
    pub(super) fn new(received: Received, min_rate: u64, window: Duration) -> Self {
        let window_start = received.add(0);
        Self {
            received,
            min_rate,
            window,
            elapsed: Duration::ZERO,
            window_start,
        }
    }

    /// Counts a read that took `time` and returned `bytes`.
    fn count(&mut self, time: Duration, bytes: usize) -> Result<(), TooSlow> {
        let received = self.received.add(bytes as u64);
        self.elapsed += time;
        if self.elapsed < self.window {
            return Ok(());
        }
        let (bytes, seconds) = (received - self.window_start, self.elapsed.as_secs().max(1));
        self.window_start = received;
        self.elapsed = Duration::ZERO;
        if bytes < self.min_rate.saturating_mul(seconds) {
            return Err(TooSlow { bytes, seconds });
        }
        Ok(())
    }

    /// Reads once from a body. The inner error is the body's own error.
    ///
    /// # Errors
    /// Returns an error if the rate is below the minimum.
    pub(crate) fn read(
        &mut self,
        body: &mut dyn Read,
        buffer: &mut [u8],
        url: &Url,
    ) -> Result<io::Result<usize>, HttpError> {
        let started = Instant::now();
        let read = body.read(buffer);
        // A timeout is reported as such, and not as a low rate.
        let Ok(bytes) = read else {
            return Ok(read);
        };
        self.count(started.elapsed(), bytes)
            .map_err(|too_slow| HttpError::TooSlow {
                url: url.to_string(),
                found: too_slow.bytes,
                seconds: too_slow.seconds,
                expected: self.min_rate,
            })?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_measured_over_whole_windows_and_all_requests() {
        let received = Received::default();
        let second = Duration::from_secs(1);
        let check = || RateCheck::new(received.clone(), 100, Duration::from_secs(10));
        let mut too_slow = check();
        for _ in 0..9 {
            assert_eq!(too_slow.count(second, 1), Ok(()));
        }
        let expected = TooSlow {
            bytes: 10,
            seconds: 10,
        };
        assert_eq!(too_slow.count(second, 1), Err(expected));
        // Bytes that another request receives at the same time count as well.
        let (mut one, mut other) = (check(), check());
        for _ in 0..30 {
            assert_eq!(one.count(second, 1), Ok(()));
            assert_eq!(other.count(Duration::ZERO, 200), Ok(()));
        }
        let mut unbounded = RateCheck::new(Received::default(), 0, second);
        assert_eq!(unbounded.count(100 * second, 0), Ok(()));
    }
}
