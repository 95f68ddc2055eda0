//! HTTP requests and downloads, which are retried, resumed, and verified before they are returned.

mod body;
mod download;
mod error;
mod fetch;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod netrc;
mod proxy;
mod rate;
mod redirect;
mod retry;
mod retry_after;
mod send;
#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;
mod tls;
mod transfer;
mod transport_error;
pub(crate) mod url;

use std::fmt;
use std::time::Duration;

use ureq::unversioned::resolver::DefaultResolver;
use ureq::{Agent, Proxy, http::Response};

pub(crate) use body::Body;
pub(crate) use download::read_local;
pub use error::HttpError;
pub(crate) use error::{Transient, is_transient_status};
pub(crate) use fetch::Validators;
pub use netrc::Netrc;
use proxy::ProxyConnector;
pub(crate) use retry::Retry;
pub(crate) use retry_after::retry_after;
pub(crate) use send::{Request, RequestBody};
use tls::TlsOptions;
pub(crate) use transfer::{
    Resume, Transfer, check_no_web_page, content_length, is_html, read_error, run as run_transfer,
};
pub use transport_error::TransportError;
pub use url::InvalidUrl;
use url::Url;

/// Maximum number of idle connections per server that are kept for further requests.
const IDLE_CONNECTIONS: usize = 16;

/// Options for HTTP requests. They are never read from environment variables.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    http_proxy: Option<String>,
    https_proxy: Option<String>,
    no_proxy: Vec<String>,
    netrc: Netrc,
    user_agent: String,
    retries: u32,
    retry_delay: Duration,
    connect_timeout: Duration,
    read_timeout: Duration,
    min_rate: u64,
    max_size: u64,
    tls: TlsOptions,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            http_proxy: None,
            https_proxy: None,
            no_proxy: Vec::new(),
            netrc: Netrc::default(),
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
    /// Returns the default options.
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

    /// Connects to these hosts and their subdomains without the proxy; `*` stands for all hosts.
    /// Default: none.
    #[must_use]
    pub fn no_proxy(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.no_proxy = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Sets credentials for hosts, which are sent in encrypted requests for URLs without credentials.
    /// Default: none.
    #[must_use]
    pub fn netrc(mut self, netrc: Netrc) -> Self {
        self.netrc = netrc;
        self
    }

    /// Sets the `User-Agent` header. Default: `ostree-go/<version>`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Sets the maximum number of retries after transient failures. The count starts again when a
    /// download makes progress. Default: 5.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the delay before the first retry. It doubles with each further retry, up to 64 times
    /// the first delay. Default: half a second.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = delay;
        self
    }

    /// Sets the timeout for establishing a connection. Default: 30 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the maximum time in which a server may send nothing. Default: 60 seconds.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Sets the minimum rate in bytes per second at which bodies have to be received, by all
    /// requests of a client together, averaged over each
    /// [`read_timeout`](HttpOptions::read_timeout). A lower rate is a transient failure. 0 disables
    /// the limit. Default: 1000, the same as libostree's `low-speed-limit-bytes`.
    #[must_use]
    pub fn min_rate(mut self, bytes_per_second: u64) -> Self {
        self.min_rate = bytes_per_second;
        self
    }

    /// Trusts only these certificate authorities, given in PEM. Default: those of the operating
    /// system.
    #[must_use]
    pub fn root_certificates(mut self, pem: Option<Vec<u8>>) -> Self {
        self.tls.roots = pem;
        self
    }

    /// Sets the client certificate: the certificate chain and its private key, in PEM. Default:
    /// none.
    #[must_use]
    pub fn client_certificate(mut self, chain_and_key: Option<(Vec<u8>, Vec<u8>)>) -> Self {
        self.tls.client = chain_and_key;
        self
    }

    /// Accepts any server certificate. The fetched content is then protected only by its checksums
    /// and signatures. Default: no.
    #[must_use]
    pub fn any_certificate(mut self, any: bool) -> Self {
        self.tls.accept_any = any;
        self
    }

    /// Returns the maximum number of attempts of a request.
    pub(crate) fn max_attempts(&self) -> u32 {
        self.retries.saturating_add(1)
    }

    /// Returns the maximum time in which a server may send nothing.
    pub(crate) fn configured_read_timeout(&self) -> Duration {
        self.read_timeout
    }

    /// Returns the maximum time from one attempt of a request to the next, or to its failure, if
    /// nothing is received.
    pub(crate) fn stall_timeout(&self) -> Duration {
        let waits = self.connect_timeout * 2 + self.read_timeout * 2;
        waits.saturating_add(self.delay(self.retries))
    }

    /// Returns the delay after a failure that `failed` failures preceded.
    fn delay(&self, failed: u32) -> Duration {
        self.retry_delay.saturating_mul(2u32.pow(failed.min(6)))
    }

    /// Sets the maximum size of a download in bytes. Default: 2 GiB.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }
}

