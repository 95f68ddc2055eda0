use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{bytes, day, short, short_ref, table};
use crate::views::commit::CommitView;
use crate::views::value::{PathText, Text};
use ostree_go_sdk::RefName;
use ostree_go_sdk::catalog::CommitKind;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// List the releases and channels of a repository
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Also list layers, std caches, Go modules and all other refs
    #[arg(short, long)]
    all: bool,
}

pub fn run(context: &Context, args: &ListArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let mut listed = repo.list()?;
    listed.retain(|(_, commit)| {
        args.all || matches!(commit.kind, CommitKind::Release | CommitKind::Channel)
    });
    let refs = listed.iter().map(|(name, commit)| ListedRef {
        ref_name: Text(name.clone()),
        commit: CommitView::from(commit),
    });
    let code = context.report(&ListReport {
        repo: PathText(repo.path()),
        refs: refs.collect(),
    })?;
    if listed.is_empty() {
        let path = repo.path().display();
        context.say(&format!("{path} contains no releases and no channels"));
    }
    Ok(code)
}

#[derive(Serialize)]
struct ListReport<'a> {
    repo: PathText<&'a Path>,
    refs: Vec<ListedRef>,
}

#[derive(Serialize)]
struct ListedRef {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    #[serde(flatten)]
    commit: CommitView,
}

impl ListedRef {
    fn row(&self) -> Vec<String> {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let commit = &self.commit;
        // The timestamp of a layer is 0, so that its commit is reproducible.
        let time = Some(commit.timestamp).filter(|time| time.0 > 0);
        vec![
            short_ref(&self.ref_name),
            commit.kind.to_owned(),
            or_dash(commit.version.clone()),
            or_dash(commit.bytes.map(bytes)),
            or_dash(time.map(|time| day(time.0))),
            short(commit.commit),
        ]
    }
}

impl Report for ListReport<'_> {
    fn human(&self) -> String {
        let rows: Vec<_> = self.refs.iter().map(ListedRef::row).collect();
        if rows.is_empty() {
            return String::new();
        }
        let header = ["REF", "KIND", "GO", "SIZE", "DATE", "COMMIT"];
        table(&header, &rows)
    }
}
