use crate::args::signing::{OPTIONS, SigningArgs};
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::revision::resolve;
use crate::text::short;
use crate::views::value::Text;
use ostree_go_sdk::CommitId;
use serde::Serialize;
use std::process::ExitCode;

/// Add signatures to commits
///
/// Existing signatures are kept; a commit that is already signed with a key is not signed with it
/// again. `compose`, `promote` and `publish` accept the same options and sign the commits that they
/// create.
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// Refs, commits, or versions and channels of this machine's architecture
    #[arg(required = true, value_name = "REF")]
    revs: Vec<String>,

    #[command(flatten)]
    signing: SigningArgs,
}

pub fn run(context: &Context, args: &SignArgs) -> Result<ExitCode, CliError> {
    let keys = args.signing.keys()?;
    if keys.is_empty() {
        return Err(CliError::Usage {
            message: "no key to sign with".to_owned(),
            hint: Some(format!("name one with {OPTIONS}")),
        });
    }
    let repo = context.repo()?;
    let mut signed = Vec::new();
    for rev in &args.revs {
        let commit = resolve(&repo, rev)?;
        let mut added = 0;
        for key in &keys {
            added += u32::from(repo.sign(commit, key)?);
        }
        context.say(&match added {
            0 => format!("{rev} {} has these signatures already", short(commit)),
            1 => format!("{rev} {} has a new signature", short(commit)),
            more => format!("{rev} {} has {more} new signatures", short(commit)),
        });
        signed.push(SignedView {
            rev,
            commit: Text(commit),
            added,
        });
    }
    context.report(&SignReport { signed })
}

#[derive(Serialize)]
struct SignReport<'a> {
    signed: Vec<SignedView<'a>>,
}

#[derive(Serialize)]
struct SignedView<'a> {
    rev: &'a str,
    commit: Text<CommitId>,
    added: u32,
}

impl Report for SignReport<'_> {}
