//! Where images are.

use crate::http::url::{Url, public_part};
use crate::id::Sha256;
use crate::oci::format;
use std::fmt;
use std::path::{Path, PathBuf};

/// Images that a remote has, or one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: At,
    pub(crate) tag: Option<String>,
    pub(crate) pin: Option<Sha256>,
}

/// Where that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// A folder in OCI's layout.
    Folder(PathBuf),
    /// A tar archive of one.
    Archive(PathBuf),
    /// A repository of a registry.
    Registry {
        /// The registry: `https://registry.example`.
        url: Url,
        /// The repository in it: `acme/go-sdk`.
        name: String,
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

/// How a registry's repository is reached: what a text begins with, and the URL's scheme.
const REGISTRIES: [(&str, &str); 3] = [
    ("oci+https://", "https://"),
    ("oci+http://", "http://"),
    ("docker://", "https://"),
];

impl Place {
    /// Whether a text begins as one of a place does.
    pub(crate) fn is_meant(text: &str) -> bool {
        let schemes = REGISTRIES.iter().map(|(scheme, _)| *scheme);
        ["oci:", "oci-archive:"]
            .into_iter()
            .chain(schemes)
            .any(|scheme| text.starts_with(scheme))
    }

    /// Reads one.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPlace> {
        let invalid = || InvalidPlace {
            found: public_part(text),
        };
        if let Some(rest) = text.strip_prefix("oci:") {
            return Self::of_path(rest, At::Folder).ok_or_else(invalid);
        }
        if let Some(rest) = text.strip_prefix("oci-archive:") {
            return Self::of_path(rest, At::Archive).ok_or_else(invalid);
        }
        let registry = REGISTRIES
            .iter()
            .find_map(|(scheme, http)| Some((http, text.strip_prefix(scheme)?)));
        registry
            .and_then(|(http, rest)| Self::of_registry(http, rest))
            .ok_or_else(invalid)
    }

    /// `PATH[:TAG]`, as containers' tools read it: a tag has no `/`.
    fn of_path(rest: &str, at: impl Fn(PathBuf) -> At) -> Option<Self> {
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        };
        if path.is_empty() || tag.is_some_and(|tag| !is_tag(tag)) {
            return None;
        }
        Some(Self {
            at: at(PathBuf::from(path)),
            tag: tag.map(str::to_owned),
            pin: None,
        })
    }

    fn of_registry(http: &str, rest: &str) -> Option<Self> {
        let (host, path) = rest.split_once('/')?;
        let (path, pin) = match path.split_once('@') {
            Some((path, pin)) => (path, Some(format::parse_digest(pin)?)),
            None => (path, None),
        };
        let (name, tag) = match path.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (path.trim_end_matches('/'), None),
        };
        let url = Url::parse(&format!("{http}{host}")).ok()?;
        if !is_name(name) || tag.is_some_and(|tag| !is_tag(tag)) {
            return None;
        }
        Some(Self {
            at: At::Registry {
                url,
                name: name.to_owned(),
            },
            tag: tag.map(str::to_owned),
            pin,
        })
    }

    /// The folder or file, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.at {
            At::Folder(path) | At::Archive(path) => Some(path),
            At::Registry { .. } => None,
        }
    }
}

/// Without credentials.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            At::Folder(path) => write!(f, "oci:{}", path.display())?,
            At::Archive(path) => write!(f, "oci-archive:{}", path.display())?,
            At::Registry { url, name } => write!(f, "oci+{url}/{name}")?,
        }
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(pin) = self.pin {
            write!(f, "@{}", format::digest(pin))?;
        }
        Ok(())
    }
}

/// Whether a text is a tag (OCI distribution specification, "Pulling manifests").
pub(crate) fn is_tag(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    text.bytes().all(allowed) && !text.starts_with(['.', '-']) && (1..=128).contains(&text.len())
}

/// Whether a text is the name of a repository (the same).
fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        let end = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        part.bytes().all(allowed) && end(part.bytes().next()) && end(part.bytes().last())
    };
    text.len() <= 255 && text.split('/').all(part)
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
            @""
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
                let shown = place.to_string();
                prop_assert_eq!(Place::parse(&shown).unwrap(), Place::parse(&shown).unwrap());
            }
        }
    }
}
