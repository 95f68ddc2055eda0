//! Directories of certificates for a registry, in the form that podman, buildah and skopeo use.
//!
//! Source: `containers-certs.d(5)`.

use crate::error::CliError;
use ostree_go_sdk::HttpOptions;
use std::path::{Path, PathBuf};

/// Reads the certificates in a directory. The authorities in `*.crt` replace those of the system,
/// and `NAME.cert` with the key `NAME.key` becomes the client certificate. A directory without such
/// files changes nothing.
pub fn with_certificates(http: HttpOptions, folder: &Path) -> Result<HttpOptions, CliError> {
    let mut authorities = Vec::new();
    let mut client = None;
    for path in files(folder)? {
        let is = |ending| path.extension().is_some_and(|found| found == ending);
        if is("crt") {
            authorities.extend(read(&path)?);
            authorities.push(b'\n');
        } else if is("cert") {
            let key = path.with_extension("key");
            client = Some((read(&path)?, read(&key)?));
        }
    }
    let authorities = (!authorities.is_empty()).then_some(authorities);
    let http = match authorities {
        None => http,
        some => http.root_certificates(some),
    };
    Ok(match client {
        None => http,
        some => http.client_certificate(some),
    })
}

/// Returns the files of a directory, sorted by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let listed = std::fs::read_dir(folder).and_then(|entries| {
        let paths = entries.map(|entry| Ok(entry?.path()));
        paths.collect::<std::io::Result<Vec<_>>>()
    });
    let mut found = listed.map_err(|source| failed(folder, source))?;
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: std::io::Error) -> CliError {
    CliError::File {
        action: "read",
        path: path.to_owned(),
        source,
    }
}
