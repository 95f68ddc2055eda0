use super::{Context, deployments};
use crate::error::CliError;
use crate::output::{count, table, time};
use crate::progress::Terminal;
use clap::Subcommand;
use ostree_go_sdk::{NewRemote, Remote, TrustedKey, Verification, remote};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Manage remotes and their trusted keys
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct RemoteArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a remote
    ///
    /// Its commits must be signed by one of the keys given here. The system's keyrings are not
    /// used.
    Add {
        /// Name of the remote
        name: String,
        /// URL of the repository: http://, https:// or file:///; for images
        /// oci+https://REGISTRY/NAME, oci+http:// for an unencrypted connection, or oci:/PATH
        url: String,
        /// Trust the public GPG keys in this file (may be repeated)
        #[arg(long, value_name = "FILE", required_unless_present = "no_gpg_verify")]
        gpg_import: Vec<PathBuf>,
        /// Accept commits without verifying signatures
        #[arg(long, conflicts_with = "gpg_import")]
        no_gpg_verify: bool,
        /// If the remote exists with this URL, only import the keys
        #[arg(long)]
        if_not_exists: bool,
    },
    /// List the remotes
    List,
    /// Show the trusted keys of a remote
    ShowKeys {
        /// Name of the remote
        name: String,
    },
    /// Import keys into a remote's keyring, or update keys in it
    ///
    /// To rotate a key, import the new key, publish commits signed with it, and then import the old
    /// key again with its revocation.
    ImportKey {
        /// Name of the remote
        name: String,
        /// File with public GPG keys
        #[arg(required = true)]
        file: Vec<PathBuf>,
    },
    /// Delete a remote, its keyring and its refs; installed SDKs are kept
    Delete {
        /// Name of the remote
        name: String,
    },
}

pub fn run(context: &Context<'_>, args: &RemoteArgs) -> Result<ExitCode, CliError> {
    let repo = match (&context.global.repo, &args.action) {
        // Adding the first remote initializes a root.
        (None, Action::Add { .. }) => {
            let root = deployments::open_or_create(context)?;
            let progress = Terminal::new(&context.global);
            root.lock(&progress)?.repo().clone()
        }
        _ => context.client_repo()?,
    };
    match &args.action {
        Action::Add {
            name,
            url,
            gpg_import,
            no_gpg_verify,
            if_not_exists,
        } => {
            let mut new = NewRemote::new(name, url).unsigned(*no_gpg_verify);
            for path in gpg_import {
                new = new.keys(read(path)?);
            }
            let added = match if_not_exists {
                true => remote::add_or_import_keys(&repo, &new)?,
                false => remote::add(&repo, &new)?,
            };
            let keys = remote::keys(&repo, name)?;
            let trust = match added.verification {
                Verification::Unsigned => "its commits need no signature".to_owned(),
                _ => format!("its commits must be signed by {}", fingerprints(&keys)),
            };
            let prefix = if *if_not_exists { "" } else { "added " };
            let line = format!("{prefix}remote {name}: {trust}");
            context.output.say(&line);
            let mut document = remote_json(&added);
            document["keys"] = keys_json(&keys);
            context.output.data(&document, String::new)?;
        }
        Action::List => {
            let remotes = remote::list(&repo)?;
            let document = json!({"remotes": remotes.iter().map(remote_json).collect::<Value>()});
            context.output.data(&document, || {
                let rows: Vec<Vec<String>> = remotes
                    .iter()
                    .map(|remote| {
                        let word = verification(remote).to_owned();
                        vec![remote.name.clone(), word, remote.url.clone()]
                    })
                    .collect();
                table(&["REMOTE", "COMMITS", "URL"], &rows)
            })?;
        }
        Action::ShowKeys { name } => show(context, name, &remote::keys(&repo, name)?)?,
        Action::ImportKey { name, file } => {
            let mut keys = Vec::new();
            for path in file {
                keys = remote::import_keys(&repo, name, &read(path)?)?;
            }
            show(context, name, &keys)?;
        }
        Action::Delete { name } => {
            let refs = remote::delete(&repo, name)?;
            let number = count(refs.len() as u64);
            let line = format!("deleted remote {name} and its {number} refs");
            context.output.say(&line);
            let document = json!({"deleted": name, "refs": refs});
            context.output.data(&document, String::new)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context<'_>, name: &str, keys: &[TrustedKey]) -> Result<(), CliError> {
    let document = json!({"remote": name, "keys": keys_json(keys)});
    context.output.data(&document, || {
        let rows: Vec<Vec<String>> = keys
            .iter()
            .map(|key| {
                vec![
                    key.fingerprint.clone(),
                    state(key).to_owned(),
                    key.expires.map_or_else(|| "never".to_owned(), time),
                    key.users.join(", "),
                ]
            })
            .collect();
        table(&["FINGERPRINT", "STATE", "EXPIRES", "USER"], &rows)
    })
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|source| CliError::File {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

fn verification(remote: &Remote) -> &'static str {
    match remote.verification {
        Verification::Unsigned => "unsigned",
        _ => "signed",
    }
}

fn remote_json(remote: &Remote) -> Value {
    json!({
        "remote": remote.name,
        "url": remote.url,
        "signed": remote.verification != Verification::Unsigned,
    })
}

fn keys_json(keys: &[TrustedKey]) -> Value {
    let keys = keys.iter().map(|key| {
        json!({
            "fingerprint": key.fingerprint,
            "users": key.users,
            "created": time(key.created),
            "expires": key.expires.map(time),
            "revoked": key.revoked,
            "expired": key.expired,
        })
    });
    keys.collect()
}

fn state(key: &TrustedKey) -> &'static str {
    match (key.revoked, key.expired) {
        (true, _) => "revoked",
        (_, true) => "expired",
        _ => "valid",
    }
}

fn fingerprints(keys: &[TrustedKey]) -> String {
    let keys: Vec<&str> = keys.iter().map(|key| key.fingerprint.as_str()).collect();
    keys.join(" or ")
}
