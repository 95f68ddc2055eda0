use super::{Context, resolve, signature_json};
use crate::error::CliError;
use crate::output::{table, time};
use ostree_go_sdk::{SignError, Signature, SignatureStatus, TrustedKeys, signatures};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Say who signed a commit, and whether a trusted key is among them
///
/// Exits with 3 if no signature is valid. No keyring of the system's is asked.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// A ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "REF")]
    rev: String,

    #[command(flatten)]
    keys: KeyArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct KeyArgs {
    /// Trust the public GPG keys in this file
    #[arg(long, value_name = "FILE")]
    gpg_keys: Option<PathBuf>,

    /// Trust the keys of this remote
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,

    /// Trust the Ed25519 public keys in this file, one a line, in base64
    #[arg(long, value_name = "FILE")]
    ed25519_keys: Option<PathBuf>,
}

impl KeyArgs {
    fn trusted(&self) -> Result<TrustedKeys, CliError> {
        match (&self.gpg_keys, &self.remote, &self.ed25519_keys) {
            (Some(file), _, _) => Ok(TrustedKeys::GpgFile(file.clone())),
            (_, Some(remote), _) => Ok(TrustedKeys::Remote(remote.clone())),
            (_, _, Some(path)) => {
                let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
                    action: "read public keys from",
                    path: path.clone(),
                    source,
                })?;
                let keys = text.lines().filter(|line| !line.trim().is_empty());
                Ok(TrustedKeys::Ed25519(keys.map(str::to_owned).collect()))
            }
            (None, None, None) => Err(CliError::usage("no keys to trust given")),
        }
    }
}

pub fn run(context: &Context<'_>, args: &VerifyArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let commit = resolve(&repo, &args.rev)?;
    let found = signatures(&repo, commit, &args.keys.trusted()?)?;
    if found.is_empty() {
        return Err(SignError::Unsigned { commit }.into());
    }
    let valid = found.iter().any(|s| s.status == SignatureStatus::Valid);
    if !valid {
        return Err(SignError::Refused { commit, found }.into());
    }
    let document = json!({
        "commit": commit.to_string(),
        "valid": valid,
        "signatures": found.iter().map(signature_json).collect::<Value>(),
    });
    context.output.data(&document, || {
        let rows: Vec<Vec<String>> = found.iter().map(row).collect();
        table(
            &["STATUS", "KIND", "KEY", "SIGNED", "KEY EXPIRES", "BY"],
            &rows,
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn row(signature: &Signature) -> Vec<String> {
    let dash = || "-".to_owned();
    vec![
        signature.status.as_str().to_owned(),
        signature.kind.to_owned(),
        signature.key.clone(),
        signature.created.map_or_else(dash, time),
        signature
            .key_expires
            .map_or_else(|| "never".to_owned(), time),
        signature.user.clone().unwrap_or_else(dash),
    ]
}
