use crate::args::arch;
use crate::args::transfer::TransferArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::follow::follow_keys;
use crate::report::{Report, refused_exit_code};
use crate::revision::{pinned, tree_path};
use crate::text::downloaded;
use crate::views::pull::{PlannedCommitView, plan_table};
use crate::views::summary::summary_message;
use crate::views::value::Text;
use ostree_go_sdk::publish::SummaryState;
use ostree_go_sdk::pull::{Depth, Pull, Pulled, RefusedRef};
use ostree_go_sdk::{Arch, CommitId, RefName, Repo, Sha256, remote};
use serde::Serialize;
use std::process::ExitCode;

/// Fetch releases and channels from a remote
///
/// Each commit is checked before its content is fetched: its signature, the ref that it is bound
/// to, and its age. Refs are updated when all content is complete. The next pull resumes an
/// interrupted one. If --mirror fetches every ref and some are refused, the others are fetched, and
/// the exit code is 3.
#[derive(Debug, clap::Args)]
pub struct PullArgs {
    /// Remote, which may be omitted if there is only one, and refs; a version or channel means the
    /// ref for this machine's architecture. `@sha256:DIGEST` after a ref selects an image of a
    /// registry
    #[arg(value_name = "[REMOTE] REF", required_unless_present = "mirror")]
    targets: Vec<String>,

    /// Fetch only the commits and their signatures, print the size of the download, and update no
    /// refs
    #[arg(long)]
    commit_metadata_only: bool,

    /// Fetch only this path and everything below it (may be repeated)
    #[arg(long, value_name = "PATH")]
    subpath: Vec<String>,

    /// Fetch this many parents of each commit as well; -1 for all
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    depth: i32,

    /// Update local refs instead of the remote's refs, to serve them to others; without REF, fetch
    /// every ref in the remote's summary, and the summary itself
    #[arg(long)]
    mirror: bool,

    /// Check the commits, print the size of the download, and change nothing
    #[arg(long, conflicts_with = "commit_metadata_only")]
    dry_run: bool,

    /// Download at most this many bytes
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,

    /// Refuse commits for another architecture: x86_64 or aarch64
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    arch: Option<Arch>,

    /// Accept a commit that is older than the current one
    #[arg(long)]
    allow_downgrade: bool,

    /// Fetch objects one by one even if there is a static delta
    #[arg(long)]
    no_deltas: bool,

    #[command(flatten)]
    transfer: TransferArgs,
}

pub fn run(context: &Context, args: &PullArgs) -> Result<ExitCode, CliError> {
    let repo = context.client_repo()?;
    let (remote, names) = remote_and_refs(&repo, &args.targets, args.mirror)?;
    let refs = names
        .iter()
        .map(|name| pinned(name, Arch::host()))
        .collect::<Result<Vec<_>, CliError>>()?;
    let subpaths = args.subpath.iter().map(|path| tree_path(path));
    let subpaths = subpaths.collect::<Result<Vec<_>, CliError>>()?;
    // One that names the whole tree makes the others irrelevant.
    let subpaths = subpaths.into_iter().collect::<Option<Vec<_>>>();
    let http = args.transfer.http(context.settings.http()?);
    if !args.dry_run {
        follow_keys(context, &repo, &remote, &http)?;
    }
    let pull = Pull::new(&remote, refs.iter().map(|(name, _)| name.clone()))
        .expect_arch(args.arch)
        .allow_downgrade(args.allow_downgrade)
        .depth(u32::try_from(args.depth).map_or(Depth::All, Depth::Parents))
        .subpaths(subpaths.unwrap_or_default())
        .mirror(args.mirror)
        .commit_metadata_only(args.commit_metadata_only)
        .deltas(!args.no_deltas)
        .max_bytes(args.max_bytes)
        .http(http)
        .auth(context.registry_auth(remote::registry(&repo, &remote)?.as_ref())?)
        .progress(context.progress());
    let pull = with_pins(pull, &refs);
    let plan = pull.plan(&repo)?;
    let mut report = PullReport {
        remote,
        dry_run: args.dry_run,
        commits: plan.refs().iter().map(Into::into).collect(),
        downloaded: None,
        objects: None,
        used_delta: None,
        seconds: None,
        summary: None,
        refused: plan.refused().iter().map(Into::into).collect(),
        shows_plan: args.dry_run || args.commit_metadata_only,
        pulled: Vec::new(),
    };
    for refused in &report.refused {
        context.say(&format!("refused: {}", refused.problem));
    }
    if args.dry_run {
        plan.check_limits()?;
        return context.report(&report);
    }
    let pulled = plan.execute()?;
    let line = downloaded(pulled.bytes, pulled.elapsed, pulled.used_delta);
    context.say(&line);
    if let Some(message) = pulled.summary.and_then(summary_message) {
        context.say(message);
    }
    if !report.refused.is_empty() {
        let (refused, commits) = (report.refused.len(), pulled.commits.len());
        context.say(&format!(
            "{refused} refs were refused and left as they are, {commits} refs were fetched"
        ));
    }
    report.add(&pulled);
    context.report(&report)
}

