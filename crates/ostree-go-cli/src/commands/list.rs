use super::{Context, commit_json};
use crate::error::CliError;
use crate::output::{bytes, count, short, table, time};
use ostree_go_sdk::{CommitKind, list};
use serde_json::{Value, json};
use std::process::ExitCode;

/// List the releases and channels of a repository
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Also list layers and all other refs
    #[arg(short, long)]
    all: bool,
}

pub fn run(context: &Context<'_>, args: &ListArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let mut listed = list(&repo)?;
    listed.retain(|(_, commit)| {
        args.all || matches!(commit.kind, CommitKind::Release | CommitKind::Channel)
    });
    let refs = listed.iter().map(|(name, commit)| {
        let mut entry = json!({"ref": name.as_str()});
        if let (Some(entry), Value::Object(commit)) = (entry.as_object_mut(), commit_json(commit)) {
            entry.extend(commit);
        }
        entry
    });
    let document = json!({"repo": repo.path(), "refs": refs.collect::<Value>()});
    context.output.data(&document, || {
        let rows: Vec<Vec<String>> = listed
            .iter()
            .map(|(name, commit)| {
                let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                vec![
                    name.to_string(),
                    commit.kind.as_str().to_owned(),
                    or_dash(commit.version.clone()),
                    commit
                        .arch
                        .map_or("noarch", |arch| arch.basearch())
                        .to_owned(),
                    or_dash(commit.bytes.map(bytes)),
                    or_dash(commit.files.map(count)),
                    // The timestamp of a layer is 0, so that its commit is reproducible.
                    or_dash((commit.timestamp > 0).then(|| time(commit.timestamp))),
                    short(commit.id),
                ]
            })
            .collect();
        let header = [
            "REF", "KIND", "GO", "ARCH", "SIZE", "FILES", "TIME", "COMMIT",
        ];
        if rows.is_empty() {
            String::new()
        } else {
            table(&header, &rows)
        }
    })?;
    if listed.is_empty() {
        let path = repo.path().display();
        context
            .output
            .say(&format!("{path} contains no releases and no channels"));
    }
    Ok(ExitCode::SUCCESS)
}
