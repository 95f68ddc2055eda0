use crate::args::signing::SigningArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{bytes, count, short, short_ref, table};
use crate::views::summary::summary_message;
use crate::views::value::Text;
use ostree_go_sdk::prune::Prune;
use ostree_go_sdk::{CommitId, RefName};
use serde::Serialize;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Delete old releases
///
/// Deletes releases that are not in the kept history of any channel, layers that no remaining
/// release uses, std caches of versions without a remaining release, and unreferenced objects. Go
/// modules are kept. An existing summary and page are written again; a
/// summary that is signed needs the key of its signature. If another process is working in the repository, the
/// command does not wait but exits with 75.
#[derive(Debug, clap::Args)]
pub struct PruneArgs {
    /// Number of commits to keep in the history of each channel, at least 1
    #[arg(long, value_name = "N")]
    keep: NonZeroUsize,

    /// Delete only releases older than this: a number followed by s, m, h, d or w
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    older_than: Option<u64>,

    /// Print what would be deleted, without deleting anything
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    signing: SigningArgs,
}

fn parse_duration(text: &str) -> Result<u64, String> {
    let unit = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err("expected a number and one of s, m, h, d, w, for example 90d".to_owned()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a number before the unit".to_owned())?;
    number
        .checked_mul(seconds)
        .ok_or_else(|| "the duration is too long".to_owned())
}

pub fn run(context: &Context, args: &PruneArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let older_than = args.older_than.map(|age| now.saturating_sub(age));
    let mut prune = Prune::new(args.keep.get())
        .older_than(older_than)
        .sign_with(args.signing.keys()?);
    if let Some(clock) = context.fixed_clock()? {
        prune = prune.clock(clock);
    }
    let plan = prune.plan(&repo)?;
    if args.dry_run {
        return context.report(&DryRunReport {
            dry_run: true,
            refs: plan.refs().iter().map(RefView::from).collect(),
        });
    }
    let pruned = plan.execute()?;
    for (name, id) in &pruned.refs {
        context.say(&format!("{name}  {}  removed", short(id)));
    }
    let objects = count(pruned.objects);
    context.say(&format!(
        "{objects} objects, {}, removed",
        bytes(pruned.bytes)
    ));
    if let Some(message) = summary_message(pruned.summary) {
        context.say(message);
    }
    context.report(&PruneReport {
        summary: pruned.summary.as_str(),
        refs: pruned.refs.iter().map(RefView::from).collect(),
        objects: pruned.objects,
        bytes: pruned.bytes,
    })
}

#[derive(Serialize)]
struct PruneReport {
    refs: Vec<RefView>,
    objects: u64,
    bytes: u64,
    summary: &'static str,
}

#[derive(Serialize)]
struct DryRunReport {
    dry_run: bool,
    refs: Vec<RefView>,
}

#[derive(Serialize)]
struct RefView {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    commit: Text<CommitId>,
}

impl From<&(RefName, CommitId)> for RefView {
    fn from((name, id): &(RefName, CommitId)) -> Self {
        Self {
            ref_name: Text(name.clone()),
            commit: Text(*id),
        }
    }
}

impl Report for PruneReport {}

impl Report for DryRunReport {
    fn human(&self) -> String {
        let refs = self.refs.iter();
        let rows: Vec<_> = refs
            .map(|one| vec![short_ref(&one.ref_name), short(one.commit)])
            .collect();
        match rows.is_empty() {
            true => String::new(),
            false => table(&["WOULD REMOVE", "COMMIT"], &rows),
        }
    }
}
