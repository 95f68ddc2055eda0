//! The HTTP server: connections, limits and the order of the end.

use super::answer::{Answer, Refusal};
use super::body::AnswerBody;
use super::error::GoProxyError;
use super::flight::Flights;
use super::metrics::Metric;
use super::request::{ModuleFile, Request};
use super::service::Service;
use crate::fs::atomic::Pending;
use crate::golang::module_id::ModuleId;
use crate::progress::POLL_INTERVAL;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

/// The number of threads that wait for connections. All work is done by others.
const THREADS: usize = 2;
/// The largest number of threads that read, verify and fetch files.
const BLOCKING_THREADS: usize = 64;
/// The time in which a client has to send a request, and after which an unused connection is closed.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// The time in which a client has to receive something.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest head of a request in bytes.
const MAX_HEAD: usize = 16 << 10;
/// The time between two looks at the counters for the file of metrics.
const METRICS_INTERVAL: Duration = Duration::from_secs(5);
/// The delay after a failure to accept a connection, such as too many open files.
const ACCEPT_DELAY: Duration = Duration::from_millis(100);

/// The limits of the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub connections: u32,
    /// Parallel requests to upstream proxies.
    pub fetches: usize,
    /// The time in which requests are completed after a signal.
    pub grace: Duration,
}

/// The state that all connections share.
struct Shared {
    service: Arc<Service>,
    flights: Flights<Request>,
    fetches: Arc<Semaphore>,
    /// Verifications of files in the cache at a time.
    checks: Arc<Semaphore>,
}

/// Serves until the service is told to stop.
pub(super) fn run(
    service: Service,
    listeners: Vec<std::net::TcpListener>,
    metrics: Option<PathBuf>,
    limits: Limits,
) -> Result<(), GoProxyError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_io()
        .enable_time()
        .build()
        .map_err(GoProxyError::Runtime)?;
    let ended = runtime.block_on(serve(service, listeners, metrics, limits));
    // Work that still waits for an upstream proxy is left behind: it writes nothing without its final name.
    runtime.shutdown_background();
    ended
}

async fn serve(
    service: Service,
    listeners: Vec<std::net::TcpListener>,
    metrics: Option<PathBuf>,
    limits: Limits,
) -> Result<(), GoProxyError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shared = Arc::new(Shared {
        service: Arc::new(service),
        flights: Flights::default(),
        fetches: Arc::new(Semaphore::new(limits.fetches)),
        checks: Arc::new(Semaphore::new(2 * cores)),
    });
    let connections = Arc::new(Semaphore::new(limits.connections as usize));
    let (stop, stopping) = watch::channel(false);
    for listener in listeners {
        let listener = listener
            .set_nonblocking(true)
            .and_then(|()| TcpListener::from_std(listener))
            .map_err(GoProxyError::Socket)?;
        let (shared, connections, stopping) =
            (shared.clone(), connections.clone(), stopping.clone());
        tokio::spawn(accept(listener, shared, connections, stopping));
    }
    let mut written = String::new();
    let mut since_metrics = METRICS_INTERVAL;
    while !shared.service.stop.is_cancelled() {
        if since_metrics >= METRICS_INTERVAL {
            since_metrics = Duration::ZERO;
            let is_first = written.is_empty();
            match write_metrics(&shared, metrics.as_ref(), &mut written).await {
                // A full disk is no reason to serve nothing. It is tried again when a counter changes.
                Err(error) if is_first => return Err(error),
                _ => {}
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        since_metrics += POLL_INTERVAL;
    }
    stop.send_replace(true);
    // All permits are free when all connections have ended. Those that have not are closed with the runtime.
    let _ = timeout(limits.grace, connections.acquire_many(limits.connections)).await;
    shared.service.abandon.set();
    let _ = write_metrics(&shared, metrics.as_ref(), &mut written).await;
    Ok(())
}

/// Accepts connections, as many as there are permits.
async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    connections: Arc<Semaphore>,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let next = async {
            let permit = connections.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            next = next => next,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match (accepted, permit) {
            (Ok((stream, _)), Ok(permit)) => {
                let (shared, stopping) = (shared.clone(), stopping.clone());
                tokio::spawn(connection(stream, shared, permit, stopping));
            }
            (Err(_), _) => tokio::time::sleep(ACCEPT_DELAY).await,
            (_, Err(_)) => return,
        }
    }
}

