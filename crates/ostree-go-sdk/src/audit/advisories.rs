//! The assessment of releases.

use super::database::{Scope, Vulnerabilities, Vulnerability};
use super::releases::{Support, UpstreamReleases, newest_patch};
use crate::golang::osv::Platform;
use crate::setters::setters;
use crate::version::GoVersion;

/// A vulnerability database, and a list of the releases that Go supports.
#[derive(Debug, Clone, Default)]
pub struct Advisories {
    vulnerabilities: Option<Vulnerabilities>,
    releases: Option<UpstreamReleases>,
    own: Vec<GoVersion>,
}

/// The known vulnerabilities and the support of one release.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assessment {
    /// The known vulnerabilities of an SDK of this version, sorted by name; `None` if nothing is known.
    pub vulnerabilities: Option<Vec<Vulnerability>>,
    /// The support by Go; `None` if it is not known.
    pub support: Option<Support>,
    /// The newest patch release of the same minor release, if that is a later one.
    pub newer: Option<GoVersion>,
}

impl Assessment {
    /// Returns the vulnerabilities that exist on the platform of the release.
    pub fn on_platform(&self) -> impl Iterator<Item = &Vulnerability> {
        let known = self.vulnerabilities.iter().flatten();
        known.filter(|one| one.on_platform)
    }

    /// Returns true if there is a newer patch release, or if Go does not support the release any more.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.newer.is_some() || self.support == Some(Support::Ended)
    }
}

impl Advisories {
    /// Creates the value for which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets the known vulnerabilities. Default: none.
        vulnerabilities: Option<Vulnerabilities>;
        /// Sets the releases of Go. Default: none.
        releases: Option<UpstreamReleases>;
        /// Sets more releases, for example those of a repository, that are newer than others.
        /// Default: none.
        own: Vec<GoVersion>;
    }

    /// Returns the known vulnerabilities.
    #[must_use]
    pub fn known_vulnerabilities(&self) -> Option<&Vulnerabilities> {
        self.vulnerabilities.as_ref()
    }

    /// Returns the releases of Go.
    #[must_use]
    pub fn known_releases(&self) -> Option<&UpstreamReleases> {
        self.releases.as_ref()
    }

    /// Returns what is known about an SDK.
    #[must_use]
    pub fn assess(&self, version: &GoVersion, platform: &Platform) -> Assessment {
        let releases = self.releases.as_ref();
        let vulnerabilities = self.vulnerabilities.as_ref();
        let upstream = releases.and_then(|releases| releases.newest_patch(version));
        let newest = upstream.max(newest_patch(&self.own, version));
        let newer = newest.filter(|newest| *newest > version);
        Assessment {
            vulnerabilities: vulnerabilities
                .and_then(|known| known.affecting(version, Scope::Sdk, platform)),
            support: releases.map(|releases| releases.support(version)),
            // `1.20` and `1.20.0` are the same release.
            newer: newer
                .filter(|newer| newer.semver() != version.semver())
                .cloned(),
        }
    }
}
