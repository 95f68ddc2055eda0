use crate::args::arch;
use crate::args::database::DatabaseArgs;
use crate::args::transfer::TransferArgs;
use crate::audit::{Reader, database_or_default};
use crate::context::Context;
use crate::error::CliError;
use crate::report::{Emphasis, Report, damaged_exit_code};
use crate::revision::{resolve, resolve_for};
use crate::text::{count, table_with_lines};
use crate::views::advisory::{OriginView, VulnerabilityView};
use crate::views::value::{PathText, Text};
use ostree_go_sdk::audit::{
    Advisories, Platform, Scope, Support, UpstreamReleases, Vulnerabilities, Vulnerability,
};
use ostree_go_sdk::catalog::{CommitInfo, CommitKind};
use ostree_go_sdk::deploy::Deployment;
use ostree_go_sdk::inspect::Binary;
use ostree_go_sdk::pull::Pull;
use ostree_go_sdk::{Arch, CommitId, GoVersion, RefName, Repo, remote};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The start of the line about the end of support.
const END_OF_LIFE: &str = "end of life";

/// Find the known vulnerabilities of an SDK, and the end of its support
///
/// Reads the entries about the standard library and the tools of Go in a Go vulnerability database, and
/// lists those that affect the version of the SDK, with the first fixed release and the channels that
/// have the fix. Go supports the two newest minor releases of its download index.
///
/// The exit code is 4 if a vulnerability is known, or if Go does not support the release any more. Copies
/// of what was read are kept, and are used if a server cannot be reached.
#[derive(Debug, clap::Args)]
pub struct AuditArgs {
    /// With --repo, a ref, commit, version or channel of the repository; otherwise the version, channel or
    /// ref of an installed SDK (default: the active SDK)
    #[arg(value_name = "REF", conflicts_with = "binary")]
    rev: Option<String>,

    /// Check the standard library in this program that Go has built, instead of an SDK
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,

    #[command(flatten)]
    database: DatabaseArgs,

    /// Also count problems that exist only on other platforms, for which the SDK can build programs
    #[arg(long)]
    all_platforms: bool,

    /// Architecture of the SDK
    #[arg(long, value_name = "ARCH", value_parser = arch::parse, conflicts_with = "binary")]
    arch: Option<Arch>,

    #[command(flatten)]
    transfer: TransferArgs,
}

pub fn run(context: &Context, args: &AuditArgs) -> Result<ExitCode, CliError> {
    let subject = Subject::find(context, args)?;
    let http = args.transfer.http(context.settings.http()?);
    let reader = Reader::new(context, http, 0)?;
    let location = database_or_default(&args.database);
    let known = reader.database(location, std::slice::from_ref(&subject.version))?;
    let releases = reader.index_or_default(args.database.index())?;
    let channels = subject.channels(context, args)?;
    let report = AuditReport::new(&subject, &known, releases, channels, args, reader.now());
    context.report(&report)
}

/// The object of an audit: an SDK or a program.
struct Subject {
    version: GoVersion,
    platform: Platform,
    scope: Scope,
    place: Place,
}

enum Place {
    /// A release or channel of a repository.
    Repo(Box<(Repo, CommitInfo)>),
    Installed(Box<Deployment>),
    Binary(PathBuf),
}

/// A channel, and the version that it has.
struct Channel {
    name: RefName,
    version: GoVersion,
}

impl Subject {
    fn find(context: &Context, args: &AuditArgs) -> Result<Self, CliError> {
        if let Some(path) = &args.binary {
            return Self::of_binary(path);
        }
        let (version, arch, place) = match &context.global.repo {
            Some(_) => Self::in_repo(context, args)?,
            None => {
                let root = context.root()?;
                let found = match &args.rev {
                    Some(name) => Some(root.find(name, args.arch)?),
                    None => root.active()?,
                };
                let found = found.ok_or_else(|| CliError::Usage {
                    message: "no SDK is active".to_owned(),
                    hint: Some("name an installed SDK, or a repository with --repo".to_owned()),
                })?;
                let (version, arch) = (found.version.clone(), found.arch);
                (version, arch, Place::Installed(Box::new(found)))
            }
        };
        let version = version.parse::<GoVersion>();
        Ok(Self {
            version: version.map_err(|error| CliError::usage(error.to_string()))?,
            platform: Platform::linux(arch),
            scope: Scope::Sdk,
            place,
        })
    }

    fn in_repo(context: &Context, args: &AuditArgs) -> Result<(String, Arch, Place), CliError> {
        let repo = context.repo()?;
        let name = args.rev.as_ref().ok_or_else(|| CliError::Usage {
            message: "no release of the repository given".to_owned(),
            hint: Some("`ostree-go list` shows the releases and channels".to_owned()),
        })?;
        let commit = match args.arch {
            Some(arch) => resolve_for(&repo, name, arch)?,
            None => resolve(&repo, name)?,
        };
        let info = CommitInfo::read(&repo, commit)?;
        let is_sdk = matches!(info.kind, CommitKind::Release | CommitKind::Channel);
        match (&info.version, info.arch) {
            (Some(version), Some(arch)) if is_sdk => {
                Ok((version.clone(), arch, Place::Repo(Box::new((repo, info)))))
            }
            _ => Err(CliError::usage(format!(
                "`{}` is not a release",
                name.escape_debug()
            ))),
        }
    }

