use super::run::{SandboxArg, choose_sdk};
use crate::args::arch;
use crate::context::Context;
use crate::error::CliError;
use crate::output;
use crate::revision::{resolve, tree_path};
use crate::views::reproduction::ReproduceReport;
use ostree_go_sdk::Arch;
use ostree_go_sdk::reproduce::{GivenProgram, Reproduce, ReproduceError};
use ostree_go_sdk::sandbox::Network;
use ostree_go_sdk::toolchains;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Prove that a Go program is reproducible
///
/// Builds the package twice with an installed SDK, in two sandboxes without network that differ in the paths of the
/// sources, of the SDK and of the module cache, in the user, the home directory, the directory for temporary files,
/// the time zone, the locale, the umask and the number of CPUs, and compares the bytes of the results.
///
/// Exits with 0 if they are identical, with 3 if they differ, and with 1 if a part of the proof that was asked for
/// could not be done.
#[derive(Debug, clap::Args)]
pub struct ReproduceArgs {
    /// The package, as an argument of go build
    #[arg(default_value = ".")]
    package: OsString,

    /// Directory of the package or module (default: the current directory)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Compare with this program as well: a file, or a path in a commit of the repository of --repo or of
    /// the root directory
    #[arg(long, value_name = "FILE|REF:/PATH")]
    against: Option<PathBuf>,

    /// An installed SDK: a version, a channel, a ref, or the first digits of a commit (default: the one that
    /// fits the project)
    #[arg(long, value_name = "VERSION")]
    sdk: Option<String>,

    /// Build for this architecture, in the notation of Go
    #[arg(long, value_name = "GOARCH")]
    goarch: Option<OsString>,

    /// Build a third time with the installed SDK of the same version for this architecture, which qemu emulates
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    with_sdk_arch: Option<Arch>,

    /// Compile the standard library in each build instead of taking it from the std cache
    #[arg(long)]
    no_stdcache: bool,

    /// Directory of the sources (default: the highest directory above the package with a go.work, go.mod or
    /// .git)
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,

    /// Set an environment variable of all builds, or keep the one of the caller; can be given several times
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<OsString>,

    /// Let the builds run the programs of this machine, for example for cgo
    #[arg(long)]
    host_tools: bool,

    /// Sandbox that isolates the builds
    #[arg(long, value_enum, default_value_t, value_name = "SANDBOX")]
    sandbox: SandboxArg,

    /// Accept a sandbox that does not isolate everything on this machine
    #[arg(long)]
    weak: bool,

    /// Build flags (default: -trimpath, if GOFLAGS is not set)
    #[arg(value_name = "FLAGS", last = true, allow_hyphen_values = true)]
    flags: Vec<OsString>,
}

pub fn run(context: &Context, args: ReproduceArgs) -> Result<ExitCode, CliError> {
    let settings = &context.settings;
    let directory = settings.project_dir(args.dir.as_deref())?;
    let (root, deployment) = choose_sdk(context, args.sdk.as_deref(), false, &directory)?;
    let other_sdk = args
        .with_sdk_arch
        .map(|arch| toolchains::find(&root, &deployment.version, Some(arch)))
        .transpose()?;
    let mut environment = settings.sandbox_environment(Network::None, args.host_tools);
    for given in &args.env {
        environment.extend(settings.assignment(given)?);
    }
    if let Some(goarch) = args.goarch {
        environment.retain(|(name, _)| name != "GOARCH");
        environment.push(("GOARCH".into(), goarch));
    }
    let mut proof = Reproduce::new(root, deployment, settings.sandbox_host()?, directory)
        .package(args.package)
        .project(args.source)
        .home(settings.home())
        .module_cache(settings.module_cache())
        .backend(args.sandbox.backend())
        .accept_gaps(args.weak)
        .host_tools(args.host_tools)
        .std_cache(!args.no_stdcache)
        .against(args.against.map(|name| given(context, name)).transpose()?)
        .other_sdk(other_sdk)
        .temporary(settings.temporary());
    let has_goflags = environment
        .iter()
        .any(|(name, value)| name == "GOFLAGS" && !value.is_empty());
    if !args.flags.is_empty() || has_goflags {
        proof = proof.flags(args.flags);
    }
    let result = proof.environment(environment).execute(&*context.progress());
    if let Err(ReproduceError::Go { output, .. }) = &result {
        say_output(context, output.trim_end());
    }
    context.report(&ReproduceReport::from(&result?))
}

/// Returns the program that `--against` names. A file that exists comes first.
fn given(context: &Context, name: PathBuf) -> Result<GivenProgram, CliError> {
    let text = name.to_str().filter(|_| name.symlink_metadata().is_err());
    let Some((rev, path)) = text.and_then(|text| text.rsplit_once(":/")) else {
        return Ok(GivenProgram::File(name));
    };
    let path = tree_path(path)?;
    let path =
        path.ok_or_else(|| CliError::usage(format!("`{}` names no file", name.display())))?;
    let repo = context.client_repo()?;
    let commit = resolve(&repo, rev)?;
    Ok(GivenProgram::Committed { repo, commit, path })
}

/// Prints what the go command printed on standard error.
fn say_output(context: &Context, text: &str) {
    match context.output.is_json_lines() {
        true => context.say(text),
        false if text.is_empty() => {}
        false => output::line(text),
    }
}
