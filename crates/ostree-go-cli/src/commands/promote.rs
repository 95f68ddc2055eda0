use crate::args::signing::SigningArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::revision::resolve;
use crate::text::short;
use crate::views::value::Text;
use ostree_go_sdk::catalog::CommitInfo;
use ostree_go_sdk::compose::{ChannelState, Promote};
use ostree_go_sdk::{CommitId, RefName};
use serde::Serialize;
use std::process::ExitCode;

/// Move a channel to a release
///
/// Creates a commit with the tree of the release, whose parent is the last commit of the channel.
/// Prints the commit ID.
#[derive(Debug, clap::Args)]
pub struct PromoteArgs {
    /// Release: a ref, a commit, or a version of this machine's architecture
    release: String,

    /// Channel: a full ref, or its last part, for example `stable`; the rest is then taken from the
    /// release's ref
    channel: String,

    /// Allow moving the channel to an older version
    #[arg(long)]
    allow_downgrade: bool,

    #[command(flatten)]
    signing: SigningArgs,
}

pub fn run(context: &Context, args: &PromoteArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let release = CommitInfo::read(&repo, resolve(&repo, &args.release)?)?;
    let channel = channel_ref(&args.channel, &release)?;
    let mut promote = Promote::new(release.id, channel.clone())
        .allow_downgrade(args.allow_downgrade)
        .sign_with(args.signing.keys()?)
        .progress(context.progress());
    if let Some(clock) = context.fixed_clock()? {
        promote = promote.clock(clock);
    }
    let promoted = promote.plan(&repo)?.execute()?;
    let version = release.version.unwrap_or_default();
    context.say(&match promoted.state {
        ChannelState::Moved => format!(
            "{channel} is now at {version}, commit {}",
            short(promoted.commit)
        ),
        ChannelState::Unchanged => format!("{channel} is already at {version}"),
        _ => format!("{channel} was not moved: it has a newer version than {version}"),
    });
    context.report(&PromoteReport {
        ref_name: Text(channel),
        commit: Text(promoted.commit),
        state: promoted.state.as_str(),
    })
}

#[derive(Serialize)]
struct PromoteReport {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    commit: Text<CommitId>,
    state: &'static str,
}

impl Report for PromoteReport {
    fn human(&self) -> String {
        format!("{}\n", self.commit)
    }
}

/// Returns the full ref of a channel: `stable` with the release `go-sdk/x86_64/1.26.5` is
/// `go-sdk/x86_64/stable`.
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
