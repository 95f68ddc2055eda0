use crate::args::arch;
use crate::context::Context;
use crate::error::CliError;
use ostree_go_sdk::{Arch, toolchains};
use rustix::fs::Mode;
use rustix::process::umask;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Run a command with an installed SDK
///
/// The SDK is first in PATH, GOROOT is unset, and GOTOOLCHAIN is `local`, so that the go command does not change
/// to another version. There is no sandbox. The command replaces this process, so that it receives all signals,
/// and its exit code is the exit code.
#[derive(Debug, clap::Args)]
pub struct ExecArgs {
    /// Installed SDK: a version, a channel, a ref, or the first digits of a commit
    #[arg(value_name = "VERSION")]
    name: String,

    /// Architecture of the SDK
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    arch: Option<Arch>,

    /// Command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

pub fn run(context: &Context, args: &ExecArgs) -> Result<ExitCode, CliError> {
    // Opening the root directory may change the umask, which the command inherits.
    let mask = umask(Mode::empty());
    umask(mask);
    let root = context.root()?;
    let found = toolchains::find(&root, &args.name, args.arch)?;
    umask(mask);
    let path = context.settings.path_after(root.bin_of(&found));
    // The parser requires a command.
    let program = args.command.first().cloned().unwrap_or_default();
    let error = Command::new(&program)
        .args(args.command.iter().skip(1))
        .env("PATH", path)
        .env("GOTOOLCHAIN", "local")
        .env_remove("GOROOT")
        .exec();
    Err(CliError::file("run", Path::new(&program))(error))
}
