//! The index of a database: which entries it has about which module.

use super::range::OsvVersion;
use super::{MAX_ENTRIES, MAX_NAME, OsvError};
use crate::version::GoVersion;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `index/modules.json`: the entries of each module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleIndex {
    /// The entries about the standard library and the tools of Go, by their names.
    entries: BTreeMap<EntryName, IndexedEntry>,
}

/// The name of an entry: `GO-2026-4337`. It is also a valid name of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(String);

impl EntryName {
    /// Checks a name.
    ///
    /// # Errors
    /// Returns [`OsvError::Name`] for a name that is no name of a file.
    pub fn parse(text: &str) -> Result<Self, OsvError> {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        match starts_well && text.len() <= MAX_NAME && text.bytes().all(is_valid) {
            true => Ok(Self(text.to_owned())),
            false => Err(OsvError::Name {
                found: text.to_owned(),
            }),
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct IndexedEntry {
    /// The time of the last change, as the database writes it.
    modified: String,
    /// The version from which on nothing is affected; `None` if there is none in one of the modules.
    fixed: Option<OsvVersion>,
}

#[derive(Deserialize)]
struct RawModule {
    path: String,
    #[serde(default)]
    vulns: Option<Vec<RawVulnerability>>,
}

#[derive(Deserialize)]
struct RawVulnerability {
    id: String,
    #[serde(default)]
    modified: String,
    #[serde(default)]
    fixed: String,
}

#[derive(Deserialize)]
struct RawDatabase {
    modified: String,
}

impl ModuleIndex {
    /// Parses `index/modules.json`, and selects the entries about `modules`.
    ///
    /// # Errors
    /// Returns an error if the document is not such an index, or has too many entries about them.
    pub fn parse(json: &[u8], modules: &[&str]) -> Result<Self, OsvError> {
        let expected = "an index of modules";
        let raw: Vec<RawModule> =
            serde_json::from_slice(json).map_err(|source| OsvError::Format { expected, source })?;
        let mut entries: BTreeMap<EntryName, IndexedEntry> = BTreeMap::new();
        let raw = raw.into_iter();
        for module in raw.filter(|module| modules.contains(&&*module.path)) {
            for one in module.vulns.unwrap_or_default() {
                // A text that is no version selects nothing: the entry itself decides.
                let fixed = OsvVersion::parse(&one.fixed);
                let new = IndexedEntry {
                    modified: one.modified,
                    fixed,
                };
                let entry = entries.entry(EntryName::parse(&one.id)?);
                entry
                    .and_modify(|known| {
                        let both = known.fixed.take().zip(new.fixed.clone());
                        known.fixed = both.map(|(one, other)| one.max(other));
                    })
                    .or_insert(new);
            }
        }
        match entries.len() {
            found if found > MAX_ENTRIES => Err(OsvError::TooManyEntries { found }),
            _ => Ok(Self { entries }),
        }
    }

    /// Returns the names of the entries that can affect `lowest` or a later version, and the times of
    /// their last change. As in `govulncheck`, an entry is left out if the index says that everything
    /// is fixed in an earlier version.
    pub fn since<'i>(
        &'i self,
        lowest: &GoVersion,
    ) -> impl Iterator<Item = (&'i EntryName, &'i str)> + use<'i> {
        let lowest = OsvVersion::of(lowest);
        let entries = self.entries.iter();
        let relevant = entries.filter(move |(_, entry)| {
            let fixed = entry.fixed.as_ref();
            fixed.is_none_or(|fixed| *fixed > lowest)
        });
        relevant.map(|(name, entry)| (name, &*entry.modified))
    }
}

/// Parses `index/db.json`, and returns the time of the last change of the database.
///
/// # Errors
/// Returns an error if the document has no such time.
pub fn parse_modified(json: &[u8]) -> Result<String, OsvError> {
    let expected = "the description of a vulnerability database";
    let raw: RawDatabase =
        serde_json::from_slice(json).map_err(|source| OsvError::Format { expected, source })?;
    Ok(super::one_line(&raw.modified, MAX_NAME))
}
