//! Where images are.

use crate::http::url::public_part;
use crate::registry::{ImageReference, RegistryAuth, is_tag};
use std::fmt;
use std::path::PathBuf;

/// Images that a remote has, or one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder in OCI's layout.
    Folder(PathBuf, Option<String>),
    /// A tar archive of one.
    Archive(PathBuf, Option<String>),
    /// A repository of a registry, or an image in it.
    Registry {
        image: ImageReference,
        is_encrypted: bool,
        /// Credentials before the host; none are there otherwise.
        auth: RegistryAuth,
    },
}

/// Why a text names no images.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` names no images, expected oci:PATH[:TAG], oci-archive:PATH[:TAG] or oci+https://REGISTRY/NAME[:TAG][@sha256:DIGEST]",
    found.escape_debug()
)]
pub struct InvalidPlace {
    /// The text, without credentials.
    pub found: String,
}

/// What the text of a registry's image begins with, and whether the connection is encrypted.
const REGISTRIES: [(&str, bool); 3] = [
    ("oci+https://", true),
    ("oci+http://", false),
    ("docker://", true),
];

impl Place {
    /// Whether a text begins as one of a place does.
    pub(crate) fn is_meant(text: &str) -> bool {
        let registries = REGISTRIES.iter().map(|(scheme, _)| *scheme);
        ["oci:", "oci-archive:"]
            .into_iter()
            .chain(registries)
            .any(|scheme| text.starts_with(scheme))
    }

    /// Reads one.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPlace> {
        let found = || {
            if let Some(rest) = text.strip_prefix("oci:") {
                return of_path(rest).map(|(path, tag)| Self::Folder(path, tag));
            }
            if let Some(rest) = text.strip_prefix("oci-archive:") {
                return of_path(rest).map(|(path, tag)| Self::Archive(path, tag));
            }
            let (rest, is_encrypted) = REGISTRIES
                .iter()
                .find_map(|(scheme, encrypted)| Some((text.strip_prefix(scheme)?, *encrypted)))?;
            let (auth, rest) = credentials(rest)?;
            Some(Self::Registry {
                image: ImageReference::in_url(rest.trim_end_matches('/')).ok()?,
                is_encrypted,
                auth,
            })
        };
        found().ok_or_else(|| InvalidPlace {
            found: public_part(text),
        })
    }

    /// The tag.
    pub(crate) fn tag(&self) -> Option<&str> {
        match self {
            Self::Folder(_, tag) | Self::Archive(_, tag) => tag.as_deref(),
            Self::Registry { image, .. } => image.tag(),
        }
    }

    /// The digest.
    pub(crate) fn digest(&self) -> Option<&str> {
        match self {
            Self::Folder(..) | Self::Archive(..) => None,
            Self::Registry { image, .. } => image.digest(),
        }
    }
}

/// `PATH[:TAG]`, as containers' tools read it: a tag has no `/`.
fn of_path(rest: &str) -> Option<(PathBuf, Option<String>)> {
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (rest, None),
    };
    let is_valid = !path.is_empty() && tag.is_none_or(is_tag);
    is_valid.then(|| (PathBuf::from(path), tag.map(str::to_owned)))
}

/// What stands before an `@` in the authority, and the rest.
fn credentials(rest: &str) -> Option<(RegistryAuth, &str)> {
    let end = rest.find('/')?;
    let Some(at) = rest[..end].rfind('@') else {
        return Some((RegistryAuth::Anonymous, rest));
    };
    let (user, password) = rest[..at].split_once(':')?;
    let auth = RegistryAuth::Basic {
        user: user.to_owned(),
        password: password.to_owned(),
    };
    Some((auth, &rest[at + 1..]))
}

/// Without credentials.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path, tag) = match self {
            Self::Folder(path, tag) => ("oci", path, tag),
            Self::Archive(path, tag) => ("oci-archive", path, tag),
            Self::Registry {
                image,
                is_encrypted,
                ..
            } => {
                let scheme = if *is_encrypted { "https" } else { "http" };
                return write!(f, "oci+{scheme}://{image}");
            }
        };
        write!(f, "{scheme}:{}", path.display())?;
        match tag {
            Some(tag) => write!(f, ":{tag}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_shown_as_they_are_read() {
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
            assert_eq!(Place::parse(text).unwrap().to_string(), text);
        }
        let secret = Place::parse("docker://me:secret@registry.example/go-sdk/").unwrap();
        assert_eq!(secret.to_string(), "oci+https://registry.example/go-sdk");
        insta::assert_snapshot!(
            Place::parse("oci+https://me:secret@registry.example/Go").unwrap_err(),
            @"`oci+https://registry.example/Go` names no images, expected oci:PATH[:TAG], oci-archive:PATH[:TAG] or oci+https://REGISTRY/NAME[:TAG][@sha256:DIGEST]"
        );
        for bad in [
            "oci:",
            "oci::x",
            "oci:a:.b",
            "oci+https://",
            "oci+https://host",
            "oci+https:///name",
            "oci+https://host/name@sha256:00",
            "oci+https://host/name:",
            "oci+https://host/a//b",
            "docker://host/-a",
            "ftp://host/a",
        ] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_place_or_an_error(text in "(oci|docker|oci\\+http|oci-archive):(//)?[a-z:/@. ]{0,30}") {
            if let Ok(place) = Place::parse(&text) {
                prop_assert!(Place::parse(&place.to_string()).is_ok(), "{}", place);
            }
        }
    }
}