    fn of_binary(path: &Path) -> Result<Self, CliError> {
        let binary = Binary::open(path)?;
        let build = &binary.build;
        let version = build.version().ok_or_else(|| {
            CliError::usage(format!(
                "{} was built with `{}`, which is not a release of Go",
                path.display(),
                build.go_version.escape_debug()
            ))
        })?;
        // Old programs do not record it; the file is an ELF file for Linux or something similar.
        let goos = build.setting("GOOS").unwrap_or("linux");
        let arch = binary.arch.map(Arch::goarch);
        let goarch = build.setting("GOARCH").or(arch).unwrap_or_default();
        Ok(Self {
            version,
            platform: Platform::new(goos, goarch),
            scope: Scope::Program,
            place: Place::Binary(path.to_owned()),
        })
    }

    /// Returns the channels of the repository, or of the remote that the SDK was installed from. `None`
    /// if they are not known.
    fn channels(
        &self,
        context: &Context,
        args: &AuditArgs,
    ) -> Result<Option<Vec<Channel>>, CliError> {
        let found = match &self.place {
            Place::Repo(place) => {
                let (repo, info) = &**place;
                let listed = repo.list()?.into_iter();
                let channels = listed.filter(|(_, commit)| {
                    commit.kind == CommitKind::Channel && commit.arch == info.arch
                });
                channels
                    .filter_map(|(name, commit)| Some((name, commit.version?)))
                    .collect()
            }
            Place::Installed(deployment) => match offered(context, args, deployment) {
                Ok(Some(offered)) => offered,
                Ok(None) => return Ok(None),
                Err(error) => {
                    context.say(&format!(
                        "warning: the channels are not known: {}",
                        error.message()
                    ));
                    return Ok(None);
                }
            },
            Place::Binary(_) => return Ok(None),
        };
        let channel = |(name, version): (RefName, String)| {
            let version = version.parse().ok()?;
            Some(Channel { name, version })
        };
        Ok(Some(found.into_iter().filter_map(channel).collect()))
    }
}

/// Returns the channels that the remote of an SDK offers, with their versions.
fn offered(
    context: &Context,
    args: &AuditArgs,
    deployment: &Deployment,
) -> Result<Option<Vec<(RefName, String)>>, CliError> {
    let repo = context.root()?.repo()?;
    let name = &deployment.proof.remote;
    // An SDK that was copied from a repository on this machine has no remote.
    if !remote::list(&repo)?.iter().any(|known| known.name == *name) {
        return Ok(None);
    }
    let image = remote::registry(&repo, name)?;
    let offered = Pull::new(name, [])
        .http(args.transfer.http(context.settings.http()?))
        .auth(context.registry_auth(image.as_ref())?)
        .progress(context.progress())
        .list(&repo)?;
    // A repository on this machine, and a registry, list no versions.
    if offered.iter().all(|one| one.version.is_none()) {
        return Ok(None);
    }
    let arch = deployment.arch.to_string();
    let channels = offered.into_iter().filter_map(|one| {
        let version = one.version?;
        let mut parts = one.name.as_str().rsplit('/');
        let (last, parent) = (parts.next()?, parts.next()?);
        (parent == arch && last != version).then_some((one.name, version))
    });
    Ok(Some(channels.collect()))
}

#[derive(Serialize)]
struct AuditReport {
    version: Text<GoVersion>,
    arch: Option<Text<Arch>>,
    commit: Option<Text<CommitId>>,
    binary: Option<PathText<PathBuf>>,
    database: OriginView,
    index: Option<OriginView>,
    vulnerabilities: Vec<FoundView>,
    /// The vulnerabilities that exist only on other platforms and do not count.
    other_platforms: Vec<String>,
    support: Option<&'static str>,
    supported: Option<Vec<String>>,
    newer: Option<Text<GoVersion>>,
    #[serde(skip)]
    is_sdk: bool,
}

#[derive(Serialize)]
struct FoundView {
    #[serde(flatten)]
    vulnerability: VulnerabilityView,
    channels: Option<Vec<Text<RefName>>>,
}

