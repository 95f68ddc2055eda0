//! The address of a remote: a URL, or a source of images.

use super::error::RemoteError;
use crate::fs::context::IoFailure;
use crate::http::url::Url;
use crate::oci::ImageLocation;
use crate::oci::image_source::{ImageSource, InvalidImageSource};
use crate::repo::{Repo, RepoError};
use std::path::PathBuf;

/// Validates the URL of a new remote. Images must be in a registry or at an absolute path, without
/// a tag.
pub(super) fn checked_url(name: &str, url: &str) -> Result<String, RemoteError> {
    if !ImageSource::has_image_scheme(url) {
        return match Url::parse(url) {
            Ok(url) => Ok(url.secret().to_owned()),
            Err(source) => Err(RemoteError::InvalidUrl {
                name: name.to_owned(),
                source,
            }),
        };
    }
    let source = ImageSource::parse(url).map_err(|source| RemoteError::InvalidImageSource {
        name: name.to_owned(),
        source,
    })?;
    if source.location.tag().is_some() {
        return Err(RemoteError::Tagged {
            name: name.to_owned(),
            url: source.to_string(),
        });
    }
    let is_relative = match &source.location {
        ImageLocation::Layout { path, .. } | ImageLocation::Archive { path, .. } => {
            !path.is_absolute()
        }
        ImageLocation::Registry(_) => false,
    };
    if is_relative {
        return Err(RemoteError::InvalidImageSource {
            name: name.to_owned(),
            source: InvalidImageSource {
                found: url.to_owned(),
            },
        });
    }
    Ok(url.to_owned())
}

/// Returns a remote's URL without credentials.
pub(super) fn without_credentials(url: &str) -> String {
    match ImageSource::parse(url) {
        Ok(source) if ImageSource::has_image_scheme(url) => source.to_string(),
        _ => Url::parse(url).map_or_else(|error| error.found, |url| url.to_string()),
    }
}

/// Returns a remote's URL with its credentials.
pub(crate) fn full_url(repo: &Repo, name: &str) -> Result<String, RepoError> {
    let url = repo.as_ostree().remote_get_url(name);
    let url = url.map_err(|source| repo.failed(&format!("read remote `{name}`"), source))?;
    let path = credentials_path(repo, name);
    match std::fs::read_to_string(&path) {
        Ok(credentials) => Ok(with_credentials(&url, credentials.trim_end())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(url.into()),
        Err(source) => Err(IoFailure::new("read the credentials in", path, source).into()),
    }
}

/// Returns the path of the file with the credentials of a remote's URL, in the form in which they
/// appear in a URL. All users may read a repository's `config`; only the owner can read this file.
pub(super) fn credentials_path(repo: &Repo, name: &str) -> PathBuf {
    repo.path().join(format!("{name}.credentials"))
}

/// Splits a URL into the URL without credentials and the credentials.
pub(super) fn split_credentials(url: &str) -> (String, Option<&str>) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url.to_owned(), None);
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((credentials, host)) => (format!("{scheme}://{host}{path}"), Some(credentials)),
        None => (url.to_owned(), None),
    }
}

fn with_credentials(url: &str, credentials: &str) -> String {
    match split_credentials(url) {
        // Credentials that `ostree remote add` stored in the URL take precedence.
        (_, Some(_)) => url.to_owned(),
        (_, None) => url.replacen("://", &format!("://{credentials}@"), 1),
    }
}

/// Returns the source of a remote's images; `None` if the remote is not a source of images.
pub(crate) fn image_source(repo: &Repo, name: &str) -> Result<Option<ImageSource>, RemoteError> {
    let url = full_url(repo, name)?;
    if !ImageSource::has_image_scheme(&url) {
        return Ok(None);
    }
    let source = ImageSource::parse(&url).map_err(|source| RemoteError::InvalidImageSource {
        name: name.to_owned(),
        source,
    })?;
    Ok(Some(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_split_off_and_restored() {
        for (whole, bare, credentials) in [
            (
                "https://me:s@x.example/r",
                "https://x.example/r",
                Some("me:s"),
            ),
            ("oci+https://me:a@b@x/r", "oci+https://x/r", Some("me:a@b")),
            ("https://x.example/a@b", "https://x.example/a@b", None),
            ("file:///srv/r", "file:///srv/r", None),
        ] {
            assert_eq!(split_credentials(whole), (bare.to_owned(), credentials));
            if let Some(credentials) = credentials {
                assert_eq!(with_credentials(bare, credentials), whole);
            }
        }
    }
}
