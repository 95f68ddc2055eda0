use crate::args::signing::SigningArgs;
use crate::args::workspace_lock::WorkspaceLockArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::{Report, unchanged_exit_code};
use crate::revision::{resolve, resolve_for};
use crate::text::{bytes, count, short};
use crate::views::summary::summary_message;
use crate::views::value::{PathText, Text, Time};
use ostree_go_sdk::catalog::CommitInfo;
use ostree_go_sdk::overlay::{Overlaid, Overlay, OverlayPlan, OverlayWarning};
use ostree_go_sdk::{CommitId, ContentId, RefName, Repo};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Add SDKs to an OS commit, for an OS image
///
/// Creates an OS commit with the tree and metadata of the base and the SDKs, as rpm-ostree does with
/// `ostree-layers`. If the base and an SDK have the same path with different content, the command
/// fails. Files of the SDKs are labelled by the SELinux policy of the base; files of the base are
/// not changed.
///
/// Prints the commit ID.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub struct OverlayArgs {
    /// Base: a ref or a commit of an OS
    #[arg(value_name = "BASE")]
    base: String,

    /// SDKs, lowest first: refs, commits, or versions or channels of the base's architecture
    #[arg(required = true, value_name = "RELEASE")]
    releases: Vec<String>,

    /// Ref of the new commit
    #[arg(long, value_name = "NEW-REF")]
    r#ref: RefName,

    /// Repository of the SDKs (default: the repository of the base)
    #[arg(long, value_name = "PATH")]
    sdk_repo: Option<PathBuf>,

    /// Let files of an SDK replace existing files, as with `ostree-override-layers`
    #[arg(long)]
    r#override: bool,

    /// Version of the new commit (default: the base's)
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,

    #[command(flatten)]
    workspace_lock: WorkspaceLockArgs,

    /// Parent of the new commit (default: the commit that its ref names)
    #[arg(long, value_name = "REV", conflicts_with = "no_parent")]
    parent: Option<String>,

    /// Create the new commit without a parent
    #[arg(long)]
    no_parent: bool,

    /// SELinux labelling epoch: with 1, files in `/usr/etc` are labelled as in `/etc`, as with
    /// rpm-ostree's `selinux-label-version: 1`
    #[arg(long, value_name = "EPOCH", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1))]
    selinux_labeling_epoch: u32,

    /// Print what would be done, without changing the repository
    #[arg(long)]
    dry_run: bool,

    /// Exit with 77 if nothing changed
    #[arg(long)]
    unchanged_exit_77: bool,

    /// Update the modification time of this file if something changed
    #[arg(long, value_name = "FILE")]
    touch_if_changed: Option<PathBuf>,

    /// Write the commit ID to this file instead of moving the ref
    #[arg(long, value_name = "FILE")]
    write_commitid_to: Option<PathBuf>,

    #[command(flatten)]
    signing: SigningArgs,
}

