//! The part of `index.json` and the page about known vulnerabilities, and about releases that Go does not
//! support any more.

use super::entry::Entry;
use crate::arch::Arch;
use crate::audit::{Advisories, Origin, Platform, UpstreamReleases};
use crate::version::GoVersion;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The object `audit` of `index.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Audit {
    /// The vulnerability database; `null` if none was read.
    pub(super) database: Option<Source>,
    /// The minor releases that Go supports, highest first; `null` if they are not known.
    pub(super) supported: Option<Vec<String>>,
    /// The vulnerabilities of at least one release, sorted by name.
    pub(super) vulnerabilities: Vec<Listed>,
    /// Each version on each architecture.
    pub(super) releases: Vec<Audited>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) location: String,
    /// The time of the last change, as the database writes it.
    pub(super) modified: Option<String>,
    /// In seconds since 1970.
    pub(super) confirmed: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) aliases: Vec<String>,
    pub(super) summary: String,
    pub(super) url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Audited {
    pub(super) version: String,
    pub(super) arch: String,
    /// `null` if they are not known.
    pub(super) vulnerabilities: Option<Vec<Known>>,
    /// `supported` or `ended`; `null` if it is not known.
    pub(super) support: Option<String>,
    /// The newest patch release of the same minor release, if that is a later one.
    pub(super) newer: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) id: String,
    /// The first release without it.
    pub(super) fixed: Option<String>,
}

impl Audit {
    /// Assesses the releases and channels of a repository.
    pub(super) fn of<'e>(
        advisories: &Advisories,
        entries: impl Iterator<Item = &'e Entry> + Clone,
    ) -> Self {
        let parsed = |entry: &Entry| entry.version.parse::<GoVersion>().ok();
        let advisories = advisories.clone().own(entries.clone().filter_map(parsed));
        let mut listed = BTreeMap::new();
        let mut audited: BTreeMap<(String, String), Audited> = BTreeMap::new();
        for entry in entries {
            let arch = entry.arch.parse::<Arch>().ok();
            let (Some(version), Some(arch)) = (parsed(entry), arch) else {
                continue;
            };
            let found = advisories.assess(&version, &Platform::linux(arch));
            for one in found.on_platform() {
                let new = Listed {
                    id: one.id.clone(),
                    aliases: one.aliases.clone(),
                    summary: one.summary.clone(),
                    url: one.url.clone(),
                };
                listed.insert(one.id.clone(), new);
            }
            let known = found.on_platform().map(|one| Known {
                id: one.id.clone(),
                fixed: one.fixed.clone(),
            });
            let one = Audited {
                version: entry.version.clone(),
                arch: entry.arch.clone(),
                vulnerabilities: found.vulnerabilities.is_some().then(|| known.collect()),
                support: found.support.map(|support| support.as_str().to_owned()),
                newer: found.newer.map(|newer| newer.to_string()),
            };
            audited.insert((entry.version.clone(), entry.arch.clone()), one);
        }
        let database = advisories.known_vulnerabilities();
        let releases = advisories.known_releases();
        Self {
            database: database.map(|known| Source::from(known.origin())),
            supported: releases.map(UpstreamReleases::supported),
            vulnerabilities: listed.into_values().collect(),
            releases: audited.into_values().collect(),
        }
    }

    /// Returns what is known about a release or channel.
    pub(super) fn find(&self, entry: &Entry) -> Option<&Audited> {
        let mut releases = self.releases.iter();
        releases.find(|one| one.version == entry.version && one.arch == entry.arch)
    }
}

impl From<&Origin> for Source {
    fn from(origin: &Origin) -> Self {
        Self {
            location: origin.location.clone(),
            modified: origin.modified.clone(),
            confirmed: origin.confirmed,
        }
    }
}
