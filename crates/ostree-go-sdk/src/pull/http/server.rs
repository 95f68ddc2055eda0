//! A repository on a web server: the URLs of its files, and requests for them.
//!
//! Source: `ostree-repo-pull.c`, `docs/repo.md` and `docs/formats.md` of libostree.

use super::fetchers::{Fetchers, Request};
use crate::delta::DeltaName;
use crate::http::url::Url;
use crate::http::{Body, HttpClient, HttpError};
use crate::id::Sha256;
use crate::kind::ErrorKind;
use crate::progress::POLL_INTERVAL;
use crate::pull::PullError;
use crate::pull::client::{self, remote_option};
use crate::pull::session::Session;
use crate::remote;
use crate::repo::RepoError;
use crate::store::StoreError;
use sha2::Digest;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Maximum size of a metadata object in bytes (`OSTREE_MAX_METADATA_SIZE` of libostree 2022.7).
pub(super) const MAX_METADATA: u64 = 10 << 20;
/// Maximum size of a superblock in bytes: about 400,000 objects.
pub(super) const MAX_SUPERBLOCK: u64 = 16 << 20;

/// Maximum size of a repository's `config` in bytes.
const MAX_CONFIG: u64 = 1 << 20;

/// Options of a remote that only libostree supports.
const LIBOSTREE_ONLY_OPTIONS: &[&str] = &["metalink", "contenturl"];

/// A repository on a web server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) session: Session,
    http: HttpClient,
    url: Url,
    /// The folder for large responses.
    spool_in: PathBuf,
    /// The maximum time that active requests may take without receiving a byte.
    stall_timeout: Duration,
}

impl Server {
    /// Returns the server of a remote; `None` if only libostree can access it.
    pub(super) fn open(session: Session) -> Result<Option<Self>, PullError> {
        let (repo, remote) = (&session.repo, session.label());
        let cookies = repo.path().join(format!("{remote}.cookies.txt"));
        let mut is_supported = !cookies.exists();
        for key in LIBOSTREE_ONLY_OPTIONS {
            is_supported &= remote_option(&session, key)?.is_none();
        }
        let Some(url) = Url::parse(&remote::full_url(repo, remote)?)
            .ok()
            .filter(|url| is_supported && url.local_path().is_none())
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            http: client::connect(&session)?,
            url,
            spool_in: repo.path().join("tmp"),
            stall_timeout: session.options.http.stall_timeout(),
            session,
        }))
    }

    /// Returns the request for a metadata object with the given file extension.
    pub(super) fn metadata(&self, id: impl ToString, ending: &str) -> Result<Request, PullError> {
        let id = id.to_string();
        let (folder, rest) = id.split_at(2);
        self.request(&format!("objects/{folder}/{rest}.{ending}"), MAX_METADATA)
    }

    /// Returns the request for a file object of at most `limit` bytes as sent.
    pub(super) fn file(&self, id: impl ToString, limit: u64) -> Result<Request, PullError> {
        let mut request = self.metadata(id, "filez")?;
        request.limit = limit;
        Ok(request)
    }

    /// Returns the request for a delta's superblock.
    pub(super) fn superblock(&self, name: &DeltaName) -> Result<Request, PullError> {
        let path = format!("{}/superblock", name.path());
        Ok(self.request(&path, MAX_SUPERBLOCK)?.optional())
    }

    /// Returns the request for a delta's part of `size` bytes.
    pub(super) fn part(
        &self,
        name: &DeltaName,
        index: usize,
        size: u64,
    ) -> Result<Request, PullError> {
        let path = format!("{}/{index}", name.path());
        Ok(self.request(&path, size)?.optional())
    }

    pub(super) fn request(&self, path: &str, limit: u64) -> Result<Request, PullError> {
        let url = self.url.join(path);
        let url = url.map_err(|error| self.http_error(error.into()))?;
        Ok(Request {
            url,
            limit,
            is_optional: false,
        })
    }

    /// Returns the URL without credentials.
    pub(super) fn url(&self) -> String {
        self.url.to_string()
    }

    /// Starts threads that make requests. `deliver` is called with every response.
    pub(super) fn start_fetchers<T: Send + 'static>(
        &self,
        deliver: impl Fn(T, Result<Body, HttpError>) + Clone + Send + 'static,
    ) -> Result<Fetchers<T>, RepoError> {
        Fetchers::start(&self.http, &self.session.monitor, &self.spool_in, deliver)
    }

    /// Converts an HTTP error to the error of the pull.
    pub(super) fn http_error(&self, source: HttpError) -> PullError {
        let is_cancelled = matches!(source, HttpError::Cancelled { .. });
        let interruption =
            self.session
                .monitor
                .interruption(&self.url(), is_cancelled, source.is_timeout());
        interruption.unwrap_or_else(|| PullError::Http {
            remote: self.session.label().to_owned(),
            source: Box::new(source),
        })
    }

    /// Returns the error for invalid content.
    pub(super) fn refused(&self, request: &Request, problem: String) -> PullError {
        self.session
            .monitor
            .refused(request.url.to_string(), problem)
    }

    /// Returns the error for content that would need too much memory or disk space.
    pub(super) fn unsafe_content(&self, request: &Request, problem: String) -> PullError {
        self.session
            .monitor
            .unsafe_content(request.url.to_string(), problem)
    }

    /// Checks that bytes have the expected SHA-256.
    pub(super) fn check_checksum(
        &self,
        request: &Request,
        bytes: &[u8],
        expected: impl ToString,
    ) -> Result<(), PullError> {
        let found = Sha256(sha2::Sha256::digest(bytes).into()).to_string();
        let expected = expected.to_string();
        if found == expected {
            return Ok(());
        }
        Err(self.refused(request, checksum_mismatch(&found, &expected)))
    }

    /// Reads a whole body into memory.
    pub(super) fn bytes(&self, response: Body) -> Result<Vec<u8>, PullError> {
        response.into_bytes().map_err(|source| {
            let path = self.spool_in.clone();
            StoreError::Spool { path, source }.into()
        })
    }

    /// Makes one request; `None` if the file does not exist.
    pub(super) fn get_document(&self, request: &Request) -> Result<Option<Vec<u8>>, PullError> {
        let response = self.get_all(std::slice::from_ref(request))?.pop();
        response.flatten().map(|body| self.bytes(body)).transpose()
    }

    /// Returns the error for something that the repository lacks: `error`, or that there is no
    /// repository at all.
    pub(super) fn absent(&self, error: PullError) -> PullError {
        let config = self
            .request("config", MAX_CONFIG)
            .and_then(|request| self.get_document(&request));
        match config {
            Ok(Some(_)) => error,
            Ok(None) => PullError::NotARepository {
                remote: self.session.label().to_owned(),
                url: self.url(),
            },
            Err(other) => other,
        }
    }

    /// Makes several requests, and returns the responses in the same order; `None` for files that
    /// do not exist.
    pub(super) fn get_all(&self, requests: &[Request]) -> Result<Vec<Option<Body>>, PullError> {
        let (responses, response_queue) = channel();
        let fetchers = self.start_fetchers(move |index, response| {
            // The caller may have stopped waiting.
            let _ = responses.send((index, response));
        })?;
        for (index, request) in requests.iter().enumerate() {
            fetchers.request(index, request.clone());
        }
        let mut found: Vec<Option<Body>> = requests.iter().map(|_| None).collect();
        let mut waiting = requests.len();
        let mut watch = StallWatch::new(self);
        while waiting > 0 {
            watch.check(self, true)?;
            self.session.monitor.check_cancelled()?;
            match response_queue.recv_timeout(POLL_INTERVAL) {
                Ok((index, Ok(body))) => found[index] = Some(body),
                Ok((index, Err(error))) if is_absent(requests[index].is_optional, &error) => {}
                Ok((_, Err(error))) => return Err(self.http_error(error)),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            waiting -= 1;
        }
        Ok(found)
    }
}

