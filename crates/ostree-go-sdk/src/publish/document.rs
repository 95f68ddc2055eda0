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
    /// The static deltas by their target commit.
    pub(crate) deltas: HashMap<CommitId, Vec<DeltaName>>,
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
            deltas: by_commit,
        })
    }
}
