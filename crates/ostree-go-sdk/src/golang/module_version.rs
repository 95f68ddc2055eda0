//! Versions of Go modules: semantic versions as Go reads them, and pseudo-versions of commits.
//!
//! Sources: `golang.org/x/mod/semver`, `semver.go`, and `golang.org/x/mod/module`, `pseudo.go`.

use std::cmp::Ordering;
use std::fmt;

/// The build suffix of versions from 2 on of modules whose path names no major version.
pub const INCOMPATIBLE: &str = "+incompatible";

/// The number of digits in the time of a pseudo-version (`PseudoVersionTimestampFormat`).
const TIME_DIGITS: usize = 14;

/// The number of hexadecimal digits of a commit in a pseudo-version.
/// Source: `src/cmd/go/internal/modfetch/codehost`, `ShortenSHA1`.
const REVISION_DIGITS: usize = 12;

/// A semantic version with the prefix `v`, as Go reads it: `v1.2.3`, `v1.2.3-rc.1+meta`, and the short
/// forms `v1` and `v1.2`.
///
/// The parts are texts, because Go does not limit the size of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Semver<'a> {
    text: &'a str,
    major: &'a str,
    minor: &'a str,
    patch: &'a str,
    prerelease: &'a str,
    build: &'a str,
    /// The numbers that the short forms leave out.
    missing: &'static str,
}

impl<'a> Semver<'a> {
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
        match self.build {
            INCOMPATIBLE => self.canonical() + INCOMPATIBLE,
            _ => self.canonical(),
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

fn is_number(text: &str) -> bool {
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

/// Returns the pseudo-version of a commit (`module.PseudoVersion`):
///
/// - `v0.0.0-20260701212427-abcdef123456` without an earlier version,
/// - `v1.2.4-0.20260701212427-abcdef123456` after `v1.2.3`,
/// - `v1.2.3-rc.1.0.20260701212427-abcdef123456` after `v1.2.3-rc.1`.
///
/// `major` is the major version of the module's path, such as `v2`, and empty for `v0` and `v1`; it is
/// only used without an earlier version. `time` is the time of the commit in seconds since 1970, and
/// `revision` its identifier, of which the first 12 characters are used.
#[must_use]
pub fn pseudo_version(
    major: &str,
    earlier: Option<&Semver<'_>>,
    time: u64,
    revision: &str,
) -> String {
    let revision = revision.get(..REVISION_DIGITS).unwrap_or(revision);
    let commit = format!("{}-{revision}", time_digits(time));
    let Some(earlier) = earlier else {
        let major = if major.is_empty() { "v0" } else { major };
        return format!("{major}.0.0-{commit}");
    };
    let (canonical, build) = (earlier.canonical(), earlier.build);
    if !earlier.prerelease.is_empty() {
        return format!("{canonical}.0.{commit}{build}");
    }
    let numbers = canonical.rsplit_once('.');
    let (numbers, patch) = numbers.unwrap_or((&canonical, "0"));
    format!("{numbers}.{}-0.{commit}{build}", incremented(patch))
}

/// Formats a time in UTC as `20260701212427`.
fn time_digits(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%Y%m%d%H%M%S")
        .to_string()
}

/// Returns a decimal number plus one, of any size (`incDecimal`).
fn incremented(decimal: &str) -> String {
    let nines = decimal.len() - decimal.trim_end_matches('9').len();
    let (before, zeros) = (&decimal[..decimal.len() - nines], "0".repeat(nines));
    match before.split_at_checked(before.len().wrapping_sub(1)) {
        Some((high, last)) => {
            let last = last.bytes().next().unwrap_or(b'0') + 1;
            format!("{high}{}{zeros}", char::from(last))
        }
        None => format!("1{zeros}"),
    }
}

/// The parts of a pseudo-version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PseudoVersion<'a> {
    /// The time of the commit in UTC: `20260701212427`.
    pub time: &'a str,
    /// The identifier of the commit: `abcdef123456`.
    pub revision: &'a str,
}

impl<'a> PseudoVersion<'a> {
    /// Returns the parts of a pseudo-version; `None` for any other text (`IsPseudoVersion`).
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let version = Semver::parse(text)?;
        let prerelease = version.prerelease.strip_prefix('-')?;
        let (rest, revision) = prerelease.rsplit_once('-')?;
        let is_first = version.minor == "0" && version.patch == "0";
        let time = match rest.rsplit_once('.') {
            Some((before, time)) if before == "0" || before.ends_with(".0") => time,
            None if is_first => rest,
            _ => return None,
        };
        let is_time = time.len() == TIME_DIGITS && is_number(time);
        let is_revision = !revision.is_empty() && !revision.contains('.');
        (is_time && is_revision).then_some(Self { time, revision })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Versions in ascending order, each with its canonical form, from `semver_test.go`.
    const ORDERED: &[(&str, &str)] = &[
        ("v1.0.0-alpha", "v1.0.0-alpha"),
        ("v1.0.0-alpha.1", "v1.0.0-alpha.1"),
        ("v1.0.0-alpha.beta", "v1.0.0-alpha.beta"),
        ("v1.0.0-beta", "v1.0.0-beta"),
        ("v1.0.0-beta.2", "v1.0.0-beta.2"),
        ("v1.0.0-beta.11", "v1.0.0-beta.11"),
        ("v1.0.0-rc.1", "v1.0.0-rc.1"),
        ("v1", "v1.0.0"),
        ("v1.2.0", "v1.2.0"),
        ("v1.2.3-456", "v1.2.3-456"),
        ("v1.2.3-456.789", "v1.2.3-456.789"),
        ("v1.2.3-456-789", "v1.2.3-456-789"),
        ("v1.2.3-456a", "v1.2.3-456a"),
        ("v1.2.3-pre", "v1.2.3-pre"),
        ("v1.2.3-pre.1+meta", "v1.2.3-pre.1"),
        ("v1.2.3-zzz", "v1.2.3-zzz"),
        ("v1.2.3+meta-pre.sha.256a", "v1.2.3"),
        ("v1.10", "v1.10.0"),
        ("v2.0.0+incompatible", "v2.0.0"),
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
            }
        }
        for text in INVALID {
            assert_eq!(Semver::parse(text), None, "{text}");
        }
    }

