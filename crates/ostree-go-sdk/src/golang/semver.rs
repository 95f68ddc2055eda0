//! Semantic versions as Go writes them, with the prefix `v`.
//!
//! Source: `golang.org/x/mod/semver`, and `CanonicalVersion` in `golang.org/x/mod/module`.

use std::cmp::Ordering;
use std::fmt;

/// The build suffix of versions from 2 on of modules whose path names no major version.
const INCOMPATIBLE: &str = "+incompatible";

/// A semantic version with the prefix `v`, as Go reads it: `v1.2.3`, `v1.2.3-rc.1+meta`, and the short
/// forms `v1` and `v1.2`.
///
/// The parts are texts, because Go does not limit the size of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Semver<'a> {
    text: &'a str,
    major: &'a str,
    pub(super) minor: &'a str,
    pub(super) patch: &'a str,
    prerelease: &'a str,
    build: &'a str,
    /// The numbers that the short forms leave out.
    missing: &'static str,
}

impl<'a> Semver<'a> {
    /// The version `v0.0.0-0`, which no other one is below.
    pub(super) const LOWEST: Self = Self {
        text: "v0.0.0-0",
        major: "0",
        minor: "0",
        patch: "0",
        prerelease: "-0",
        build: "",
        missing: "",
    };

    /// Returns the major, the minor and the patch number.
    pub(super) fn numbers(&self) -> (&'a str, &'a str, &'a str) {
        (self.major, self.minor, self.patch)
    }

    /// Parses a version; returns `None` if it is not a semantic version in Go's form.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut version = Self {
            text,
            major: "0",
            minor: "0",
            patch: "0",
            prerelease: "",
            build: "",
            missing: "",
        };
        let mut rest;
        (version.major, rest) = number(text.strip_prefix('v')?)?;
        if rest.is_empty() {
            version.missing = ".0.0";
            return Some(version);
        }
        (version.minor, rest) = number(rest.strip_prefix('.')?)?;
        if rest.is_empty() {
            version.missing = ".0";
            return Some(version);
        }
        (version.patch, rest) = number(rest.strip_prefix('.')?)?;
        let (before_build, build) = rest.split_at(rest.find('+').unwrap_or(rest.len()));
        if let Some(prerelease) = before_build.strip_prefix('-') {
            let is_valid = |part: &str| is_identifier(part) && !has_leading_zero(part);
            prerelease.split('.').all(is_valid).then_some(())?;
        } else if !before_build.is_empty() {
            return None;
        }
        if let Some(build) = build.strip_prefix('+') {
            build.split('.').all(is_identifier).then_some(())?;
        }
        (version.prerelease, version.build) = (before_build, build);
        Some(version)
    }

    /// Returns the version without build metadata, and with the numbers that a short form leaves out.
    #[must_use]
    pub fn canonical(&self) -> String {
        let without_build = &self.text[..self.text.len() - self.build.len()];
        format!("{without_build}{}", self.missing)
    }

    /// Returns the version that Go accepts in a `go.mod` file: the canonical form, in which only the
    /// build suffix `+incompatible` is kept. Source: `module.CanonicalVersion`.
    #[must_use]
    pub fn canonical_in_go_mod(&self) -> String {
        match self.is_incompatible() {
            true => self.canonical() + INCOMPATIBLE,
            false => self.canonical(),
        }
    }

    /// Returns the major version with its prefix: `v1`.
    #[must_use]
    pub fn major(&self) -> &'a str {
        &self.text[..1 + self.major.len()]
    }

    /// Returns the pre-release suffix with its `-`, or an empty text.
    #[must_use]
    pub fn prerelease(&self) -> &'a str {
        self.prerelease
    }

    /// Returns the build suffix with its `+`, or an empty text.
    #[must_use]
    pub fn build(&self) -> &'a str {
        self.build
    }

    /// Returns true for the suffix `+incompatible`: a version of a module that has no `go.mod` file, and
    /// therefore no major version in its path.
    #[must_use]
    pub fn is_incompatible(&self) -> bool {
        self.build == INCOMPATIBLE
    }

    /// Compares the precedence of two versions. The build suffix does not count.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        let numbers = [
            (self.major, other.major),
            (self.minor, other.minor),
            (self.patch, other.patch),
        ];
        let numbers = numbers.map(|(one, other)| compare_numbers(one, other));
        let numbers = numbers.into_iter().fold(Ordering::Equal, Ordering::then);
        numbers.then_with(|| compare_prereleases(self.prerelease, other.prerelease))
    }
}

/// Formats the version as it was written.
impl fmt::Display for Semver<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text)
    }
}

/// Compares two versions of modules as Go does (`Compare`): a text that is no version is lower than each version.
/// Versions of the same precedence, which differ in their build suffixes or in the form, are compared as texts, so
/// that the order is total.
#[must_use]
pub fn compare(one: &str, other: &str) -> Ordering {
    let order = match (Semver::parse(one), Semver::parse(other)) {
        (Some(one), Some(other)) => one.compare(&other),
        (one, other) => one.is_some().cmp(&other.is_some()),
    };
    order.then_with(|| one.cmp(other))
}

/// Splits a decimal number without leading zeros from the start of a text.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    let is_valid = !digits.is_empty() && (digits == "0" || !digits.starts_with('0'));
    is_valid.then_some((digits, rest))
}

fn is_identifier(text: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_valid)
}

pub(super) fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_leading_zero(text: &str) -> bool {
    is_number(text) && text.len() > 1 && text.starts_with('0')
}

