use super::signing::SigningArgs;
use super::{Context, resolve};
use crate::error::CliError;
use crate::output::short;
use crate::progress::Terminal;
use ostree_go_sdk::{ChannelState, CommitInfo, FixedClock, Promote, RefName};
use serde_json::json;
use std::process::ExitCode;
use std::sync::Arc;

/// Move a channel to a release
///
/// The channel gets a commit of the release's tree, after its last one. Prints its id.
#[derive(Debug, clap::Args)]
pub struct PromoteArgs {
    /// A release's ref, a commit, or a version of this machine's architecture
    release: String,

    /// The channel: a whole ref, or its last part (`stable`), which then stands beside the release
    channel: String,

    /// Let the channel go back to an older version
    #[arg(long)]
    allow_downgrade: bool,

    #[command(flatten)]
    signing: SigningArgs,
}

pub fn run(context: &Context<'_>, args: &PromoteArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let release = CommitInfo::read(&repo, resolve(&repo, &args.release)?)?;
    let channel = channel_ref(&args.channel, &release)?;
    let mut promote = Promote::new(release.id, channel.clone())
        .back(args.allow_downgrade)
        .sign_with(args.signing.keys()?)
        .progress(Arc::new(Terminal::new(&context.global)));
    if let Some(epoch) = context.settings.source_date_epoch()? {
        promote = promote.clock(Arc::new(FixedClock(epoch)));
    }
    let promoted = promote.execute(&repo)?;
    let version = release.version.unwrap_or_default();
    context.output.say(&match promoted.state {
        ChannelState::Moved => format!("{channel} is {version} now, {}", short(promoted.commit)),
        ChannelState::Unchanged => format!("{channel} is {version} already"),
        _ => format!("{channel} has a newer version than {version} and stays"),
    });
    let document = json!({
        "ref": channel.as_str(),
        "commit": promoted.commit.to_string(),
        "state": promoted.state.as_str(),
    });
    context
        .output
        .data(&document, || format!("{}\n", promoted.commit))?;
    Ok(ExitCode::SUCCESS)
}

/// `stable` beside `go-sdk/x86_64/1.26.5` is `go-sdk/x86_64/stable`.
fn channel_ref(name: &str, release: &CommitInfo) -> Result<RefName, CliError> {
    let folder = release
        .bound_to
        .first()
        .and_then(|bound| bound.as_str().rsplit_once('/'))
        .map(|(folder, _)| folder);
    let whole = match (name.contains('/'), folder) {
        (false, Some(folder)) => format!("{folder}/{name}"),
        _ => name.to_owned(),
    };
    whole
        .parse()
        .map_err(|error: ostree_go_sdk::InvalidRef| CliError::usage(error.to_string()))
}