    #[test]
    fn parts_of_a_version() {
        let one = version("v2.1.0-pre.1+incompatible");
        assert_eq!((one.major(), one.prerelease()), ("v2", "-pre.1"));
        assert_eq!(one.build(), INCOMPATIBLE);
        assert_eq!(one.canonical_in_go_mod(), "v2.1.0-pre.1+incompatible");
        assert_eq!(version("v1.2.3+meta").canonical_in_go_mod(), "v1.2.3");
        assert_eq!(version("v1.2").canonical_in_go_mod(), "v1.2.0");
    }

    /// 2026-07-01T21:24:27Z, as `date -u -d @… +%Y%m%d%H%M%S` prints it.
    const TIME: u64 = 1_782_941_067;
    const COMMIT: &str = "abcdef1234567890";

    #[test]
    fn pseudo_versions_are_those_of_go() {
        // The forms (1) to (5) in the documentation of `pseudo.go`.
        for (major, earlier, expected) in [
            ("", None, "v0.0.0-20260701212427-abcdef123456"),
            ("v2", None, "v2.0.0-20260701212427-abcdef123456"),
            ("", Some("v1.2.3"), "v1.2.4-0.20260701212427-abcdef123456"),
            (
                "",
                Some("v1.2.99"),
                "v1.2.100-0.20260701212427-abcdef123456",
            ),
            ("", Some("v0.0.0"), "v0.0.1-0.20260701212427-abcdef123456"),
            (
                "",
                Some("v2.0.9+incompatible"),
                "v2.0.10-0.20260701212427-abcdef123456+incompatible",
            ),
            (
                "",
                Some("v1.2.3-pre"),
                "v1.2.3-pre.0.20260701212427-abcdef123456",
            ),
            (
                "v2",
                Some("v2.2.3-pre+incompatible"),
                "v2.2.3-pre.0.20260701212427-abcdef123456+incompatible",
            ),
        ] {
            let earlier = earlier.map(version);
            let found = pseudo_version(major, earlier.as_ref(), TIME, COMMIT);
            assert_eq!(found, expected);
            let parts = PseudoVersion::parse(&found).unwrap();
            assert_eq!(parts.time, "20260701212427");
            assert_eq!(parts.revision, "abcdef123456");
        }
    }

    #[test]
    fn other_versions_are_no_pseudo_versions() {
        for text in [
            "v1.2.3",
            "v1.2.3-pre",
            "v0.1.0-20260701212427-abcdef123456",
            "v1.2.4-1.20260701212427-abcdef123456",
            "v0.0.0-2026070121242-abcdef123456",
            "v0.0.0-20260701212427",
            "v0.0.0-20260701212427-",
            "v0.0.0-20260701212427-abc.d",
        ] {
            assert_eq!(PseudoVersion::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_version_or_not(text in "v[0-9]{1,3}([.][0-9]{1,3}){0,3}([-+][0-9a-z.+-]{0,9})?|.{0,20}") {
            if let Some(one) = Semver::parse(&text) {
                let canonical = one.canonical();
                let again = version(&canonical);
                prop_assert_eq!(again.canonical(), canonical.clone());
                prop_assert_eq!(again.compare(&one), Ordering::Equal);
                prop_assert!(text.starts_with(one.major()));
            }
        }

        #[test]
        fn a_pseudo_version_is_between_its_base_and_the_next_version(
            numbers in proptest::collection::vec(0..200_u32, 3),
            prerelease in "(-[a-z]{1,4}([.][1-9][0-9]?)?)?",
            time in 0..4_000_000_000_u64,
        ) {
            let base = format!("v{}.{}.{}{prerelease}", numbers[0], numbers[1], numbers[2]);
            let next = match prerelease.is_empty() {
                true => format!("v{}.{}.{}", numbers[0], numbers[1], numbers[2] + 1),
                false => format!("v{}.{}.{}", numbers[0], numbers[1], numbers[2]),
            };
            let pseudo = pseudo_version("", Some(&version(&base)), time, COMMIT);
            prop_assert!(PseudoVersion::parse(&pseudo).is_some(), "{}", pseudo);
            prop_assert_eq!(version(&pseudo).compare(&version(&base)), Ordering::Greater);
            prop_assert_eq!(version(&pseudo).compare(&version(&next)), Ordering::Less);
        }

        #[test]
        fn decimals_are_incremented(number in 0..1_000_000_u64) {
            prop_assert_eq!(incremented(&number.to_string()), (number + 1).to_string());
        }
    }
}
