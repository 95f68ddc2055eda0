//! A repository on a web server: what is where in it, and asking for it.
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

/// The largest metadata object that is read (`OSTREE_MAX_METADATA_SIZE` of libostree 2022.7).
const METADATA: u64 = 10 << 20;
/// The largest summary that is read: some 150,000 refs.
const SUMMARY_SIZE: u64 = 16 << 20;
/// The largest superblock that is read: some 400,000 objects.
pub(super) const SUPERBLOCK: u64 = 16 << 20;
/// The largest file with a ref that is read; it has a checksum of 64 digits.
const REF: u64 = 4 << 10;
/// `OSTREE_SUMMARY_GVARIANT_FORMAT`.
const SUMMARY: &str = "(a(s(taya{sv}))a{sv})";
/// A repository's summary, and the signatures of it.
pub(super) const SUMMARY_FILE: &str = "summary";
pub(super) const SIGNATURE_FILE: &str = "summary.sig";
/// How often a stop is looked for.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// Options of a remote about which only libostree knows what to do.
const LIBOSTREES_OWN: &[&str] = &["metalink", "contenturl"];

/// A repository on a web server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) http: HttpClient,
    pub(super) meter: Arc<Meter>,
    /// The folder for large answers.
    pub(super) spool_in: PathBuf,
    url: Url,
    remote: String,
    silence: Duration,
    /// How long requests may be under way without a byte that comes.
    patience: Duration,
}

/// What a server's summary says.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) bytes: Vec<u8>,
    pub(super) refs: BTreeMap<String, CommitId>,
    /// Deltas, by the commit that they lead to.
    pub(super) deltas: HashMap<CommitId, Vec<DeltaName>>,
}

impl Server {
    /// The server of a remote; `None` when libostree has to talk to it.
    pub(super) fn of(pull: &Pull, repo: &Repo, remote: &Remote) -> Result<Option<Self>, PullError> {
        let option = |key: &str| option(repo, &remote.name, key);
        let cookies = repo.path().join(format!("{}.cookies.txt", remote.name));
        let mut ours = !cookies.exists();
        for key in LIBOSTREES_OWN {
            ours &= option(key)?.is_none();
        }
        let Some(url) = Url::parse(&remote::full_url(repo, &remote.name)?)
            .ok()
            .filter(|url| ours && url.local_path().is_none())
        else {
            return Ok(None);
        };
        let http = client(pull, repo, remote)?;
        Ok(Some(Self {
            http,
            meter: Arc::new(Meter::new(pull.max_bytes)),
            spool_in: repo.path().join("tmp"),
            url,
            remote: remote.name.clone(),
            silence: pull.http.silence(),
            patience: pull.http.patience(),
        }))
    }

    /// An object that is no file, by the ending of its name.
    pub(super) fn metadata(&self, id: impl ToString, ending: &str) -> Result<Request, PullError> {
        let id = id.to_string();
        let (folder, rest) = id.split_at(2);
        self.at(&format!("objects/{folder}/{rest}.{ending}"), METADATA)
    }

    /// A file object of at most `limit` bytes as it is sent.
    pub(super) fn file(&self, id: impl ToString, limit: u64) -> Result<Request, PullError> {
        let mut request = self.metadata(id, "filez")?;
        request.limit = limit;
        Ok(request)
    }

    /// A delta's superblock.
    pub(super) fn superblock(&self, name: &DeltaName) -> Result<Request, PullError> {
        self.at(&format!("{}/superblock", name.path()), SUPERBLOCK)
    }

    /// A delta's part, of so many bytes.
    pub(super) fn part(
        &self,
        name: &DeltaName,
        index: usize,
        size: u64,
    ) -> Result<Request, PullError> {
        self.at(&format!("{}/{index}", name.path()), size)
    }

    fn at(&self, path: &str, limit: u64) -> Result<Request, PullError> {
        let url = self.url.join(path);
        let url = url.map_err(|error| self.failed(error.into()))?;
        Ok(Request { url, limit })
    }

