//! The helper process of the backends without a process namespace: it starts the command, passes signals on, and
//! kills everything that is left when the command or the process that wanted it has ended.

use super::landlock::Rules;
use super::limits;
use super::processes::{kill_descendants, process_id};
use super::scratch;
use super::unit::Unit;
use rustix::fs::Mode;
use rustix::process::{Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

type Failure = Box<dyn Error + Send + Sync>;

/// What the helper has to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    /// The path of a pipe in `/proc`. Each byte is a signal for the command; its end means that the command has
    /// to be killed.
    pub control: String,
    /// The path of a pipe in `/proc`, for messages.
    pub status: String,
    /// The directory for temporary files, which is removed at the end.
    pub scratch: OsString,
    /// The number of free bytes of its file system below which the command is killed.
    pub keep_free: u64,
    /// The number of CPUs.
    pub cpus: Option<usize>,
    /// The umask.
    pub umask: Option<u32>,
    /// The restrictions of the command.
    pub rules: Option<Rules>,
    /// The unit that the command starts.
    pub unit: Option<Unit>,
    /// Variables that the command does not get.
    pub unset: Vec<OsString>,
    /// The working directory.
    pub directory: OsString,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// The first byte of the messages to the process that started the helper.
pub(super) const FAILED: u8 = b'E';
pub(super) const SCRATCH_FULL: u8 = b'F';

/// Runs the task that the process gave to its [helper](super::Host::helper), and returns the exit code of the
/// helper.
#[must_use]
pub fn supervise(task: &str) -> u8 {
    let Ok(task) = serde_json::from_str::<Task>(task) else {
        return 1;
    };
    // Without the pipe, the process that wanted the command has ended already.
    let Ok(mut status) = OpenOptions::new().write(true).open(&task.status) else {
        return 1;
    };
    match run(&task, &status) {
        Ok(code) => code,
        Err(error) => {
            let mut message = vec![FAILED];
            message.extend(error.to_string().bytes());
            let _ = status.write_all(&message);
            1
        }
    }
}

fn run(task: &Task, status: &File) -> Result<u8, Failure> {
    // Without a controlling terminal, the command cannot read it or put characters into it.
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let scratch = PathBuf::from(&task.scratch);
    let _lock = scratch::lock(&scratch)?;
    let control = File::open(&task.control)?;
    if let Some(cpus) = task.cpus {
        limits::set_cpus(None, cpus)?;
    }
    if let Some(umask) = task.umask {
        rustix::process::umask(Mode::from_raw_mode(umask));
    }
    let mut child = spawn(task)?;
    let group = child.id();
    let unit = task.unit.clone();
    std::thread::Builder::new().spawn(move || pass_on(control, group, unit.as_ref()))?;
    let (folder, keep_free, mut status) = (scratch.clone(), task.keep_free, status.try_clone()?);
    std::thread::Builder::new().spawn(move || watch(&folder, keep_free, &mut status))?;
    let ended = child.wait()?;
    if let Some(unit) = &task.unit
        && !ended.success()
    {
        let found = unit.exit_code(exit_code(ended));
        kill_all(task.unit.as_ref());
        scratch::remove(&scratch);
        return Ok(found?);
    }
    kill_all(None);
    scratch::remove(&scratch);
    Ok(exit_code(ended))
}

/// Starts the command on a thread of its own, because only this thread must be restricted.
fn spawn(task: &Task) -> Result<Child, Failure> {
    let (program, arguments) = task.command.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&task.directory);
    command.process_group(0);
    for name in &task.unset {
        command.env_remove(name);
    }
    let start = || -> Result<Child, Failure> {
        if let Some(rules) = &task.rules {
            rules.restrict_thread()?;
        }
        let failed =
            |error: io::Error| format!("cannot run {}: {error}", Path::new(program).display());
        Ok(command.spawn().map_err(failed)?)
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, start)?;
        thread
            .join()
            .map_err(|_| "the thread that starts it failed")?
    })
}

/// Passes signals on until the process that wanted the command closes the pipe, or ends.
fn pass_on(mut control: File, group: u32, unit: Option<&Unit>) {
    let mut byte = [0];
    while let Ok(1) = control.read(&mut byte) {
        let number = i32::from(byte[0]);
        match (unit, process_id(group), Signal::from_named_raw(number)) {
            (Some(unit), ..) => unit.signal_when_started(number),
            (None, Some(group), Some(signal)) => {
                // An error means that all processes have ended.
                let _ = kill_process_group(group, signal);
            }
            _ => {}
        }
    }
    kill_all(unit);
}

fn kill_all(unit: Option<&Unit>) {
    if let Some(unit) = unit {
        unit.kill();
    }
    kill_descendants();
}

/// Kills the command when the file system of its temporary files is nearly full.
fn watch(folder: &Path, keep_free: u64, status: &mut File) {
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let Ok(found) = rustix::fs::statvfs(folder) else {
            return;
        };
        if found.f_bavail.saturating_mul(found.f_frsize) < keep_free {
            let _ = status.write_all(&[SCRATCH_FULL]);
            kill_descendants();
            return;
        }
    }
}

/// Returns the exit code, or 128 and the number of the signal that ended a process.
pub(super) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
