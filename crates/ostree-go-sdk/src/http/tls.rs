//! The TLS configuration.

use ureq::tls::{
    Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem,
};

use super::HttpError;

/// The TLS options: trusted certificate authorities and the client's certificate.
#[derive(Clone, Default)]
pub(super) struct TlsOptions {
    pub(super) roots: Option<Vec<u8>>,
    pub(super) client: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) accept_any: bool,
}

pub(super) fn config(options: &TlsOptions) -> Result<TlsConfig, HttpError> {
    let roots = match &options.roots {
        Some(pem) => RootCerts::from(certificates(pem, "file of certificate authorities")?),
        None => RootCerts::PlatformVerifier,
    };
    let client = match &options.client {
        Some((chain, key)) => {
            let chain = certificates(chain, "client certificate")?;
            let key = PrivateKey::from_pem(key).map_err(|_| HttpError::Pem {
                what: "client certificate's key",
            })?;
            Some(ClientCert::new_with_certs(&chain, key))
        }
        None => None,
    };
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(roots)
        .client_cert(client)
        .disable_verification(options.accept_any)
        .build())
}

/// Returns the certificates of a PEM file. A file without certificates is an error.
fn certificates(pem: &[u8], what: &'static str) -> Result<Vec<Certificate<'static>>, HttpError> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(HttpError::Pem { what }),
        }
    }
    if found.is_empty() {
        return Err(HttpError::Pem { what });
    }
    Ok(found)
}
