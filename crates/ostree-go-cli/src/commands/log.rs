use super::{Context, commit_json, resolve};
use crate::error::CliError;
use crate::output::{short, table, time};
use ostree_go_sdk::log;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Show the history of a ref, newest first
#[derive(Debug, clap::Args)]
pub struct LogArgs {
    /// A ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "REF")]
    rev: String,
}

pub fn run(context: &Context<'_>, args: &LogArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let history = log(&repo, resolve(&repo, &args.rev)?)?;
    let commits: Value = history.iter().map(commit_json).collect();
    context.output.data(&json!({"commits": commits}), || {
        let rows: Vec<Vec<String>> = history
            .iter()
            .map(|commit| {
                vec![
                    short(commit.id),
                    time(commit.timestamp),
                    commit.version.clone().unwrap_or_else(|| "-".to_owned()),
                    commit.subject.clone(),
                ]
            })
            .collect();
        table(&["COMMIT", "TIME", "GO", "SUBJECT"], &rows)
    })?;
    Ok(ExitCode::SUCCESS)
}
