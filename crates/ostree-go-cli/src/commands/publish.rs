use super::Context;
use super::signing::SigningArgs;
use crate::error::CliError;
use crate::output::{bytes, count, short, table};
use crate::progress::Terminal;
use ostree_go_sdk::{ComparedDelta, DeltaName, DeltaPreset, FixedClock, Publish, Repo};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Prepare a repository for serving
///
/// Generates the missing static deltas (to every release and channel from nothing, and to each
/// channel from its previous commits), an index page, and the summary; deletes superseded deltas.
/// Any static web server can then serve the repository's directory.
#[derive(Debug, clap::Args)]
pub struct PublishArgs {
    /// Number of previous commits of each channel from which to generate deltas
    #[arg(long, default_value_t = 2, value_name = "N")]
    history: usize,

    /// Publish this file with public keys beside the index page (may be repeated)
    #[arg(long, value_name = "FILE")]
    public_key: Vec<PathBuf>,

    /// Compression effort for new deltas: `best` makes them smaller, but takes several times as
    /// long
    #[arg(long, value_enum, default_value_t = Preset::Fast, value_name = "PRESET")]
    delta_preset: Preset,

    /// Generate each new delta with libostree as well, and keep the smaller one; takes minutes
    #[arg(long)]
    compare_deltas: bool,

    /// Sign the deltas as well, with the keys of --sign-from-file, for `ostree static-delta
    /// apply-offline` and ostree-go; the stock `ostree pull` cannot read signed deltas
    #[arg(long, requires = "sign_from_file")]
    sign_deltas: bool,

    /// Print which deltas would be generated and deleted, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    signing: SigningArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Preset {
    Fast,
    Best,
}

pub fn run(context: &Context<'_>, args: &PublishArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let mut publish = Publish::new()
        .history(args.history)
        .public_keys(args.public_key.clone())
        .sign_with(args.signing.keys()?)
        .delta_preset(match args.delta_preset {
            Preset::Fast => DeltaPreset::Fast,
            Preset::Best => DeltaPreset::Best,
        })
        .compare_deltas(args.compare_deltas)
        .sign_deltas(args.sign_deltas)
        .progress(Arc::new(Terminal::new(&context.global)));
    if let Some(epoch) = context.settings.source_date_epoch()? {
        publish = publish.clock(Arc::new(FixedClock(epoch)));
    }
    if args.dry_run {
        return dry_run(context, &publish, &repo);
    }
    let published = publish.plan(&repo)?.execute()?;
    let compared = |name: &DeltaName| published.compared.iter().find(|of| of.name == *name);
    for delta in published
        .deltas
        .iter()
        .filter(|d| published.made.contains(&d.name))
    {
        let size = bytes(delta.bytes);
        let mut line = format!("delta {}  {size}", name_text(&delta.name));
        if let Some(compared) = compared(&delta.name) {
            line += &comparison(compared);
        }
        context.output.say(&line);
    }
    for name in &published.removed {
        context
            .output
            .say(&format!("delta {}  removed", name_text(name)));
    }
    // Deltas of the same tree share their parts, so that the sum of their sizes would be
    // misleading.
    context.output.say(&format!(
        "summary of {} refs, {} deltas",
        count(published.refs as u64),
        count(published.deltas.len() as u64),
    ));
    let deltas = published.deltas.iter().map(|delta| {
        let mut entry = delta_json(&delta.name);
        entry["bytes"] = delta.bytes.into();
        entry["made"] = published.made.contains(&delta.name).into();
        entry["compared"] = compared(&delta.name).map_or(
            Value::Null,
            |compared| json!({"bytes": compared.ours, "libostree_bytes": compared.libostree}),
        );
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
            let action = if planned.exists { "keep" } else { "make" };
            vec![action.to_owned(), name_text(&planned.name), refs.join(", ")]
        });
        let superseded = plan.superseded().iter();
        let removed =
            superseded.map(|name| vec!["remove".to_owned(), name_text(name), String::new()]);
        let rows: Vec<Vec<String>> = wanted.chain(removed).collect();
        table(&["WOULD", "DELTA", "FOR"], &rows)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Returns which of two deltas was kept, and the size of the other one.
fn comparison(compared: &ComparedDelta) -> String {
    let libostree_size = bytes(compared.libostree);
    match compared.libostree < compared.ours {
        true => format!(", libostree's; ours has {}", bytes(compared.ours)),
        false => format!(", libostree's has {libostree_size}"),
    }
}

fn name_text(name: &DeltaName) -> String {
    let from = name.from.map_or_else(|| "nothing".to_owned(), short);
    format!("{from} → {}", short(name.to))
}

fn delta_json(name: &DeltaName) -> Value {
    json!({"from": name.from.map(|id| id.to_string()), "to": name.to.to_string()})
}
