//! Go version numbers.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The version of a Go release, without the prefix `go`: `1.26.5`, `1.27rc1`,
/// `1.26.5-acme1`.
///
/// Ordered as the go command orders toolchains: `1.27rc1` < `1.27.0` = `1.27`
/// < `1.27.1`; a suffix (after `-`) sorts after the version it extends.
/// (Go: `src/internal/gover`, `src/cmd/go/internal/gover`.)
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GoVersion {
    text: String,
}

/// The error for a text that is not a Go version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a Go version, expected the form 1.26.5 or 1.27rc1")]
pub struct InvalidVersion {
    /// The invalid text.
    pub found: String,
}

/// Sort key: (major, minor, pre-release kind and number, patch, suffix).
type Key<'a> = (u64, u64, u8, u64, u64, &'a str);

impl GoVersion {
    /// Returns the version as text: `1.26.5`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the minor release (Go's "language version"): `1.26`.
    #[must_use]
    pub fn minor(&self) -> String {
        let (major, minor, ..) = self.key();
        format!("{major}.{minor}")
    }

    /// Returns the version of a site's variant of this release: `1.26.5-acme1`.
    ///
    /// # Errors
    /// Returns an error if the variant is empty, or has other characters than letters, digits, `.`,
    /// `_`, `-` and `+`.
    pub fn with_variant(&self, variant: &str) -> Result<Self, InvalidVersion> {
        format!("{self}-{variant}").parse()
    }

    /// Returns the version that this is the variant of; `None` if it is not that variant.
    #[must_use]
    pub fn without_variant(&self, variant: &str) -> Option<Self> {
        let version = self.text.strip_suffix(variant)?.strip_suffix('-')?;
        version.parse().ok()
    }

    /// Returns the major and the minor number: (1, 26).
    pub(crate) fn minor_number(&self) -> (u64, u64) {
        let (major, minor, ..) = self.key();
        (major, minor)
    }

    /// Returns the release as a semantic version without a prefix: `1.26.5`, and `1.27.0-rc.1` for
    /// 1.27rc1. The suffix of a variant is left out. Source: `GoTagToSemver` in
    /// `internal/semver/semver.go` of `golang.org/x/vuln`.
    pub(crate) fn semver(&self) -> String {
        let (major, minor, rank, pre, patch, _) = self.key();
        match rank {
            0 => format!("{major}.{minor}.0-beta.{pre}"),
            1 => format!("{major}.{minor}.0-rc.{pre}"),
            _ => format!("{major}.{minor}.{patch}"),
        }
    }

    /// Returns true for a minor release without a patch level, as in the name of a channel: `1.26`.
    pub(crate) fn is_minor(&self) -> bool {
        self.text == self.minor()
    }

    /// Returns true for a beta version or a release candidate.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        self.key().2 < 2
    }

    /// Returns up to two of the known versions on either side of this one, lowest first.
    pub(crate) fn neighbours(&self, mut known: Vec<Self>) -> Vec<Self> {
        known.sort();
        known.dedup();
        let position = known.partition_point(|known| known < self);
        let around = position.saturating_sub(2)..known.len().min(position + 2);
        known.drain(around).collect()
    }

    fn key(&self) -> Key<'_> {
        parse(&self.text).unwrap_or((0, 0, 0, 0, 0, &self.text))
    }
}

fn parse(text: &str) -> Option<Key<'_>> {
    let (numbers, suffix) = match text.split_once('-') {
        Some((_, "")) => return None,
        Some((numbers, suffix)) => (numbers, suffix),
        None => (text, ""),
    };
    let suffix_is_plain = suffix
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b));
    if !suffix_is_plain {
        return None;
    }
    let (major, rest) = numbers.split_once('.')?;
    let major = number(major)?;
    for (rank, kind) in [(0, "beta"), (1, "rc")] {
        if let Some((minor, pre)) = rest.split_once(kind) {
            return Some((major, number(minor)?, rank, number(pre)?, 0, suffix));
        }
    }
    let (minor, patch) = match rest.split_once('.') {
        Some((minor, patch)) => (number(minor)?, number(patch)?),
        None => (number(rest)?, 0),
    };
    Some((major, minor, 2, 0, patch, suffix))
}

/// Parses a decimal number without sign or leading zeros.
fn number(digits: &str) -> Option<u64> {
    let canonical = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    canonical.then(|| digits.parse().ok()).flatten()
}

impl fmt::Display for GoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for GoVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        parse(text)
            .map(|_| Self {
                text: text.to_owned(),
            })
            .ok_or_else(|| InvalidVersion {
                found: text.to_owned(),
            })
    }
}

impl PartialOrd for GoVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for GoVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        // `1.27` and `1.27.0` have the same key; comparing the texts keeps `Ord` consistent with `Eq`.
        self.key()
            .cmp(&other.key())
            .then_with(|| self.text.cmp(&other.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_as_the_go_command_does() {
        let sorted = [
            "1.9",
            "1.21rc2",
            "1.21.0",
            "1.26.4",
            "1.26.5",
            "1.26.5-acme1",
            "1.26.10",
            "1.27beta1",
            "1.27rc1",
            "1.27.0",
        ];
        let versions: Vec<GoVersion> = sorted.iter().map(|v| v.parse().unwrap()).collect();
        assert!(versions.is_sorted());
        assert_eq!(versions[6].minor(), "1.26");
        assert_eq!(versions[8].minor(), "1.27");
    }

    #[test]
    fn a_variant_is_a_suffix() {
        let version: GoVersion = "1.26.10".parse().unwrap();
        let variant = version.with_variant("acme1").unwrap();
        assert_eq!(variant.as_str(), "1.26.10-acme1");
        assert!(variant > version && variant < "1.26.11".parse().unwrap());
        assert_eq!(variant.minor(), "1.26");
        assert_eq!(variant.without_variant("acme1"), Some(version.clone()));
        assert_eq!(variant.without_variant("1"), None);
        assert_eq!(variant.without_variant("acme2"), None);
        for bad in ["", "a/b", "a b"] {
            assert!(version.with_variant(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn has_a_semantic_version() {
        let semver = |text: &str| text.parse::<GoVersion>().unwrap().semver();
        assert_eq!(semver("1.26.5"), "1.26.5");
        assert_eq!(semver("1.20"), "1.20.0");
        assert_eq!(semver("1.27rc1"), "1.27.0-rc.1");
        assert_eq!(semver("1.18beta2"), "1.18.0-beta.2");
        assert_eq!(semver("1.26.5-acme1"), "1.26.5");
    }

    #[test]
    fn refuses_invalid_versions() {
        for text in [
            "",
            "1",
            "go1.26",
            "1.26.",
            "1.026",
            "1.26.5-",
            "1.26.5-a/b",
            "1.26rc",
            "v1.26.5",
            "1.26.5.6",
            "1.26.5-a b",
            "1.+2",
            "1.99999999999999999999999",
        ] {
            assert!(text.parse::<GoVersion>().is_err(), "{text}");
        }
    }
}
