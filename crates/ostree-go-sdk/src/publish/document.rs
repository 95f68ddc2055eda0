//! The content of a summary: refs, and the names of static deltas.

use crate::delta::DeltaName;
use crate::gvariant;
use crate::id::CommitId;
use std::collections::{BTreeMap, HashMap};

/// `OSTREE_SUMMARY_GVARIANT_FORMAT`.
pub(super) const FORMAT: &str = "(a(s(taya{sv}))a{sv})";

/// A parsed summary.
#[derive(Debug, Default)]
pub(crate) struct SummaryDocument {
    pub(crate) bytes: Vec<u8>,
    pub(crate) refs: BTreeMap<String, CommitId>,
    /// The metadata of the commits of refs in the summary.
    pub(crate) metadata: HashMap<String, RefMetadata>,
    /// The static deltas by their target commit.
    pub(crate) deltas: HashMap<CommitId, Vec<DeltaName>>,
}

/// The metadata of the commit of a ref in a summary. Source of the keys: `ostree-repo-private.h`,
/// `OSTREE_COMMIT_VERSION` and `OSTREE_COMMIT_TIMESTAMP`.
#[derive(Debug, Default)]
pub(crate) struct RefMetadata {
    pub(crate) version: Option<String>,
    /// Seconds since 1970.
    pub(crate) timestamp: Option<u64>,
}

impl RefMetadata {
    fn read(metadata: &glib::Variant) -> Self {
        let dict = glib::VariantDict::new(Some(metadata));
        let timestamp = dict.lookup::<u64>("ostree.commit.timestamp");
        Self {
            version: dict.lookup("ostree.commit.version").ok().flatten(),
            timestamp: timestamp.ok().flatten().map(u64::from_be),
        }
    }
}

impl SummaryDocument {
    /// Parses a summary; `None` if it is not well-formed. Refs and deltas with invalid names are
    /// ignored.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let summary = gvariant::parse(bytes, FORMAT)?;
        let entry = |entry: glib::Variant| {
            let commit: Vec<u8> = entry.child_value(1).child_value(1).get()?;
            let commit = <[u8; 32]>::try_from(commit).ok()?;
            Some((entry.child_value(0).get()?, commit.into()))
        };
        let refs = summary.child_value(0).iter().filter_map(entry).collect();
        let metadata = summary.child_value(0).iter().filter_map(|entry| {
            let metadata = RefMetadata::read(&entry.child_value(1).child_value(2));
            Some((entry.child_value(0).get()?, metadata))
        });
        let extra = glib::VariantDict::new(Some(&summary.child_value(1)));
        let deltas = extra.lookup_value("ostree.static-deltas", None);
        let deltas = deltas.filter(|deltas| deltas.type_().as_str() == "a{sv}");
        let names = deltas.iter().flat_map(|deltas| {
            deltas
                .iter()
                .filter_map(|entry| {
                    entry
                        .child_value(0)
                        .get::<String>()?
                        .parse::<DeltaName>()
                        .ok()
                })
                .collect::<Vec<_>>()
        });
        let mut by_commit: HashMap<CommitId, Vec<DeltaName>> = HashMap::new();
        for name in names {
            by_commit.entry(name.to).or_default().push(name);
        }
        Some(Self {
            bytes: bytes.to_owned(),
            refs,
            metadata: metadata.collect(),
            deltas: by_commit,
        })
    }
}
