//! Options of the verbs that sign.

use crate::error::CliError;
use crate::files;
use ostree_go_sdk::sign::{CommandKey, Pkcs11Key, SigningKey, VerificationKey};
use std::path::PathBuf;
use std::time::Duration;

/// The options that name a key, for messages.
pub const OPTIONS: &str = "--gpg-sign, --sign-from-file, --sign-command or --sign-pkcs11";

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

    /// Sign with this command, which reads the bytes from standard input and writes a signature to
    /// standard output (may be repeated, each with --sign-command-key)
    #[arg(long, value_name = "COMMAND", requires = "sign_command_key")]
    pub sign_command: Vec<String>,

    /// File with the public key of --sign-command: Ed25519 in base64, or GPG
    #[arg(long, value_name = "FILE", requires = "sign_command")]
    pub sign_command_key: Vec<PathBuf>,

    /// Seconds after which --sign-command is killed [default: 300]
    #[arg(long, value_name = "SECONDS", requires = "sign_command", value_parser = clap::value_parser!(u64).range(1..))]
    pub sign_command_timeout: Option<u64>,

    /// Sign with the Ed25519 key on a token that this PKCS#11 URI names (may be repeated)
    #[arg(long, value_name = "URI")]
    pub sign_pkcs11: Vec<String>,

    /// PKCS#11 module for URIs without `module-path`
    #[arg(long, value_name = "FILE", requires = "sign_pkcs11")]
    pub pkcs11_module: Option<PathBuf>,
}

impl SigningArgs {
    /// Returns the selected keys. Reads the files of keys; uses no token and runs no command.
    pub fn keys(&self) -> Result<Vec<SigningKey>, CliError> {
        let (commands, publics) = (self.sign_command.len(), self.sign_command_key.len());
        if commands != publics {
            return Err(CliError::usage(format!(
                "found {commands} --sign-command and {publics} --sign-command-key, expected the same number of both"
            )));
        }
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
        let commands = self.sign_command.iter().zip(&self.sign_command_key);
        let commands = commands.map(|(command, path)| {
            let public = VerificationKey::parse(&files::read(path)?)?;
            let key = CommandKey::new(command, public);
            let key = match self.sign_command_timeout {
                Some(seconds) => key.timeout(Duration::from_secs(seconds)),
                None => key,
            };
            Ok(SigningKey::Command(key))
        });
        let tokens = self.sign_pkcs11.iter().map(|uri| {
            let key = Pkcs11Key::new(uri, self.pkcs11_module.clone());
            let key = key.map_err(|error| CliError::Usage {
                message: error.to_string(),
                hint: Some(
                    "an example is 'pkcs11:token=NAME;object=NAME?module-path=/PATH&pin-source=/PATH'; \
                     --pkcs11-module names a module for URIs without `module-path`"
                        .to_owned(),
                ),
            })?;
            Ok(SigningKey::Pkcs11(key))
        });
        gpg.chain(ed25519).chain(commands).chain(tokens).collect()
    }
}
