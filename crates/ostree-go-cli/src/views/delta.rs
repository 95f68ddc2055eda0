//! The name of a static delta.

use super::value::Text;
use crate::text::short;
use ostree_go_sdk::CommitId;
use ostree_go_sdk::delta::DeltaName;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct DeltaView {
    pub from: Option<Text<CommitId>>,
    pub to: Text<CommitId>,
}

impl DeltaView {
    /// Returns both commits, abbreviated.
    pub fn short(&self) -> String {
        let from = self.from.map_or_else(|| "nothing".to_owned(), short);
        format!("{from} → {}", short(self.to))
    }
}

impl From<&DeltaName> for DeltaView {
    fn from(name: &DeltaName) -> Self {
        Self {
            from: name.from.map(Text),
            to: Text(name.to),
        }
    }
}
