//! Directories of certificates for a registry, in the form that podman, buildah and skopeo use.
//!
//! Source: `containers-certs.d(5)`.

use crate::error::CliError;
use crate::files;
use ostree_go_sdk::http::HttpOptions;
use std::path::{Path, PathBuf};

/// Reads the certificates in a directory. The authorities in `*.crt` replace those of the system,
/// and `NAME.cert` with the key `NAME.key` becomes the client certificate. A directory without such
/// files changes nothing.
pub fn with_certificates(http: HttpOptions, folder: &Path) -> Result<HttpOptions, CliError> {
    let mut authorities = Vec::new();
    let mut client = None;
    for path in sorted_files(folder)? {
        let is = |ending| path.extension().is_some_and(|found| found == ending);
        if is("crt") {
            authorities.extend(files::read(&path)?);
            authorities.push(b'\n');
        } else if is("cert") {
            let key = path.with_extension("key");
            client = Some((files::read(&path)?, files::read(&key)?));
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
fn sorted_files(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let listed = std::fs::read_dir(folder).and_then(|entries| {
        let paths = entries.map(|entry| Ok(entry?.path()));
        paths.collect::<std::io::Result<Vec<_>>>()
    });
    let mut found = listed.map_err(CliError::file("read", folder))?;
    found.sort();
    Ok(found)
}
