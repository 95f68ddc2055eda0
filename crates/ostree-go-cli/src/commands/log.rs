use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::revision::resolve;
use crate::text::{short, table};
use crate::views::commit::CommitView;
use serde::Serialize;
use std::process::ExitCode;

/// Show the history of a ref, newest first
#[derive(Debug, clap::Args)]
pub struct LogArgs {
    /// A ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "REF")]
    rev: String,
}

pub fn run(context: &Context, args: &LogArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let history = repo.log(resolve(&repo, &args.rev)?)?;
    context.report(&LogReport {
        commits: history.iter().map(Into::into).collect(),
    })
}

#[derive(Serialize)]
struct LogReport {
    commits: Vec<CommitView>,
}

impl Report for LogReport {
    fn human(&self) -> String {
        let commits = self.commits.iter();
        let rows: Vec<_> = commits
            .map(|commit| {
                vec![
                    short(commit.commit),
                    commit.timestamp.to_string(),
                    commit.version.clone().unwrap_or_else(|| "-".to_owned()),
                    commit.subject.clone(),
                ]
            })
            .collect();
        table(&["COMMIT", "TIME", "GO", "SUBJECT"], &rows)
    }
}
