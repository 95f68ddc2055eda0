//! Threads that make requests.
//!
//! A request that hangs ends with the client's timeout, which may be a minute later. The thread
//! shares only the client with its caller, so that a caller that is cancelled can abandon it.

use crate::http::url::Url;
use crate::http::{Body, HttpClient, HttpError};
use crate::parallel::{self, next_job};
use crate::pull::monitor::Monitor;
use crate::repo::RepoError;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

/// Maximum number of concurrent requests to a server, the same as in libostree
/// (`ostree-repo-private.h`, `_OSTREE_MAX_OUTSTANDING_FETCHER_REQUESTS`).
pub(super) const MAX_REQUESTS: usize = 8;

/// A URL to request, and the maximum size of the response in bytes.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) url: Url,
    pub(super) limit: u64,
    /// Set if the repository may lack the file. Servers such as S3 answer with 403 for files that
    /// do not exist if the client must not list files.
    pub(super) is_optional: bool,
}

impl Request {
    /// Marks the file as one that the repository may lack.
    pub(super) fn optional(mut self) -> Self {
        self.is_optional = true;
        self
    }
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
        monitor: &Arc<Monitor>,
        spool_in: &Path,
        deliver: impl Fn(T, Result<Body, HttpError>) + Clone + Send + 'static,
    ) -> Result<Self, RepoError> {
        let (jobs, queue) = channel::<(T, Request)>();
        let queue = Arc::new(Mutex::new(queue));
        let stopped = Arc::new(AtomicBool::new(false));
        for started in 0..MAX_REQUESTS {
            let (http, monitor) = (http.clone(), monitor.clone());
            let (queue, stopped, deliver) = (queue.clone(), stopped.clone(), deliver.clone());
            let spool_in = spool_in.to_owned();
            let spawned = parallel::spawn_detached(move || {
                let count_piece = |bytes| monitor.count(bytes) && !stopped.load(Ordering::Relaxed);
                while let Some((tag, request)) = next_job(&queue) {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let (url, limit) = (&request.url, request.limit);
                    let response = http.fetch(
                        url,
                        limit,
                        Some(&spool_in),
                        monitor.progress.as_ref(),
                        &count_piece,
                    );
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
