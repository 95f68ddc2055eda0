//! Rules that select one version of several: what a project says about its Go.

use super::release_number::ReleaseNumber;
use crate::version::GoVersion;
use std::cmp::Ordering;
use std::fmt;

/// A rule that selects a Go version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionRule {
    /// Any version: the active SDK.
    Any,
    /// The lowest version that is at least this one, as in a `go.mod` file: `1.26`, `1.26.5` or
    /// `1.26.5-acme1`.
    AtLeast(String),
    /// This version and no other.
    Exact(String),
    /// The newest version with this prefix: `1.26`, or `1`.
    NewestOf(String),
    /// The newest release.
    Newest,
}

/// The error for a text that names no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` names no Go version, expected the form 1.26.5, 1.26 or `latest`",
    .found.escape_debug()
)]
pub struct InvalidVersionRule {
    /// The invalid text.
    pub found: String,
}

impl VersionRule {
    /// Parses a version as the files of version managers contain it: `1.26.5` or `go1.26.5`, `1.26`
    /// or `prefix:1.26` for its newest patch release, `latest`, and `system` for the active SDK.
    ///
    /// # Errors
    /// Returns an error for every other text.
    pub fn parse(text: &str) -> Result<Self, InvalidVersionRule> {
        let invalid = || InvalidVersionRule {
            found: text.to_owned(),
        };
        match text {
            "system" => return Ok(Self::Any),
            "latest" => return Ok(Self::Newest),
            _ => {}
        }
        let prefix = text.strip_prefix("prefix:");
        let version = prefix.unwrap_or(text);
        let version = version.strip_prefix("go").unwrap_or(version);
        // A version becomes part of a ref and of messages.
        let is_word = version
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b));
        let number = ReleaseNumber::of_version(version).filter(|_| is_word);
        let number = number.ok_or_else(invalid)?;
        let has_patch = version.bytes().filter(|byte| *byte == b'.').count() > 1;
        let is_exact = has_patch || number.is_prerelease() || version.contains('-');
        match (is_exact, prefix) {
            (true, Some(_)) => Err(invalid()),
            (true, None) => Ok(Self::Exact(version.to_owned())),
            (false, _) => Ok(Self::NewestOf(version.to_owned())),
        }
    }

    /// Returns true if a version fulfils the rule, regardless of others.
    #[must_use]
    pub fn allows(&self, version: &str) -> bool {
        let Some(found) = ReleaseNumber::of_version(version) else {
            return false;
        };
        match self {
            Self::Any => true,
            Self::AtLeast(least) => {
                ReleaseNumber::of_version(least).is_some_and(|least| found >= least)
            }
            Self::Exact(exact) => version == exact,
            Self::NewestOf(prefix) => {
                let rest = version.strip_prefix(prefix.as_str());
                rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
            }
            Self::Newest => !found.is_prerelease(),
        }
    }

    /// Returns the item whose version the rule selects, of several that are installed.
    pub(crate) fn select<T>(&self, all: Vec<T>, version: impl Fn(&T) -> &str) -> Option<T> {
        let allowed = all.into_iter().filter(|one| self.allows(version(one)));
        match self {
            Self::AtLeast(named) => {
                allowed.min_by(|one, other| compare(version(one), version(other), named))
            }
            _ => allowed.max_by(|one, other| {
                let (one, other) = (version(one), version(other));
                let releases = is_prerelease(other).cmp(&is_prerelease(one));
                releases.then_with(|| compare_newest(one, other))
            }),
        }
    }

    /// Returns the release that the rule selects of those that a remote offers. For a version that
    /// names a patch release, that is this release if it is offered; otherwise the newest patch
    /// release of the lowest minor version that fulfils the rule. Pre-releases are selected only if
    /// there is nothing else.
    pub(crate) fn select_offered(&self, offered: &[GoVersion]) -> Option<GoVersion> {
        let releases = offered.iter().filter(|version| !version.is_minor());
        let mut allowed: Vec<&GoVersion> = releases
            .filter(|version| self.allows(version.as_str()))
            .collect();
        if let Self::AtLeast(least) = self
            && let Some(named) = allowed.iter().find(|version| version.as_str() == least)
        {
            return Some((*named).clone());
        }
        if allowed.iter().any(|version| !version.is_prerelease()) {
            allowed.retain(|version| !version.is_prerelease());
        }
        if matches!(self, Self::AtLeast(_)) {
            let lowest = allowed.iter().min()?.minor();
            allowed.retain(|version| version.minor() == lowest);
        }
        let newest = allowed
            .into_iter()
            .max_by(|one, other| compare_newest(one.as_str(), other.as_str()));
        newest.cloned()
    }

    /// Returns the version of a rule that names one release: `1.26.5`, but not `1.26`.
    #[must_use]
    pub fn names_release(&self) -> Option<&str> {
        match self {
            Self::Exact(version) => Some(version),
            Self::AtLeast(version) => {
                let number = ReleaseNumber::of_version(version)?;
                (!number.is_language_version()).then_some(version)
            }
            _ => None,
        }
    }
}

