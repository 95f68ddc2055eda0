//! A repository on a web server: the URLs of its files, and requests for them.
//!
//! Source: `ostree-repo-pull.c`, `docs/repo.md` and `docs/formats.md` of libostree.

use super::fetchers::{Fetchers, Meter, Request};
use super::{Pull, PullError};
use crate::delta::DeltaName;
use crate::http::url::Url;
use crate::http::{Body, HttpClient, HttpError, HttpOptions};
use crate::id::{CommitId, RefName, Sha256};
use crate::kind::ErrorKind;
use crate::remote::{self, Remote};
use crate::repo::{Repo, RepoError};
use crate::store::StoreError;
use glib::VariantTy;
use sha2::Digest;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Maximum size of a metadata object in bytes (`OSTREE_MAX_METADATA_SIZE` of libostree 2022.7).
const MAX_METADATA: u64 = 10 << 20;
/// Maximum size of a summary in bytes: about 150,000 refs.
const MAX_SUMMARY: u64 = 16 << 20;
/// How often a mirror fetches the summary and its signature at most.
const MAX_SUMMARY_TRIES: usize = 5;
/// Maximum size of a superblock in bytes: about 400,000 objects.
pub(super) const MAX_SUPERBLOCK: u64 = 16 << 20;
/// Maximum size of a ref's file in bytes; it contains a checksum of 64 digits.
const MAX_REF: u64 = 4 << 10;
/// `OSTREE_SUMMARY_GVARIANT_FORMAT`.
const SUMMARY_FORMAT: &str = "(a(s(taya{sv}))a{sv})";
/// The names of the summary and of the file with its signatures.
pub(super) const SUMMARY_FILE: &str = "summary";
pub(super) const SIGNATURE_FILE: &str = "summary.sig";
/// The interval at which cancellation is checked.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Options of a remote that only libostree supports.
const LIBOSTREE_ONLY_OPTIONS: &[&str] = &["metalink", "contenturl"];

/// A repository on a web server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) http: HttpClient,
    pub(super) meter: Arc<Meter>,
    /// The folder for large responses.
    pub(super) spool_in: PathBuf,
    url: Url,
    remote: String,
    read_timeout: Duration,
    /// The maximum time that active requests may take without receiving a byte.
    stall_timeout: Duration,
}

/// The parsed summary of a server.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) bytes: Vec<u8>,
    pub(super) refs: BTreeMap<String, CommitId>,
    /// The static deltas by their target commit.
    pub(super) deltas: HashMap<CommitId, Vec<DeltaName>>,
}

