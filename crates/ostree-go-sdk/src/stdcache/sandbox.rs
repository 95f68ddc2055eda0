//! The sandbox in which the go command of an SDK runs while a std cache is built.
//!
//! It has no network, sees only the SDK, a module and two writable directories, and its environment
//! has only what is set here. All paths in it are fixed, so that nothing depends on the machine.

use super::build_error::StdCacheBuildError;
use crate::process::{self, ProcessError};
use crate::progress::Progress;
use std::io;
use std::path::Path;
use std::process::{Command, Output};

/// The program that creates sandboxes.
const PROGRAM: &str = "bwrap";

/// The start of each message of the program.
const MESSAGE: &str = "bwrap: ";

/// The start of its message if it cannot start the program in the sandbox. Source: `bubblewrap.c`,
/// `die_with_error ("execvp %s", argv[0])`.
const NOT_STARTED: &str = "bwrap: execvp ";

/// A directory of this machine, and its path in the sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mount<'a> {
    pub(crate) from: &'a Path,
    pub(crate) at: &'static str,
}

/// The content of the sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sandbox<'a> {
    /// GOROOT, which is read-only.
    pub(crate) goroot: Mount<'a>,
    /// The working directory, which is read-only.
    pub(crate) module: Mount<'a>,
    /// The directory for `/tmp`. It is on disk, because the archives that a build makes there would
    /// fill the memory.
    pub(crate) tmp: &'a Path,
    /// The writable build cache.
    pub(crate) gocache: &'a Path,
}

/// The path of the build cache in the sandbox.
const GOCACHE: &str = "/gocache";

/// The end of a program in the sandbox.
pub(crate) enum Ran {
    /// It ran.
    Output(Output),
    /// It cannot be executed. The program that creates sandboxes says for every reason that there
    /// is no such file: after an error, `execvp` tries `/bin/sh`, which is not in the sandbox.
    NotStarted,
    /// The caller cancelled.
    Cancelled,
}

impl Sandbox<'_> {
    /// Runs the go command of the SDK with additional variables in its environment.
    pub(crate) fn run_go(
        &self,
        args: &[&str],
        env: &[(&str, &str)],
        progress: &dyn Progress,
    ) -> Result<Ran, StdCacheBuildError> {
        let mut command = bubblewrap();
        command
            .args(["--ro-bind".as_ref(), self.goroot.from.as_os_str()])
            .arg(self.goroot.at)
            .args(["--ro-bind".as_ref(), self.module.from.as_os_str()])
            .arg(self.module.at)
            .args(["--bind".as_ref(), self.tmp.as_os_str(), "/tmp".as_ref()])
            .args([
                "--bind".as_ref(),
                self.gocache.as_os_str(),
                GOCACHE.as_ref(),
            ]);
        // Without a home directory, the go command could not store its telemetry settings.
        for (name, value) in [("HOME", "/tmp"), ("GOCACHE", GOCACHE)].iter().chain(env) {
            command.args(["--setenv", name, value]);
        }
        command
            .args(["--chdir", self.module.at, "--"])
            .arg(format!("{}/bin/go", self.goroot.at))
            .args(args);
        run(&mut command, progress)
    }
}

/// Checks that a sandbox can be created on this machine.
///
/// # Errors
/// Returns an error with the message of the program that creates sandboxes.
pub(crate) fn check(progress: &dyn Progress) -> Result<(), StdCacheBuildError> {
    let mut command = bubblewrap();
    // The sandbox is empty. If the only error is that this does not exist in it, it works.
    command.args(["--", "/nonexistent"]);
    match run(&mut command, progress)? {
        Ran::NotStarted | Ran::Output(_) => Ok(()),
        Ran::Cancelled => Err(StdCacheBuildError::Cancelled),
    }
}

/// Returns the command for a sandbox without files, network and environment.
fn bubblewrap() -> Command {
    let mut command = Command::new(PROGRAM);
    command.args([
        "--unshare-all",
        "--die-with-parent",
        "--clearenv",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ]);
    command
}

fn run(command: &mut Command, progress: &dyn Progress) -> Result<Ran, StdCacheBuildError> {
    let output = match process::output_unless_cancelled(PROGRAM, command, progress) {
        Ok(Some(output)) => output,
        Ok(None) => return Ok(Ran::Cancelled),
        Err(ProcessError::Start { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(StdCacheBuildError::NoBubblewrap);
        }
        Err(error) => return Err(error.into()),
    };
    if output.status.success() {
        return Ok(Ran::Output(output));
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let mut lines = stderr.lines();
    let Some(line) = lines.find(|line| line.starts_with(MESSAGE)) else {
        return Ok(Ran::Output(output));
    };
    match line.starts_with(NOT_STARTED) {
        true => Ok(Ran::NotStarted),
        false => Err(StdCacheBuildError::Sandbox {
            message: line[MESSAGE.len()..].to_owned(),
        }),
    }
}
