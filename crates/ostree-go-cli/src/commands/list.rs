use crate::args::database::DatabaseArgs;
use crate::audit;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{bytes, day, short, short_ref, table};
use crate::views::advisory::AssessmentView;
use crate::views::commit::CommitView;
use crate::views::value::{PathText, Text};
use ostree_go_sdk::audit::{Advisories, Platform};
use ostree_go_sdk::catalog::{CommitInfo, CommitKind};
use ostree_go_sdk::{GoVersion, RefName};
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// List the releases and channels of a repository
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Also list layers, std caches, Go modules and all other refs
    #[arg(short, long)]
    all: bool,

    /// List only releases and channels that are not the newest patch release of their minor release,
    /// or that Go does not support any more, with the number of their known vulnerabilities
    #[arg(long, conflicts_with = "all")]
    outdated: bool,

    #[command(flatten)]
    database: DatabaseArgs,
}

pub fn run(context: &Context, args: &ListArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let mut listed = repo.list()?;
    listed.retain(|(_, commit)| {
        args.all || matches!(commit.kind, CommitKind::Release | CommitKind::Channel)
    });
    if args.outdated {
        let refs = outdated(context, args, &listed)?;
        let (is_empty, path) = (refs.is_empty(), repo.path().display());
        let code = context.report(&OutdatedReport {
            repo: PathText(repo.path()),
            refs,
        })?;
        if is_empty && !listed.is_empty() {
            context.say(&format!("no release in {path} is outdated"));
        }
        return Ok(code);
    }
    let refs = listed
        .iter()
        .map(|(name, commit)| ListedRef::new(name, commit));
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

/// Returns the releases and channels that are outdated, with what is known about them.
fn outdated(
    context: &Context,
    args: &ListArgs,
    listed: &[(RefName, CommitInfo)],
) -> Result<Vec<OutdatedRef>, CliError> {
    let parsed = |commit: &CommitInfo| commit.version.as_ref()?.parse::<GoVersion>().ok();
    let versions = listed.iter().filter_map(|(_, commit)| parsed(commit));
    let versions: Vec<GoVersion> = versions.collect();
    let known = audit::configured(context, &args.database, &versions, 0)?;
    let advisories = known.unwrap_or_else(Advisories::new).own(versions);
    let assessed = listed.iter().filter_map(|(name, commit)| {
        let (version, arch) = (parsed(commit)?, commit.arch?);
        let found = advisories.assess(&version, &Platform::linux(arch));
        found.is_outdated().then(|| OutdatedRef {
            listed: ListedRef::new(name, commit),
            assessment: (&found).into(),
        })
    });
    Ok(assessed.collect())
}

#[derive(Serialize)]
struct OutdatedReport<'a> {
    repo: PathText<&'a Path>,
    refs: Vec<OutdatedRef>,
}

#[derive(Serialize)]
struct OutdatedRef {
    #[serde(flatten)]
    listed: ListedRef,
    #[serde(flatten)]
    assessment: AssessmentView,
}

impl Report for OutdatedReport<'_> {
    fn human(&self) -> String {
        if self.refs.is_empty() {
            return String::new();
        }
        let rows: Vec<Vec<String>> = self
            .refs
            .iter()
            .map(|one| {
                let commit = &one.listed.commit;
                let version = commit.version.clone().unwrap_or_default();
                let first = [
                    short_ref(&one.listed.ref_name),
                    commit.kind.to_owned(),
                    version,
                ];
                first.into_iter().chain(one.assessment.cells()).collect()
            })
            .collect();
        let header = [&["REF", "KIND", "GO"][..], &AssessmentView::TITLES].concat();
        table(&header, &rows)
    }
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
    fn new(name: &RefName, commit: &CommitInfo) -> Self {
        Self {
            ref_name: Text(name.clone()),
            commit: CommitView::from(commit),
        }
    }

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