fn compare_numbers(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// Compares pre-release suffixes; a version without one is the later one.
fn compare_prereleases(one: &str, other: &str) -> Ordering {
    match (one.strip_prefix('-'), other.strip_prefix('-')) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(one), Some(other)) => {
            let (mut one, mut other) = (one.split('.'), other.split('.'));
            loop {
                let order = match (one.next(), other.next()) {
                    (None, None) => return Ordering::Equal,
                    (None, Some(_)) => Ordering::Less,
                    (Some(_), None) => Ordering::Greater,
                    (Some(one), Some(other)) => match (is_number(one), is_number(other)) {
                        (true, true) => compare_numbers(one, other),
                        (true, false) => Ordering::Less,
                        (false, true) => Ordering::Greater,
                        (false, false) => one.cmp(other),
                    },
                };
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Versions in ascending order, each with its canonical form, from `semver_test.go`.
    const ORDERED: &[(&str, &str)] = &[
        (
            "v0.0.0-20191109021931-daa7c04131f5",
            "v0.0.0-20191109021931-daa7c04131f5",
        ),
        ("v0.9.9", "v0.9.9"),
        ("v1.0.0-alpha", "v1.0.0-alpha"),
        ("v1.0.0-alpha.1", "v1.0.0-alpha.1"),
        ("v1.0.0-alpha.beta", "v1.0.0-alpha.beta"),
        ("v1.0.0-beta", "v1.0.0-beta"),
        ("v1.0.0-beta.2", "v1.0.0-beta.2"),
        ("v1.0.0-beta.11", "v1.0.0-beta.11"),
        ("v1.0.0-rc.1", "v1.0.0-rc.1"),
        ("v1", "v1.0.0"),
        ("v1.2.0", "v1.2.0"),
        ("v1.2.3-0", "v1.2.3-0"),
        ("v1.2.3-456", "v1.2.3-456"),
        ("v1.2.3-456.789", "v1.2.3-456.789"),
        ("v1.2.3-456.789.x+y.01", "v1.2.3-456.789.x"),
        ("v1.2.3-01x", "v1.2.3-01x"),
        ("v1.2.3-456-789", "v1.2.3-456-789"),
        ("v1.2.3-456a", "v1.2.3-456a"),
        ("v1.2.3-pre", "v1.2.3-pre"),
        ("v1.2.3-pre.1+meta", "v1.2.3-pre.1"),
        ("v1.2.3-zzz", "v1.2.3-zzz"),
        ("v1.2.3+meta-pre.sha.256a", "v1.2.3"),
        ("v1.10", "v1.10.0"),
        ("v2.0.0+incompatible", "v2.0.0"),
        ("v10.0.0", "v10.0.0"),
        ("v99999999999999999999.0.0", "v99999999999999999999.0.0"),
    ];

    const INVALID: &[&str] = &[
        "",
        "bad",
        "1.2.3",
        "V1.2.3",
        "v",
        "v1-alpha.beta.gamma",
        "v1-pre",
        "v1+meta",
        "v1.2-pre",
        "v1.2.3.4",
        "v1.2.",
        "v01.2.3",
        "v1.02.3",
        "v1.2.03",
        "v1.2.3-",
        "v1.2.3-01",
        "v1.2.3-a..b",
        "v1.2.3-a_b",
        "v1.2.3+",
        "v1.2.3+a+b",
        "v1.2.3 ",
        "v1.2.3x",
        "v1.",
        "v1.2+meta",
        "v1.2.3-!",
        "v1.2.3+a..b",
        "v-1.0.0",
        "latest",
    ];

    fn version(text: &str) -> Semver<'_> {
        Semver::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn versions_are_ordered_as_in_gos_own_test() {
        for (i, (one, canonical)) in ORDERED.iter().enumerate() {
            assert_eq!(version(one).canonical(), *canonical);
            for (j, (other, _)) in ORDERED.iter().enumerate() {
                let found = version(one).compare(&version(other));
                assert_eq!(found, i.cmp(&j), "{one} {other}");
                assert_eq!(compare(one, other), i.cmp(&j), "{one} {other}");
            }
        }
        for text in INVALID {
            assert_eq!(Semver::parse(text), None, "{text}");
            assert_eq!(compare(text, "v0.0.0-0"), Ordering::Less, "{text}");
        }
        assert_eq!(compare("v1.0.0", "v1.0.0+meta"), Ordering::Less);
        assert_eq!(compare("", "latest"), Ordering::Less);
    }

    #[test]
    fn parts_of_a_version() {
        let one = version("v2.1.0-pre.1+incompatible");
        assert_eq!((one.major(), one.prerelease()), ("v2", "-pre.1"));
        assert_eq!(one.build(), "+incompatible");
        assert!(one.is_incompatible() && !version("v1.2.3+meta").is_incompatible());
        assert_eq!(one.canonical_in_go_mod(), "v2.1.0-pre.1+incompatible");
        assert_eq!(version("v1.2.3+meta").canonical_in_go_mod(), "v1.2.3");
        assert_eq!(version("v1.2").canonical_in_go_mod(), "v1.2.0");
        assert_eq!(version("v12.3.4-x").major(), "v12");
    }

    proptest! {
        #[test]
        fn any_text_is_a_version_or_not(text in "v[0-9]{1,3}([.][0-9]{1,3}){0,3}([-+][0-9a-z.+-]{0,9})?|.{0,20}") {
            if let Some(one) = Semver::parse(&text) {
                let canonical = one.canonical();
                let again = version(&canonical);
                prop_assert_eq!(again.canonical(), canonical.clone());
                prop_assert_eq!(again.compare(&one), Ordering::Equal);
                let in_go_mod = one.canonical_in_go_mod();
                prop_assert_eq!(version(&in_go_mod).canonical_in_go_mod(), in_go_mod.clone());
                prop_assert!(text.starts_with(one.major()));
            }
        }
    }
}
