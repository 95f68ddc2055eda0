//! The HTTP client for requests to a remote.

use super::PullError;
use super::session::Session;
use crate::http::{HttpClient, HttpOptions};
use crate::repo::RepoError;
use std::path::Path;

/// Creates the client, with the remote's own options for proxy and certificates.
pub(super) fn connect(session: &Session) -> Result<HttpClient, PullError> {
    let option = |key: &str| remote_option(session, key);
    let read = |path: String| {
        let path = Path::new(&path);
        std::fs::read(path).map_err(|source| RepoError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })
    };
    let mut options: HttpOptions = session.options.http.clone();
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
        remote: session.label().to_owned(),
        source: Box::new(source),
    })
}

/// Returns an option of the remote; `None` if it is not set, or if there is no remote.
pub(super) fn remote_option(session: &Session, key: &str) -> Result<Option<String>, RepoError> {
    let Some(remote) = &session.remote else {
        return Ok(None);
    };
    let repo = &session.repo;
    let value = repo.as_ostree().remote_option(&remote.name, key, None);
    let value =
        value.map_err(|source| repo.failed(&format!("read remote `{}`", remote.name), source))?;
    Ok(value.map(Into::into))
}
