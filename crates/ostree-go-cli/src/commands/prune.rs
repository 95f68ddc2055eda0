use super::Context;
use crate::error::CliError;
use crate::output::{bytes, count, short, table};
use ostree_go_sdk::Prune;
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Delete old releases
///
/// Deletes releases that are not in the kept history of any channel, layers that no remaining
/// release uses, and unreferenced objects. If another process is working in the repository, the
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

pub fn run(context: &Context<'_>, args: &PruneArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let older_than = args.older_than.map(|age| now.saturating_sub(age));
    let plan = Prune::keep(args.keep.get())
        .older_than(older_than)
        .plan(&repo)?;
    if args.dry_run {
        let refs: Vec<_> = plan.refs().to_vec();
        let listed = refs
            .iter()
            .map(|(name, id)| json!({"ref": name.as_str(), "commit": id.to_string()}));
        let document = json!({"dry_run": true, "refs": listed.collect::<Value>()});
        context.output.data(&document, || {
            let rows: Vec<_> = refs
                .iter()
                .map(|(n, id)| vec![n.to_string(), short(id)])
                .collect();
            if rows.is_empty() {
                String::new()
            } else {
                table(&["WOULD REMOVE", "COMMIT"], &rows)
            }
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let pruned = plan.execute()?;
    for (name, id) in &pruned.refs {
        context
            .output
            .say(&format!("{name}  {}  removed", short(id)));
    }
    let objects = count(pruned.objects);
    context.output.say(&format!(
        "{objects} objects, {}, removed",
        bytes(pruned.bytes)
    ));
    let refs = pruned
        .refs
        .iter()
        .map(|(name, id)| json!({"ref": name.as_str(), "commit": id.to_string()}));
    let document = json!({
        "refs": refs.collect::<Value>(),
        "objects": pruned.objects,
        "bytes": pruned.bytes,
    });
    context.output.data(&document, String::new)?;
    Ok(ExitCode::SUCCESS)
}
