//! Ranges of affected versions.

use crate::golang::semver::Semver;
use crate::version::GoVersion;
use std::cmp::Ordering;
use std::fmt;

/// A semantic version in an entry.
#[derive(Debug, Clone)]
pub struct OsvVersion {
    /// With the prefix `v`, in a form that [`Semver`] accepts.
    text: String,
}

impl OsvVersion {
    /// Parses a version: `1.26.5`, `v1.26.5` or `go1.26.5`, and Go's form of a pre-release, `1.27rc1`.
    pub fn parse(text: &str) -> Option<Self> {
        let prefixes = ["v", "go", ""];
        let bare = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
        let bare = bare.unwrap_or_default();
        let text = format!("v{bare}");
        match Semver::parse(&text) {
            Some(_) => Some(Self { text }),
            None => bare.parse().ok().map(|version| Self::of(&version)),
        }
    }

    /// Returns the semantic version of a release. A variant is compared as the release that it is made
    /// from.
    pub fn of(version: &GoVersion) -> Self {
        Self {
            text: format!("v{}", version.semver()),
        }
    }

    fn semver(&self) -> Semver<'_> {
        // The text was checked when the value was made; the lowest version stands for the impossible.
        Semver::parse(&self.text).unwrap_or(Semver::LOWEST)
    }

    /// Returns the first release from this version on. The database writes `1.26.0-0` for the time before
    /// the first pre-release of 1.26.0, which is no release itself.
    pub fn first_release(self) -> Self {
        match self.text.strip_suffix("-0") {
            Some(release) if self.semver().prerelease() == "-0" => Self {
                text: release.to_owned(),
            },
            _ => self,
        }
    }

    /// Returns the name of the release: `1.26.5`, `1.27rc1`. A version that is no release of Go is
    /// returned as it is, without the prefix.
    pub fn release(&self) -> String {
        let semver = self.semver();
        let (major, minor, patch) = semver.numbers();
        let version = match semver.prerelease() {
            // Before Go 1.21, the first release of a minor version has no patch number.
            "" if patch == "0" && is_before_1_21(major, minor) => format!("{major}.{minor}"),
            "" => format!("{major}.{minor}.{patch}"),
            pre => {
                let word = pre.trim_start_matches('-').replacen('.', "", 1);
                format!("{major}.{minor}{word}")
            }
        };
        match version.parse::<GoVersion>() {
            Ok(version) if Self::of(&version) == *self => version.to_string(),
            _ => self.text[1..].to_owned(),
        }
    }
}

fn is_before_1_21(major: &str, minor: &str) -> bool {
    let minor = minor.parse::<u64>();
    major == "0" || major == "1" && minor.is_ok_and(|minor| minor < 21)
}

impl fmt::Display for OsvVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text[1..])
    }
}

impl PartialEq for OsvVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for OsvVersion {}

impl PartialOrd for OsvVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OsvVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.semver().compare(&other.semver())
    }
}

/// A bound of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Versions from this one on are affected. `None` is the OSV version `0`, which is below all
    /// versions.
    Introduced(Option<OsvVersion>),
    /// Versions from this one on are not affected.
    Fixed(OsvVersion),
    /// Versions above this one are not affected.
    LastAffected(OsvVersion),
    /// Versions from this one on are not in the range. Several limits are alternatives.
    Limit(OsvVersion),
}

/// A range of semantic versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// Sorted by their versions.
    events: Vec<Event>,
}

impl Range {
    /// Creates a range. The order of events with different versions does not matter.
    pub fn new(mut events: Vec<Event>) -> Self {
        // `None` is lower than all versions, as the OSV version 0 is. The sort is stable.
        events.sort_by(|one, other| one.version().cmp(&other.version()));
        Self { events }
    }

    /// Returns whether a version is in the range, by the algorithm of the OSV schema. As in
    /// `govulncheck`, a range without events contains everything.
    pub fn contains(&self, version: &OsvVersion) -> bool {
        if self.events.is_empty() {
            return true;
        }
        let mut limits = self.events.iter().filter_map(|event| match event {
            Event::Limit(limit) => Some(version < limit),
            _ => None,
        });
        let is_limited = limits.next().is_some_and(|first| {
            let is_below_one = first || limits.any(|is_below| is_below);
            !is_below_one
        });
        let mut affected = false;
        for event in &self.events {
            match event {
                Event::Introduced(None) => affected = true,
                Event::Introduced(Some(from)) if version >= from => affected = true,
                Event::Fixed(fixed) if version >= fixed => affected = false,
                Event::LastAffected(last) if version > last => affected = false,
                _ => {}
            }
        }
        affected && !is_limited
    }

    /// Returns the versions in which the range ends because of a fix.
    pub fn fixes(&self) -> impl Iterator<Item = &OsvVersion> {
        self.events.iter().filter_map(|event| match event {
            Event::Fixed(version) => Some(version),
            _ => None,
        })
    }
}

impl Event {
    fn version(&self) -> Option<&OsvVersion> {
        match self {
            Self::Introduced(version) => version.as_ref(),
            Self::Fixed(version) | Self::LastAffected(version) | Self::Limit(version) => {
                Some(version)
            }
        }
    }
}
