use super::signing::SigningArgs;
use super::{Context, resolve};
use crate::error::CliError;
use crate::output::short;
use ostree_go_sdk::sign;
use serde_json::json;
use std::process::ExitCode;

/// Add signatures to commits
///
/// A signature by the same key that is there already is kept. `compose`, `promote` and
/// `publish` sign what they make by themselves, given the same options.
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// Refs, commits, or versions and channels of this machine's architecture
    #[arg(required = true, value_name = "REF")]
    revs: Vec<String>,

    #[command(flatten)]
    signing: SigningArgs,
}

pub fn run(context: &Context<'_>, args: &SignArgs) -> Result<ExitCode, CliError> {
    let keys = args.signing.keys()?;
    if keys.is_empty() {
        return Err(CliError::Usage {
            message: "no key to sign with".to_owned(),
            hint: Some("name one with --gpg-sign or --sign-from-file".to_owned()),
        });
    }
    let repo = context.repo()?;
    let mut signed = Vec::new();
    for rev in &args.revs {
        let commit = resolve(&repo, rev)?;
        let mut added = 0;
        for key in &keys {
            added += u32::from(sign(&repo, commit, key)?);
        }
        context.output.say(&match added {
            0 => format!("{rev} {} has these signatures already", short(commit)),
            1 => format!("{rev} {} has a new signature", short(commit)),
            more => format!("{rev} {} has {more} new signatures", short(commit)),
        });
        signed.push(json!({"rev": rev, "commit": commit.to_string(), "added": added}));
    }
    context
        .output
        .data(&json!({"signed": signed}), String::new)?;
    Ok(ExitCode::SUCCESS)
}
