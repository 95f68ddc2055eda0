//! Pseudo-versions: versions of modules that name a commit.
//!
//! Source: `golang.org/x/mod/module`, `pseudo.go`.

use super::semver::{Semver, is_number};

/// The number of digits in the time of a pseudo-version (`PseudoVersionTimestampFormat`).
const TIME_DIGITS: usize = 14;

/// The number of hexadecimal digits of a commit in a pseudo-version.
/// Source: `src/cmd/go/internal/modfetch/codehost`, `ShortenSHA1`.
const REVISION_DIGITS: usize = 12;

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
    let (canonical, build) = (earlier.canonical(), earlier.build());
    if !earlier.prerelease().is_empty() {
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
        let prerelease = version.prerelease().strip_prefix('-')?;
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
    use std::cmp::Ordering;

    fn version(text: &str) -> Semver<'_> {
        Semver::parse(text).unwrap_or_else(|| panic!("{text}"))
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
