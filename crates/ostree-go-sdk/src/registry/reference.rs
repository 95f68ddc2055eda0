//! Names of images in registries.

use crate::http::url::invalid_part;
use std::fmt;
use std::str::FromStr;

/// An image in a registry: `registry.example:5000/team/go-sdk:1.26.5`, or `…@sha256:00ff…`.
///
/// Source of the grammar: `distribution/reference`, and the OCI distribution specification. As
/// there, a name without a registry is Docker Hub's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    host: String,
    name: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// The error for a text that is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` names no image, expected REGISTRY/NAME[:TAG] or REGISTRY/NAME@sha256:DIGEST", found.escape_debug())]
pub struct InvalidReference {
    /// The invalid text.
    pub found: String,
}

impl ImageReference {
    /// Returns the registry's host, with the port if one is given.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the image's name in the registry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest of the manifest: `sha256:…`.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Returns a reference to the same image with another tag.
    ///
    /// # Errors
    /// Returns an error if the text is not a valid tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, InvalidReference> {
        let found = || format!("{}/{}:{tag}", self.host, self.name);
        is_tag(tag)
            .then(|| Self {
                tag: Some(tag.to_owned()),
                digest: None,
                ..self.clone()
            })
            .ok_or_else(|| InvalidReference { found: found() })
    }

    /// Returns the host for API requests.
    pub(super) fn api_host(&self) -> &str {
        match self.host.as_str() {
            // Docker Hub's registry has another host than its website.
            HUB => "registry-1.docker.io",
            host => host,
        }
    }
}

/// Docker Hub, and its namespace for names without one.
const HUB: &str = "docker.io";
const HUB_NAMESPACE: &str = "library";

impl FromStr for ImageReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        Self::parse(text, false)
    }
}

impl ImageReference {
    /// Parses a reference in a URL after `://`. The first component is always the registry.
    pub(crate) fn in_url(text: &str) -> Result<Self, InvalidReference> {
        Self::parse(text, true)
    }

    fn parse(text: &str, in_url: bool) -> Result<Self, InvalidReference> {
        let invalid = || InvalidReference {
            found: invalid_part(text),
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag.to_owned())),
            _ => (rest, None),
        };
        let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
        let (host, name) = match path.split_once('/') {
            Some((host, name)) if in_url || is_host(host) => (host.to_owned(), name.to_owned()),
            Some(_) => (HUB.to_owned(), path.to_owned()),
            None if in_url => return Err(invalid()),
            None => (HUB.to_owned(), format!("{HUB_NAMESPACE}/{path}")),
        };
        let is_valid = is_authority(&host)
            && !name.is_empty()
            && name.len() <= 255
            && name.split('/').all(is_component)
            && tag.as_deref().is_none_or(is_tag)
            && digest.as_deref().is_none_or(is_digest);
        is_valid
            .then_some(Self {
                host,
                name,
                tag,
                digest,
            })
            .ok_or_else(invalid)
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn is_authority(host: &str) -> bool {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "1"));
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let is_address = name.starts_with('[') && name.ends_with(']');
    let in_name = |c: char| is_name(c) || (is_address && matches!(c, '[' | ']' | ':'));
    !name.is_empty() && name.chars().all(in_name) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = part.split(is_word).filter(|between| !between.is_empty());
    part.starts_with(is_word)
        && part.ends_with(is_word)
        && separators
            .into_iter()
            .all(|s| matches!(s, "." | "_" | "__") || s.chars().all(|c| c == '-'))
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
pub(crate) fn is_tag(tag: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128
        && tag.starts_with(is_word)
        && tag.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
}

fn is_digest(digest: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    digest
        .strip_prefix("sha256:")
        .is_some_and(|rest| rest.len() == 64 && rest.chars().all(hex))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> String {
        match text.parse::<ImageReference>() {
            Ok(image) => format!("{} {} {:?}", image.host, image.name, image.tag),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn names_are_read_as_podman_reads_them() {
        assert_eq!(parsed("r.example/a/b:1.26"), "r.example a/b Some(\"1.26\")");
        assert_eq!(parsed("localhost:5000/sdk"), "localhost:5000 sdk None");
        assert_eq!(parsed("[::1]:5000/sdk"), "[::1]:5000 sdk None");
        assert_eq!(parsed("golang"), "docker.io library/golang None");
        assert_eq!(parsed("acme/go-sdk:x"), "docker.io acme/go-sdk Some(\"x\")");
        let digest = format!("r.example/a@sha256:{}", "0f".repeat(32));
        assert_eq!(
            digest.parse::<ImageReference>().unwrap().to_string(),
            digest
        );
        for bad in [
            "",
            "r.example/",
            "r.example/A",
            "r.example/a:",
            "r.example/a:-x",
            "r.example/a//b",
            "r.example/a__-b",
            "r.example:0/a",
            "r.example:x/a",
            "r.example/a@sha256:00",
            "r.example/a b",
            "r.ex ample/a",
            "r.example/-a",
        ] {
            assert!(bad.parse::<ImageReference>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_reference_or_an_error(text in "[a-zA-Z0-9/.:@_-]{0,30}") {
            if let Ok(image) = text.parse::<ImageReference>() {
                prop_assert_eq!(image.to_string().parse(), Ok(image));
            }
        }
    }
}