    /// The remote's name.
    pub(super) fn remote(&self) -> &str {
        &self.remote
    }

    /// Its URL, as it may be shown.
    pub(super) fn url(&self) -> String {
        self.url.to_string()
    }

    /// What went wrong, in the words of a pull.
    pub(super) fn failed(&self, source: HttpError) -> PullError {
        let remote = self.remote.clone();
        match (self.meter.exceeded(), &source) {
            (Some(limit), HttpError::Cancelled { .. }) => PullError::TooLarge {
                remote,
                found: self.meter.bytes(),
                limit,
            },
            (None, HttpError::Cancelled { .. }) if self.meter.is_too_much() => PullError::Unsafe {
                remote,
                url: self.url.to_string(),
                problem: format!(
                    "it has sent {} bytes, more than the content of the commits can take",
                    self.meter.bytes()
                ),
            },
            (_, HttpError::Cancelled { .. }) => PullError::Cancelled,
            _ if source.is_timeout() => PullError::Stalled {
                remote,
                url: self.url.to_string(),
                seconds: self.silence.as_secs(),
            },
            _ => PullError::Http {
                remote,
                source: Box::new(source),
            },
        }
    }

    /// Something came that is not what it should be.
    pub(super) fn refused(&self, request: &Request, problem: String) -> PullError {
        PullError::Refused {
            remote: self.remote.clone(),
            url: request.url.to_string(),
            problem,
        }
    }

    /// Checks that bytes have the checksum they are asked for by.
    pub(super) fn check(
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
        Err(self.refused(request, differs(&found, &expected)))
    }

    /// The refusal of content that would take more memory or disk than it may.
    pub(super) fn unsafe_content(&self, request: &Request, problem: String) -> PullError {
        PullError::Unsafe {
            remote: self.remote.clone(),
            url: request.url.to_string(),
            problem,
        }
    }

    /// All of an answer, in memory.
    pub(super) fn bytes(&self, answer: Body) -> Result<Vec<u8>, PullError> {
        answer.into_bytes().map_err(|source| {
            let path = self.spool_in.clone();
            StoreError::Spool { path, source }.into()
        })
    }

    /// Makes one request; `None` for what is not there.
    fn one(&self, pull: &Pull, request: &Request) -> Result<Option<Vec<u8>>, PullError> {
        let answer = self.get(pull, std::slice::from_ref(request))?.pop();
        answer.flatten().map(|body| self.bytes(body)).transpose()
    }

