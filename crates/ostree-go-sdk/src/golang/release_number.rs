//! Go's own order of versions, which tells the language version `1.26` from the release `1.26.0`.
//!
//! Source: `src/internal/gover/gover.go`. Unlike [`GoVersion`](crate::version::GoVersion), the name of
//! a release, this also compares what `go.mod` files contain: `1.26` < `1.26rc1` < `1.26.0`.

use std::cmp::Ordering;

/// A version that is parsed into numbers. They are kept as text, because they have no upper limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseNumber<'a> {
    major: &'a str,
    minor: &'a str,
    /// Empty for a language version and for a pre-release.
    patch: &'a str,
    /// `alpha`, `beta` or `rc`; empty for a release.
    kind: &'a str,
    pre: &'a str,
}

impl<'a> ReleaseNumber<'a> {
    /// Parses a version without the prefix `go` and without a suffix (`gover.Parse`).
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (major, rest) = cut_number(text)?;
        let mut number = Self {
            major,
            minor: "0",
            patch: "0",
            kind: "",
            pre: "",
        };
        if rest.is_empty() {
            return Some(number);
        }
        let (minor, rest) = cut_number(rest.strip_prefix('.')?)?;
        number.minor = minor;
        if rest.is_empty() {
            // The language version and the first release have the same name before Go 1.21.
            let is_old = compare_numbers(minor, "21").is_lt();
            number.patch = if is_old { "0" } else { "" };
            return Some(number);
        }
        if let Some(rest) = rest.strip_prefix('.') {
            let (patch, rest) = cut_number(rest)?;
            number.patch = patch;
            return rest.is_empty().then_some(number);
        }
        let end = rest.find(|c: char| c.is_ascii_digit());
        let (kind, pre) = rest.split_at(end.unwrap_or(rest.len()));
        if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        (number.patch, number.kind) = ("", kind);
        if pre.is_empty() {
            return Some(number);
        }
        let (pre, rest) = cut_number(pre)?;
        number.pre = pre;
        rest.is_empty().then_some(number)
    }

    /// Parses the version of an SDK or of a toolchain, without the prefix `go`. A suffix such as
    /// `-acme1` does not count (`gover.FromToolchain`).
    #[must_use]
    pub fn of_version(version: &'a str) -> Option<Self> {
        let end = version.find([' ', '\t', '-']).unwrap_or(version.len());
        Self::parse(&version[..end])
    }

    /// Parses the value of a `go` line. Source: `GoVersionRE` in `golang.org/x/mod/modfile`, and
    /// `gover.Parse`, which accept different pre-releases; this accepts those that both accept.
    #[must_use]
    pub fn of_go_line(text: &'a str) -> Option<Self> {
        let number = Self::parse(text)?;
        let is_complete = number.kind.is_empty() || !number.pre.is_empty();
        (text.contains('.') && number.major != "0" && is_complete).then_some(number)
    }

    /// Returns true for a language version such as `1.26`, which names no release.
    #[must_use]
    pub fn is_language_version(&self) -> bool {
        self.patch.is_empty() && self.kind.is_empty()
    }

    /// Returns true for a beta version or a release candidate.
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        !self.kind.is_empty()
    }
}

impl Ord for ReleaseNumber<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_numbers(self.major, other.major)
            .then_with(|| compare_numbers(self.minor, other.minor))
            .then_with(|| compare_numbers(self.patch, other.patch))
            // No kind sorts before all others: a language version before its pre-releases.
            .then_with(|| self.kind.cmp(other.kind))
            .then_with(|| compare_numbers(self.pre, other.pre))
    }
}

impl PartialOrd for ReleaseNumber<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares decimal numbers without leading zeros; an empty text is the smallest.
fn compare_numbers(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// Splits a decimal number without leading zeros off the start of a text.
fn cut_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    let is_valid = !number.is_empty() && (number == "0" || !number.starts_with('0'));
    is_valid.then_some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> ReleaseNumber<'_> {
        ReleaseNumber::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    /// The table of Go's own test, `src/internal/gover/gover_test.go`.
    #[test]
    fn orders_as_go_does() {
        for (one, other, expected) in [
            ("1.5", "1.6", Ordering::Less),
            ("1.5", "1.10", Ordering::Less),
            ("1.6", "1.6.1", Ordering::Less),
            ("1.19", "1.19.0", Ordering::Equal),
            ("1.19rc1", "1.19", Ordering::Less),
            ("1.20", "1.20.0", Ordering::Equal),
            ("1.20rc1", "1.20", Ordering::Less),
            ("1.21", "1.21.0", Ordering::Less),
            ("1.21", "1.21rc1", Ordering::Less),
            ("1.21rc1", "1.21.0", Ordering::Less),
            ("1.6", "1.19", Ordering::Less),
            ("1.19", "1.19.1", Ordering::Less),
            ("1.19rc1", "1.19.1", Ordering::Less),
            ("1.19rc1", "1.19rc2", Ordering::Less),
            ("1.19.0", "1.19.1", Ordering::Less),
            ("1.19rc1", "1.19.0", Ordering::Less),
            ("1.19alpha3", "1.19beta2", Ordering::Less),
            ("1.19beta2", "1.19rc1", Ordering::Less),
            ("1.99999999999999998", "1.99999999999999999", Ordering::Less),
        ] {
            assert_eq!(number(one).cmp(&number(other)), expected, "{one} {other}");
            assert_eq!(number(other).cmp(&number(one)), expected.reverse());
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in [
            "", "1rc1", "1.", "1.2.", "1.02", "1.2.3rc1", "1.2RC1", "1.2-x", "v1.2", "go1.2",
            "1.2rc01", "1.2rc1x", "1.2é1",
        ] {
            assert_eq!(ReleaseNumber::parse(text), None, "{text}");
        }
        assert!(number("1.21").is_language_version());
        // Before 1.21, the language version is also the first release.
        for text in ["1.20", "1.21.0", "1.21rc1", "1"] {
            assert!(!number(text).is_language_version(), "{text}");
        }
        assert!(number("1.27rc1").is_prerelease());
        let variant = ReleaseNumber::of_version("1.26.5-acme1").unwrap();
        assert_eq!(variant, number("1.26.5"));
        for text in ["1", "0.5", "1.26rc", "1.26.5-acme1"] {
            assert_eq!(ReleaseNumber::of_go_line(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_version_or_none(text in "[0-9.a-z-]{0,12}|.{0,12}") {
            let _ = (ReleaseNumber::parse(&text), ReleaseNumber::of_version(&text));
        }

        #[test]
        fn releases_are_ordered_by_their_numbers(one in (1u32..3, 0u32..40, 0u32..40), other in (1u32..3, 0u32..40, 0u32..40)) {
            let text = |(major, minor, patch): (u32, u32, u32)| format!("{major}.{minor}.{patch}");
            let texts = (text(one), text(other));
            prop_assert_eq!(number(&texts.0).cmp(&number(&texts.1)), one.cmp(&other));
        }
    }
}
