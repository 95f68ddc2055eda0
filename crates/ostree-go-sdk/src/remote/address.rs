//! Where a remote is: a URL, or a place with images.

use super::{NewRemote, RemoteError, get};
use crate::http::url::Url;
use crate::oci::ImageLocation;
use crate::oci::image_source::{ImageSource, InvalidImageSource};
use crate::registry::ImageReference;
use crate::repo::{Repo, RepoError};
use std::path::PathBuf;

/// The URL as it is kept. Images have to be in a registry or a folder, whichever the tag is.
pub(super) fn checked_url(new: &NewRemote) -> Result<String, RemoteError> {
    let name = &new.name;
    if !ImageSource::has_image_scheme(&new.url) {
        return match Url::parse(&new.url) {
            Ok(url) => Ok(url.secret().to_owned()),
            Err(source) => Err(RemoteError::InvalidUrl {
                name: name.clone(),
                source,
            }),
        };
    }
    let place = ImageSource::parse(&new.url).map_err(|source| RemoteError::InvalidImageSource {
        name: name.clone(),
        source,
    })?;
    if place.location.tag().is_some() {
        return Err(RemoteError::Tagged {
            name: name.clone(),
            url: place.to_string(),
        });
    }
    let is_relative = match &place.location {
        ImageLocation::Layout { path, .. } | ImageLocation::Archive { path, .. } => {
            !path.is_absolute()
        }
        ImageLocation::Registry(_) => false,
    };
    if is_relative {
        return Err(RemoteError::InvalidImageSource {
            name: name.clone(),
            source: InvalidImageSource {
                found: new.url.clone(),
            },
        });
    }
    Ok(new.url.clone())
}

/// A remote's URL without credentials.
pub(super) fn shown(url: &str) -> String {
    match ImageSource::parse(url) {
        Ok(place) if ImageSource::has_image_scheme(url) => place.to_string(),
        _ => Url::parse(url).map_or_else(|error| error.found, |url| url.to_string()),
    }
}

/// A remote's URL with its credentials.
pub(crate) fn full_url(repo: &Repo, name: &str) -> Result<String, RepoError> {
    let url = repo.as_ostree().remote_get_url(name);
    let url = url.map_err(|source| repo.failed(&format!("read remote `{name}`"), source))?;
    let path = credentials_path(repo, name);
    match std::fs::read_to_string(&path) {
        Ok(credentials) => Ok(with_credentials(&url, credentials.trim_end())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(url.into()),
        Err(source) => Err(RepoError::Io {
            action: "read the credentials in",
            path,
            source,
        }),
    }
}

/// The file with the credentials of a remote's URL, as they stand in it. Everybody may read a
/// repository's `config`; only its owner reads this.
pub(super) fn credentials_path(repo: &Repo, name: &str) -> PathBuf {
    repo.path().join(format!("{name}.credentials"))
}

/// A URL without credentials, and these.
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
        // What `ostree remote add` has put into the URL itself comes first.
        (_, Some(_)) => url.to_owned(),
        (_, None) => url.replacen("://", &format!("://{credentials}@"), 1),
    }
}

/// Where a remote's images are, if it has images.
pub(crate) fn place(repo: &Repo, name: &str) -> Result<Option<ImageSource>, RemoteError> {
    let url = full_url(repo, name)?;
    if !ImageSource::has_image_scheme(&url) {
        return Ok(None);
    }
    let place = ImageSource::parse(&url).map_err(|source| RemoteError::InvalidImageSource {
        name: name.to_owned(),
        source,
    })?;
    Ok(Some(place))
}

/// The repository of a registry that a remote is, if credentials for it are to be found
/// elsewhere than in its URL.
///
/// # Errors
/// When there is no such remote.
pub fn registry(repo: &Repo, name: &str) -> Result<Option<ImageReference>, RemoteError> {
    get(repo, name)?;
    let place = place(repo, name)?;
    Ok(place.and_then(|place| place.unknown_registry().cloned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_off_and_put_back() {
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