    /// The answers to several requests, in their order; `None` for what is not there.
    pub(super) fn get(
        &self,
        pull: &Pull,
        requests: &[Request],
    ) -> Result<Vec<Option<Body>>, PullError> {
        let (answers, arrived) = channel();
        let fetchers = Fetchers::start(
            &self.http,
            &self.meter,
            &self.spool_in,
            &pull.progress,
            move |index, answer| {
                // Nobody may be waiting any more.
                let _ = answers.send((index, answer));
            },
        )?;
        for (index, request) in requests.iter().enumerate() {
            fetchers.ask(index, request.clone());
        }
        let mut found: Vec<Option<Body>> = requests.iter().map(|_| None).collect();
        let mut waiting = requests.len();
        let mut watch = Watch::new(self);
        while waiting > 0 {
            watch.check(self, true)?;
            if pull.progress.is_cancelled() {
                return Err(PullError::Cancelled);
            }
            match arrived.recv_timeout(TICK) {
                Ok((index, Ok(body))) => found[index] = Some(body),
                Ok((_, Err(error))) if error.kind() == ErrorKind::NotFound => {}
                Ok((_, Err(error))) => return Err(self.failed(error)),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            waiting -= 1;
        }
        Ok(found)
    }

    /// The summary, if there is one. Nothing in it is believed; the commits it names are checked.
    pub(super) fn summary(&self, pull: &Pull) -> Result<Option<Summary>, PullError> {
        let request = self.at(SUMMARY_FILE, SUMMARY_SIZE)?;
        let Some(bytes) = self.one(pull, &request)? else {
            return Ok(None);
        };
        match Summary::parse(&bytes) {
            Some(summary) => Ok(Some(summary)),
            None => Err(self.refused(&request, "it is no summary".to_owned())),
        }
    }

    /// Every ref that the summary has, which is kept beside the commits, with its signature.
    pub(super) fn all_refs(
        &self,
        pull: &Pull,
        summary: Option<&Summary>,
        scratch: &Repo,
    ) -> Result<Vec<RefName>, PullError> {
        let summary = summary.ok_or_else(|| PullError::NoSummary {
            remote: self.remote.clone(),
            url: self.url(),
        })?;
        let signature = self.one(pull, &self.at(SIGNATURE_FILE, METADATA)?)?;
        let keep = |name: &str, bytes: &[u8]| {
            let path = scratch.path().join(name);
            std::fs::write(&path, bytes).map_err(|source| RepoError::Io {
                action: "write",
                path,
                source,
            })
        };
        keep(SUMMARY_FILE, &summary.bytes)?;
        if let Some(signature) = signature {
            keep(SIGNATURE_FILE, &signature)?;
        }
        let request = self.at(SUMMARY_FILE, SUMMARY_SIZE)?;
        let names = summary.refs.keys().map(|name| {
            name.parse::<RefName>()
                .map_err(|error| self.refused(&request, error.to_string()))
        });
        names.collect()
    }

    /// The commit on a ref of a server that has no summary.
    pub(super) fn lookup(
        &self,
        pull: &Pull,
        name: &RefName,
    ) -> Result<Option<CommitId>, PullError> {
        let request = self.at(&format!("refs/heads/{name}"), REF)?;
        let Some(bytes) = self.one(pull, &request)? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&bytes);
        match text.trim_end().parse() {
            Ok(commit) => Ok(Some(commit)),
            Err(_) => Err(self.refused(&request, "it is no checksum".to_owned())),
        }
    }
}

/// Notices that nothing happens although requests are under way: a server may keep a connection
/// busy with what is no content, such as trailers of chunks, and then no request ever ends.
pub(super) struct Watch {
    beats: u64,
    since: Instant,
}

impl Watch {
    pub(super) fn new(server: &Server) -> Self {
        Self {
            beats: server.meter.beats(),
            since: Instant::now(),
        }
    }

    /// Looks whether something has happened since the last time. `is_waiting` is whether requests
    /// are under way.
    ///
    /// # Errors
    /// When nothing has for longer than one try of a request takes.
    pub(super) fn check(&mut self, server: &Server, is_waiting: bool) -> Result<(), PullError> {
        let beats = server.meter.beats();
        if beats != self.beats || !is_waiting {
            self.beats = beats;
            self.since = Instant::now();
        }
        if self.since.elapsed() < server.patience {
            return Ok(());
        }
        Err(PullError::Stalled {
            remote: server.remote.clone(),
            url: server.url(),
            seconds: server.patience.as_secs(),
        })
    }
}

/// What makes a remote's requests, with what its own options say about the way there.
pub(super) fn client(pull: &Pull, repo: &Repo, remote: &Remote) -> Result<HttpClient, PullError> {
    let option = |key: &str| option(repo, &remote.name, key);
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

/// An option of a remote; `None` when it is not set, or there is no such remote.
fn option(repo: &Repo, remote: &str, key: &str) -> Result<Option<String>, RepoError> {
    if !remote::exists(repo, remote) {
        return Ok(None);
    }
    let value = repo.as_ostree().remote_option(remote, key, None);
    let value = value.map_err(|source| repo.failed(&format!("read remote `{remote}`"), source))?;
    Ok(value.map(Into::into))
}

/// What bytes with another checksum are refused for.
pub(super) fn differs(found: &str, expected: &str) -> String {
    format!("it has the checksum {found}, expected {expected}")
}

impl Summary {
    /// `None` when it is not well-formed. Refs and deltas with names that cannot be are left out.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let format = VariantTy::new(SUMMARY).ok()?;
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
