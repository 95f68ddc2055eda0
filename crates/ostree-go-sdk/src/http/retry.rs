//! Retries of requests that failed for a reason that may pass.

use super::error::Transient;
use super::url::Url;
use super::{HttpClient, HttpError, HttpOptions};
use crate::progress::{Event, POLL_INTERVAL, Progress};

/// Counts the attempts of one request, and waits between them.
pub(crate) struct Retry<'a> {
    options: &'a HttpOptions,
    url: String,
    progress: &'a dyn Progress,
    failed: u32,
}

impl<'a> Retry<'a> {
    pub(crate) fn new(client: &'a HttpClient, url: &Url, progress: &'a dyn Progress) -> Self {
        Self {
            options: &client.options,
            url: url.to_string(),
            progress,
            failed: 0,
        }
    }

    /// Waits before the next attempt, or returns `error` if the failure is permanent or no retries
    /// are left. The wait is at least what the server asked for, up to
    /// [`HttpOptions::read_timeout`].
    pub(crate) fn wait_after<E: Transient>(&mut self, error: E) -> Result<(), E> {
        if !error.is_transient() || self.failed >= self.options.retries {
            return Err(error);
        }
        self.failed += 1;
        self.progress.event(&Event::Retrying {
            url: &self.url,
            attempt: self.failed,
            reason: &error,
        });
        let asked = error.retry_after().unwrap_or_default();
        let delay = self.options.delay(self.failed - 1);
        let mut left = delay.max(asked.min(self.options.read_timeout));
        while !left.is_zero() {
            self.check_cancelled()?;
            let pause = left.min(POLL_INTERVAL);
            std::thread::sleep(pause);
            left -= pause;
        }
        self.check_cancelled()?;
        Ok(())
    }

    fn check_cancelled(&self) -> Result<(), HttpError> {
        if self.progress.is_cancelled() {
            return Err(HttpError::Cancelled {
                url: self.url.clone(),
            });
        }
        Ok(())
    }

    /// Resets the count of retries, after the request made progress.
    pub(super) fn reset(&mut self) {
        self.failed = 0;
    }
}
