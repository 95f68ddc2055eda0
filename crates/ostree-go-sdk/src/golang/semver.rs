//! Semantic versions as Go writes them, with the prefix `v`.
//!
//! Source: `golang.org/x/mod/semver`, and `CanonicalVersion` in `golang.org/x/mod/module`.

/// The build suffix of versions of modules that have no `go.mod` file.
const INCOMPATIBLE: &str = "+incompatible";

/// A semantic version that is split into its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Semver<'a> {
    text: &'a str,
    /// What completes a short version such as `v1` or `v1.2`.
    missing: &'static str,
    /// The major version with its `v`.
    major: &'a str,
    /// The build suffix with its `+`; empty if there is none.
    build: &'a str,
}

impl<'a> Semver<'a> {
    /// Parses a version; `v1` and `v1.2` are short forms of `v1.0.0` and `v1.2.0`.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let rest = cut_number(text.strip_prefix('v')?)?;
        let mut version = Self {
            text,
            missing: ".0.0",
            major: &text[..text.len() - rest.len()],
            build: "",
        };
        if rest.is_empty() {
            return Some(version);
        }
        let rest = cut_number(rest.strip_prefix('.')?)?;
        version.missing = ".0";
        if rest.is_empty() {
            return Some(version);
        }
        let rest = cut_number(rest.strip_prefix('.')?)?;
        version.missing = "";
        let build = rest.find('+').unwrap_or(rest.len());
        let (prerelease, build) = rest.split_at(build);
        version.build = build;
        let has_prerelease = prerelease.strip_prefix('-').is_some_and(|identifiers| {
            let mut identifiers = identifiers.split('.');
            identifiers.all(|one| is_identifier(one) && !has_leading_zero(one))
        });
        let has_build = build
            .strip_prefix('+')
            .is_some_and(|identifiers| identifiers.split('.').all(is_identifier));
        let is_valid = (prerelease.is_empty() || has_prerelease) && (build.is_empty() || has_build);
        is_valid.then_some(version)
    }

    /// Returns the form that is used in module files: complete, and without a build suffix other than
    /// `+incompatible`.
    #[must_use]
    pub fn canonical(&self) -> String {
        if self.is_incompatible() {
            return self.text.to_owned();
        }
        let end = self.text.len() - self.build.len();
        format!("{}{}", &self.text[..end], self.missing)
    }

    /// Returns the major version, such as `v1`.
    #[must_use]
    pub const fn major(&self) -> &'a str {
        self.major
    }

    /// Returns true for a version of a module that has no `go.mod` file and therefore no major
    /// version in its path.
    #[must_use]
    pub fn is_incompatible(&self) -> bool {
        self.build == INCOMPATIBLE
    }
}

/// Removes a number without leading zeros from the start of a text.
fn cut_number(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    let is_valid = !number.is_empty() && (number == "0" || !number.starts_with('0'));
    is_valid.then_some(rest)
}

fn is_identifier(text: &str) -> bool {
    let is_character = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_character)
}

fn has_leading_zero(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> Option<String> {
        Semver::parse(text).map(|version| version.canonical())
    }

    /// A part of the table of Go's own test, `golang.org/x/mod/semver/semver_test.go`.
    #[test]
    fn canonical_forms_are_those_of_go() {
        for (text, expected) in [
            ("v1.0.0-alpha", "v1.0.0-alpha"),
            ("v1.0.0-beta.11", "v1.0.0-beta.11"),
            ("v1", "v1.0.0"),
            ("v1.2", "v1.2.0"),
            ("v1.2.3-456.789+x.01", "v1.2.3-456.789"),
            ("v1.2.3-456-789", "v1.2.3-456-789"),
            ("v1.2.3-pre+meta", "v1.2.3-pre"),
            ("v1.2.3-0", "v1.2.3-0"),
            ("v1.2.3-01x", "v1.2.3-01x"),
            ("v2.0.0+incompatible", "v2.0.0+incompatible"),
            (
                "v0.0.0-20161208181325-20d25e280405",
                "v0.0.0-20161208181325-20d25e280405",
            ),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "bad",
            "1.2.3",
            "v",
            "v1.",
            "v1.2.",
            "v01.2.3",
            "v1.02.3",
            "v1.2.03",
            "v1.2.3.4",
            "v1.2.3-",
            "v1.2.3-01",
            "v1.2.3-a..b",
            "v1.2.3-!",
            "v1.2.3+",
            "v1.2.3+a..b",
            "v1-pre",
            "v1.2-pre",
            "v1+meta",
            "v1.2+meta",
            "v1.2.3 ",
            "v1.2.3+a+b",
            "V1.2.3",
            "v-1.0.0",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
        assert_eq!(Semver::parse("v12.3.4-x").unwrap().major(), "v12");
    }

    proptest! {
        #[test]
        fn a_canonical_version_is_its_own_canonical_form(text in "v[0-9.]{1,5}[0-9a-z.+-]{0,8}") {
            if let Some(form) = canonical(&text) {
                prop_assert_eq!(canonical(&form), Some(form));
            }
        }
    }
}
