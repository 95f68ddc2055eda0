//! The check against Go's checksum database, with the settings of this machine.

use crate::context::Context;
use crate::error::CliError;
use crate::views::value::Text;
use ostree_go_sdk::CommitId;
use ostree_go_sdk::upstream::{DATABASE, StoredProof, Upstream};
use serde::Serialize;

/// Returns the check against a checksum database.
pub fn upstream(context: &Context, database: &str) -> Result<Upstream, CliError> {
    let settings = &context.settings;
    // Asking the go command for its proxies takes a moment, and only the default database needs it.
    let uses_default = database == DATABASE;
    let goproxy = uses_default.then(|| settings.goproxy()).flatten();
    Ok(Upstream::new()
        .http(settings.http()?)
        .database(database)
        .goproxy(goproxy)
        .heads(settings.heads())
        .progress(context.progress()))
}

/// The proof that was stored in the metadata of a commit.
#[derive(Serialize)]
pub struct StoredProofView {
    pub commit: Text<CommitId>,
    record: u64,
    tree_size: u64,
    pub new: bool,
}

impl From<&StoredProof> for StoredProofView {
    fn from(proof: &StoredProof) -> Self {
        Self {
            commit: Text(proof.commit),
            record: proof.record,
            tree_size: proof.tree_size,
            new: proof.is_new,
        }
    }
}