/// Compares two versions by number. Of variants of one release, the named one comes first, then Go's
/// own.
fn compare(one: &str, other: &str, named: &str) -> Ordering {
    let number = ReleaseNumber::of_version;
    let by_name = (one != named, one).cmp(&(other != named, other));
    number(one).cmp(&number(other)).then(by_name)
}

/// Compares two versions by number. Of variants of one release, Go's own comes last.
fn compare_newest(one: &str, other: &str) -> Ordering {
    let number = ReleaseNumber::of_version;
    number(one).cmp(&number(other)).then_with(|| other.cmp(one))
}

fn is_prerelease(version: &str) -> bool {
    ReleaseNumber::of_version(version).is_some_and(|number| number.is_prerelease())
}

impl fmt::Display for VersionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => write!(f, "any Go"),
            Self::AtLeast(version) => write!(f, "go {version} or newer"),
            Self::Exact(version) => write!(f, "go {version}"),
            Self::NewestOf(prefix) => write!(f, "go {prefix} (any patch release)"),
            Self::Newest => write!(f, "Go (any release)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_least(version: &str) -> VersionRule {
        VersionRule::AtLeast(version.to_owned())
    }

    #[track_caller]
    fn selected(rule: &VersionRule, installed: &[&str]) -> String {
        let found = rule.select(installed.to_vec(), |version| version);
        found.unwrap_or("none").to_owned()
    }

    #[test]
    fn the_lowest_version_that_is_high_enough_is_selected() {
        let installed = ["1.26.5", "1.25.1", "1.26.4", "1.27rc1", "1.26.5-acme1"];
        for (least, expected) in [
            ("1.21", "1.25.1"),
            ("1.25.1", "1.25.1"),
            ("1.25.2", "1.26.4"),
            ("1.26", "1.26.4"),
            ("1.26.5", "1.26.5"),
            ("1.26.5-acme1", "1.26.5-acme1"),
            ("1.26.5-acme2", "1.26.5"),
            ("1.26.6", "1.27rc1"),
            ("1.27", "1.27rc1"),
            ("1.27rc1", "1.27rc1"),
            ("1.27rc2", "none"),
            ("1.27.0", "none"),
        ] {
            assert_eq!(selected(&at_least(least), &installed), expected, "{least}");
        }
    }

    #[test]
    fn version_managers_select_exactly_or_the_newest() {
        let installed = ["1.26.4", "1.26.10", "1.2.2", "1.27rc1", "1.26.10-acme1"];
        for (text, expected) in [
            ("1.26.4", "1.26.4"),
            ("go1.26.4", "1.26.4"),
            ("1.26.5", "none"),
            ("1.26", "1.26.10"),
            ("prefix:1.26", "1.26.10"),
            ("1.26.10-acme1", "1.26.10-acme1"),
            ("1.2", "1.2.2"),
            ("1", "1.26.10"),
            ("latest", "1.26.10"),
            ("1.27", "1.27rc1"),
            ("1.27rc1", "1.27rc1"),
        ] {
            let rule = VersionRule::parse(text).unwrap();
            assert_eq!(selected(&rule, &installed), expected, "{text}");
        }
        assert_eq!(VersionRule::parse("system"), Ok(VersionRule::Any));
        for text in [
            "",
            "lts",
            "1.",
            "v1.26",
            "ref:main",
            "path:/x",
            "1.26.5-a/b",
            "prefix:1.26.5",
        ] {
            assert!(VersionRule::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_remote_gives_the_named_release_or_the_newest_patch() {
        let offered = [
            "1.25",
            "1.25.9",
            "1.26",
            "1.26.4",
            "1.26.7",
            "1.26.9",
            "1.27rc1",
            "1.26.9-acme1",
        ];
        let offered: Vec<GoVersion> = offered.iter().map(|v| v.parse().unwrap()).collect();
        let of = |rule: &VersionRule| {
            let found = rule.select_offered(&offered);
            found.map_or("none".to_owned(), |version| version.to_string())
        };
        for (least, expected) in [
            ("1.21", "1.25.9"),
            ("1.26", "1.26.9"),
            ("1.26.7", "1.26.7"),
            // There is no 1.26.5, and a newer patch release is compatible.
            ("1.26.5", "1.26.9"),
            ("1.26.9-acme1", "1.26.9-acme1"),
            ("1.27", "1.27rc1"),
            ("1.27.1", "none"),
        ] {
            assert_eq!(of(&at_least(least)), expected, "{least}");
        }
        for (text, expected) in [
            ("1.26.7", "1.26.7"),
            ("1.26.5", "none"),
            ("1.26", "1.26.9"),
            ("latest", "1.26.9"),
            ("system", "1.26.9"),
        ] {
            assert_eq!(of(&VersionRule::parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn only_some_rules_name_a_release() {
        assert_eq!(at_least("1.26.5").names_release(), Some("1.26.5"));
        assert_eq!(at_least("1.27rc1").names_release(), Some("1.27rc1"));
        assert_eq!(at_least("1.26").names_release(), None);
        assert_eq!(VersionRule::Newest.names_release(), None);
    }
}