async fn connection(
    stream: TcpStream,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
    mut stopping: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(respond(&shared, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = std::pin::pin!(connection);
    // A failed connection concerns only its client.
    let is_stopping = async {
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    tokio::select! {
        _ = connection.as_mut() => return,
        () = is_stopping => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn respond(shared: &Arc<Shared>, http: &hyper::Request<Incoming>) -> Response<AnswerBody> {
    let is_head = http.method() == Method::HEAD;
    let (kind, answer) = match http.method() {
        &Method::GET | &Method::HEAD => match Request::parse(http.uri().path()) {
            Some(request) => (request.kind(), shared.answer(request).await),
            None => {
                let message = "this is not a path of a Go module proxy";
                ("other", Err(Refusal::new(400, message)))
            }
        },
        _ => {
            let message = "a Go module proxy has only the methods GET and HEAD";
            ("other", Err(Refusal::new(405, message)))
        }
    };
    let metrics = &shared.service.metrics;
    let (status, content_type, mut body) = match answer {
        Ok(found) => {
            let body = AnswerBody::of(found.content);
            if !is_head {
                metrics.add(Metric::SentBytes, body.size());
            }
            (StatusCode::OK, found.content_type, body)
        }
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status);
            // The go command shows an error only if it is plain text in UTF-8.
            (
                status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                "text/plain; charset=utf-8",
                AnswerBody::text(&format!("{}\n", refusal.message)),
            )
        }
    };
    metrics.add_labelled(Metric::Requests, (kind, status_text(status)), 1);
    let length = body.size();
    if is_head {
        body = AnswerBody::text("");
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// Returns the text of a status, for labels of metrics.
const fn status_text(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "200",
        400 => "400",
        403 => "403",
        404 => "404",
        405 => "405",
        502 => "502",
        503 => "503",
        504 => "504",
        507 => "507",
        _ => "500",
    }
}

impl Shared {
    async fn answer(self: &Arc<Self>, request: Request) -> Answer {
        let shared = self.clone();
        let key = request.clone();
        self.flights
            .run(key, move || async move { shared.work(request).await })
            .await
    }

    /// Does the work for a request: first without, then with an upstream proxy. A slow one must not delay requests for
    /// files in the cache.
    async fn work(self: Arc<Self>, request: Request) -> Answer {
        if let Request::File { id, file } = &request {
            let (id, file) = (id.clone(), *file);
            let at_hand = self.at_hand(id, file).await?;
            if let Some(answer) = at_hand {
                return answer;
            }
        }
        let _permit = self.fetches.clone().acquire_owned().await;
        blocking(move || self.service.query(&request)).await?
    }

    async fn at_hand(&self, id: ModuleId, file: ModuleFile) -> Result<Option<Answer>, Refusal> {
        let _permit = self.checks.clone().acquire_owned().await;
        let service = self.service.clone();
        blocking(move || service.file_at_hand(&id, file)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Refusal::new(500, "the request could not be completed"))
}

/// Replaces the file of metrics if a counter has changed.
async fn write_metrics(
    shared: &Shared,
    path: Option<&PathBuf>,
    written: &mut String,
) -> Result<(), GoProxyError> {
    let Some(path) = path.cloned() else {
        return Ok(());
    };
    let text = shared.service.metrics.text();
    if *written == text {
        return Ok(());
    }
    written.clone_from(&text);
    let write = move || -> Result<(), GoProxyError> {
        let write = || -> io::Result<()> {
            let mut pending = Pending::public(&path)?;
            pending.file.write_all(text.as_bytes())?;
            // It is replaced again in a few seconds.
            pending.persist_unsynced()
        };
        write().map_err(|source| GoProxyError::Io {
            action: "write",
            path: path.clone(),
            source,
        })
    };
    let done = tokio::task::spawn_blocking(write).await;
    done.map_err(|error| GoProxyError::Runtime(io::Error::other(error)))?
}
