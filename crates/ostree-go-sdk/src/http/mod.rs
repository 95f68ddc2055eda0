//! Downloads over HTTP: retried, resumed, and checked before anyone may use them.

mod body;
mod download;
mod error;
mod fetch;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod pace;
mod send;
#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;
mod tls;
pub(crate) mod url;

use std::fmt;
use std::time::Duration;

use ureq::{Agent, Proxy, http::Response};

pub(crate) use body::Body;
pub(crate) use download::read_local;
pub(crate) use download::{HEADWAY, content_length, content_range, read_error};
pub use error::HttpError;
pub(crate) use error::{distrusts, status_passes, transport_passes};
pub(crate) use send::{Outgoing, Request};
pub use url::InvalidUrl;
use url::Url;

use crate::progress::{Event, Progress};

/// Connections to one server that are kept for the next requests.
const IDLE_CONNECTIONS: usize = 16;

/// How requests are made. No environment variable is read for any of it.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    http_proxy: Option<String>,
    https_proxy: Option<String>,
    no_proxy: Vec<String>,
    user_agent: String,
    retries: u32,
    retry_delay: Duration,
    connect_timeout: Duration,
    read_timeout: Duration,
    min_rate: u64,
    max_size: u64,
    tls: TlsOptions,
}

/// What a server's certificate is checked against, and what the client shows.
#[derive(Clone, Default)]
struct TlsOptions {
    roots: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
    permissive: bool,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            http_proxy: None,
            https_proxy: None,
            no_proxy: Vec::new(),
            user_agent: concat!("ostree-go/", env!("CARGO_PKG_VERSION")).to_owned(),
            retries: 5,
            retry_delay: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(60),
            min_rate: 1000,
            max_size: 2 << 30,
            tls: TlsOptions::default(),
        }
    }
}

impl HttpOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends every request through the HTTP proxy at this URL. Default: none.
    #[must_use]
    pub fn proxy(self, url: Option<String>) -> Self {
        self.http_proxy(url.clone()).https_proxy(url)
    }

    /// Sends requests for `http` URLs through the HTTP proxy at this URL. Default: none.
    #[must_use]
    pub fn http_proxy(mut self, url: Option<String>) -> Self {
        self.http_proxy = url;
        self
    }

    /// Sends requests for `https` URLs through the HTTP proxy at this URL. Default: none.
    #[must_use]
    pub fn https_proxy(mut self, url: Option<String>) -> Self {
        self.https_proxy = url;
        self
    }

    /// Goes to these hosts, and those below them, without the proxy; `*` stands for all.
    /// Default: none.
    #[must_use]
    pub fn no_proxy(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.no_proxy = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// What requests say they come from. Default: `ostree-go/<version>`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// How often a request that failed for a passing reason is made again before that is
    /// an error. Counted anew while a download gets on. Default: 5.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How long to wait before the first retry; twice as long before each further one.
    /// Default: half a second.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = delay;
        self
    }

    /// How long a connection may take to be made. Default: 30 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a server may send nothing. Default: 60 seconds.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// The least rate, in bytes a second, at which bodies have to arrive, all requests of a client
    /// together, on the average of each [`read_timeout`](HttpOptions::read_timeout). A request
    /// that is slower fails for a passing reason. 0 is no bound. Default: 1000, as libostree's
    /// `low-speed-limit-bytes`.
    #[must_use]
    pub fn min_rate(mut self, bytes_per_second: u64) -> Self {
        self.min_rate = bytes_per_second;
        self
    }

    /// Believes these certificate authorities, in PEM, and no other. Default: those of the
    /// operating system.
    #[must_use]
    pub fn root_certificates(mut self, pem: Option<Vec<u8>>) -> Self {
        self.tls.roots = pem;
        self
    }

    /// Shows a certificate to servers that ask for one: the chain and its private key, in PEM.
    /// Default: none.
    #[must_use]
    pub fn client_certificate(mut self, chain_and_key: Option<(Vec<u8>, Vec<u8>)>) -> Self {
        self.tls.client = chain_and_key;
        self
    }

    /// Takes any certificate for good. What is fetched is then only as safe as its checksums
    /// and signatures make it. Default: no.
    #[must_use]
    pub fn any_certificate(mut self, any: bool) -> Self {
        self.tls.permissive = any;
        self
    }

    /// How often a request is made at most.
    pub(crate) fn tries(&self) -> u32 {
        self.retries.saturating_add(1)
    }

    /// How long a server may send nothing.
    pub(crate) fn silence(&self) -> Duration {
        self.read_timeout
    }

    /// The longest time from one try of a request to the next, or to its failure, when nothing
    /// comes.
    pub(crate) fn patience(&self) -> Duration {
        let waits = self.connect_timeout * 2 + self.read_timeout * 2;
        waits.saturating_add(self.delay(self.retries))
    }

    /// How long to wait after so many failures before the last one.
    fn delay(&self, failed: u32) -> Duration {
        self.retry_delay.saturating_mul(2u32.pow(failed.min(6)))
    }

    /// The largest download in bytes. Default: 2 GiB.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }
}

