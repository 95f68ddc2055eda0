//! Threads that make requests.
//!
//! A request that hangs ends with the client's timeout, which may be a minute later. The thread
//! shares only the client with its caller, so that a caller that is cancelled can abandon it.

use crate::http::url::Url;
use crate::http::{Body, HttpClient, HttpError};
use crate::parallel;
use crate::progress::Progress;
use crate::repo::RepoError;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Maximum number of concurrent requests to a server, the same as in libostree
/// (`ostree-repo-private.h`, `_OSTREE_MAX_OUTSTANDING_FETCHER_REQUESTS`).
pub(super) const MAX_REQUESTS: usize = 8;

/// Counts received bytes and limits them.
#[derive(Debug)]
pub(super) struct Meter {
    bytes: AtomicU64,
    /// The number of events so far: pieces that were received, and attempts of requests.
    activity: AtomicU64,
    /// The caller's limit.
    limit: Option<u64>,
    /// The maximum number of bytes according to the commits, once these are known.
    bound: AtomicU64,
}

impl Meter {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            activity: AtomicU64::new(0),
            limit,
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
    pub(super) fn exceeded(&self) -> Option<u64> {
        self.limit.filter(|limit| self.bytes() > *limit)
    }

    /// Sets the bound to `bytes` more than were received so far.
    pub(super) fn set_bound(&self, bytes: u64) {
        let bound = self.bytes().saturating_add(bytes);
        self.bound.store(bound, Ordering::Relaxed);
    }

    /// Returns true if more bytes were received than the commits allow.
    pub(super) fn exceeds_bound(&self) -> bool {
        self.bytes() > self.bound.load(Ordering::Relaxed)
    }

    /// Counts received bytes, and returns true if more may be received.
    pub(super) fn count(&self, bytes: u64) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.activity.fetch_add(1, Ordering::Relaxed);
        self.exceeded().is_none() && !self.exceeds_bound()
    }
}

/// A URL to request, and the maximum size of the response in bytes.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) url: Url,
    pub(super) limit: u64,
}

/// A pool of threads that make requests until it is dropped.
pub(super) struct Fetchers<T> {
    jobs: Sender<(T, Request)>,
    stopped: Arc<AtomicBool>,
}

impl<T: Send + 'static> Fetchers<T> {
    /// Starts [`MAX_REQUESTS`] threads, or as many as the system allows. `deliver` is called with
    /// every response, on the thread that received it. Large bodies are stored in temporary files
    /// in the folder `spool_in`.
    ///
    /// # Errors
    /// Returns an error if not even one thread can be created.
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
        for started in 0..MAX_REQUESTS {
            let (http, meter, progress) = (http.clone(), meter.clone(), progress.clone());
            let (queue, stopped, deliver) = (queue.clone(), stopped.clone(), deliver.clone());
            let spool_in = spool_in.to_owned();
            let spawned = parallel::spawn_detached(move || {
                let count_piece = |bytes| meter.count(bytes) && !stopped.load(Ordering::Relaxed);
                while let Some((tag, request)) = next_job(&queue) {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let (url, limit) = (&request.url, request.limit);
                    let response =
                        http.fetch(url, limit, Some(&spool_in), progress.as_ref(), &count_piece);
                    deliver(tag, response);
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

    pub(super) fn request(&self, tag: T, request: Request) {
        // Sending cannot fail: the threads end only after this struct is dropped.
        let _ = self.jobs.send((tag, request));
    }
}

impl<T> Drop for Fetchers<T> {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// Receives the next job from a queue that several threads share; `None` if all senders are
/// dropped.
pub(super) fn next_job<T>(queue: &Mutex<Receiver<T>>) -> Option<T> {
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.recv().ok()
}