/// The result of a pull, or of the checks before it. Without a pull, some fields are null.
#[derive(Serialize)]
struct PullReport {
    remote: String,
    dry_run: bool,
    commits: Vec<PlannedCommitView>,
    downloaded: Option<u64>,
    objects: Option<u64>,
    used_delta: Option<bool>,
    seconds: Option<f64>,
    summary: Option<&'static str>,
    refused: Vec<RefusedView>,
    /// True if the text is the table of planned commits.
    #[serde(skip)]
    shows_plan: bool,
    #[serde(skip)]
    pulled: Vec<CommitId>,
}

/// A ref that was left out.
#[derive(Serialize)]
struct RefusedView {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    problem: String,
}

impl From<&RefusedRef> for RefusedView {
    fn from(refused: &RefusedRef) -> Self {
        let mut problem = refused.error.to_string();
        let mut cause = std::error::Error::source(&refused.error);
        while let Some(error) = cause {
            problem.push_str(&format!(": {error}"));
            cause = error.source();
        }
        Self {
            ref_name: Text(refused.name.clone()),
            problem,
        }
    }
}

impl PullReport {
    fn add(&mut self, pulled: &Pulled) {
        let commits = pulled.commits.iter();
        self.downloaded = Some(pulled.bytes);
        self.objects = Some(pulled.objects);
        self.used_delta = Some(pulled.used_delta);
        self.seconds = Some(pulled.elapsed.as_secs_f64());
        self.summary = pulled.summary.map(SummaryState::as_str);
        self.pulled = commits.map(|(_, commit)| *commit.value()).collect();
    }
}

impl Report for PullReport {
    fn human(&self) -> String {
        if self.shows_plan {
            return plan_table(&self.commits);
        }
        let commits = self.pulled.iter();
        commits.map(|commit| format!("{commit}\n")).collect()
    }

    fn exit_code(&self) -> ExitCode {
        refused_exit_code(!self.refused.is_empty())
    }
}

/// Pins refs to image digests.
fn with_pins(pull: Pull, refs: &[(RefName, Option<Sha256>)]) -> Pull {
    let pins = refs.iter();
    let pins = pins.filter_map(|(name, pin)| Some((name.clone(), (*pin)?)));
    pins.fold(pull, |pull, (name, pin)| pull.pin(name, pin))
}

/// Splits the arguments into the remote and the refs. No refs means all refs of a mirror.
fn remote_and_refs(
    repo: &Repo,
    arguments: &[String],
    mirror: bool,
) -> Result<(String, Vec<String>), CliError> {
    let known: Vec<String> = remote::list(repo)?
        .into_iter()
        .map(|remote| remote.name)
        .collect();
    let named = arguments.split_first();
    if let Some((first, rest)) = named.filter(|(first, _)| known.contains(first)) {
        if rest.is_empty() && !mirror {
            return Err(CliError::Usage {
                message: format!("no ref to pull from remote `{first}`"),
                hint: Some(
                    "name a ref, for example `1.26`, or use --mirror to pull all refs".to_owned(),
                ),
            });
        }
        return Ok((first.clone(), rest.to_vec()));
    }
    match known.as_slice() {
        [only] => Ok((only.clone(), arguments.to_vec())),
        [] => Err(CliError::Usage {
            message: format!("no remote in repository {}", repo.path().display()),
            hint: Some("add a remote with `ostree-go remote add`".to_owned()),
        }),
        known => Err(CliError::Usage {
            message: match named {
                Some((first, _)) => {
                    format!("`{first}` is not a remote, and there are several remotes")
                }
                None => "there are several remotes".to_owned(),
            },
            hint: Some(format!("name one of {}", known.join(", "))),
        }),
    }
}