/// Omits the proxy's URL, which may contain a password.
impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("user_agent", &self.user_agent)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}

/// A client for HTTP requests. By default, certificates are checked against the operating system's
/// store.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    agent: Agent,
    http_proxy: Option<Proxy>,
    https_proxy: Option<Proxy>,
    options: HttpOptions,
    received: rate::Received,
}

impl HttpClient {
    /// Creates a client, without connecting to a server.
    ///
    /// # Errors
    /// Returns an error if the proxy is not a valid URL, or a certificate or key is not in PEM.
    pub(crate) fn new(options: &HttpOptions) -> Result<Self, HttpError> {
        let proxy = |url: &Option<String>| {
            let url = url.as_deref();
            let proxy = url.map(|url| proxy::parse(url, &options.no_proxy));
            proxy.transpose().map_err(|_| HttpError::Proxy)
        };
        let tls = tls::config(&options.tls)?;
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .user_agent(options.user_agent.as_str())
            // Archives are compressed already, and lengths and ranges refer to bytes as sent.
            .accept_encoding("identity")
            .http_status_as_error(false)
            // Credentials and proxies depend on the URL that a redirect leads to.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // `ureq` implements a timeout of name resolution with a thread, and panics if none can
            // be created. The resolver has its own timeouts (resolv.conf(5)).
            .timeout_connect(Some(options.connect_timeout))
            .timeout_recv_response(Some(options.read_timeout))
            .timeout_per_read(Some(options.read_timeout))
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .build();
        Ok(Self {
            agent: Agent::with_parts(
                config.clone(),
                ProxyConnector::new(config),
                DefaultResolver::default(),
            ),
            http_proxy: proxy(&options.http_proxy)?,
            https_proxy: proxy(&options.https_proxy)?,
            options: options.clone(),
            received: rate::Received::default(),
        })
    }

    /// Returns the same client without retries, for requests that have an alternative.
    pub(crate) fn without_retries(&self) -> Self {
        let mut client = self.clone();
        client.options.retries = 0;
        client
    }

    /// Returns a rate check for a body that is about to be read.
    pub(crate) fn rate_check(&self) -> rate::RateCheck {
        let (min_rate, window) = (self.options.min_rate, self.options.read_timeout);
        rate::RateCheck::new(self.received.clone(), min_rate, window)
    }
}

fn request_error(url: &Url, error: ureq::Error) -> HttpError {
    let url = url.to_string();
    match error {
        // The text of this error contains the URL with its credentials.
        ureq::Error::BadUri(_) => HttpError::Url(InvalidUrl { found: url }),
        error => HttpError::Request {
            url,
            source: TransportError::new(error),
        },
    }
}

fn status_error(url: &Url, response: &Response<ureq::Body>) -> HttpError {
    let status = response.status().as_u16();
    HttpError::Status {
        retry_after: retry_after(response.headers()),
        url: url.to_string(),
        status,
    }
}
