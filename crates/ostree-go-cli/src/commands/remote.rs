mod refs;

use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::follow::print_followed;
use crate::report::{Report, refused_exit_code};
use crate::text::{count, day, table, table_with_lines};
use crate::views::value::Time;
use clap::Subcommand;
use ostree_go_sdk::remote::{Followed, NewRemote, Remote, TrustedKey, Verification};
use ostree_go_sdk::{Repo, SystemClock, remote};
use serde::Serialize;
use std::path::PathBuf;
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
    Add(AddArgs),
    /// List the remotes
    List,
    Refs(refs::RefsArgs),
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
        #[arg(required_unless_present = "transition")]
        file: Vec<PathBuf>,
        /// Apply the statements in this file, a copy of `key-transitions.json`, that a trusted key has
        /// signed
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        transition: Option<PathBuf>,
    },
    /// Trust the keys that a trusted key of a remote introduces later
    ///
    /// `pull`, `install` and `upgrade` then fetch the publisher's statements about its keys before the
    /// commits. Without this, `remote import-key` is the only way by which a key becomes trusted.
    FollowKeys {
        /// Name of the remote
        name: String,
        /// Stop following; keys that were introduced stay trusted
        #[arg(long)]
        off: bool,
    },
    /// Delete a remote, its keyring and its refs; installed SDKs are kept
    Delete {
        /// Name of the remote
        name: String,
    },
}

/// Add a remote
///
/// Its commits must be signed by one of the keys given here. The system's keyrings are not
/// used.
#[derive(Debug, clap::Args)]
struct AddArgs {
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
    /// Trust the keys that a trusted key of the remote introduces later
    #[arg(long, conflicts_with = "no_gpg_verify")]
    follow_keys: bool,
    /// If the remote exists with this URL, only import the keys
    #[arg(long)]
    if_not_exists: bool,
}

pub fn run(context: &Context, args: &RemoteArgs) -> Result<ExitCode, CliError> {
    let repo = match (&context.global.repo, &args.action) {
        // Adding the first remote initializes a root.
        (None, Action::Add(_)) => {
            let root = context.open_or_create_root()?;
            root.create_repo(&*context.progress())?
        }
        _ => context.client_repo()?,
    };
    match &args.action {
        Action::Add(args) => add(context, &repo, args),
        Action::List => context.report(&ListReport {
            remotes: remote::list(&repo)?
                .iter()
                .map(|remote| RemoteView::new(&repo, remote))
                .collect::<Result<_, CliError>>()?,
        }),
        Action::Refs(args) => refs::run(context, &repo, args),
        Action::ShowKeys { name } => context.report(&KeysReport {
            remote: name,
            keys: key_views(&remote::keys(&repo, name)?),
        }),
        Action::ImportKey {
            name,
            transition: Some(path),
            ..
        } => {
            let from = path.display().to_string();
            let bytes = files::read(path)?;
            let followed = remote::apply_transitions(&repo, name, &from, &bytes, &SystemClock)?;
            print_followed(context, name, &followed);
            context.report(&TransitionsReport::new(
                name,
                &followed,
                &remote::keys(&repo, name)?,
            ))
        }
        Action::FollowKeys { name, off } => {
            remote::set_follow_keys(&repo, name, !off)?;
            context.say(&match off {
                true => format!("remote {name} trusts only keys that are imported"),
                false => format!("remote {name} trusts keys that a trusted key introduces"),
            });
            context.report(&FollowReport {
                remote: name,
                follow_keys: !off,
            })
        }
        Action::ImportKey { name, file, .. } => {
            let mut keys = Vec::new();
            for path in file {
                keys = remote::import_keys(&repo, name, &files::read(path)?)?;
            }
            context.report(&KeysReport {
                remote: name,
                keys: key_views(&keys),
            })
        }
        Action::Delete { name } => {
            let refs = remote::delete(&repo, name)?;
            let number = count(refs.len() as u64);
            context.say(&format!("deleted remote {name} and its {number} refs"));
            context.report(&DeleteReport {
                deleted: name,
                refs,
            })
        }
    }
}

fn add(context: &Context, repo: &Repo, args: &AddArgs) -> Result<ExitCode, CliError> {
    let name = &args.name;
    let mut new = NewRemote::new(name, &args.url).unsigned(args.no_gpg_verify);
    for path in &args.gpg_import {
        new = new.keys(files::read(path)?);
    }
    let added = match args.if_not_exists {
        true => remote::add_or_import_keys(repo, &new)?,
        false => remote::add(repo, &new)?,
    };
    if args.follow_keys {
        remote::set_follow_keys(repo, name, true)?;
    }
    let keys = remote::keys(repo, name)?;
    let trust = match added.verification {
        Verification::Unsigned => "its commits need no signature".to_owned(),
        _ => format!("its commits must be signed by {}", fingerprints(&keys)),
    };
    let prefix = if args.if_not_exists { "" } else { "added " };
    context.say(&format!("{prefix}remote {name}: {trust}"));
    context.report(&AddReport {
        remote: RemoteView::new(repo, &added)?,
        keys: key_views(&keys),
    })
}

