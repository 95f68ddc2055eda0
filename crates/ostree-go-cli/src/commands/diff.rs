use super::{Context, commit_json, resolve};
use crate::error::CliError;
use crate::output::{bytes, count, table};
use ostree_go_sdk::{Change, CommitInfo, Diff, FileInfo, diff};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Show the differences between two releases
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// Old release: a ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "FROM")]
    from: String,

    /// New release: a ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "TO")]
    to: String,
}

pub fn run(context: &Context<'_>, args: &DiffArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let diff = diff(
        &repo,
        resolve(&repo, &args.from)?,
        resolve(&repo, &args.to)?,
    )?;
    let changes: Value = diff.changes.iter().map(change_json).collect();
    let summary = Summary::of(&diff);
    let document = json!({
        "from": commit_json(&diff.from),
        "to": commit_json(&diff.to),
        "added": summary.added,
        "removed": summary.removed,
        "changed": summary.changed,
        "binaries_changed": summary.binaries,
        "changes": changes,
    });
    context.output.data(&document, || text(&diff))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Default)]
struct Summary {
    added: u64,
    removed: u64,
    changed: u64,
    binaries: u64,
    bytes: i128,
}

impl Summary {
    fn of(diff: &Diff) -> Self {
        let mut summary = Self::default();
        for change in &diff.changes {
            match (change.from, change.to) {
                (None, _) => summary.added += 1,
                (_, None) => summary.removed += 1,
                _ => summary.changed += 1,
            }
            summary.binaries += u64::from(is_binary(change));
            let size = |file: Option<FileInfo>| i128::from(file.map_or(0, |f| f.size));
            summary.bytes += size(change.to) - size(change.from);
        }
        summary
    }
}

fn is_binary(change: &Change) -> bool {
    [change.from, change.to]
        .iter()
        .flatten()
        .any(|file| file.is_binary)
}

fn status(change: &Change) -> &'static str {
    match (change.from, change.to) {
        (None, _) => "added",
        (_, None) => "removed",
        (Some(from), Some(to)) if from.mode != to.mode => "mode",
        _ => "changed",
    }
}

fn change_json(change: &Change) -> Value {
    let file = |file: Option<FileInfo>| {
        file.map(
            |f| json!({"bytes": f.size, "mode": format!("{:o}", f.mode), "binary": f.is_binary}),
        )
    };
    json!({
        "path": format!("/{}", change.path),
        "status": status(change),
        "from": file(change.from),
        "to": file(change.to),
    })
}

fn text(diff: &Diff) -> String {
    let name = |commit: &CommitInfo| {
        let version = commit.version.as_deref().unwrap_or(&commit.subject);
        let arch = commit.arch.map_or("noarch", |arch| arch.basearch());
        format!("{version} {arch}")
    };
    let (from, to) = (name(&diff.from), name(&diff.to));
    if diff.changes.is_empty() {
        return format!("Go {from} → {to}: no differences\n");
    }
    let summary = Summary::of(diff);
    let sign = if summary.bytes < 0 { '-' } else { '+' };
    let size = bytes(u64::try_from(summary.bytes.unsigned_abs()).unwrap_or(u64::MAX));
    let mut text = format!(
        "Go {from} → {to}: {} added, {} removed, {} changed, {} of them binary, {sign}{size}\n",
        count(summary.added),
        count(summary.removed),
        count(summary.changed),
        count(summary.binaries),
    );
    let rows: Vec<Vec<String>> = diff
        .changes
        .iter()
        .map(|change| {
            let size = |file: Option<FileInfo>| file.map_or("-".to_owned(), |f| bytes(f.size));
            vec![
                status(change).to_owned(),
                size(change.from),
                size(change.to),
                if is_binary(change) { "binary" } else { "" }.to_owned(),
                format!("/{}", change.path),
            ]
        })
        .collect();
    text.push_str(&table(&["STATUS", "FROM", "TO", "KIND", "PATH"], &rows));
    text
}