/// Without the proxy's URL, which may hold a password.
impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("user_agent", &self.user_agent)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

/// Makes requests. Certificates are checked against the operating system's store.
#[derive(Debug, Clone)]
pub struct HttpClient {
    agent: Agent,
    http_proxy: Option<Proxy>,
    https_proxy: Option<Proxy>,
    options: HttpOptions,
    received: pace::Received,
}

impl HttpClient {
    /// A client; no connection is made yet.
    ///
    /// # Errors
    /// When the proxy is no URL, or a certificate or key is not in PEM.
    pub fn new(options: &HttpOptions) -> Result<Self, HttpError> {
        let proxy = |url: &Option<String>| {
            let proxy = url.as_deref().map(|url| proxy_for(url, &options.no_proxy));
            proxy.transpose().map_err(|_| HttpError::Proxy)
        };
        let tls = tls::config(&options.tls)?;
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .user_agent(options.user_agent.as_str())
            // Archives are compressed already, and a length is only good for bytes as sent.
            .accept_encoding("identity")
            .http_status_as_error(false)
            // A timeout of name resolution would need a thread, and `ureq` panics when the system
            // makes none. The resolver has timeouts of its own (resolv.conf(5)).
            .timeout_connect(Some(options.connect_timeout))
            .timeout_recv_response(Some(options.read_timeout))
            .timeout_per_read(Some(options.read_timeout))
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .build();
        Ok(Self {
            agent: config.new_agent(),
            http_proxy: proxy(&options.http_proxy)?,
            https_proxy: proxy(&options.https_proxy)?,
            options: options.clone(),
            received: pace::Received::default(),
        })
    }

    fn request(
        &self,
        url: &Url,
        headers: &[(&'static str, String)],
    ) -> Result<Response<ureq::Body>, HttpError> {
        self.send(&Request {
            method: "GET",
            url,
            headers: headers.to_vec(),
            body: Outgoing::Nothing,
        })
    }
}

fn request_error(url: &Url, error: ureq::Error) -> HttpError {
    let url = url.to_string();
    match error {
        ureq::Error::RequireHttpsOnly(_) => HttpError::InsecureRedirect { url },
        // Its text would show the URL with its credentials.
        ureq::Error::BadUri(_) => HttpError::Url(InvalidUrl { found: url }),
        source => HttpError::Request { url, source },
    }
}

fn proxy_for(url: &str, direct: &[String]) -> Result<Proxy, ureq::Error> {
    let parsed = Proxy::new(url)?;
    if direct.is_empty() {
        return Ok(parsed);
    }
    let mut proxy = Proxy::builder(parsed.protocol())
        .host(parsed.host())
        .port(parsed.port());
    if let Some(name) = parsed.username() {
        proxy = proxy.username(name);
    }
    if let Some(password) = parsed.password() {
        proxy = proxy.password(password);
    }
    for host in direct {
        let host = host.trim_start_matches('.');
        proxy = match host {
            "*" => proxy.no_proxy("*"),
            // As curl and the go command read it: a host, and all below it.
            host => proxy.no_proxy(host).no_proxy(&format!(".{host}")),
        };
    }
    proxy.build()
}

fn status_error(url: &Url, status: u16) -> HttpError {
    HttpError::Status {
        url: url.to_string(),
        status,
    }
}

/// Counts the tries of one request, and waits between them.
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

    /// Returns when it is time to try again, or with `error` when there is no point.
    fn after(&mut self, error: HttpError) -> Result<(), HttpError> {
        if !error.is_worth_a_retry() || !self.wait(&error)? {
            return Err(error);
        }
        Ok(())
    }

    /// Returns when it is time to try again, which `false` says it is not any more.
    pub(crate) fn wait(&mut self, reason: &dyn std::error::Error) -> Result<bool, HttpError> {
        if self.failed >= self.options.retries {
            return Ok(false);
        }
        self.failed += 1;
        self.progress.event(&Event::Retrying {
            url: &self.url,
            attempt: self.failed,
            reason,
        });
        let mut left = self.options.delay(self.failed - 1);
        while !left.is_zero() {
            self.check_cancelled()?;
            let nap = left.min(Duration::from_millis(50));
            std::thread::sleep(nap);
            left -= nap;
        }
        self.check_cancelled()?;
        Ok(true)
    }

    fn check_cancelled(&self) -> Result<(), HttpError> {
        if self.progress.is_cancelled() {
            return Err(HttpError::Cancelled {
                url: self.url.clone(),
            });
        }
        Ok(())
    }

    /// The request gets on: what failed before counts no more.
    pub(crate) fn reset(&mut self) {
        self.failed = 0;
    }
}
