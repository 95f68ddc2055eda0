//! The option of the verbs that record the lock file of a workspace.

use crate::error::CliError;
use ostree_go_sdk::Sha256;
use ostree_go_sdk::workspace::Lock;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct WorkspaceLockArgs {
    /// Record the SHA-256 of this lock file of a workspace as `sdk.workspace`; `workspace check
    /// --against` compares it later
    #[arg(long, value_name = "FILE")]
    workspace_lock: Option<PathBuf>,
}

impl WorkspaceLockArgs {
    /// Returns the SHA-256 of the lock file, if one is named. A file that is not a lock is refused.
    pub fn digest(&self) -> Result<Option<Sha256>, CliError> {
        let lock = self.workspace_lock.as_deref().map(Lock::read).transpose()?;
        Ok(lock.map(|lock| lock.digest()))
    }
}
