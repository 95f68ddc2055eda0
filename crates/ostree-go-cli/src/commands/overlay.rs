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

/// Lay SDKs over the tree of an OS, for an OS image
///
/// Makes an OS commit of the base's tree and metadata with the SDKs in it, as rpm-ostree does
/// with `ostree-layers`. A path that both have with different content is an error. Files of the
/// SDKs get labels by the SELinux policy of the base; the base's files are used as they are.
///
/// Prints the commit.
#[derive(Debug, clap::Args)]
#[command(disable_version_flag = true)]
pub struct OverlayArgs {
    /// A ref or commit of the OS
    #[arg(value_name = "BASE")]
    base: String,

    /// The SDKs, lowest first: refs, commits, or versions or channels of the base's architecture
    #[arg(required = true, value_name = "RELEASE")]
    releases: Vec<String>,

    /// The ref of the new commit
    #[arg(long, value_name = "NEW-REF", value_parser = parse_ref)]
    r#ref: RefName,

    /// The repository that has the SDKs (default: the one that has the base)
    #[arg(long, value_name = "PATH")]
    sdk_repo: Option<PathBuf>,

    /// Let files of an SDK take the place of others, as `ostree-override-layers` does
    #[arg(long)]
    r#override: bool,

    /// The version of the new commit (default: the base's)
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,

    /// The commit before the new one (default: what its ref names)
    #[arg(long, value_name = "REV", conflicts_with = "no_parent")]
    parent: Option<String>,

    /// Give the new commit no parent
    #[arg(long)]
    no_parent: bool,

    /// How labels are looked up: with 1, `/usr/etc` counts as `/etc`, as with rpm-ostree's
    /// `selinux-label-version: 1`
    #[arg(long, value_name = "EPOCH", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1))]
    selinux_labeling_epoch: u32,

    /// Say what would be done, and stop
    #[arg(long)]
    dry_run: bool,

    /// Exit with 77 if nothing changed
    #[arg(long)]
    unchanged_exit_77: bool,

    /// Update the time of this file if something changed
    #[arg(long, value_name = "FILE")]
    touch_if_changed: Option<PathBuf>,

    /// Write the commit to this file instead of moving the ref
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
        true => format!("{} has this base with these SDKs already", made.ref_name),
        false => format!(
            "{} is {} now: {} files, {}, {}",
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

/// `1.26.5` is the release for the base's machine, not for this one.
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
        OverlayWarning::NoOs => "the base has no /usr/lib/os-release: is it an OS?",
        OverlayWarning::NoArch => "the base does not say for which architecture it is",
        OverlayWarning::NoPolicy => "the base has no SELinux policy; the SDK's files get no labels",
        _ => "something about the base looks wrong",
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
