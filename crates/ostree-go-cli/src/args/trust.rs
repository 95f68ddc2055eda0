//! Options for the keys that signatures of files are verified with.

use crate::error::CliError;
use crate::files;
use ostree_go_sdk::sign::TrustedKeys;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub struct TrustArgs {
    /// Require a signature by a public GPG key in this file
    #[arg(long, value_name = "FILE")]
    gpg_keys: Option<PathBuf>,

    /// Require a signature by an Ed25519 public key in this file, one per line, in base64
    #[arg(long, value_name = "FILE")]
    ed25519_keys: Option<PathBuf>,
}

impl TrustArgs {
    /// Returns the trusted keys; `None` if no signature is required.
    pub fn keys(&self) -> Result<Option<TrustedKeys>, CliError> {
        Ok(match (&self.gpg_keys, &self.ed25519_keys) {
            (Some(file), _) => Some(TrustedKeys::GpgFile(file.clone())),
            (_, Some(path)) => Some(TrustedKeys::Ed25519(files::read_ed25519_keys(path)?)),
            (None, None) => None,
        })
    }
}
