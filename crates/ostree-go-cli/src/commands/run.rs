mod locked;

use crate::args::limits;
use crate::context::Context;
use crate::deploy;
use crate::error::CliError;
use crate::text::deployment_title;
use crate::views::selection::explanation;
use clap::ValueEnum;
use ostree_go_sdk::Arch;
use ostree_go_sdk::deploy::{Deployment, Root};
use ostree_go_sdk::run::{Run, Started};
use ostree_go_sdk::sandbox::{Backend, Cause, Control, Limits, Network, Sandbox};
use ostree_go_sdk::toolchains::{self, Selection, ToolchainError};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Run a command with an installed SDK in a sandbox
///
/// The command sees the sources of the project in the current directory, the SDK and the module cache, read-only
/// and at their own paths. It can write to a temporary directory and to the directories given with --write. It has no
/// network, none of your other files, and a cleared environment.
///
/// The exit code is that of the command, or 128 and the number of the signal that ended it.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// An installed SDK: a version, a channel, a ref, or the first digits of a commit (default: the one that
    /// fits the project)
    #[arg(long, value_name = "VERSION")]
    sdk: Option<String>,

    /// Install the SDK for the project from the remote, if it is missing
    #[arg(long, conflicts_with = "sdk")]
    install: bool,

    /// Check the workspace first, and run nothing if it differs from its lock file (exit code 4); the command
    /// gets the SDK and the build settings of the lock
    #[arg(long, conflicts_with_all = ["sdk", "install"])]
    locked: bool,

    /// Sandbox that isolates the command
    #[arg(long, value_enum, default_value_t, value_name = "SANDBOX")]
    sandbox: SandboxArg,

    /// Network of the command
    #[arg(long, value_enum, default_value_t, value_name = "NET")]
    net: NetArg,

    /// Directory of the sources (default: the highest directory above the current one with a go.work, go.mod
    /// or .git)
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,

    /// Let the command read a directory; can be given several times
    #[arg(long, value_name = "DIR")]
    read: Vec<PathBuf>,

    /// Let the command write to an existing directory; can be given several times
    #[arg(long, value_name = "DIR")]
    write: Vec<PathBuf>,

    /// Set an environment variable, or keep the one of the caller; can be given several times
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<OsString>,

    /// Keep the build cache for later runs with the same SDK
    #[arg(long)]
    keep_cache: bool,

    /// Let the command run the programs of this machine, for example for cgo and make
    #[arg(long)]
    host_tools: bool,

    /// Memory of the command, for example 2G; needs systemd
    #[arg(long, value_name = "SIZE", value_parser = limits::size)]
    memory: Option<u64>,

    /// Number of CPUs of the command
    #[arg(long, value_name = "N")]
    cpus: Option<usize>,

    /// Time after which the command gets SIGTERM, and SIGKILL 5 seconds later, for example 10m; the exit code is 124 then
    #[arg(long, value_name = "DURATION", value_parser = limits::duration)]
    timeout: Option<Duration>,

    /// Accept a sandbox that does not isolate everything on this machine
    #[arg(long)]
    weak: bool,

    /// The program and its arguments
    #[arg(value_name = "COMMAND", last = true, required = true)]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum SandboxArg {
    /// The first of bwrap, systemd and landlock that works
    #[default]
    Auto,
    /// bubblewrap
    Bwrap,
    /// A transient service of systemd
    Systemd,
    /// Landlock and a system call filter
    Landlock,
    /// No isolation
    None,
}