/// Returns true if an error means that the repository lacks a file. For a file that it may lack, 403
/// is one, as in libostree (`ostree-fetcher-util.c`, `_ostree_fetcher_http_status_code_to_io_error`).
pub(super) fn is_absent(is_optional: bool, error: &HttpError) -> bool {
    let is_forbidden = matches!(error, HttpError::Status { status: 403, .. });
    error.kind() == ErrorKind::NotFound || is_optional && is_forbidden
}

/// Detects that nothing is received although requests are active: a server may keep a connection
/// busy with data other than content, such as trailers of chunks, so that a request never ends.
pub(super) struct StallWatch {
    activity: u64,
    since: Instant,
}

impl StallWatch {
    pub(super) fn new(server: &Server) -> Self {
        Self {
            activity: server.session.monitor.activity(),
            since: Instant::now(),
        }
    }

    /// Checks that something was received since the last call. `is_waiting` is true while requests
    /// are active.
    ///
    /// # Errors
    /// Returns an error if nothing was received for longer than one attempt of a request may take.
    pub(super) fn check(&mut self, server: &Server, is_waiting: bool) -> Result<(), PullError> {
        let activity = server.session.monitor.activity();
        if activity != self.activity || !is_waiting {
            self.activity = activity;
            self.since = Instant::now();
        }
        if self.since.elapsed() < server.stall_timeout {
            return Ok(());
        }
        Err(PullError::Stalled {
            remote: server.session.label().to_owned(),
            url: server.url(),
            seconds: server.stall_timeout.as_secs(),
        })
    }
}

/// Returns the message for content with another checksum.
pub(super) fn checksum_mismatch(found: &str, expected: &str) -> String {
    format!("it has the checksum {found}, expected {expected}")
}
