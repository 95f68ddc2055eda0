//! Requests on threads of their own.
//!
//! A request that hangs ends by the client's timeout, which may be a minute away. Its thread has
//! nothing but the client, so that a caller who wants to stop leaves it behind.

use crate::http::url::Url;
use crate::http::{Body, HttpClient, HttpError};
use crate::parallel;
use crate::progress::Progress;
use crate::repo::RepoError;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Requests to a server at a time, as libostree makes them (`ostree-repo-private.h`,
/// `_OSTREE_MAX_OUTSTANDING_FETCHER_REQUESTS`).
pub(super) const AT_ONCE: usize = 8;

/// Counts what arrives, and bounds it.
#[derive(Debug)]
pub(super) struct Meter {
    bytes: AtomicU64,
    /// How often something has happened, be it a piece that came or another try.
    beats: AtomicU64,
    /// The caller's limit.
    limit: Option<u64>,
    /// The most bytes that the commits allow, once they are known.
    bound: AtomicU64,
}

impl Meter {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            beats: AtomicU64::new(0),
            limit,
            bound: AtomicU64::new(u64::MAX),
        }
    }

    /// Bytes that have come so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How often something has happened.
    pub(super) fn beats(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    /// The limit, if more than that has come.
    pub(super) fn exceeded(&self) -> Option<u64> {
        self.limit.filter(|limit| self.bytes() > *limit)
    }

    /// Allows so many more bytes to come.
    pub(super) fn allow(&self, bytes: u64) {
        let bound = self.bytes().saturating_add(bytes);
        self.bound.store(bound, Ordering::Relaxed);
    }

    /// Whether more has come than the commits allow.
    pub(super) fn is_too_much(&self) -> bool {
        self.bytes() > self.bound.load(Ordering::Relaxed)
    }

    /// Counts; says whether more may come.
    pub(super) fn arrived(&self, bytes: u64) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.beats.fetch_add(1, Ordering::Relaxed);
        self.exceeded().is_none() && !self.is_too_much()
    }
}

/// A request: its address, and the most bytes that are taken.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) url: Url,
    pub(super) limit: u64,
}

/// Threads that make requests until they are dropped.
pub(super) struct Fetchers<T> {
    jobs: Sender<(T, Request)>,
    stopped: Arc<AtomicBool>,
}

impl<T: Send + 'static> Fetchers<T> {
    /// Starts [`AT_ONCE`] threads, or as many as the system makes. `deliver` gets every answer, on
    /// the thread that had it; large bodies are in temporary files in the folder `spool_in`.
    ///
    /// # Errors
    /// When the system makes not even one thread.
    pub(super) fn start(
        http: &HttpClient,
        meter: &Arc<Meter>,
        spool_in: &Path,
        progress: &Arc<dyn Progress>,
        deliver: impl Fn(T, Result<Body, HttpError>) + Clone + Send + 'static,
    ) -> Result<Self, RepoError> {
        let (jobs, queue) = channel::<(T, Request)>();
        let queue = Arc::new(Mutex::new(queue));
        let stopped = Arc::new(AtomicBool::new(false));
        for started in 0..AT_ONCE {
            let (http, meter, progress) = (http.clone(), meter.clone(), progress.clone());
            let (queue, stopped, deliver) = (queue.clone(), stopped.clone(), deliver.clone());
            let spool_in = spool_in.to_owned();
            let spawned = parallel::spawn_detached(move || {
                let goes_on = |bytes| meter.arrived(bytes) && !stopped.load(Ordering::Relaxed);
                while let Some((tag, request)) = next(&queue) {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let (url, limit) = (&request.url, request.limit);
                    let answer =
                        http.fetch(url, limit, Some(&spool_in), progress.as_ref(), &goes_on);
                    deliver(tag, answer);
                }
            });
            match spawned {
                Err(error) if started == 0 => return Err(RepoError::Thread(error)),
                Err(_) => break,
                Ok(()) => {}
            }
        }
        Ok(Self { jobs, stopped })
    }

    pub(super) fn ask(&self, tag: T, request: Request) {
        // The threads end after this does.
        let _ = self.jobs.send((tag, request));
    }
}

impl<T> Drop for Fetchers<T> {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// The next of a queue that several threads share; `None` when nothing comes any more.
pub(super) fn next<T>(queue: &Mutex<Receiver<T>>) -> Option<T> {
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.recv().ok()
}
