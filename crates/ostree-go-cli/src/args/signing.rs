//! Options of the verbs that sign.

use crate::error::CliError;
use crate::files;
use ostree_go_sdk::sign::SigningKey;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Signing")]
pub struct SigningArgs {
    /// Sign with the GPG key with this ID, fingerprint or user ID (may be repeated)
    #[arg(long, value_name = "KEY-ID")]
    pub gpg_sign: Vec<String>,

    /// GnuPG home directory that contains the keys
    #[arg(long, value_name = "DIR", requires = "gpg_sign")]
    pub gpg_homedir: Option<PathBuf>,

    /// Sign with the Ed25519 secret key in this file, in base64 (may be repeated)
    #[arg(long, value_name = "FILE")]
    pub sign_from_file: Vec<PathBuf>,
}

impl SigningArgs {
    /// Returns the selected keys. Reads the files of Ed25519 keys.
    pub fn keys(&self) -> Result<Vec<SigningKey>, CliError> {
        let gpg = self.gpg_sign.iter().map(|id| {
            Ok(SigningKey::Gpg {
                id: id.clone(),
                homedir: self.gpg_homedir.clone(),
            })
        });
        let ed25519 = self.sign_from_file.iter().map(|path| {
            let secret = files::read_text("read the secret key", path)?;
            Ok(SigningKey::Ed25519 { secret })
        });
        gpg.chain(ed25519).collect()
    }
}
