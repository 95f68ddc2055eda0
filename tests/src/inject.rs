//! Injects faults into the system calls of a command, by `strace -e inject`.
//!
//! A first run counts the calls ([`Calls::of`]); then [`Fault`]s are injected at some of their positions.
//!
//! strace counts the calls of each thread by itself: `when` 3 means the third such call of every thread.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::running::run_within;
use crate::{kill, tools};

/// The injector; exists only where strace may trace a process.
#[derive(Debug, Clone)]
pub struct Injector {
    strace: PathBuf,
}

/// A fault: what happens at which calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Name of the system call, as strace knows it: `renameat2`, `fsync`.
    pub syscall: String,
    /// Position from 1, in each thread.
    pub when: u64,
    /// The effect.
    pub effect: Effect,
}

/// The effect of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The call is not made and fails with this error: `EIO`, `ENOSPC`.
    Error(&'static str),
    /// As `Error`, and so do all later calls of that name in the thread.
    ErrorFromThereOn(&'static str),
    /// The process is killed with SIGKILL when it enters the call.
    Kill,
}

impl Fault {
    /// A call that fails with an error once.
    pub fn error(syscall: &str, errno: &'static str, when: u64) -> Self {
        let syscall = syscall.into();
        Self {
            syscall,
            when,
            effect: Effect::Error(errno),
        }
    }

    /// A call at which the process is killed.
    pub fn kill(syscall: &str, when: u64) -> Self {
        let syscall = syscall.into();
        Self {
            syscall,
            when,
            effect: Effect::Kill,
        }
    }
}

impl fmt::Display for Fault {
    /// Writes the argument of `strace -e inject=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { syscall, when, .. } = self;
        match self.effect {
            Effect::Error(errno) => write!(f, "{syscall}:error={errno}:when={when}"),
            Effect::ErrorFromThereOn(errno) => write!(f, "{syscall}:error={errno}:when={when}+"),
            Effect::Kill => write!(f, "{syscall}:signal=KILL:when={when}"),
        }
    }
}

impl Injector {
    /// Finds strace and tries it, or returns `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics when strace is missing or not allowed to trace, and `CI` is set.
    pub fn new() -> Option<Self> {
        let strace = tools::require("strace")?;
        let injector = Self { strace };
        let mut probe = injector.command(Path::new("/dev/null"), &["-e", "trace=none"]);
        let out = probe.arg("true").output().expect("strace runs");
        if !out.status.success() {
            let reason = String::from_utf8_lossy(&out.stderr);
            tools::skip(&format!("strace cannot trace: {}", reason.trim()));
            return None;
        }
        Some(injector)
    }

    /// Wraps a command in strace, with a fault. The environment of the result is what `command` sets, nothing else; its user,
    /// if another was set, is lost. strace exits as the command does; when the command is killed, so is strace.
    pub fn with(&self, fault: &Fault, command: &Command) -> Command {
        let trace = format!("trace={}", fault.syscall);
        let inject = format!("inject={fault}");
        self.wrap(
            Path::new("/dev/null"),
            &["-e", &trace, "-e", &inject],
            command,
        )
    }

    /// Wraps a command in strace, with a log of calls.
    pub fn tracing(&self, log: &Path, syscalls: &[&str], command: &Command) -> Command {
        // `?` lets a name pass that this architecture does not have (`rename` on arm64).
        let names: Vec<_> = syscalls.iter().map(|name| format!("?{name}")).collect();
        let trace = format!("trace={}", names.join(","));
        self.wrap(log, &["-e", &trace], command)
    }

    fn wrap(&self, log: &Path, args: &[&str], command: &Command) -> Command {
        let mut wrapped = self.command(log, args);
        wrapped.arg("--").arg(command.get_program());
        wrapped.args(command.get_args());
        wrapped.env_clear();
        wrapped.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        wrapped
    }

    fn command(&self, log: &Path, args: &[&str]) -> Command {
        let mut strace = Command::new(&self.strace);
        // With a seccomp filter only the traced calls stop the process; strace does not deliver injected signals with it.
        if !args.iter().any(|arg| arg.contains(":signal=")) {
            strace.arg("--seccomp-bpf");
        }
        strace.args(["-f", "-qq", "-s", "0", "-o"]);
        strace.arg(log).args(args);
        strace
    }
}

/// The system calls that a command has made: by name, the positions at which faults have an effect.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    positions: BTreeMap<String, Vec<u64>>,
}

impl Calls {
    /// Runs a command undisturbed and counts its calls of the given names. Of `openat`, only calls that may create a file count.
    ///
    /// # Panics
    ///
    /// Panics when the command fails or hangs.
    #[track_caller]
    pub fn of(injector: &Injector, syscalls: &[&str], command: &Command) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the log");
        let log = folder.path().join("strace");
        run_within(&mut injector.tracing(&log, syscalls, command), kill::LIMIT).ok();
        Self::parse(&std::fs::read_to_string(log).expect("the log of strace"))
    }

    /// Returns the names of the calls that were made, with the positions of each in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u64])> {
        self.positions
            .iter()
            .map(|(name, positions)| (&**name, &**positions))
    }

    /// Returns the positions of a call; none if it was not made.
    pub fn positions(&self, syscall: &str) -> &[u64] {
        self.positions.get(syscall).map_or(&[], |all| &**all)
    }

    /// Parses lines of `PID NAME(ARGUMENTS) = RESULT`, and of `PID NAME(ARGUMENTS <unfinished ...>`.
    fn parse(log: &str) -> Self {
        let mut counts = BTreeMap::new();
        let mut positions: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for line in log.lines() {
            let Some((pid, call)) = line.split_once(char::is_whitespace) else {
                continue;
            };
            let Some((name, rest)) = call.trim_start().split_once('(') else {
                continue;
            };
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                continue;
            }
            let count: &mut u64 = counts.entry((pid, name)).or_default();
            *count += 1;
            if name == "openat" && !rest.contains("O_CREAT") && !rest.contains("O_TMPFILE") {
                continue;
            }
            positions.entry(name.to_owned()).or_default().push(*count);
        }
        for all in positions.values_mut() {
            all.sort_unstable();
            all.dedup();
        }
        Self { positions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_in_each_thread() {
        let calls = Calls::parse(
            "10 openat(AT_FDCWD, \"\"..., O_RDONLY|O_CLOEXEC) = 3\n\
             10 openat(AT_FDCWD, \"\"..., O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 3\n\
             11 fsync(4 <unfinished ...>\n\
             10 fsync(3) = 0\n\
             11 <... fsync resumed>) = 0\n\
             11 fsync(4) = -1 EIO (Input/output error)\n\
             11 +++ exited with 0 +++\n",
        );
        let all: Vec<_> = calls.iter().collect();
        assert_eq!(all, [("fsync", &[1, 2][..]), ("openat", &[2][..])]);
        assert_eq!(calls.positions("rename"), [0; 0]);
    }
}
