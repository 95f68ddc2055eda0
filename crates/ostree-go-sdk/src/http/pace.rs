//! A lower bound on the rate at which a body arrives.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{HttpClient, HttpError, Url};

/// Bytes that all requests of a client have received. Requests that run at the same time share
/// one connection to the network, so that the rate of one says little.
#[derive(Debug, Clone, Default)]
pub(super) struct Received(Arc<AtomicU64>);

impl Received {
    fn add(&self, bytes: u64) -> u64 {
        self.0.fetch_add(bytes, Ordering::Relaxed) + bytes
    }
}

/// Measures the rate of one body over windows of [`HttpOptions::read_timeout`].
///
/// Only the time that passes in reads counts: a reader that is slow itself is not the server's
/// fault.
///
/// [`HttpOptions::read_timeout`]: super::HttpOptions::read_timeout
#[derive(Debug)]
pub(crate) struct Pace {
    received: Received,
    /// Bytes a second; 0 for no bound.
    least: u64,
    window: Duration,
    waited: Duration,
    before: u64,
}

/// A rate below the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TooSlow {
    bytes: u64,
    seconds: u64,
}

impl Pace {
    fn new(received: Received, least: u64, window: Duration) -> Self {
        let before = received.add(0);
        Self {
            received,
            least,
            window,
            waited: Duration::ZERO,
            before,
        }
    }

    /// Counts a read that took `time` and gave `bytes`.
    fn count(&mut self, time: Duration, bytes: usize) -> Result<(), TooSlow> {
        let received = self.received.add(bytes as u64);
        self.waited += time;
        if self.waited < self.window {
            return Ok(());
        }
        let (bytes, seconds) = (received - self.before, self.waited.as_secs().max(1));
        self.before = received;
        self.waited = Duration::ZERO;
        if bytes < self.least.saturating_mul(seconds) {
            return Err(TooSlow { bytes, seconds });
        }
        Ok(())
    }

    /// Reads once from a body. The inner error is the body's own.
    ///
    /// # Errors
    /// When the server has been too slow.
    pub(crate) fn read(
        &mut self,
        body: &mut dyn Read,
        buffer: &mut [u8],
        url: &Url,
    ) -> Result<io::Result<usize>, HttpError> {
        let started = Instant::now();
        let read = body.read(buffer);
        // A server that has fallen silent is that, and not slow.
        let Ok(bytes) = read else {
            return Ok(read);
        };
        self.count(started.elapsed(), bytes)
            .map_err(|slow| HttpError::TooSlow {
                url: url.to_string(),
                found: slow.bytes,
                seconds: slow.seconds,
                expected: self.least,
            })?;
        Ok(read)
    }
}

impl HttpClient {
    /// The bound for a body that is about to be read.
    pub(crate) fn pace(&self) -> Pace {
        let (least, window) = (self.options.min_rate, self.options.read_timeout);
        Pace::new(self.received.clone(), least, window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_measured_over_whole_windows_and_all_requests() {
        let received = Received::default();
        let second = Duration::from_secs(1);
        let pace = || Pace::new(received.clone(), 100, Duration::from_secs(10));
        let mut slow = pace();
        for _ in 0..9 {
            assert_eq!(slow.count(second, 1), Ok(()));
        }
        let expected = TooSlow {
            bytes: 10,
            seconds: 10,
        };
        assert_eq!(slow.count(second, 1), Err(expected));
        // What another request receives meanwhile counts too.
        let (mut one, mut other) = (pace(), pace());
        for _ in 0..30 {
            assert_eq!(one.count(second, 1), Ok(()));
            assert_eq!(other.count(Duration::ZERO, 200), Ok(()));
        }
        let mut unbounded = Pace::new(Received::default(), 0, second);
        assert_eq!(unbounded.count(100 * second, 0), Ok(()));
    }
}
