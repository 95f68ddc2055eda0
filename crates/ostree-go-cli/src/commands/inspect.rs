use crate::context::Context;
use crate::error::CliError;
use crate::report::{Emphasis, Report, refused_exit_code};
use crate::revision::resolve;
use crate::views::binary::{BinaryView, Content, FileView, ReleaseView, UNMET};
use crate::views::value::{PathText, Text};
use ostree_go_sdk::GoVersion;
use ostree_go_sdk::catalog::{CommitInfo, CommitKind};
use ostree_go_sdk::inspect::{Binary, Requirement, UnknownRequirement};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

/// Show how Go programs were built and how they are loaded, and check requirements
///
/// Reads the ELF headers and Go's build information; no program is executed. Exits with 3 if a
/// program does not meet a requirement, and with 1 if a file cannot be inspected, also if another
/// one does not meet a requirement.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// Programs that Go has built
    #[arg(required = true, value_name = "BINARY")]
    binaries: Vec<PathBuf>,

    /// Requirements that each program must meet, separated by commas (may be repeated): static, pie,
    /// stripped, no-wx, trimpath, cgo-off, no-pprof, clean-vcs, or sdk=REF with a version, or a ref
    /// of the repository, or the name of an installed SDK
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    require: Vec<RequirementArg>,

    /// List the modules that a program was built from, not only their number
    #[arg(long)]
    modules: bool,
}

/// A requirement on the command line.
#[derive(Debug, Clone)]
enum RequirementArg {
    Known(Requirement),
    /// `sdk=` with the name of a release or channel.
    Sdk(String),
}

impl FromStr for RequirementArg {
    type Err = UnknownRequirement;

    fn from_str(text: &str) -> Result<Self, UnknownRequirement> {
        match (text.parse::<Requirement>(), text.strip_prefix("sdk=")) {
            // `1.26` is the name of a channel.
            (Ok(Requirement::Sdk(version)), Some(name)) if version.as_str() == version.minor() => {
                Ok(Self::Sdk(name.to_owned()))
            }
            (Ok(requirement), _) => Ok(Self::Known(requirement)),
            (Err(_), Some(name)) if !name.is_empty() => Ok(Self::Sdk(name.to_owned())),
            (Err(error), _) => Err(error),
        }
    }
}

impl RequirementArg {
    /// Returns the requirement, with the version of the release or channel at this time.
    fn resolve(&self, context: &Context) -> Result<Requirement, CliError> {
        let name = match self {
            Self::Known(requirement) => return Ok(requirement.clone()),
            Self::Sdk(name) => name,
        };
        let version = match &context.global.repo {
            Some(_) => {
                let repo = context.repo()?;
                CommitInfo::read(&repo, resolve(&repo, name)?)?.version
            }
            None => Some(context.root()?.find(name, None)?.version),
        };
        let version = version.ok_or_else(|| {
            CliError::usage(format!("`{}` is not a release", name.escape_debug()))
        })?;
        let version = version.parse::<GoVersion>();
        let version = version.map_err(|error| CliError::usage(error.to_string()))?;
        Ok(Requirement::Sdk(version))
    }
}

pub fn run(context: &Context, args: &InspectArgs) -> Result<ExitCode, CliError> {
    let requirements = args.require.iter().map(|one| one.resolve(context));
    let requirements = requirements.collect::<Result<Vec<_>, _>>()?;
    let releases = Releases::read(context)?;
    let mut opened = Vec::new();
    for path in &args.binaries {
        match Binary::open(path) {
            Err(error) if args.binaries.len() == 1 => return Err(error.into()),
            one => opened.push(one.map_err(CliError::from)),
        }
    }
    let files = args.binaries.iter().zip(&opened);
    let report = InspectReport {
        binaries: files
            .map(|(path, opened)| file(context, path, opened, &requirements, &releases))
            .collect(),
        with_modules: args.modules || context.global.verbose,
    };
    context.report(&report)
}

/// Returns the view of a file, and prints the error if there is one.
fn file<'a>(
    context: &Context,
    path: &'a Path,
    opened: &'a Result<Binary, CliError>,
    requirements: &[Requirement],
    releases: &Releases,
) -> FileView<'a> {
    let content = match opened {
        Ok(binary) => {
            let releases = releases.of(binary.build.version());
            let unmet = binary.unmet(requirements);
            Content::Binary(Box::new(BinaryView::new(binary, releases, unmet)))
        }
        Err(error) => {
            context.output.failure(error);
            Content::Failed {
                error: error.into(),
            }
        }
    };
    FileView {
        path: PathText(path),
        content,
    }
}

/// The releases in the repository, or else the installed SDKs, with their versions.
struct Releases(Vec<(String, ReleaseView)>);

impl Releases {
    fn read(context: &Context) -> Result<Self, CliError> {
        if context.global.repo.is_some() {
            let listed = context.repo()?.list()?;
            let releases = listed.into_iter().filter_map(|(ref_name, commit)| {
                let version = commit
                    .version
                    .filter(|_| commit.kind == CommitKind::Release)?;
                let (ref_name, commit) = (Text(ref_name), Text(commit.id));
                Some((version, ReleaseView { ref_name, commit }))
            });
            return Ok(Self(releases.collect()));
        }
        // No SDK has to be installed.
        if !context.root_path()?.join("repo").exists() {
            return Ok(Self(Vec::new()));
        }
        let deployments = context
            .root()?
            .deployments()?
            .into_iter()
            .map(|deployment| {
                let (ref_name, commit) = (Text(deployment.ref_name), Text(deployment.commit));
                (deployment.version, ReleaseView { ref_name, commit })
            });
        Ok(Self(deployments.collect()))
    }

    /// Returns the releases of a version, for all architectures: programs can be cross-compiled.
    fn of(&self, version: Option<GoVersion>) -> Vec<ReleaseView> {
        let Some(version) = version else {
            return Vec::new();
        };
        let releases = self.0.iter().filter(|(found, _)| found == version.as_str());
        releases.map(|(_, release)| release.clone()).collect()
    }
}

#[derive(Serialize)]
struct InspectReport<'a> {
    binaries: Vec<FileView<'a>>,
    #[serde(skip)]
    with_modules: bool,
}

impl Report for InspectReport<'_> {
    fn human(&self) -> String {
        let blocks = self.binaries.iter().filter_map(|file| match &file.content {
            Content::Binary(binary) => {
                let lines = binary.human(self.with_modules);
                Some(format!("binary    {}\n{lines}", file.path.0.display()))
            }
            Content::Failed { .. } => None,
        });
        blocks.collect::<Vec<_>>().join("\n")
    }

    fn emphasis(&self, line: &str) -> Option<Emphasis> {
        let is_unmet = line.split(' ').next() == Some(UNMET);
        is_unmet.then_some(Emphasis::Problem)
    }

    fn exit_code(&self) -> ExitCode {
        let content = || self.binaries.iter().map(|file| &file.content);
        if content().any(|content| matches!(content, Content::Failed { .. })) {
            return ExitCode::FAILURE;
        }
        let is_unmet = |content: &Content<'_>| match content {
            Content::Binary(binary) => !binary.unmet.is_empty(),
            Content::Failed { .. } => false,
        };
        refused_exit_code(content().any(is_unmet))
    }
}
