//! HTTP proxies.
//!
//! A request for an `http` URL is sent to the proxy in absolute form (RFC 9112, 3.2.2), because by
//! default proxies allow tunnels only to the port of `https`. `ureq` tunnels every request, so that
//! this module adds the absolute form below it; tunnels for `https` are made by `ureq`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Scheme;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};
use ureq::{Error, Proxy, ProxyProtocol};

/// Parses the URL of a proxy. Hosts in `excluded_hosts` are connected to directly.
pub(super) fn parse(url: &str, excluded_hosts: &[String]) -> Result<Proxy, Error> {
    let parsed = Proxy::new(url)?;
    if !matches!(
        parsed.protocol(),
        ProxyProtocol::Http | ProxyProtocol::Https
    ) {
        return Err(Error::InvalidProxyUrl);
    }
    if excluded_hosts.is_empty() {
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
    for host in excluded_hosts {
        let host = host.trim_start_matches('.');
        proxy = match host {
            "*" => proxy.no_proxy("*"),
            // As in curl and the go command, an entry matches a host and its subdomains.
            host => proxy.no_proxy(host).no_proxy(&format!(".{host}")),
        };
    }
    proxy.build()
}

/// Connects to servers, or to the proxy of a request for an `http` URL.
#[derive(Debug)]
pub(super) struct ProxyConnector {
    default: DefaultConnector,
    /// The configuration for connections to a proxy.
    without_proxy: Config,
}

impl ProxyConnector {
    /// Creates a connector. The configuration must not contain a proxy.
    pub(super) fn new(without_proxy: Config) -> Self {
        Self {
            default: DefaultConnector::new(),
            without_proxy,
        }
    }
}

impl Connector for ProxyConnector {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let proxy = details.config.proxy().filter(|proxy| {
            details.uri.scheme() == Some(&Scheme::HTTP) && !proxy.is_no_proxy(details.uri)
        });
        let Some(proxy) = proxy else {
            return self.default.connect(details, None);
        };
        let resolver = details.resolver;
        let to_proxy = ConnectionDetails {
            uri: proxy.uri(),
            addrs: resolver.resolve(proxy.uri(), &self.without_proxy, details.timeout)?,
            config: &self.without_proxy,
            request_level: details.request_level,
            resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let connection = self.default.connect(&to_proxy, None)?;
        Ok(connection.map(|inner| {
            Box::new(AbsoluteForm {
                inner,
                is_new_request: true,
                origin: origin(details.uri),
                header: authorization(proxy),
            }) as Self::Out
        }))
    }
}

/// Returns the part of a URL before its path, without credentials.
fn origin(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("http://{host}")
}

/// Returns the header with the credentials for a proxy; empty if there are none.
fn authorization(proxy: &Proxy) -> String {
    match (proxy.username(), proxy.password()) {
        (None, None) => String::new(),
        (user, password) => {
            let (user, password) = (user.unwrap_or_default(), password.unwrap_or_default());
            let text = BASE64_STANDARD.encode(format!("{user}:{password}"));
            format!("Proxy-Authorization: Basic {text}\r\n")
        }
    }
}

/// A connection to a proxy, which changes the first line of requests to the absolute form and adds
/// the credentials for the proxy.
#[derive(Debug)]
struct AbsoluteForm {
    inner: Box<dyn Transport>,
    /// True if the next bytes to send start a request.
    is_new_request: bool,
    /// `http://HOST:PORT`.
    origin: String,
    header: String,
}

impl AbsoluteForm {
    /// Changes the start of a request. `ureq` always passes the first line as a whole.
    fn rewrite(&self, start: &[u8]) -> Result<Vec<u8>, Error> {
        let text = |range| std::str::from_utf8(range).ok();
        let (line, rest) = start
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .and_then(|end| Some((text(&start[..end])?, &start[end + 2..])))
            .ok_or_else(malformed)?;
        let (method, target) = line.split_once(' ').ok_or_else(malformed)?;
        let slash = if target.starts_with('/') { "" } else { "/" };
        let first = format!("{method} {}{slash}{target}\r\n{}", self.origin, self.header);
        Ok([first.as_bytes(), rest].concat())
    }
}

fn malformed() -> Error {
    Error::Other("the request does not start with a request line".into())
}

impl Transport for AbsoluteForm {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !self.is_new_request {
            return self.inner.transmit_output(amount, timeout);
        }
        self.is_new_request = false;
        let start = self.inner.buffers().output()[..amount].to_vec();
        let request = self.rewrite(&start)?;
        let mut rest = request.as_slice();
        while !rest.is_empty() {
            let output = self.inner.buffers().output();
            let length = rest.len().min(output.len());
            output[..length].copy_from_slice(&rest[..length]);
            self.inner.transmit_output(length, timeout)?;
            rest = &rest[length..];
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        // The response follows the whole request, so that the next output starts another one.
        self.is_new_request = true;
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