fn fingerprints(keys: &[TrustedKey]) -> String {
    let keys: Vec<&str> = keys.iter().map(|key| key.fingerprint.as_str()).collect();
    keys.join(" or ")
}

#[derive(Serialize)]
struct RemoteView {
    remote: String,
    url: String,
    signed: bool,
    follow_keys: bool,
}

#[derive(Serialize)]
struct KeyView {
    fingerprint: String,
    users: Vec<String>,
    created: Time,
    expires: Option<Time>,
    revoked: bool,
    expired: bool,
}

#[derive(Serialize)]
struct AddReport {
    #[serde(flatten)]
    remote: RemoteView,
    keys: Vec<KeyView>,
}

#[derive(Serialize)]
struct ListReport {
    remotes: Vec<RemoteView>,
}

#[derive(Serialize)]
struct KeysReport<'a> {
    remote: &'a str,
    keys: Vec<KeyView>,
}

#[derive(Serialize)]
struct TransitionsReport<'a> {
    remote: &'a str,
    applied: Vec<AppliedView>,
    ignored: Vec<IgnoredView>,
    keys: Vec<KeyView>,
}

#[derive(Serialize)]
struct AppliedView {
    sequence: u64,
    signer: String,
    added: Option<String>,
    removed: Vec<String>,
}

#[derive(Serialize)]
struct IgnoredView {
    sequence: u64,
    problem: String,
}

#[derive(Serialize)]
struct FollowReport<'a> {
    remote: &'a str,
    follow_keys: bool,
}

impl<'a> TransitionsReport<'a> {
    fn new(remote: &'a str, followed: &Followed, keys: &[TrustedKey]) -> Self {
        let applied = followed.applied.iter().map(|statement| AppliedView {
            sequence: statement.sequence,
            signer: statement.signer.clone(),
            added: statement.adds.as_ref().map(|added| added.key.clone()),
            removed: statement.removes.clone(),
        });
        let ignored = followed.ignored.iter().map(|ignored| IgnoredView {
            sequence: ignored.sequence,
            problem: ignored.reason.to_string(),
        });
        Self {
            remote,
            applied: applied.collect(),
            ignored: ignored.collect(),
            keys: key_views(keys),
        }
    }
}

#[derive(Serialize)]
struct DeleteReport<'a> {
    deleted: &'a str,
    refs: Vec<String>,
}

impl RemoteView {
    fn new(repo: &Repo, remote: &Remote) -> Result<Self, CliError> {
        Ok(Self {
            remote: remote.name.clone(),
            url: remote.url.clone(),
            signed: remote.verification != Verification::Unsigned,
            follow_keys: remote::follows_keys(repo, &remote.name)?,
        })
    }
}

fn key_views(keys: &[TrustedKey]) -> Vec<KeyView> {
    let keys = keys.iter().map(|key| KeyView {
        fingerprint: key.fingerprint.clone(),
        users: key.users.clone(),
        created: Time(key.created),
        expires: key.expires.map(Time),
        revoked: key.revoked,
        expired: key.expired,
    });
    keys.collect()
}

impl KeyView {
    fn state(&self) -> &'static str {
        match (self.revoked, self.expired) {
            (true, _) => "revoked",
            (_, true) => "expired",
            _ => "valid",
        }
    }
}

impl Report for AddReport {}

impl Report for DeleteReport<'_> {}

impl Report for FollowReport<'_> {}

impl Report for TransitionsReport<'_> {
    fn exit_code(&self) -> ExitCode {
        refused_exit_code(self.applied.is_empty() && !self.ignored.is_empty())
    }
}

impl Report for ListReport {
    fn human(&self) -> String {
        let remotes = self.remotes.iter();
        let rows: Vec<_> = remotes
            .map(|remote| {
                vec![
                    remote.remote.clone(),
                    if remote.signed { "signed" } else { "unsigned" }.to_owned(),
                    remote.url.clone(),
                ]
            })
            .collect();
        table(&["REMOTE", "COMMITS", "URL"], &rows)
    }
}

impl Report for KeysReport<'_> {
    fn human(&self) -> String {
        let keys = self.keys.iter();
        let rows: Vec<_> = keys
            .map(|key| {
                let expires = key.expires.as_ref();
                vec![
                    key.fingerprint.clone(),
                    key.state().to_owned(),
                    expires.map_or_else(|| "never".to_owned(), |time| day(time.0)),
                ]
            })
            .collect();
        let users = self.keys.iter().map(|key| key.users.join(", "));
        let header = ["FINGERPRINT", "STATE", "EXPIRES"];
        table_with_lines(&header, &rows, &users.collect::<Vec<_>>())
    }
}
