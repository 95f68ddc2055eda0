//! Requests on threads of their own.
//!
//! A request that hangs ends by the client's timeout, which may be a minute away. Its thread has
//! nothing but the client, so that a caller who wants to stop leaves it behind.

use crate::http::url::Url;
use crate::http::{HttpClient, HttpError};
use crate::progress::Progress;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Requests to a server at a time, as libostree makes them (`ostree-repo-private.h`,
/// `_OSTREE_MAX_OUTSTANDING_FETCHER_REQUESTS`).
pub(super) const AT_ONCE: usize = 8;

/// Counts what arrives, and says when it is enough.
#[derive(Debug)]
pub(super) struct Meter {
    bytes: AtomicU64,
    limit: Option<u64>,
    ended: AtomicBool,
}

impl Meter {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            limit,
            ended: AtomicBool::new(false),
        }
    }

    /// Bytes that have come so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The limit, if more than that has come.
    pub(super) fn exceeded(&self) -> Option<u64> {
        self.limit.filter(|limit| self.bytes() > *limit)
    }

    /// Counts; says whether more may come.
    pub(super) fn arrived(&self, bytes: u64) -> bool {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.exceeded().is_none() && !self.ended.load(Ordering::Relaxed)
    }
}

/// What is asked for: where it is, and how large it may be.
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
    /// `deliver` gets every answer, on the thread that had it.
    pub(super) fn start(
        http: &HttpClient,
        meter: &Arc<Meter>,
        progress: &Arc<dyn Progress>,
        deliver: impl Fn(T, Result<Vec<u8>, HttpError>) + Clone + Send + 'static,
    ) -> Self {
        let (jobs, queue) = channel::<(T, Request)>();
        let queue = Arc::new(Mutex::new(queue));
        let stopped = Arc::new(AtomicBool::new(false));
        for _ in 0..AT_ONCE {
            let (http, meter, progress) = (http.clone(), meter.clone(), progress.clone());
            let (queue, stopped, deliver) = (queue.clone(), stopped.clone(), deliver.clone());
            std::thread::spawn(move || {
                let goes_on = |bytes| meter.arrived(bytes) && !stopped.load(Ordering::Relaxed);
                while let Some((tag, request)) = next(&queue) {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let answer =
                        http.fetch(&request.url, request.limit, progress.as_ref(), &goes_on);
                    deliver(tag, answer);
                }
            });
        }
        Self { jobs, stopped }
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
