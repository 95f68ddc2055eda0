use crate::args::signing::SigningArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::revision::resolve_all;
use crate::text::short;
use crate::views::channel::ChannelView;
use crate::views::summary::{summary_message, unsigned_warning};
use ostree_go_sdk::catalog::CommitInfo;
use ostree_go_sdk::compose::{ChannelState, ComposedChannel, Promote};
use ostree_go_sdk::{Arch, InvalidRef, RefName, Repo};
use serde::Serialize;
use std::process::ExitCode;

/// Move a channel to a release
///
/// Creates a commit with the tree of the release, whose parent is the last commit of the channel.
/// The channels of all architectures for which the release exists are moved together, or none of
/// them. Prints the commit IDs.
#[derive(Debug, clap::Args)]
pub struct PromoteArgs {
    /// Release: a version, for every architecture in the repository; or a full ref or a commit
    release: String,

    /// Channel: a full ref, or its last part, for example `stable`; the rest is then taken from the
    /// ref of each release
    channel: String,

    /// Move only the channel of this architecture (may be repeated)
    #[arg(long, value_name = "ARCH")]
    arch: Vec<Arch>,

    /// Allow moving the channel to an older version
    #[arg(long)]
    allow_downgrade: bool,

    #[command(flatten)]
    signing: SigningArgs,
}

pub fn run(context: &Context, args: &PromoteArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let releases = releases(&repo, args)?;
    let mut channels = Vec::new();
    for release in &releases {
        channels.push(channel_ref(&args.channel, release)?);
    }
    let moves = releases.iter().map(|release| release.id);
    let mut promote = Promote::new(moves.zip(channels.iter().cloned()))
        .allow_downgrade(args.allow_downgrade)
        .sign_with(args.signing.keys()?)
        .progress(context.progress());
    if let Some(clock) = context.fixed_clock()? {
        promote = promote.clock(clock);
    }
    let promoted = promote.plan(&repo)?.execute()?;
    for (release, channel) in releases.iter().zip(&promoted.channels) {
        context.say(&message(release, channel));
        if channel.lacks_signature {
            context.say(&unsigned_warning(&channel.ref_name));
        }
    }
    for name in left_behind(&repo, args, &channels) {
        let release = &args.release;
        context.say(&format!(
            "{name} was not moved: the repository has no {release} for this architecture"
        ));
    }
    if let Some(message) = summary_message(promoted.summary) {
        context.say(message);
    }
    context.report(&PromoteReport {
        channels: promoted.channels.iter().map(Into::into).collect(),
        summary: promoted.summary.as_str(),
    })
}

/// Returns the releases to promote: for a version those of all architectures, unless arguments
/// select some.
fn releases(repo: &Repo, args: &PromoteArgs) -> Result<Vec<CommitInfo>, CliError> {
    let arches = match arch_of_ref(&args.channel) {
        Some(arch) if args.arch.is_empty() => vec![arch],
        _ => args.arch.clone(),
    };
    let commits = resolve_all(repo, &args.release, &arches)?.into_iter();
    let infos = commits.map(|commit| Ok(CommitInfo::read(repo, commit)?));
    infos.collect()
}

/// Returns the architecture that a ref names in one of its components.
fn arch_of_ref(name: &str) -> Option<Arch> {
    let mut arches = Arch::ALL.into_iter();
    arches.find(|arch| name.split('/').any(|part| part == arch.basearch()))
}

/// Returns the full ref of a channel: `stable` with the release `go-sdk/x86_64/1.26.5` is
/// `go-sdk/x86_64/stable`. A full ref has to name the architecture if the ref of the release does.
fn channel_ref(name: &str, release: &CommitInfo) -> Result<RefName, CliError> {
    let own = release.bound_to.first().map_or("", RefName::as_str);
    let folder = own.rsplit_once('/').map(|(folder, _)| folder);
    let last = name.rsplit('/').next().unwrap_or(name);
    let derived = match folder {
        Some(folder) => format!("{folder}/{last}"),
        None => last.to_owned(),
    };
    let whole = match name.contains('/') {
        true => name,
        false => &derived,
    };
    let parsed = whole
        .parse()
        .map_err(|error: InvalidRef| CliError::usage(error.to_string()))?;
    match (arch_of_ref(own), arch_of_ref(whole)) {
        (Some(expected), found) if found != Some(expected) => {
            let problem = match found {
                Some(found) => format!("is for {found}, but {own} is for {expected}"),
                None => format!("has no architecture, expected for example {derived}"),
            };
            Err(CliError::Usage {
                message: format!("channel {whole} {problem}"),
                hint: Some(format!(
                    "name only its last part, `{last}`, to move it for each architecture"
                )),
            })
        }
        _ => Ok(parsed),
    }
}

/// Returns the existing channels of the same name for other architectures than the release.
fn left_behind(repo: &Repo, args: &PromoteArgs, moved: &[RefName]) -> Vec<String> {
    let is_for_all = args.arch.is_empty() && !args.channel.contains('/');
    let first = moved
        .first()
        .filter(|_| is_for_all && !args.release.contains('/'));
    let Some((first, arch)) = first.and_then(|name| Some((name, arch_of_ref(name.as_str())?)))
    else {
        return Vec::new();
    };
    let names = Arch::ALL.map(|other| {
        let parts = first.as_str().split('/');
        let parts = parts.map(|part| match part == arch.basearch() {
            true => other.basearch(),
            false => part,
        });
        parts.collect::<Vec<_>>().join("/")
    });
    let is_moved = |name: &String| moved.iter().any(|moved| moved.as_str() == name.as_str());
    let names = names.into_iter();
    let existing = names.filter(|name| !is_moved(name) && repo.resolve(name).is_ok());
    existing.collect()
}

fn message(release: &CommitInfo, channel: &ComposedChannel) -> String {
    let (name, version) = (&channel.ref_name, release.version.as_deref());
    let version = version.unwrap_or_default();
    match channel.state {
        ChannelState::Unchanged => format!("{name} is already at {version}"),
        _ => format!(
            "{name} is now at {version}, commit {}",
            short(channel.commit)
        ),
    }
}

#[derive(Serialize)]
struct PromoteReport {
    channels: Vec<ChannelView>,
    summary: &'static str,
}

impl Report for PromoteReport {
    fn human(&self) -> String {
        let channels = self.channels.iter();
        channels
            .map(|channel| format!("{}\n", channel.commit))
            .collect()
    }
}