impl AuditReport {
    fn new(
        subject: &Subject,
        known: &Vulnerabilities,
        releases: Option<UpstreamReleases>,
        channels: Option<Vec<Channel>>,
        args: &AuditArgs,
        now: u64,
    ) -> Self {
        let affecting = |version: &GoVersion| {
            let found = known.affecting(version, subject.scope, &subject.platform);
            found.unwrap_or_default()
        };
        // The later channels, and the names of what affects them.
        let later = channels.map(|channels| {
            let later = channels.into_iter();
            let later = later.filter(|channel| channel.version > subject.version);
            later
                .map(|channel| {
                    let found = affecting(&channel.version).into_iter();
                    (channel.name, found.map(|one| one.id).collect())
                })
                .collect::<Vec<(RefName, Vec<String>)>>()
        });
        let counts = |one: &&Vulnerability| one.on_platform || args.all_platforms;
        let all = affecting(&subject.version);
        let found = all.iter().filter(counts).map(|one| FoundView {
            vulnerability: one.into(),
            channels: later.as_ref().map(|later| {
                let with_fix = later.iter().filter(|(_, known)| !known.contains(&one.id));
                with_fix.map(|(name, _)| Text(name.clone())).collect()
            }),
        });
        let others = all.iter().filter(|one| !counts(one));
        let index = releases.as_ref();
        let assessed = Advisories::new().releases(releases.clone());
        let assessed = assessed.assess(&subject.version, &subject.platform);
        let (arch, commit, binary) = match &subject.place {
            Place::Repo(place) => (place.1.arch, Some(place.1.id), None),
            Place::Installed(one) => (Some(one.arch), Some(one.commit), None),
            Place::Binary(path) => (None, None, Some(path.clone())),
        };
        Self {
            version: Text(subject.version.clone()),
            arch: arch.map(Text),
            commit: commit.map(Text),
            binary: binary.map(PathText),
            database: OriginView::new(known.origin(), now),
            index: index.map(|index| OriginView::new(index.origin(), now)),
            vulnerabilities: found.collect(),
            other_platforms: others.map(|one| one.id.clone()).collect(),
            support: assessed.support.map(Support::as_str),
            supported: index.map(UpstreamReleases::supported),
            newer: assessed.newer.map(Text),
            is_sdk: subject.scope == Scope::Sdk,
        }
    }

    fn has_ended(&self) -> bool {
        self.support == Some(Support::Ended.as_str())
    }
}

impl FoundView {
    fn row(&self) -> Vec<String> {
        let or_dash = |text: String| match text.is_empty() {
            true => "-".to_owned(),
            false => text,
        };
        let one = &self.vulnerability;
        let short = |name: &Text<RefName>| {
            let name = name.to_string();
            name.rsplit('/').next().unwrap_or(&name).to_owned()
        };
        let channels = self.channels.iter().flatten().map(short);
        vec![
            one.id.clone(),
            one.fixed.clone().unwrap_or_else(|| "no".to_owned()),
            or_dash(channels.collect::<Vec<_>>().join(" ")),
            or_dash(one.packages.join(" ")),
        ]
    }

    fn line(&self) -> String {
        let one = &self.vulnerability;
        let aliases = match one.aliases.is_empty() {
            true => String::new(),
            false => format!(" ({})", one.aliases.join(", ")),
        };
        let only = if one.on_platform {
            ""
        } else {
            " [other platforms]"
        };
        format!("{}{aliases}{only}", one.summary)
    }
}

impl Report for AuditReport {
    fn human(&self) -> String {
        let mut text = String::new();
        if !self.vulnerabilities.is_empty() {
            let found = || self.vulnerabilities.iter();
            let rows: Vec<_> = found().map(FoundView::row).collect();
            let lines: Vec<_> = found().map(FoundView::line).collect();
            let header = ["ID", "FIXED", "CHANNELS", "PACKAGES"];
            text += &table_with_lines(&header, &rows, &lines);
            text.push('\n');
        }
        let subject = match (&self.binary, &self.arch) {
            (Some(path), _) => format!("go {} in {}", self.version, path.0.display()),
            (None, Some(arch)) => format!("go {} {arch}", self.version),
            (None, None) => format!("go {}", self.version),
        };
        let number = count(self.vulnerabilities.len() as u64);
        text += &format!("{subject}: known vulnerabilities: {number}\n");
        if let Some(newer) = &self.newer {
            text += &format!("newest patch release: {newer}\n");
        }
        if let Some(supported) = self.supported.as_ref().filter(|_| self.has_ended()) {
            let what = if self.is_sdk { "the release" } else { "its Go" };
            text += &format!(
                "{END_OF_LIFE}: Go does not support {what} any more, only {}\n",
                supported.join(" and ")
            );
        }
        if !self.other_platforms.is_empty() {
            text += &format!(
                "only on other platforms: {}\n",
                self.other_platforms.join(" ")
            );
        }
        text += &format!("database: {}\n", self.database.human());
        if let Some(index) = &self.index {
            text += &format!("download index: {}\n", index.human());
        }
        text
    }

    fn emphasis(&self, line: &str) -> Option<Emphasis> {
        let is_finding = |one: &FoundView| line.starts_with(&one.vulnerability.id);
        let is_problem =
            line.starts_with(END_OF_LIFE) || self.vulnerabilities.iter().any(is_finding);
        is_problem.then_some(Emphasis::Problem)
    }

    fn exit_code(&self) -> ExitCode {
        damaged_exit_code(!self.vulnerabilities.is_empty() || self.has_ended())
    }
}
