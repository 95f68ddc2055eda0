//! `verify --recompose` and `verify --rebuild`.

use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{bytes, table};
use crate::views::diff::DiffReport;
use crate::views::value::Text;
use ostree_go_sdk::rebuild::{
    CommitDifference, RebuildToolchain, RebuiltToolchain, Recompose, Recomposed, RecomposedCommit,
};
use ostree_go_sdk::treefile::SourceSpec;
use ostree_go_sdk::{Arch, Cache, CommitId, RefName, Repo, Sha256};
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub struct RebuildArgs {
    /// Compose the release again, from its recipe and a source by its hash, and compare the commits. Std
    /// caches of the version in the repository are built again as well
    #[arg(long, group = "checks")]
    recompose: bool,

    /// Source of the SDK for --recompose: an archive or a directory, the URL of an archive, or the URL of
    /// a download index, which ends in / (default: the cache of downloads, https://go.dev/dl/, or the
    /// proxies in GOPROXY)
    #[arg(long, value_name = "SOURCE", requires = "recompose")]
    source: Option<String>,

    /// Do not build std caches again
    #[arg(long, requires = "recompose")]
    no_stdcache: bool,

    /// Compile the programs of the SDK from its own source code, for either architecture on either, and
    /// compare their bytes
    #[arg(long, group = "checks")]
    rebuild: bool,

    /// Compile only this program; can be given several times (default: all)
    #[arg(long, value_name = "NAME", requires = "rebuild")]
    program: Vec<String>,
}

impl RebuildArgs {
    /// Composes the release again, if that was requested.
    pub fn recompose(
        &self,
        context: &Context,
        repo: &Repo,
        commit: CommitId,
    ) -> Result<Option<Recomposed>, CliError> {
        if !self.recompose {
            return Ok(None);
        }
        let settings = &context.settings;
        // Asking the go command for its proxies takes a moment.
        let goproxy = match self.source {
            None => settings.goproxy(),
            Some(_) => None,
        };
        let recompose = Recompose::new()
            .source(self.source.as_deref().map(source))
            .std_caches(!self.no_stdcache)
            .cache(Cache::new(settings.cache()))
            .goproxy(goproxy)
            .http(settings.http()?)
            .temporary(settings.temporary())
            .progress(context.progress());
        Ok(Some(recompose.execute(repo, commit)?))
    }

    /// Compiles the programs of the release, if that was requested.
    pub fn rebuild(
        &self,
        context: &Context,
        repo: &Repo,
        commit: CommitId,
    ) -> Result<Option<RebuiltToolchain>, CliError> {
        if !self.rebuild {
            return Ok(None);
        }
        let rebuild = RebuildToolchain::new()
            .programs(self.program.iter().cloned())
            .temporary(context.settings.temporary())
            .progress(context.progress());
        Ok(Some(rebuild.execute(repo, commit)?))
    }
}

fn source(text: &str) -> SourceSpec {
    match text.contains("://") {
        true if text.ends_with('/') => SourceSpec::Index { base: text.into() },
        true => SourceSpec::Url {
            url: text.into(),
            sha256: None,
        },
        false => SourceSpec::Path(text.into()),
    }
}

#[derive(Serialize)]
pub struct RecomposeView {
    pub identical: bool,
    source: Option<SourceView>,
    h1: Option<String>,
    release: CommitsView,
    std_caches: Vec<StdCacheView>,
    skipped_std_caches: Vec<Text<RefName>>,
}

#[derive(Serialize)]
struct SourceView {
    name: String,
    form: &'static str,
    sha256: Option<Text<Sha256>>,
    bytes: Option<u64>,
}

#[derive(Serialize)]
struct StdCacheView {
    id: String,
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    #[serde(flatten)]
    commits: CommitsView,
}

#[derive(Serialize)]
struct CommitsView {
    expected: Text<CommitId>,
    found: Text<CommitId>,
    differences: Vec<DifferenceView>,
    diff: Option<DiffReport>,
}

#[derive(Serialize)]
struct DifferenceView {
    key: String,
    expected: Option<Value>,
    found: Option<Value>,
}

impl From<&RecomposedCommit> for CommitsView {
    fn from(commit: &RecomposedCommit) -> Self {
        Self {
            expected: Text(commit.expected),
            found: Text(commit.found),
            differences: commit.differences.iter().map(Into::into).collect(),
            diff: commit.diff.as_ref().map(Into::into),
        }
    }
}

