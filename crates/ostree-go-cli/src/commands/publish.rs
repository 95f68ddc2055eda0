use super::Context;
use super::signing::SigningArgs;
use crate::error::CliError;
use crate::output::{bytes, count, short, table};
use crate::progress::Terminal;
use ostree_go_sdk::{DeltaName, FixedClock, Publish, Repo};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Make a repository ready to be served
///
/// Makes the static deltas that are missing (to every release and channel from nothing, and to
/// each channel from its previous commits), an index page, and the summary; removes deltas that
/// are superseded. Any static web server can then serve the repository's folder.
#[derive(Debug, clap::Args)]
pub struct PublishArgs {
    /// From how many previous commits of each channel to make deltas
    #[arg(long, default_value_t = 2, value_name = "N")]
    history: usize,

    /// Offer this file of public keys beside the index page; may be given more than once
    #[arg(long, value_name = "FILE")]
    public_key: Vec<PathBuf>,

    /// Say what would be made and removed, and stop
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    signing: SigningArgs,
}

pub fn run(context: &Context<'_>, args: &PublishArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let mut publish = Publish::new()
        .history(args.history)
        .public_keys(args.public_key.clone())
        .sign_with(args.signing.keys()?)
        .progress(Arc::new(Terminal::new(&context.global)));
    if let Some(epoch) = context.settings.source_date_epoch()? {
        publish = publish.clock(Arc::new(FixedClock(epoch)));
    }
    if args.dry_run {
        return dry_run(context, &publish, &repo);
    }
    let published = publish.plan(&repo)?.execute()?;
    for delta in published
        .deltas
        .iter()
        .filter(|d| published.made.contains(&d.name))
    {
        let size = bytes(delta.bytes);
        context
            .output
            .say(&format!("delta {}  {size}", between(&delta.name)));
    }
    for name in &published.removed {
        context
            .output
            .say(&format!("delta {}  removed", between(name)));
    }
    // Deltas of one tree share their parts: a sum of their sizes would say too much.
    context.output.say(&format!(
        "summary of {} refs, {} deltas",
        count(published.refs as u64),
        count(published.deltas.len() as u64),
    ));
    let deltas = published.deltas.iter().map(|delta| {
        let mut entry = delta_json(&delta.name);
        entry["bytes"] = delta.bytes.into();
        entry["made"] = published.made.contains(&delta.name).into();
        entry
    });
    let document = json!({
        "repo": repo.path(),
        "refs": published.refs,
        "deltas": deltas.collect::<Value>(),
        "removed": published.removed.iter().map(delta_json).collect::<Value>(),
    });
    context.output.data(&document, String::new)?;
    Ok(ExitCode::SUCCESS)
}

fn dry_run(context: &Context<'_>, publish: &Publish, repo: &Repo) -> Result<ExitCode, CliError> {
    let plan = publish.plan(repo)?;
    let deltas = plan.deltas().iter().map(|planned| {
        let mut entry = delta_json(&planned.name);
        entry["exists"] = planned.exists.into();
        entry["refs"] = planned.refs.iter().map(ToString::to_string).collect();
        entry
    });
    let document = json!({
        "dry_run": true,
        "deltas": deltas.collect::<Value>(),
        "superseded": plan.superseded().iter().map(delta_json).collect::<Value>(),
    });
    context.output.data(&document, || {
        let wanted = plan.deltas().iter().map(|planned| {
            let refs: Vec<String> = planned.refs.iter().map(ToString::to_string).collect();
            let would = if planned.exists { "keep" } else { "make" };
            vec![would.to_owned(), between(&planned.name), refs.join(", ")]
        });
        let superseded = plan.superseded().iter();
        let removed =
            superseded.map(|name| vec!["remove".to_owned(), between(name), String::new()]);
        let rows: Vec<Vec<String>> = wanted.chain(removed).collect();
        table(&["WOULD", "DELTA", "FOR"], &rows)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn between(name: &DeltaName) -> String {
    let from = name.from.map_or_else(|| "nothing".to_owned(), short);
    format!("{from} → {}", short(name.to))
}

fn delta_json(name: &DeltaName) -> Value {
    json!({"from": name.from.map(|id| id.to_string()), "to": name.to.to_string()})
}
