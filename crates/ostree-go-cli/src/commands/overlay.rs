use super::compose::touch;
use super::signing::SigningArgs;
use super::{Context, UNCHANGED, resolve};
use crate::error::CliError;
use crate::output::{bytes, count, short, time};
use crate::progress::Terminal;
use ostree_go_sdk::{CommitInfo, Overlaid, Overlay, OverlayPlan, OverlayWarning, RefName, Repo};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

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
    #[arg(long, value_name = "NEW-REF", value_parser = parse_ref)]
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

fn parse_ref(name: &str) -> Result<RefName, String> {
    name.parse()
        .map_err(|error: ostree_go_sdk::InvalidRef| error.to_string())
}

pub fn run(context: &Context<'_>, args: &OverlayArgs) -> Result<ExitCode, CliError> {
    let epoch = context.settings.source_date_epoch()?;
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
        .source_date_epoch(epoch)
        .labeling_epoch(args.selinux_labeling_epoch)
        .set_ref(args.write_commitid_to.is_none())
        .sign_with(args.signing.keys()?)
        .progress(Arc::new(Terminal::new(&context.global)));
    if let Some(rev) = &args.parent {
        overlay = overlay.parent(Some(repo.resolve(rev)?));
    } else if args.no_parent {
        overlay = overlay.parent(None);
    }
    let plan = overlay.plan(&repo)?;
    for warning in plan.warnings() {
        context.output.say(&format!("warning: {}", say(*warning)));
    }
    if args.dry_run {
        return dry_run(context, args, &plan);
    }
    let labels = plan.has_labels();
    let facts = json!({
        "repo": context.repo_path()?,
        "base": base.to_string(),
        "releases": releases_json(&plan),
        "labels": labels,
        "warnings": warnings_json(&plan),
    });
    let made = plan.execute()?;
    write_files(args, &made)?;
    context.output.say(&match made.unchanged {
        true => format!("{} is up to date", made.ref_name),
        false => format!(
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
        ),
    });
    let mut document = facts;
    for (key, value) in [
        ("ref", json!(made.ref_name.as_str())),
        ("commit", json!(made.commit.to_string())),
        ("content", json!(made.content.to_string())),
        ("parent", json!(made.parent.map(|id| id.to_string()))),
        ("timestamp", json!(time(made.timestamp))),
        ("unchanged", json!(made.unchanged)),
        ("files", json!(made.files)),
        ("bytes", json!(made.bytes)),
        ("new_objects", json!(made.new_objects)),
        ("new_bytes", json!(made.new_bytes)),
    ] {
        document[key] = value;
    }
    context
        .output
        .data(&document, || format!("{}\n", made.commit))?;
    Ok(exit(args, made.unchanged))
}

/// Resolves an abbreviated ref for the architecture of the base instead of this machine's.
fn resolve_for(
    repo: &Repo,
    rev: &str,
    arch: ostree_go_sdk::Arch,
) -> Result<ostree_go_sdk::CommitId, CliError> {
    match repo.resolve(rev) {
        Ok(id) => Ok(id),
        Err(error) => repo
            .resolve(&super::whole_ref(rev, arch))
            .map_err(|_| error.into()),
    }
}

fn exit(args: &OverlayArgs, unchanged: bool) -> ExitCode {
    match unchanged && args.unchanged_exit_77 {
        true => ExitCode::from(UNCHANGED),
        false => ExitCode::SUCCESS,
    }
}

fn dry_run(
    context: &Context<'_>,
    args: &OverlayArgs,
    plan: &OverlayPlan<'_>,
) -> Result<ExitCode, CliError> {
    let unchanged = plan.is_unchanged();
    if let (false, Some(path)) = (unchanged, &args.touch_if_changed) {
        touch(path)?;
    }
    let files = plan.files().len();
    let document = json!({
        "repo": context.repo_path()?,
        "dry_run": true,
        "ref": args.r#ref.as_str(),
        "current": plan.current().map(|id| id.to_string()),
        "unchanged": unchanged,
        "releases": releases_json(plan),
        "labels": plan.has_labels(),
        "files": files,
        "warnings": warnings_json(plan),
    });
    context.output.data(&document, || match unchanged {
        true => format!("{}: nothing to do\n", args.r#ref),
        false => format!("{}: {} files to add\n", args.r#ref, count(files as u64)),
    })?;
    Ok(exit(args, unchanged))
}

fn write_files(args: &OverlayArgs, made: &Overlaid) -> Result<(), CliError> {
    if let (false, Some(path)) = (made.unchanged, &args.touch_if_changed) {
        touch(path)?;
    }
    if let Some(path) = &args.write_commitid_to {
        std::fs::write(path, made.commit.to_string()).map_err(|source| CliError::File {
            action: "write",
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}

fn say(warning: OverlayWarning) -> &'static str {
    match warning {
        OverlayWarning::NoOs => "the base has no /usr/lib/os-release, so it may not be an OS",
        OverlayWarning::NoArch => "the metadata of the base does not name its architecture",
        OverlayWarning::NoPolicy => "the base has no SELinux policy; the SDK's files get no labels",
        _ => "unknown problem with the base",
    }
}

fn warnings_json(plan: &OverlayPlan<'_>) -> Value {
    plan.warnings().iter().map(|w| w.as_str()).collect()
}

fn releases_json(plan: &OverlayPlan<'_>) -> Value {
    plan.sdks()
        .iter()
        .map(|sdk| json!({"version": sdk.version, "commit": sdk.id.to_string()}))
        .collect()
}
