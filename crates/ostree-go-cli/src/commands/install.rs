use crate::args::hooks::HookArgs;
use crate::args::source::FromArgs;
use crate::args::std_cache::StdCacheArgs;
use crate::context::Context;
use crate::deploy::{self, Mode};
use crate::error::CliError;
use crate::revision::pinned;
use crate::views::selection::explanation;
use ostree_go_sdk::Arch;
use ostree_go_sdk::deploy::{Install, Root};
use ostree_go_sdk::toolchains::{self, Selection, ToolchainError, VersionRule};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Install SDKs and activate the last one
///
/// All files are verified before anything changes. After an error, the active SDK is unchanged. An
/// SDK for another architecture is installed but not activated. After the activation, the hooks run;
/// if a required one fails, the previous SDK is activated again.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// Version, channel or ref, or `latest` for the newest release; optionally followed by
    /// `@sha256:DIGEST` to require an image in a registry
    #[arg(value_name = "CHANNEL-or-VERSION", required_unless_present = "project")]
    names: Vec<String>,

    /// Install what the go.work, go.mod or other file of a project asks for, if it is missing: the patch
    /// release that the file names, or the newest one of the minor version. It is not activated
    #[arg(long = "for", value_name = "DIR", conflicts_with = "names")]
    project: Option<PathBuf>,

    /// Install without activating
    #[arg(long)]
    no_activate: bool,

    /// Show what would be installed and the sizes, without changing anything
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    hooks: HookArgs,

    #[command(flatten)]
    std_caches: StdCacheArgs,

    #[command(flatten)]
    from: FromArgs,
}

pub fn run(context: &Context, args: &InstallArgs) -> Result<ExitCode, CliError> {
    let arch = args.from.arch_or_host()?;
    if let Some(dir) = &args.project {
        return run_for(context, args, dir, arch);
    }
    let names = args.names.iter().map(|name| pinned(name, Some(arch)));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let install = Install::new(names.iter().map(|(name, _)| name.clone()));
    let mut install = options(context, args, install, arch)?.activate(!args.no_activate);
    for (name, pin) in &names {
        if let Some(digest) = pin {
            install = install.pin(name, *digest);
        }
    }
    let (root, mode) = root_and_mode(context, args)?;
    let install = install
        .hooks(args.hooks.hooks(&context.settings, &root))
        .inside_hook(context.settings.is_inside_hook());
    deploy::execute(context, &root, install.plan(&root), mode)
}

/// Installs the SDK for a project, unless it is installed.
fn run_for(
    context: &Context,
    args: &InstallArgs,
    dir: &Path,
    arch: Arch,
) -> Result<ExitCode, CliError> {
    let dir = context.settings.project_dir(Some(dir))?;
    let requirement = toolchains::requirement(&dir, &context.settings.workspace())?;
    let Some(requirement) = requirement else {
        return Err(CliError::Usage {
            message: format!(
                "no file of the project in {} names a Go version",
                dir.display()
            ),
            hint: Some("name a version or a channel: `ostree-go install 1.26`".to_owned()),
        });
    };
    let (root, mode) = root_and_mode(context, args)?;
    if Some(arch) == Arch::host() {
        match toolchains::select_for(&root, &dir, Some(requirement.clone())) {
            Ok(selection) if is_named(&selection) => {
                context.say(&explanation(&selection));
                return deploy::report_installed(context, &root, &selection.deployment);
            }
            Ok(_) | Err(ToolchainError::NoSdk { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    context.say(&format!(
        "installing {} for {requirement}",
        requirement.rule
    ));
    let install = options(context, args, toolchains::install_for(&requirement), arch)?;
    deploy::execute(context, &root, install.plan(&root), mode)
}

/// Returns true if a selected SDK is the one that the project names, or the project names none.
fn is_named(selection: &Selection) -> bool {
    let rule = selection
        .requirement
        .as_ref()
        .map(|required| &required.rule);
    let named = rule.and_then(VersionRule::names_release);
    named.is_none_or(|named| selection.deployment.version == named)
}

fn options(
    context: &Context,
    args: &InstallArgs,
    install: Install,
    arch: Arch,
) -> Result<Install, CliError> {
    Ok(install
        .arch(Some(arch))
        .source(args.from.source())
        .std_caches(args.std_caches.selection())
        .allow_downgrade(args.from.allow_downgrade)
        .http(args.from.transfer.http(context.settings.http()?))
        .progress(context.progress()))
}

fn root_and_mode(context: &Context, args: &InstallArgs) -> Result<(Root, Mode), CliError> {
    if args.dry_run {
        return Ok((context.root()?, Mode::DryRun));
    }
    let unchanged_exit_77 = false;
    let mode = Mode::Execute { unchanged_exit_77 };
    Ok((context.open_or_create_root()?, mode))
}
