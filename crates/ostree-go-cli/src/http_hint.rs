//! Suggestions for failed HTTP requests.

use ostree_go_sdk::audit::AuditError;
use ostree_go_sdk::compose::ComposeError;
use ostree_go_sdk::deploy::DeployError;
use ostree_go_sdk::export::oci::OciError;
use ostree_go_sdk::http::{HttpError, TransportError};
use ostree_go_sdk::pull::PullError;
use ostree_go_sdk::registry::RegistryError;
use ostree_go_sdk::source::SourceError;
use ostree_go_sdk::upstream::UpstreamError;
use ostree_go_sdk::{Error, ErrorKind};

/// Hint for a request that was refused with 401 by a server other than a registry.
const UNAUTHORIZED: &str = "the server requires a user name and a password: add them to the URL, as in https://USER:PASSWORD@HOST/, or to ~/.netrc, which is used for https";
const FORBIDDEN: &str =
    "the server refuses access: check the URL, and the credentials in it or in ~/.netrc";
const PROXY: &str = "the HTTP proxy requires a user name and a password: add them to its URL, as in http://USER:PASSWORD@HOST:PORT";
const TUNNEL: &str = "the HTTP proxy has to allow CONNECT to the server's host and port; set no_proxy to connect without it";
const REFUSED: &str = "the server refuses the request: check the URL";
const LOGIN: &str = "this network requires a login first: open any web page in a browser";
const WEB_PAGE: &str = "open the URL in a browser: this network may require a login first (captive portal), or the URL is wrong";

/// Returns a suggestion for an error that an HTTP request caused.
pub fn hint(error: &Error) -> Option<&'static str> {
    match error {
        Error::Http(error)
        | Error::Upstream(UpstreamError::Http(error))
        | Error::Audit(AuditError::Http(error))
        | Error::Compose(
            ComposeError::Http(error) | ComposeError::Source(SourceError::Http(error)),
        ) => http(error),
        Error::Compose(ComposeError::NoSource { failures, .. }) => failures
            .errors()
            .iter()
            .rev()
            .find_map(|error| match error {
                SourceError::Http(error) => http(error),
                _ => None,
            }),
        Error::Pull(error) => pull(error),
        Error::Deploy(error) => deploy(error),
        Error::Oci(OciError::Registry(error)) => registry(error),
        _ => None,
    }
}

fn deploy(error: &DeployError) -> Option<&'static str> {
    match error {
        DeployError::Pull(error) => pull(error),
        DeployError::NotActivated { source, .. } => deploy(source),
        _ => None,
    }
}

fn pull(error: &PullError) -> Option<&'static str> {
    match error {
        PullError::Http { source, .. } => http(source),
        PullError::Registry { source, .. } => registry(source),
        _ => None,
    }
}

fn http(error: &HttpError) -> Option<&'static str> {
    match error {
        HttpError::Status { status, .. } => match status {
            401 => Some(UNAUTHORIZED),
            403 => Some(FORBIDDEN),
            status => intermediary(*status)
                .or_else(|| (error.kind() == ErrorKind::PermissionDenied).then_some(REFUSED)),
        },
        HttpError::WebPage { .. } => Some(WEB_PAGE),
        error => transport(
            error.transport()?,
            "use an http:// URL for a server without encryption",
        ),
    }
}

fn registry(error: &RegistryError) -> Option<&'static str> {
    match error {
        RegistryError::Refused { status, .. } => match status {
            401 | 403 => Some("log in with `podman login` or `skopeo login`"),
            status => intermediary(*status),
        },
        RegistryError::Http(error @ HttpError::WebPage { .. }) => http(error),
        error => transport(
            error.transport()?,
            "use oci+http://REGISTRY/NAME for a registry without encryption",
        ),
    }
}

/// Returns the suggestion for a status with which something between this machine and the server
/// answers.
fn intermediary(status: u16) -> Option<&'static str> {
    match status {
        407 => Some(PROXY),
        511 => Some(LOGIN),
        _ => None,
    }
}

/// Returns the suggestion for a connection that failed: `unencrypted` for a server without
/// encryption.
fn transport(error: &TransportError, unencrypted: &'static str) -> Option<&'static str> {
    match error.proxy_status() {
        Some(407) => Some(PROXY),
        Some(_) => Some(TUNNEL),
        None => error.is_unencrypted_answer().then_some(unencrypted),
    }
}
