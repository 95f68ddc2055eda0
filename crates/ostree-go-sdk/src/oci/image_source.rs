//! Sources of images for remotes.
//!
//! In addition to skopeo's locations, `oci+https://` and `oci+http://` select how to connect to a
//! registry.

use super::ImageLocation;
use crate::http::url::{invalid_part, percent_decode};
use crate::registry::{ImageReference, RegistryAuth};
use std::fmt;

/// The source of a remote's images, or of a single one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageSource {
    pub(crate) location: ImageLocation,
    /// Set if the connection to the registry is encrypted.
    pub(crate) is_encrypted: bool,
    /// The credentials in the URL; anonymous if there are none.
    pub(crate) auth: RegistryAuth,
}

/// The error for a text that is not a source of images.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` names no images, expected oci:PATH[:TAG], oci-archive:PATH[:TAG] or oci+https://REGISTRY/NAME[:TAG][@sha256:DIGEST]",
    found.escape_debug()
)]
pub struct InvalidImageSource {
    /// The invalid text, without credentials.
    pub found: String,
}

/// The URL schemes of registries, and whether the connection is encrypted.
const REGISTRIES: [(&str, bool); 2] = [("oci+https://", true), ("oci+http://", false)];

impl ImageSource {
    /// Returns whether a text starts like an image source, valid or not.
    pub(crate) fn has_image_scheme(text: &str) -> bool {
        let registries = REGISTRIES.iter().map(|(scheme, _)| *scheme);
        ["oci:", "oci-archive:", "docker://"]
            .into_iter()
            .chain(registries)
            .any(|scheme| text.starts_with(scheme))
    }

    /// Parses an image source.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidImageSource> {
        Self::read(text).ok_or_else(|| InvalidImageSource {
            found: invalid_part(text),
        })
    }

    fn read(text: &str) -> Option<Self> {
        let found = REGISTRIES
            .iter()
            .find_map(|(scheme, encrypted)| Some((text.strip_prefix(scheme)?, *encrypted)));
        let Some((rest, is_encrypted)) = found else {
            return Some(Self {
                location: text.parse().ok()?,
                is_encrypted: true,
                auth: RegistryAuth::Anonymous,
            });
        };
        let (auth, rest) = credentials(rest)?;
        let image = ImageReference::in_url(rest.trim_end_matches('/')).ok()?;
        Some(Self {
            location: ImageLocation::Registry(image),
            is_encrypted,
            auth,
        })
    }

    /// Returns the pinned digest.
    pub(crate) fn digest(&self) -> Option<&str> {
        match &self.location {
            ImageLocation::Registry(image) => image.digest(),
            _ => None,
        }
    }

    /// Returns the registry's repository if the text contains no credentials for it.
    pub(crate) fn unknown_registry(&self) -> Option<&ImageReference> {
        match (&self.location, &self.auth) {
            (ImageLocation::Registry(image), RegistryAuth::Anonymous) => Some(image),
            _ => None,
        }
    }
}

/// Splits the user information before an `@`, which is percent-decoded, from the rest.
fn credentials(rest: &str) -> Option<(RegistryAuth, &str)> {
    let end = rest.find('/')?;
    let Some(at) = rest[..end].rfind('@') else {
        return Some((RegistryAuth::Anonymous, rest));
    };
    let information = &rest[..at];
    let (user, password) = information.split_once(':').unwrap_or((information, ""));
    let decoded = |text: &str| String::from_utf8_lossy(&percent_decode(text.as_bytes())).into();
    let auth = RegistryAuth::Basic {
        user: decoded(user),
        password: decoded(password),
    };
    Some((auth, &rest[at + 1..]))
}

/// Formats the source without credentials.
impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.location, self.is_encrypted) {
            (ImageLocation::Registry(image), true) => write!(f, "oci+https://{image}"),
            (ImageLocation::Registry(image), false) => write!(f, "oci+http://{image}"),
            (location, _) => location.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn image_sources_display_as_parsed() {
        let pin = format!("sha256:{}", "0".repeat(64));
        for text in [
            "oci:/srv/images",
            "oci:images:1.26.5",
            "oci-archive:a.tar:stable",
            "oci+https://registry.example/acme/go-sdk",
            "oci+https://registry/go-sdk",
            "oci+http://127.0.0.1:5000/go-sdk:1.26",
            &format!("oci+https://registry.example/acme/go-sdk@{pin}"),
            &format!("oci+https://registry.example/go-sdk:1.26@{pin}"),
        ] {
            assert_eq!(ImageSource::parse(text).unwrap().to_string(), text);
        }
        let secret = ImageSource::parse("oci+https://me:secret@registry.example/go-sdk/").unwrap();
        assert_eq!(secret.to_string(), "oci+https://registry.example/go-sdk");
        insta::assert_snapshot!(
            ImageSource::parse("oci+https://me:secret@registry.example/Go").unwrap_err(),
            @"`oci+https://registry.example/Go` names no images, expected oci:PATH[:TAG], oci-archive:PATH[:TAG] or oci+https://REGISTRY/NAME[:TAG][@sha256:DIGEST]"
        );
        for (text, user, secret) in [
            ("m%40e:p%3A%2f%25@", "m@e", "p:/%"),
            ("token@", "token", ""),
        ] {
            let source = ImageSource::parse(&format!("oci+http://{text}host/name")).unwrap();
            let expected = RegistryAuth::Basic {
                user: user.to_owned(),
                password: secret.to_owned(),
            };
            assert_eq!(source.auth, expected);
        }
        for bad in [
            "oci:",
            "oci::x",
            "oci:a:.b",
            "docker://me:secret@registry.example/go-sdk",
            "oci+https://",
            "oci+https://host",
            "oci+https:///name",
            "oci+https://host/name@sha256:00",
            "oci+https://host/name:",
            "oci+https://host/a//b",
            "docker://host/-a",
            "ftp://host/a",
        ] {
            assert!(ImageSource::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_image_source_or_an_error(text in "(oci|docker|oci\\+http|oci-archive):(//)?[a-z:/@. ]{0,30}") {
            if let Ok(source) = ImageSource::parse(&text) {
                prop_assert!(ImageSource::parse(&source.to_string()).is_ok(), "{}", source);
            }
        }
    }
}