impl Server {
    /// Returns the server of a remote; `None` if only libostree can access it.
    pub(super) fn of(pull: &Pull, repo: &Repo, remote: &Remote) -> Result<Option<Self>, PullError> {
        let option = |key: &str| remote_option(repo, &remote.name, key);
        let cookies = repo.path().join(format!("{}.cookies.txt", remote.name));
        let mut is_supported = !cookies.exists();
        for key in LIBOSTREE_ONLY_OPTIONS {
            is_supported &= option(key)?.is_none();
        }
        let Some(url) = Url::parse(&remote::full_url(repo, &remote.name)?)
            .ok()
            .filter(|url| is_supported && url.local_path().is_none())
        else {
            return Ok(None);
        };
        let http = http_client(pull, repo, remote)?;
        Ok(Some(Self {
            http,
            meter: Arc::new(Meter::new(pull.max_bytes)),
            spool_in: repo.path().join("tmp"),
            url,
            remote: remote.name.clone(),
            read_timeout: pull.http.configured_read_timeout(),
            stall_timeout: pull.http.stall_timeout(),
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
        self.request(&format!("{}/superblock", name.path()), MAX_SUPERBLOCK)
    }

    /// Returns the request for a delta's part of `size` bytes.
    pub(super) fn part(
        &self,
        name: &DeltaName,
        index: usize,
        size: u64,
    ) -> Result<Request, PullError> {
        self.request(&format!("{}/{index}", name.path()), size)
    }

    fn request(&self, path: &str, limit: u64) -> Result<Request, PullError> {
        let url = self.url.join(path);
        let url = url.map_err(|error| self.http_error(error.into()))?;
        Ok(Request { url, limit })
    }

    /// Returns the remote's name.
    pub(super) fn remote(&self) -> &str {
        &self.remote
    }

    /// Returns the URL without credentials.
    pub(super) fn url(&self) -> String {
        self.url.to_string()
    }

    /// Converts an HTTP error to the error of the pull.
    pub(super) fn http_error(&self, source: HttpError) -> PullError {
        let remote = self.remote.clone();
        match (self.meter.exceeded(), &source) {
            (Some(limit), HttpError::Cancelled { .. }) => PullError::TooLarge {
                remote,
                found: self.meter.bytes(),
                limit,
            },
            (None, HttpError::Cancelled { .. }) if self.meter.exceeds_bound() => {
                PullError::Unsafe {
                    remote,
                    url: self.url.to_string(),
                    problem: format!(
                        "it has sent {} bytes, which is more than the content of the commits can have",
                        self.meter.bytes()
                    ),
                }
            }
            (_, HttpError::Cancelled { .. }) => PullError::Cancelled,
            _ if source.is_timeout() => PullError::Stalled {
                remote,
                url: self.url.to_string(),
                seconds: self.read_timeout.as_secs(),
            },
            _ => PullError::Http {
                remote,
                source: Box::new(source),
            },
        }
    }

    /// Returns the error for invalid content.
    pub(super) fn refused(&self, request: &Request, problem: String) -> PullError {
        PullError::Refused {
            remote: self.remote.clone(),
            url: request.url.to_string(),
            problem,
        }
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

    /// Returns the error for content that would need too much memory or disk space.
    pub(super) fn unsafe_content(&self, request: &Request, problem: String) -> PullError {
        PullError::Unsafe {
            remote: self.remote.clone(),
            url: request.url.to_string(),
            problem,
        }
    }

    /// Reads a whole body into memory.
    pub(super) fn bytes(&self, response: Body) -> Result<Vec<u8>, PullError> {
        response.into_bytes().map_err(|source| {
            let path = self.spool_in.clone();
            StoreError::Spool { path, source }.into()
        })
    }

    /// Makes one request; `None` if the file does not exist.
    fn get_document(&self, pull: &Pull, request: &Request) -> Result<Option<Vec<u8>>, PullError> {
        let response = self.get_all(pull, std::slice::from_ref(request))?.pop();
        response.flatten().map(|body| self.bytes(body)).transpose()
    }

    /// Makes several requests, and returns the responses in the same order; `None` for files that
    /// do not exist.
    pub(super) fn get_all(
        &self,
        pull: &Pull,
        requests: &[Request],
    ) -> Result<Vec<Option<Body>>, PullError> {
        let (responses, response_queue) = channel();
        let fetchers = Fetchers::start(
            &self.http,
            &self.meter,
            &self.spool_in,
            &pull.progress,
            move |index, response| {
                // The caller may have stopped waiting.
                let _ = responses.send((index, response));
            },
        )?;
        for (index, request) in requests.iter().enumerate() {
            fetchers.request(index, request.clone());
        }
        let mut found: Vec<Option<Body>> = requests.iter().map(|_| None).collect();
        let mut waiting = requests.len();
        let mut watch = StallWatch::new(self);
        while waiting > 0 {
            watch.check(self, true)?;
            if pull.progress.is_cancelled() {
                return Err(PullError::Cancelled);
            }
            match response_queue.recv_timeout(POLL_INTERVAL) {
                Ok((index, Ok(body))) => found[index] = Some(body),
                Ok((_, Err(error))) if error.kind() == ErrorKind::NotFound => {}
                Ok((_, Err(error))) => return Err(self.http_error(error)),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            waiting -= 1;
        }
        Ok(found)
    }

    /// Returns the summary, if there is one. It is not trusted: the commits that it names are
    /// checked.
    pub(super) fn summary(&self, pull: &Pull) -> Result<Option<Summary>, PullError> {
        let request = self.request(SUMMARY_FILE, MAX_SUMMARY)?;
        let Some(bytes) = self.get_document(pull, &request)? else {
            return Ok(None);
        };
        match Summary::parse(&bytes) {
            Some(summary) => Ok(Some(summary)),
            None => Err(self.refused(&request, "it is not a valid summary".to_owned())),
        }
    }

    /// Fetches the summary and stores it with its signature in the scratch repository.
    ///
    /// A publisher replaces the two files one after the other. Both are therefore fetched until two
    /// consecutive tries give the same content, at most [`MAX_SUMMARY_TRIES`] times.
    pub(super) fn copy_summary(&self, pull: &Pull, scratch: &Repo) -> Result<Summary, PullError> {
        let signature_request = self.request(SIGNATURE_FILE, MAX_METADATA)?;
        let mut previous: Option<(Summary, Option<Vec<u8>>)> = None;
        for _ in 0..MAX_SUMMARY_TRIES {
            let summary = self.summary(pull)?.ok_or_else(|| PullError::NoSummary {
                remote: self.remote.clone(),
                url: self.url(),
            })?;
            let signature = self.get_document(pull, &signature_request)?;
            let is_stable = previous
                .is_some_and(|(other, signed)| other.bytes == summary.bytes && signed == signature);
            previous = Some((summary, signature));
            if is_stable {
                break;
            }
        }
        let (summary, signature) = previous.unwrap_or_default();
        let store = |name: &str, bytes: &[u8]| {
            let path = scratch.path().join(name);
            std::fs::write(&path, bytes).map_err(|source| RepoError::Io {
                action: "write",
                path,
                source,
            })
        };
        store(SUMMARY_FILE, &summary.bytes)?;
        if let Some(signature) = signature {
            store(SIGNATURE_FILE, &signature)?;
        }
        Ok(summary)
    }

    /// Returns all refs of a summary.
    pub(super) fn all_refs(&self, summary: &Summary) -> Result<Vec<RefName>, PullError> {
        let request = self.request(SUMMARY_FILE, MAX_SUMMARY)?;
        let names = summary.refs.keys().map(|name| {
            name.parse::<RefName>()
                .map_err(|error| self.refused(&request, error.to_string()))
        });
        names.collect()
    }

    /// Returns the commit of a ref on a server without a summary; `None` if the ref does not exist.
    pub(super) fn commit_of_ref(
        &self,
        pull: &Pull,
        name: &RefName,
    ) -> Result<Option<CommitId>, PullError> {
        let request = self.request(&format!("refs/heads/{name}"), MAX_REF)?;
        let Some(bytes) = self.get_document(pull, &request)? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        match text.trim_end().parse() {
            Ok(commit) => Ok(Some(commit)),
            Err(_) => Err(self.refused(
                &request,
                "it is not a checksum of 64 hexadecimal digits".to_owned(),
            )),
        }
    }
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
            activity: server.meter.activity(),
            since: Instant::now(),
        }
    }

    /// Checks that something was received since the last call. `is_waiting` is true while requests
    /// are active.
    ///
    /// # Errors
    /// Returns an error if nothing was received for longer than one attempt of a request may take.
    pub(super) fn check(&mut self, server: &Server, is_waiting: bool) -> Result<(), PullError> {
        let activity = server.meter.activity();
        if activity != self.activity || !is_waiting {
            self.activity = activity;
            self.since = Instant::now();
        }
        if self.since.elapsed() < server.stall_timeout {
            return Ok(());
        }
        Err(PullError::Stalled {
            remote: server.remote.clone(),
            url: server.url(),
            seconds: server.stall_timeout.as_secs(),
        })
    }
}

/// Creates the client for requests to a remote, with the remote's own options for proxy and
/// certificates.
pub(super) fn http_client(
    pull: &Pull,
    repo: &Repo,
    remote: &Remote,
) -> Result<HttpClient, PullError> {
    let option = |key: &str| remote_option(repo, &remote.name, key);
    let read = |path: String| {
        let path = Path::new(&path);
        std::fs::read(path).map_err(|source| RepoError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })
    };
    let mut options: HttpOptions = pull.http.clone();
    if let Some(proxy) = option("proxy")? {
        options = options.proxy(Some(proxy));
    }
    if let Some(path) = option("tls-ca-path")? {
        options = options.root_certificates(Some(read(path)?));
    }
    if let (Some(chain), Some(key)) = (
        option("tls-client-cert-path")?,
        option("tls-client-key-path")?,
    ) {
        options = options.client_certificate(Some((read(chain)?, read(key)?)));
    }
    if option("tls-permissive")?.as_deref() == Some("true") {
        options = options.any_certificate(true);
    }
    HttpClient::new(&options).map_err(|source| PullError::Http {
        remote: remote.name.clone(),
        source: Box::new(source),
    })
}

/// Returns an option of a remote; `None` if it is not set, or if the remote does not exist.
fn remote_option(repo: &Repo, remote: &str, key: &str) -> Result<Option<String>, RepoError> {
    if !remote::exists(repo, remote) {
        return Ok(None);
    }
    let value = repo.as_ostree().remote_option(remote, key, None);
    let value = value.map_err(|source| repo.failed(&format!("read remote `{remote}`"), source))?;
    Ok(value.map(Into::into))
}

/// Returns the message for content with another checksum.
pub(super) fn checksum_mismatch(found: &str, expected: &str) -> String {
    format!("it has the checksum {found}, expected {expected}")
}

impl Summary {
    /// Parses a summary; `None` if it is not well-formed. Refs and deltas with invalid names are
    /// ignored.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let format = VariantTy::new(SUMMARY_FORMAT).ok()?;
        let summary = glib::Variant::from_bytes_with_type(&glib::Bytes::from(bytes), format);
        if !summary.is_normal_form() {
            return None;
        }
        let entry = |entry: glib::Variant| {
            let commit: Vec<u8> = entry.child_value(1).child_value(1).get()?;
            let commit = <[u8; 32]>::try_from(commit).ok()?;
            Some((entry.child_value(0).get()?, commit.into()))
        };
        let refs = summary.child_value(0).iter().filter_map(entry).collect();
        let extra = glib::VariantDict::new(Some(&summary.child_value(1)));
        let deltas = extra.lookup_value("ostree.static-deltas", None);
        let deltas = deltas.filter(|deltas| deltas.type_().as_str() == "a{sv}");
        let names = deltas.iter().flat_map(|deltas| {
            deltas
                .iter()
                .filter_map(|entry| {
                    entry
                        .child_value(0)
                        .get::<String>()?
                        .parse::<DeltaName>()
                        .ok()
                })
                .collect::<Vec<_>>()
        });
        let mut by_commit: HashMap<CommitId, Vec<DeltaName>> = HashMap::new();
        for name in names {
            by_commit.entry(name.to).or_default().push(name);
        }
        Some(Self {
            bytes: bytes.to_owned(),
            refs,
            deltas: by_commit,
        })
    }
}