impl From<&CommitDifference> for DifferenceView {
    fn from(difference: &CommitDifference) -> Self {
        Self {
            key: difference.key.clone(),
            expected: difference.expected.clone(),
            found: difference.found.clone(),
        }
    }
}

impl From<&Recomposed> for RecomposeView {
    fn from(recomposed: &Recomposed) -> Self {
        let skipped = recomposed.skipped_std_caches.iter();
        Self {
            identical: recomposed.is_identical(),
            source: recomposed.source.as_ref().map(|source| SourceView {
                name: source.name.clone(),
                form: source.form.as_str(),
                sha256: source.sha256.map(Text),
                bytes: source.size,
            }),
            h1: recomposed.h1.clone(),
            release: (&recomposed.release).into(),
            std_caches: recomposed
                .std_caches
                .iter()
                .map(|one| StdCacheView {
                    id: one.id.to_string(),
                    ref_name: Text(one.ref_name.clone()),
                    commits: (&one.commit).into(),
                })
                .collect(),
            skipped_std_caches: skipped.cloned().map(Text).collect(),
        }
    }
}

impl RecomposeView {
    pub fn human(&self) -> String {
        let mut text = String::new();
        if let Some(source) = &self.source {
            text += &format!("source    {} ({})\n", source.name, source.form);
        }
        if let Some(h1) = &self.h1 {
            text += &format!("h1        {h1}\n");
        }
        text += &self.release.human("release");
        for one in &self.std_caches {
            text += &one.commits.human(&format!("stdcache {}", one.id));
        }
        for name in &self.skipped_std_caches {
            text += &format!("not built {name}\n");
        }
        text
    }
}

impl CommitsView {
    fn human(&self, what: &str) -> String {
        if self.expected.0 == self.found.0 {
            return format!("identical {what} {}\n", self.expected);
        }
        let mut text = format!(
            "different {what}: composed {}, expected {}\n",
            self.found, self.expected
        );
        let value = |value: &Option<Value>| match value {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "-".to_owned(),
        };
        for one in &self.differences {
            let (expected, found) = (value(&one.expected), value(&one.found));
            text += &format!(
                "changed   {}: composed {found}, expected {expected}\n",
                one.key
            );
        }
        text + &self.diff.as_ref().map_or_else(String::new, Report::human)
    }
}

#[derive(Serialize)]
pub struct RebuildView {
    pub identical: bool,
    release: Text<CommitId>,
    version: String,
    arch: Text<Arch>,
    compiler: Text<CommitId>,
    compiler_arch: Text<Arch>,
    programs: Vec<ProgramView>,
    skipped: Vec<String>,
}

#[derive(Serialize)]
struct ProgramView {
    path: String,
    package: String,
    identical: bool,
    expected: Text<Sha256>,
    found: Text<Sha256>,
    bytes: u64,
}

impl From<&RebuiltToolchain> for RebuildView {
    fn from(rebuilt: &RebuiltToolchain) -> Self {
        let programs = rebuilt.programs.iter();
        Self {
            identical: rebuilt.is_identical(),
            release: Text(rebuilt.release),
            version: rebuilt.version.to_string(),
            arch: Text(rebuilt.arch),
            compiler: Text(rebuilt.compiler),
            compiler_arch: Text(rebuilt.compiler_arch),
            programs: programs
                .map(|program| ProgramView {
                    path: program.path.clone(),
                    package: program.package.clone(),
                    identical: program.is_identical(),
                    expected: Text(program.expected),
                    found: Text(program.found),
                    bytes: program.bytes,
                })
                .collect(),
            skipped: rebuilt.skipped.clone(),
        }
    }
}

impl RebuildView {
    pub fn human(&self) -> String {
        let rows: Vec<_> = self.programs.iter().map(ProgramView::row).collect();
        let mut text = format!(
            "compiled  Go {} for {} with the release for {}\n",
            self.version, self.arch, self.compiler_arch
        );
        text += &table(&["STATUS", "SIZE", "PROGRAM"], &rows);
        for path in &self.skipped {
            text += &format!("not compiled: {path}\n");
        }
        text
    }
}

impl ProgramView {
    fn row(&self) -> Vec<String> {
        let status = if self.identical {
            "identical"
        } else {
            "different"
        };
        vec![status.to_owned(), bytes(self.bytes), self.path.clone()]
    }
}
