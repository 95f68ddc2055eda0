//! An entry of a database: one vulnerability.

use super::index::EntryName;
use super::range::{Event, OsvVersion, Range};
use super::{MAX_NAME, OsvError, one_line};
use crate::arch::Arch;
use crate::version::GoVersion;
use serde::Deserialize;

/// The ecosystem of Go modules.
const ECOSYSTEM: &str = "Go";
/// The maximum length of a summary in characters.
const MAX_SUMMARY: usize = 300;
/// The maximum length of a URL or of the path of a package in characters.
const MAX_TEXT: usize = 500;

/// An entry of the Go vulnerability database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The name: `GO-2026-4337`.
    pub id: String,
    /// The time of the last change, as the database writes it.
    pub modified: String,
    /// True if the entry was withdrawn: it is no vulnerability.
    pub is_withdrawn: bool,
    /// The names in other databases: `CVE-2026-27139`.
    pub aliases: Vec<String>,
    /// One sentence about the problem.
    pub summary: String,
    /// The page about the entry.
    pub url: Option<String>,
    affected: Vec<Affected>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Affected {
    module: String,
    ranges: Vec<Range>,
    /// True if versions can only be affected because they are in a range or in the list.
    is_limited: bool,
    versions: Vec<OsvVersion>,
    packages: Vec<Package>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Package {
    path: String,
    /// The operating systems and the architectures, in the notation of Go; empty for all.
    goos: Vec<String>,
    goarch: Vec<String>,
}

/// An operating system and an architecture that programs are built for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    goos: String,
    goarch: String,
}

impl Platform {
    /// Returns a platform in the notation of Go: `windows` and `amd64`.
    #[must_use]
    pub fn new(goos: impl Into<String>, goarch: impl Into<String>) -> Self {
        Self {
            goos: goos.into(),
            goarch: goarch.into(),
        }
    }

    /// Returns the platform of an SDK, which is Linux.
    #[must_use]
    pub fn linux(arch: Arch) -> Self {
        Self::new("linux", arch.goarch())
    }
}

/// The effect of an entry on a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The affected packages, sorted. Empty if the entry does not name them.
    pub packages: Vec<String>,
    /// The first later release in which nothing of it is affected.
    pub fixed: Option<String>,
    /// True if the problem exists on the platform; false if only on others.
    pub on_platform: bool,
}

#[derive(Deserialize)]
struct RawEntry {
    id: String,
    #[serde(default)]
    modified: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    affected: Option<Vec<RawAffected>>,
    #[serde(default)]
    database_specific: Option<RawDatabaseSpecific>,
}

#[derive(Deserialize)]
struct RawDatabaseSpecific {
    #[serde(default)]
    url: Option<String>,
}

#[derive(Deserialize)]
struct RawAffected {
    #[serde(default)]
    package: Option<RawPackage>,
    #[serde(default)]
    ranges: Option<Vec<RawRange>>,
    #[serde(default)]
    versions: Option<Vec<String>>,
    #[serde(default)]
    ecosystem_specific: Option<RawEcosystemSpecific>,
}

#[derive(Deserialize)]
struct RawPackage {
    #[serde(default)]
    name: String,
    #[serde(default)]
    ecosystem: Option<String>,
}

#[derive(Deserialize)]
struct RawRange {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Option<Vec<RawEvent>>,
}

#[derive(Deserialize)]
struct RawEvent {
    #[serde(default)]
    introduced: Option<String>,
    #[serde(default)]
    fixed: Option<String>,
    #[serde(default)]
    last_affected: Option<String>,
    #[serde(default)]
    limit: Option<String>,
}

#[derive(Deserialize)]
struct RawEcosystemSpecific {
    #[serde(default)]
    imports: Option<Vec<RawImport>>,
}

#[derive(Deserialize)]
struct RawImport {
    #[serde(default)]
    path: String,
    #[serde(default)]
    goos: Option<Vec<String>>,
    #[serde(default)]
    goarch: Option<Vec<String>>,
}

impl Entry {
    /// Parses the entry `expected`. Only what is about `modules` is read and checked; unknown fields
    /// are ignored.
    ///
    /// # Errors
    /// Returns an error if the document is no entry or another one, or if a bound of a range is no
    /// version.
    pub fn parse(json: &[u8], expected: &EntryName, modules: &[&str]) -> Result<Self, OsvError> {
        let format = |source| OsvError::Format {
            expected: "an entry in OSV format",
            source,
        };
        let raw: RawEntry = serde_json::from_slice(json).map_err(format)?;
        if raw.id != expected.as_str() {
            return Err(OsvError::OtherEntry {
                found: raw.id,
                expected: expected.as_str().to_owned(),
            });
        }
        let mut affected = Vec::new();
        for (position, one) in raw.affected.unwrap_or_default().into_iter().enumerate() {
            affected.extend(Affected::read(one, position, modules)?);
        }
        let summary = raw.summary.filter(|text| !text.trim().is_empty());
        let text = summary.or(raw.details).unwrap_or_default();
        let aliases = raw.aliases.unwrap_or_default();
        let url = raw.database_specific.and_then(|specific| specific.url);
        // The page is a link in HTML and in terminals.
        let url = url.filter(|url| url.starts_with("https://"));
        Ok(Self {
            id: raw.id,
            modified: raw.modified.unwrap_or_default(),
            is_withdrawn: raw.withdrawn.is_some(),
            aliases: aliases.iter().map(|one| one_line(one, MAX_NAME)).collect(),
            summary: one_line(&text, MAX_SUMMARY),
            url: url.map(|url| one_line(&url, MAX_TEXT)),
            affected,
        })
    }