pub fn run(context: &Context, args: &OverlayArgs) -> Result<ExitCode, CliError> {
    let epoch = context.settings.source_date_epoch()?;
    let is_stdout_taken = context.output.is_stdout_taken(&args.write_commitid_to)?;
    let repo = context.repo()?;
    let sdk_repo = args.sdk_repo.as_ref().map(Repo::open).transpose()?;
    let base = repo.resolve(&args.base)?;
    let arch = CommitInfo::read(&repo, base)?.arch;
    let sdks_in = sdk_repo.as_ref().unwrap_or(&repo);
    let sdks = args
        .releases
        .iter()
        .map(|rev| match (arch, rev.contains('/')) {
            (Some(arch), false) => resolve_for(sdks_in, rev, arch),
            _ => resolve(sdks_in, rev),
        });
    let sdks = sdks.collect::<Result<Vec<_>, _>>()?;
    let mut overlay = Overlay::new(base, sdks, args.r#ref.clone())
        .sdk_repo(sdk_repo)
        .may_override(args.r#override)
        .version(args.version.clone())
        .workspace(args.workspace_lock.digest()?)
        .source_date_epoch(epoch)
        .labeling_epoch(args.selinux_labeling_epoch)
        .set_ref(args.write_commitid_to.is_none())
        .sign_with(args.signing.keys()?)
        .progress(context.progress());
    if let Some(rev) = &args.parent {
        overlay = overlay.parent(repo.resolve(rev)?);
    } else if args.no_parent {
        overlay = overlay.no_parent(true);
    }
    let plan = overlay.plan(&repo)?;
    for warning in plan.warnings() {
        context.say(&format!("warning: {}", warning_text(*warning)));
    }
    if args.dry_run {
        return dry_run(context, args, &plan);
    }
    let labels = plan.has_labels();
    let (releases, warnings) = (releases(&plan), warnings(&plan));
    let made = plan.execute()?;
    write_files(args, &made)?;
    context.say(&message(args, &made, labels));
    if let Some(message) = summary_message(made.summary) {
        context.say(message);
    }
    let report = OverlayReport {
        repo: PathText(context.repo_path()?),
        base: Text(base),
        releases,
        labels,
        warnings,
        made: OverlaidView::from(&made),
        exit_77: args.unchanged_exit_77,
    };
    match is_stdout_taken {
        true => Ok(report.exit_code()),
        false => context.report(&report),
    }
}

fn dry_run(
    context: &Context,
    args: &OverlayArgs,
    plan: &OverlayPlan,
) -> Result<ExitCode, CliError> {
    let unchanged = plan.is_unchanged();
    if let (false, Some(path)) = (unchanged, &args.touch_if_changed) {
        files::touch(path)?;
    }
    context.report(&DryRunReport {
        repo: PathText(context.repo_path()?),
        dry_run: true,
        ref_name: Text(&args.r#ref),
        current: plan.current().map(Text),
        unchanged,
        releases: releases(plan),
        labels: plan.has_labels(),
        files: plan.files().len() as u64,
        warnings: warnings(plan),
        exit_77: args.unchanged_exit_77,
    })
}

/// Writes the files with the result that the arguments name.
fn write_files(args: &OverlayArgs, made: &Overlaid) -> Result<(), CliError> {
    if let (false, Some(path)) = (made.unchanged, &args.touch_if_changed) {
        files::touch(path)?;
    }
    if let Some(path) = &args.write_commitid_to {
        files::write(path, &made.commit.to_string())?;
    }
    Ok(())
}

fn message(args: &OverlayArgs, made: &Overlaid, labels: bool) -> String {
    if made.unchanged {
        return format!("{} is up to date", made.ref_name);
    }
    format!(
        "{} is now {}: {} files, {}, {}",
        match args.write_commitid_to {
            Some(_) => "the commit",
            None => made.ref_name.as_str(),
        },
        short(made.commit),
        count(made.files),
        bytes(made.bytes),
        if labels {
            "with SELinux labels"
        } else {
            "without labels"
        },
    )
}

fn warning_text(warning: OverlayWarning) -> &'static str {
    match warning {
        OverlayWarning::NoOs => "the base has no /usr/lib/os-release, so it may not be an OS",
        OverlayWarning::NoArch => "the metadata of the base does not name its architecture",
        OverlayWarning::NoPolicy => "the base has no SELinux policy; the SDK's files get no labels",
        OverlayWarning::NoComposefsDigest => {
            "the base has a composefs digest, and the new commit has none"
        }
        _ => "unknown problem with the base",
    }
}

#[derive(Serialize)]
struct OverlayReport<'a> {
    repo: PathText<&'a Path>,
    base: Text<CommitId>,
    releases: Vec<ReleaseView>,
    labels: bool,
    warnings: Vec<&'static str>,
    #[serde(flatten)]
    made: OverlaidView,
    #[serde(skip)]
    exit_77: bool,
}

#[derive(Serialize)]
struct OverlaidView {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    commit: Text<CommitId>,
    content: Text<ContentId>,
    parent: Option<Text<CommitId>>,
    timestamp: Time,
    unchanged: bool,
    files: u64,
    bytes: u64,
    new_objects: u64,
    new_bytes: u64,
    summary: &'static str,
}

#[derive(Serialize)]
struct ReleaseView {
    version: Option<String>,
    commit: Text<CommitId>,
}

#[derive(Serialize)]
struct DryRunReport<'a> {
    repo: PathText<&'a Path>,
    dry_run: bool,
    #[serde(rename = "ref")]
    ref_name: Text<&'a RefName>,
    current: Option<Text<CommitId>>,
    unchanged: bool,
    releases: Vec<ReleaseView>,
    labels: bool,
    files: u64,
    warnings: Vec<&'static str>,
    #[serde(skip)]
    exit_77: bool,
}

fn releases(plan: &OverlayPlan) -> Vec<ReleaseView> {
    let sdks = plan.sdks().iter().map(|sdk| ReleaseView {
        version: sdk.version.clone(),
        commit: Text(sdk.id),
    });
    sdks.collect()
}

fn warnings(plan: &OverlayPlan) -> Vec<&'static str> {
    plan.warnings().iter().map(|one| one.as_str()).collect()
}

impl From<&Overlaid> for OverlaidView {
    fn from(made: &Overlaid) -> Self {
        Self {
            ref_name: Text(made.ref_name.clone()),
            commit: Text(made.commit),
            content: Text(made.content),
            parent: made.parent.map(Text),
            timestamp: Time(made.timestamp),
            unchanged: made.unchanged,
            files: made.files,
            bytes: made.bytes,
            new_objects: made.new_objects,
            new_bytes: made.new_bytes,
            summary: made.summary.as_str(),
        }
    }
}

impl Report for OverlayReport<'_> {
    fn human(&self) -> String {
        format!("{}\n", self.made.commit)
    }

    fn exit_code(&self) -> ExitCode {
        unchanged_exit_code(self.made.unchanged, self.exit_77)
    }
}

impl Report for DryRunReport<'_> {
    fn human(&self) -> String {
        match self.unchanged {
            true => format!("{}: nothing to do\n", self.ref_name),
            false => format!("{}: {} files to add\n", self.ref_name, count(self.files)),
        }
    }

    fn exit_code(&self) -> ExitCode {
        unchanged_exit_code(self.unchanged, self.exit_77)
    }
}