impl SandboxArg {
    /// Returns the backend; `None` for the first one that works.
    pub(super) fn backend(self) -> Option<Backend> {
        match self {
            Self::Auto => None,
            Self::Bwrap => Some(Backend::Bwrap),
            Self::Systemd => Some(Backend::Systemd),
            Self::Landlock => Some(Backend::Landlock),
            Self::None => Some(Backend::None),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum NetArg {
    /// No network
    #[default]
    None,
    /// The network of this machine
    Host,
}

pub fn run(context: &Context, args: RunArgs) -> Result<ExitCode, CliError> {
    let network = match args.net {
        NetArg::None => Network::None,
        NetArg::Host => Network::Host,
    };
    let settings = &context.settings;
    let directory = settings.project_dir(None)?;
    let mut given = Vec::new();
    for text in &args.env {
        given.extend(settings.assignment(text)?);
    }
    let mut environment = settings.sandbox_environment(network, args.host_tools);
    let mut sdk = args.sdk;
    if args.locked {
        given
            .iter()
            .try_for_each(|(name, _)| locked::require_free(name))?;
        let locked = locked::check(context, &directory)?;
        locked.apply(&mut environment);
        sdk = Some(locked.sdk);
    }
    environment.extend(given);
    let sandbox = Sandbox::new(settings.sandbox_host()?, args.command)
        .backend(args.sandbox.backend())
        .environment(environment)
        .host_tools(args.host_tools)
        .accept_gaps(args.weak)
        .limits(Limits {
            memory: args.memory,
            cpus: args.cpus,
            time: args.timeout,
        });
    let cache = settings.cache().join("run");
    let (root, deployment) = choose_sdk(context, sdk.as_deref(), args.install, &directory)?;
    // A signal that arrives while the sandbox is created is passed on later.
    let signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]);
    let started = Run::new(root, deployment, sandbox, directory)
        .project(args.source)
        .home(settings.home())
        .module_cache(settings.module_cache())
        .proxies(settings.own_goproxy())
        .keep_cache(args.keep_cache.then_some(cache))
        .network(network)
        .read(args.read)
        .write(args.write)
        .start()?;
    if let Ok(signals) = signals {
        pass_signals(signals, started.running.control());
    }
    say_started(context, &started, network);
    let ended = started.running.wait(None)?;
    match ended.cause {
        Some(Cause::Timeout) => context.say("the command was ended, because its time was over"),
        Some(Cause::ScratchFull) => context
            .say("the command was killed, because its temporary files used half of the free space"),
        _ => {}
    }
    Ok(ExitCode::from(ended.code))
}

/// Returns the SDK with a name, or else the one for the project, which is installed if the user wants it.
pub(super) fn choose_sdk(
    context: &Context,
    name: Option<&str>,
    install: bool,
    directory: &Path,
) -> Result<(Root, Deployment), CliError> {
    let settings = &context.settings;
    if install {
        let root = context.open_or_create_root()?;
        let requirement = toolchains::requirement(directory, &settings.workspace())?;
        let selected = toolchains::select_for(&root, directory, requirement);
        let selection = match selected {
            Err(ToolchainError::NoSdk { requirement, .. }) => {
                deploy::install_for(context, &root, &requirement)?;
                toolchains::select_for(&root, directory, Some(*requirement))?
            }
            selected => selected?,
        };
        context.say(&explanation(&selection));
        return Ok((root, selection.deployment));
    }
    let root = context.root()?;
    let deployment = match name {
        Some(name) => toolchains::find(&root, name, Arch::host())?,
        None => {
            let selection = toolchains::select(&root, directory, &settings.workspace())?;
            let active = root.active()?.map(|active| active.commit);
            let is_active = active == Some(selection.deployment.commit);
            if !is_active || !is_from_go_file(&selection) {
                context.say(&explanation(&selection));
            }
            selection.deployment
        }
    };
    Ok((root, deployment))
}

/// Returns true if nothing but go.mod or go.work decided, which needs no explanation.
fn is_from_go_file(selection: &Selection) -> bool {
    let required = selection.requirement.as_ref();
    required.is_none_or(|required| {
        let extension = required.file.extension().unwrap_or_default();
        extension == "mod" || extension == "work"
    })
}

fn say_started(context: &Context, started: &Started, network: Network) {
    let running = &started.running;
    let net = match network {
        Network::Host => "with the network",
        _ => "no network",
    };
    match running.backend() {
        Backend::None => context
            .say("warning: no sandbox: the command can read and change everything that you can"),
        backend => {
            let sdk = deployment_title(&started.deployment);
            context.say(&format!("sandbox: {backend}, {sdk}, {net}"));
        }
    }
    for gap in running.gaps() {
        let backend = running.backend();
        context.say(&format!(
            "warning: the sandbox {backend} does not prevent that {gap}"
        ));
    }
    if running.is_cold() {
        context.say("note: the build cache is empty, because the std cache cannot be used here");
    }
}

/// The number of signals after which the command is killed.
const IMPATIENT: usize = 3;

/// Passes signals on to the command. Its processes do not get those of the terminal, because they belong to a
/// session of their own.
fn pass_signals(mut signals: Signals, control: Control) {
    let pass = move || {
        for (number, signal) in signals.forever().enumerate() {
            match number + 1 < IMPATIENT {
                true => control.signal(signal),
                false => control.kill(),
            }
        }
    };
    let _ = std::thread::Builder::new().spawn(pass);
}