    /// Returns how the entry affects a version of one of `modules`; `None` if it does not, or if it was
    /// withdrawn.
    pub fn effect(
        &self,
        version: &GoVersion,
        modules: &[&str],
        platform: &Platform,
    ) -> Option<Effect> {
        if self.is_withdrawn {
            return None;
        }
        let version = OsvVersion::of(version);
        let of_modules = |one: &&Affected| modules.contains(&&*one.module);
        let considered: Vec<&Affected> = self.affected.iter().filter(of_modules).collect();
        let now = considered.iter().filter(|one| one.contains(&version));
        let now: Vec<&&Affected> = now.collect();
        let is_on = |one: &&&Affected| one.is_on(platform);
        // Parts that concern other platforms neither name packages nor delay the fix.
        let on_platform: Vec<&&Affected> = now.iter().copied().filter(is_on).collect();
        let (effective, on_platform) = match on_platform.is_empty() {
            true => (now, false),
            false => (on_platform, true),
        };
        if effective.is_empty() {
            return None;
        }
        let packages = effective.iter().flat_map(|one| &one.packages);
        let packages = packages.filter(|one| !on_platform || one.is_on(platform));
        let mut packages: Vec<String> = packages.map(|one| one.path.clone()).collect();
        packages.sort();
        packages.dedup();
        let considered = || {
            let relevant = considered.iter();
            relevant.filter(|one| !on_platform || one.is_on(platform))
        };
        let fixes = considered().flat_map(|one| one.ranges.iter().flat_map(Range::fixes));
        let fixes = fixes.filter(|fix| **fix > version);
        let fixes = fixes.map(|fix| fix.clone().first_release());
        let fixed = fixes.filter(|fix| !considered().any(|one| one.contains(fix)));
        Some(Effect {
            packages,
            fixed: fixed.min().map(|fix| fix.release()),
            on_platform,
        })
    }
}

impl Affected {
    /// Reads an element of `affected`; `None` if it is about another module.
    fn read(raw: RawAffected, position: usize, modules: &[&str]) -> Result<Option<Self>, OsvError> {
        let Some(package) = raw.package else {
            return Ok(None);
        };
        let is_go = package.ecosystem.is_none_or(|found| found == ECOSYSTEM);
        if !is_go || !modules.contains(&&*package.name) {
            return Ok(None);
        }
        let (mut ranges, mut has_semver) = (Vec::new(), false);
        let raw_ranges = raw.ranges.unwrap_or_default();
        for (at, range) in raw_ranges.into_iter().enumerate() {
            // Ranges of commits say nothing about versions.
            if range.kind == "SEMVER" {
                has_semver = true;
                ranges.push(read_range(range, position, at)?);
            }
        }
        let versions = raw.versions.unwrap_or_default();
        let imports = raw.ecosystem_specific.and_then(|specific| specific.imports);
        Ok(Some(Self {
            module: package.name,
            // Without ranges and without a list, all versions are affected, as in govulncheck.
            is_limited: has_semver || !versions.is_empty(),
            versions: versions
                .iter()
                .filter_map(|one| OsvVersion::parse(one))
                .collect(),
            ranges,
            packages: imports
                .unwrap_or_default()
                .into_iter()
                .map(Package::from)
                .collect(),
        }))
    }

    fn contains(&self, version: &OsvVersion) -> bool {
        !self.is_limited
            || self.versions.contains(version)
            || self.ranges.iter().any(|range| range.contains(version))
    }

    fn is_on(&self, platform: &Platform) -> bool {
        let mut packages = self.packages.iter();
        self.packages.is_empty() || packages.any(|package| package.is_on(platform))
    }
}

impl From<RawImport> for Package {
    fn from(raw: RawImport) -> Self {
        Self {
            path: one_line(&raw.path, MAX_TEXT),
            goos: raw.goos.unwrap_or_default(),
            goarch: raw.goarch.unwrap_or_default(),
        }
    }
}

impl Package {
    fn is_on(&self, platform: &Platform) -> bool {
        let matches = |list: &[String], one: &String| list.is_empty() || list.contains(one);
        matches(&self.goos, &platform.goos) && matches(&self.goarch, &platform.goarch)
    }
}

fn read_range(raw: RawRange, affected: usize, range: usize) -> Result<Range, OsvError> {
    let mut events = Vec::new();
    for (event, raw) in raw.events.unwrap_or_default().into_iter().enumerate() {
        let version = |text: &str| {
            OsvVersion::parse(text).ok_or_else(|| OsvError::Version {
                affected,
                range,
                event,
                found: text.to_owned(),
            })
        };
        // An empty text is an absent bound, as in Go.
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let bounds = (
            given(raw.introduced),
            given(raw.fixed),
            given(raw.last_affected),
            given(raw.limit),
        );
        events.push(match bounds {
            (None, None, None, None) => continue,
            (Some(from), None, None, None) if from == "0" => Event::Introduced(None),
            (Some(from), None, None, None) => Event::Introduced(Some(version(&from)?)),
            (None, Some(fixed), None, None) => Event::Fixed(version(&fixed)?),
            (None, None, Some(last), None) => Event::LastAffected(version(&last)?),
            // No limit.
            (None, None, None, Some(limit)) if limit == "*" => continue,
            (None, None, None, Some(limit)) => Event::Limit(version(&limit)?),
            _ => {
                return Err(OsvError::Bounds {
                    affected,
                    range,
                    event,
                });
            }
        });
    }
    Ok(Range::new(events))
}
