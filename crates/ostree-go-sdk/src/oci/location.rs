//! Locations of images, in the syntax of skopeo and podman.
//!
//! Source: `containers-transports(5)`. As there, the first `:` ends a path.

use crate::http::url::invalid_part;
use crate::registry::{ImageReference, InvalidReference};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The location of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageLocation {
    /// `oci:DIR[:TAG]`: a directory with the layout of the OCI image specification.
    Layout {
        /// The path of the directory.
        path: PathBuf,
        /// The image's name in the layout.
        tag: Option<String>,
    },
    /// `oci-archive:FILE[:TAG]`: a tar archive of such a directory.
    Archive {
        /// The path of the file. An export writes to standard output if it is `-`.
        path: PathBuf,
        /// The image's name in the archive.
        tag: Option<String>,
    },
    /// `docker://REGISTRY/NAME[:TAG]`: an image in a registry.
    Registry(ImageReference),
}

/// The error for a text that is not the location of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLocation {
    /// The transport is unknown.
    #[error(
        "`{}` is not the location of an image, expected oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker://REGISTRY/NAME[:TAG]",
        found.escape_debug()
    )]
    Transport {
        /// The invalid text.
        found: String,
    },
    /// The tag in a layout or archive is invalid.
    #[error("`{}` cannot be the tag of an image", found.escape_debug())]
    Tag {
        /// The invalid tag.
        found: String,
    },
    /// The name of an image in a registry is invalid.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
}

impl ImageLocation {
    /// Returns the tag, if there is one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::Layout { tag, .. } | Self::Archive { tag, .. } => tag.as_deref(),
            Self::Registry(image) => image.tag(),
        }
    }
}

impl FromStr for ImageLocation {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        let invalid = || InvalidLocation::Transport {
            found: invalid_part(text),
        };
        if let Some(image) = text.strip_prefix("docker://") {
            return Ok(Self::Registry(image.parse()?));
        }
        let (transport, rest) = text.split_once(':').ok_or_else(invalid)?;
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag.to_owned())),
            None => (rest, None),
        };
        if path.is_empty() {
            return Err(invalid());
        }
        if let Some(tag) = tag.as_deref().filter(|tag| !is_name(tag)) {
            let found = tag.to_owned();
            return Err(InvalidLocation::Tag { found });
        }
        let path = PathBuf::from(path);
        match transport {
            "oci" => Ok(Self::Layout { path, tag }),
            "oci-archive" => Ok(Self::Archive { path, tag }),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for ImageLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path) = match self {
            Self::Registry(image) => return write!(f, "docker://{image}"),
            Self::Layout { path, .. } => ("oci", path),
            Self::Archive { path, .. } => ("oci-archive", path),
        };
        write!(f, "{transport}:{}", path.display())?;
        self.tag().map_or(Ok(()), |tag| write!(f, ":{tag}"))
    }
}

/// Returns true if a layout may use this name for an image. Source: the OCI image specification,
/// `annotations.md`, `org.opencontainers.image.ref.name`.
pub(crate) fn is_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let is_separator = |c: char| "-._:@/+".contains(c);
    name.starts_with(is_word)
        && name.ends_with(is_word)
        && name.chars().all(|c| is_word(c) || is_separator(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn locations_are_parsed_like_skopeo() {
        for (text, path, tag) in [
            ("oci:a/b", "a/b", None),
            ("oci:/a:1.26.5", "/a", Some("1.26.5")),
            (
                "oci-archive:a.tar:r.example/b:x",
                "a.tar",
                Some("r.example/b:x"),
            ),
        ] {
            let location: ImageLocation = text.parse().unwrap();
            assert_eq!(location.tag(), tag);
            let (ImageLocation::Layout { path: found, .. }
            | ImageLocation::Archive { path: found, .. }) = &location
            else {
                panic!("{location:?}")
            };
            assert_eq!(found.to_str(), Some(path));
            assert_eq!(location.to_string(), text);
        }
        let error = |text: &str| text.parse::<ImageLocation>().unwrap_err().to_string();
        insta::assert_snapshot!(error("dir:a"), @"`dir:a` is not the location of an image, expected oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker://REGISTRY/NAME[:TAG]");
        insta::assert_snapshot!(error("oci:"), @"`oci:` is not the location of an image, expected oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker://REGISTRY/NAME[:TAG]");
        insta::assert_snapshot!(error("a"), @"`a` is not the location of an image, expected oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker://REGISTRY/NAME[:TAG]");
        insta::assert_snapshot!(error("oci:a:-"), @"`-` cannot be the tag of an image");
        insta::assert_snapshot!(error("docker://r.example/A"), @"`r.example/A` names no image, expected REGISTRY/NAME[:TAG] or REGISTRY/NAME@sha256:DIGEST");
    }

    proptest! {
        #[test]
        fn any_text_is_a_location_or_an_error(text in "(oci:|oci-archive:|docker://)?[a-z:/@. -]{0,20}") {
            if let Ok(location) = text.parse::<ImageLocation>() {
                prop_assert_eq!(location.to_string().parse(), Ok(location));
            }
        }
    }
}
