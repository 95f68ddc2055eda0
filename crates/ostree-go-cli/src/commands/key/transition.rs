use crate::args::signing::{OPTIONS, SigningArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::Report;
use crate::views::value::Time;
use ostree_go_sdk::remote::{KeyTransition, NewTransition};
use ostree_go_sdk::sign::VerificationKey;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Introduce a new key to hosts that trust the old one
///
/// Writes a statement into `key-transitions.json` in the repository, which is signed with the old and
/// with the new key. Hosts whose remote was added with --follow-keys, or that run
/// `remote import-key --transition`, then trust the new key. With --remove, a trusted key withdraws
/// others.
#[derive(Debug, clap::Args)]
pub struct TransitionArgs {
    /// File with the public key that hosts trust: GPG, or Ed25519 in base64
    #[arg(value_name = "OLD-KEY")]
    old: PathBuf,

    /// File with the public key that succeeds it
    #[arg(value_name = "NEW-KEY", required_unless_present = "remove")]
    new: Option<PathBuf>,

    /// URL of the repository, as hosts have it in their remote (may be repeated)
    #[arg(long, value_name = "URL", required = true)]
    url: Vec<String>,

    /// Let hosts stop trusting this key: a fingerprint, or an Ed25519 key in base64 (may be repeated)
    #[arg(long, value_name = "KEY")]
    remove: Vec<String>,

    /// Number of days for which hosts accept the statement
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    valid_days: u32,

    /// Show the statement, without writing it
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    signing: SigningArgs,
}

/// The number of seconds of a day.
const DAY: u64 = 24 * 60 * 60;

pub fn run(context: &Context, args: &TransitionArgs) -> Result<ExitCode, CliError> {
    let keys = args.signing.keys()?;
    if keys.is_empty() {
        return Err(CliError::Usage {
            message: "no key to sign with".to_owned(),
            hint: Some(format!("name the old and the new key with {OPTIONS}")),
        });
    }
    let read = |path: &PathBuf| -> Result<VerificationKey, CliError> {
        Ok(VerificationKey::parse(&files::read(path)?)?)
    };
    let new = args.new.as_ref().map(read).transpose()?;
    let mut transition = NewTransition::new(read(&args.old)?, args.url.iter().cloned())
        .sign_with(keys)
        .adds(new)
        .removes(args.remove.iter().cloned())
        .lifetime(Duration::from_secs(u64::from(args.valid_days) * DAY));
    if let Some(clock) = context.fixed_clock()? {
        transition = transition.clock(clock);
    }
    let plan = transition.plan(&context.repo()?)?;
    let statement = match args.dry_run {
        true => plan.statement().clone(),
        false => plan.execute()?,
    };
    context.say(&message(&statement, args.dry_run));
    context.report(&TransitionReport {
        dry_run: args.dry_run,
        sequence: statement.sequence,
        kind: &statement.kind,
        signer: &statement.signer,
        adds: statement.adds.as_ref().map(|added| added.key.as_str()),
        removes: &statement.removes,
        repositories: &statement.repositories,
        created: Time(statement.created),
        expires: Time(statement.expires),
    })
}

fn message(statement: &KeyTransition, dry_run: bool) -> String {
    let would = if dry_run { "would " } else { "" };
    let end = if dry_run { "" } else { "s" };
    let signer = &statement.signer;
    let adds = statement.adds.iter();
    let adds = adds.map(|added| format!("{would}introduce{end} {}", added.key));
    let removes = statement.removes.iter();
    let removes = removes.map(|key| format!("{would}withdraw{end} {key}"));
    let what: Vec<String> = adds.chain(removes).collect();
    format!("key {signer} {}", what.join(" and "))
}

#[derive(Serialize)]
struct TransitionReport<'a> {
    dry_run: bool,
    sequence: u64,
    kind: &'a str,
    signer: &'a str,
    adds: Option<&'a str>,
    removes: &'a [String],
    repositories: &'a [String],
    created: Time,
    expires: Time,
}

impl Report for TransitionReport<'_> {}
