//! The result of building a program several times.

use super::value::{PathText, Text};
use crate::report::{Emphasis, Report, refused_exit_code};
use crate::text::{bytes, table, title};
use ostree_go_sdk::reproduce::{
    Build, Cause, Comparison, Difference, NotVaried, Peer, Reproduction, SectionDifference,
    Skipped, Varied,
};
use ostree_go_sdk::{Arch, CommitId, Sha256};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Serialize)]
pub struct ReproduceReport {
    identical: bool,
    source: PathText<PathBuf>,
    sandbox: &'static str,
    builds: Vec<BuildView>,
    varied: Vec<VariedView>,
    not_varied: Vec<NotVariedView>,
    comparisons: Vec<ComparisonView>,
    skipped: Vec<SkippedView>,
    /// The command line for people.
    #[serde(skip)]
    command: String,
}

#[derive(Debug, Serialize)]
struct BuildView {
    version: String,
    arch: Text<Arch>,
    commit: String,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    sha256: Text<Sha256>,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct VariedView {
    what: &'static str,
    first: String,
    second: String,
}

#[derive(Debug, Serialize)]
struct NotVariedView {
    what: &'static str,
    reason: String,
}

#[derive(Debug, Serialize)]
struct PeerView {
    with: &'static str,
    arch: Option<Text<Arch>>,
    commit: Option<Text<CommitId>>,
    path: Option<PathText<PathBuf>>,
}

#[derive(Debug, Serialize)]
struct ComparisonView {
    #[serde(flatten)]
    peer: PeerView,
    identical: bool,
    sha256: Text<Sha256>,
    bytes: u64,
    difference: Option<DifferenceView>,
    causes: Vec<CauseView>,
}

#[derive(Debug, Serialize)]
struct SkippedView {
    #[serde(flatten)]
    peer: PeerView,
    reason: String,
}

#[derive(Debug, Serialize)]
struct DifferenceView {
    offset: u64,
    sections: Vec<SectionView>,
}

#[derive(Debug, Serialize)]
struct SectionView {
    name: String,
    first_bytes: Option<u64>,
    second_bytes: Option<u64>,
    offset: Option<u64>,
    symbol: Option<String>,
}

#[derive(Debug, Serialize)]
struct CauseView {
    cause: &'static str,
    message: String,
    hint: Option<&'static str>,
}

fn lossy(text: impl AsRef<OsStr>) -> String {
    text.as_ref().to_string_lossy().into_owned()
}

impl From<&Reproduction> for ReproduceReport {
    fn from(result: &Reproduction) -> Self {
        Self {
            identical: result.is_identical(),
            source: PathText(result.project.clone()),
            sandbox: result.backend.as_str(),
            builds: result.builds.iter().map(Into::into).collect(),
            varied: result.varied.iter().map(Into::into).collect(),
            not_varied: result.not_varied.iter().map(Into::into).collect(),
            comparisons: result.comparisons.iter().map(Into::into).collect(),
            skipped: result.skipped.iter().map(Into::into).collect(),
            command: result.command.clone(),
        }
    }
}

impl From<&Build> for BuildView {
    fn from(build: &Build) -> Self {
        let environment = build.environment.iter();
        Self {
            version: build.deployment.version.clone(),
            arch: Text(build.deployment.arch),
            commit: build.deployment.commit.to_string(),
            command: build.command.iter().map(lossy).collect(),
            environment: environment
                .map(|(name, value)| (lossy(name), lossy(value)))
                .collect(),
            sha256: Text(build.sha256),
            bytes: build.bytes,
        }
    }
}

impl From<&Varied> for VariedView {
    fn from(varied: &Varied) -> Self {
        Self {
            what: varied.what.as_str(),
            first: varied.first.clone(),
            second: varied.second.clone(),
        }
    }
}

impl From<&NotVaried> for NotVariedView {
    fn from(same: &NotVaried) -> Self {
        Self {
            what: same.what.as_str(),
            reason: same.reason.clone(),
        }
    }
}

impl From<&Peer> for PeerView {
    fn from(peer: &Peer) -> Self {
        let of = |with| Self {
            with,
            arch: None,
            commit: None,
            path: None,
        };
        match peer {
            Peer::OtherSdk(arch) => Self {
                arch: Some(Text(*arch)),
                ..of("sdk")
            },
            Peer::File(path) => Self {
                path: Some(PathText(path.clone())),
                ..of("file")
            },
            Peer::Committed { commit, path } => Self {
                commit: Some(Text(*commit)),
                path: Some(PathText(Path::new("/").join(path.as_str()))),
                ..of("commit")
            },
            _ => of("rebuild"),
        }
    }
}

impl From<&Comparison> for ComparisonView {
    fn from(comparison: &Comparison) -> Self {
        Self {
            peer: PeerView::from(&comparison.with),
            identical: comparison.difference.is_none(),
            sha256: Text(comparison.sha256),
            bytes: comparison.bytes,
            difference: comparison.difference.as_ref().map(Into::into),
            causes: comparison.causes.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Skipped> for SkippedView {
    fn from(skipped: &Skipped) -> Self {
        Self {
            peer: PeerView::from(&skipped.with),
            reason: skipped.reason.clone(),
        }
    }
}

impl From<&Difference> for DifferenceView {
    fn from(difference: &Difference) -> Self {
        Self {
            offset: difference.offset,
            sections: difference.sections.iter().map(Into::into).collect(),
        }
    }
}

impl From<&SectionDifference> for SectionView {
    fn from(section: &SectionDifference) -> Self {
        Self {
            name: section.name.clone(),
            first_bytes: section.first_bytes,
            second_bytes: section.second_bytes,
            offset: section.offset,
            symbol: section.symbol.clone(),
        }
    }
}

impl From<&Cause> for CauseView {
    fn from(cause: &Cause) -> Self {
        Self {
            cause: cause.as_str(),
            message: cause.to_string(),
            hint: hint(cause),
        }
    }
}

/// Returns what to do about a cause.
fn hint(cause: &Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::GoVersion { .. } => "select the other version with --sdk",
        Cause::PathInFlag { .. } => {
            "use a path that does not depend on the directory of the sources"
        }
        Cause::Paths { .. } => "build with -trimpath",
        Cause::VcsStamp { .. } => {
            "build with -buildvcs=false: git does not run in the sandbox, so that its builds have no stamp"
        }
        Cause::Setting { .. } => "build with the same flags and variables",
        Cause::Module { .. } => "build with the same go.mod and go.sum",
        Cause::Stripped { .. } => "use the same -ldflags, and strip neither or both",
        Cause::Cgo => "build with CGO_ENABLED=0",
        Cause::Time { .. } => {
            "do not put the time of the build into the program; use that of the commit"
        }
        Cause::Sources { .. } => "build from the same commit, with the same generated files",
        _ => return None,
    })
}

impl PeerView {
    fn title(&self) -> String {
        match (&self.arch, &self.path) {
            (Some(arch), _) => format!("the build by the SDK for {arch}"),
            (_, Some(path)) => {
                let path = path.0.display();
                let commit = self.commit.as_ref();
                commit.map_or_else(
                    || path.to_string(),
                    |Text(id)| format!("{path} in commit {id}"),
                )
            }
            _ => "the second build".to_owned(),
        }
    }
}

/// The largest number of sections that are shown to people.
const SHOWN_SECTIONS: usize = 8;

impl ComparisonView {
    fn human(&self) -> String {
        let title = self.peer.title();
        let Some(difference) = &self.difference else {
            return format!("identical  {title}\n");
        };
        let (sha256, size, offset) = (self.sha256, bytes(self.bytes), difference.offset);
        let mut text = format!(
            "different  {title}, from byte {offset} on\n           {size}, sha256 {sha256}\n"
        );
        let shown = difference.sections.iter().take(SHOWN_SECTIONS);
        let rows: Vec<Vec<String>> = shown.map(SectionView::row).collect();
        if !rows.is_empty() {
            let header = ["SECTION", "FIRST", "SECOND", "OFFSET", "SYMBOL"];
            text += &indented(&table(&header, &rows));
        }
        if let more @ 1.. = difference.sections.len().saturating_sub(SHOWN_SECTIONS) {
            text += &format!("  and {more} more sections\n");
        }
        for cause in &self.causes {
            text += &format!("  cause: {}\n", cause.message);
            if let Some(hint) = cause.hint {
                text += &format!("  hint: {hint}\n");
            }
        }
        text
    }
}

impl SectionView {
    fn row(&self) -> Vec<String> {
        let size = |size: Option<u64>| size.map_or_else(|| "-".to_owned(), bytes);
        vec![
            self.name.clone(),
            size(self.first_bytes),
            size(self.second_bytes),
            self.offset
                .map_or_else(|| "-".to_owned(), |at| at.to_string()),
            self.symbol.clone().unwrap_or_default(),
        ]
    }
}

fn indented(text: &str) -> String {
    let lines = text.lines();
    lines.map(|line| format!("  {line}\n")).collect()
}

impl BuildView {
    fn human(&self, command: &str) -> String {
        let variables = self.environment.iter();
        let variables: String = variables
            .map(|(name, value)| format!("{name}={value} "))
            .collect();
        format!(
            "sha256     {}\nsize       {}\ncommand    {variables}{command}\nsdk        {}\n",
            self.sha256,
            bytes(self.bytes),
            title(&self.version, self.arch.0),
        )
    }
}

impl Report for ReproduceReport {
    fn human(&self) -> String {
        let mut text: String = self.comparisons.iter().map(ComparisonView::human).collect();
        for skipped in &self.skipped {
            let title = skipped.peer.title();
            text += &format!("not proven {title}: {}\n", skipped.reason);
        }
        let first = self.builds.first();
        text += &first.map_or_else(String::new, |build| build.human(&self.command));
        text += &format!("sandbox    {}\n\n", self.sandbox);
        let rows: Vec<Vec<String>> = self
            .varied
            .iter()
            .map(|one| vec![one.what.to_owned(), one.first.clone(), one.second.clone()])
            .collect();
        text += &table(&["VARIED", "FIRST", "SECOND"], &rows);
        for same in &self.not_varied {
            text += &format!("not varied: {}, because {}\n", same.what, same.reason);
        }
        text
    }

    fn emphasis(&self, line: &str) -> Option<Emphasis> {
        let is_problem = ["different  ", "not proven "]
            .iter()
            .any(|start| line.starts_with(start));
        is_problem.then_some(Emphasis::Problem)
    }

    fn exit_code(&self) -> ExitCode {
        match self.identical && !self.skipped.is_empty() {
            true => ExitCode::FAILURE,
            false => refused_exit_code(!self.identical),
        }
    }
}
