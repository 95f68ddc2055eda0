//! Starts a command with the helper: for systemd, for Landlock, and without a sandbox.

use super::backend::{Backend, Network};
use super::error::{Gap, SandboxError};
use super::landlock::Rules;
use super::options::{Bind, Sandbox};
use super::running::{Control, Running, Target, capture};
use super::scratch::Scratch;
use super::supervise::Task;
use super::unit::Unit;
use crate::fs::context::IoFailure;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// A file or directory in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub bind: Bind,
    pub is_writable: bool,
}

/// A task for the helper.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub sandbox: &'a Sandbox,
    pub backend: Backend,
    pub gaps: Vec<Gap>,
    pub scratch: Scratch,
    pub rules: Option<Rules>,
    pub unit: Option<Unit>,
    /// The command line of the helper's child.
    pub command: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
    /// Variables that only the helper and what is before the command need.
    pub unset: Vec<OsString>,
    pub is_cold: bool,
}

/// Files of devices that every command can write.
pub(super) const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// Files of `/etc` that every command in a Landlock sandbox can read, because they cannot be replaced there.
pub(super) const PUBLIC: [&str; 5] = [
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/localtime",
];

impl Plan<'_> {
    /// Starts the helper.
    pub fn start(self) -> Result<Running, SandboxError> {
        let Some((program, arguments)) = self.sandbox.host.helper.split_first() else {
            return Err(SandboxError::NoHelper(self.backend));
        };
        let failed = |source| SandboxError::Start {
            program: program.to_string_lossy().into_owned(),
            source,
        };
        let pipe = || {
            let made = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
            made.map_err(|errno| failed(errno.into()))
        };
        let (control_reader, control) = pipe()?;
        let (status_reader, status) = pipe()?;
        // The helper opens the pipes by these paths, so that no other program inherits them.
        let path = |fd: i32| format!("/proc/{}/fd/{fd}", std::process::id());
        let directory = match self.unit {
            Some(_) => OsString::from("/"),
            None => self.sandbox.directory.clone().into(),
        };
        let task = Task {
            control: path(control_reader.as_raw_fd()),
            status: path(status.as_raw_fd()),
            scratch: self.scratch.path().into(),
            keep_free: self.scratch.free / 2,
            cpus: self.sandbox.limits.cpus.filter(|_| self.unit.is_none()),
            umask: self.sandbox.umask,
            rules: self.rules,
            unit: self.unit,
            unset: self.unset,
            directory,
            command: self.command,
        };
        let task = serde_json::to_string(&task).map_err(|error| SandboxError::Failed {
            backend: self.backend,
            message: error.to_string(),
        })?;
        let mut command = Command::new(program);
        command.args(arguments).arg(task).env_clear();
        command.envs(self.environment);
        command.process_group(0);
        if self.sandbox.capture_stderr {
            command.stdin(Stdio::null()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().map_err(failed)?;
        let stderr = capture(&mut child);
        Ok(Running {
            child,
            control: Control::new(Target::Helper(control.into())),
            backend: self.backend,
            gaps: self.gaps,
            is_cold: self.is_cold,
            time: self.sandbox.limits.time,
            status: Some((status_reader.into(), status.into())),
            _control_reader: Some(File::from(control_reader)),
            stderr,
            scratch: Some(self.scratch),
        })
    }
}

/// Returns the rules of Landlock for mounts.
///
/// # Errors
/// Returns an error if a mount has another path than on the host.
pub(super) fn rules(
    sandbox: &Sandbox,
    mounts: &[Mount],
    scratch: &Scratch,
) -> Result<Rules, SandboxError> {
    // A symbolic link on the host also shows a file at another path.
    let is_moved = |bind: &Bind| {
        let dest = bind.dest.canonicalize();
        bind.source != bind.dest && !dest.is_ok_and(|dest| dest == bind.source)
    };
    let moved = mounts.iter().find(|mount| is_moved(&mount.bind));
    if let Some(Mount { bind, .. }) = moved {
        return Err(SandboxError::Moved {
            backend: Backend::Landlock,
            path: bind.source.clone(),
            dest: bind.dest.clone(),
        });
    }
    let of = |is_writable| {
        let mounts = mounts
            .iter()
            .filter(move |mount| mount.is_writable == is_writable);
        mounts.map(|mount| mount.bind.source.clone().into())
    };
    let mut read_only: Vec<OsString> = of(false).collect();
    read_only.extend(PUBLIC.map(Into::into));
    let mut writable: Vec<OsString> = of(true).collect();
    writable.extend(DEVICES.map(Into::into));
    writable.push(scratch.temporary().into());
    Ok(Rules {
        read_only,
        writable,
        network: sandbox.network == Network::Host,
        metadata: sandbox.accept_gaps,
    })
}

/// Writes a generated file below the directory for temporary files.
pub(super) fn write(scratch: &Scratch, name: &str, content: &[u8]) -> Result<Bind, SandboxError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = scratch
        .path()
        .join(name.trim_start_matches('/').replace('/', "-"));
    let mut options = File::options();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(content));
    written.map_err(|error| IoFailure::new("write", &path, error))?;
    Ok(Bind {
        source: path,
        dest: name.into(),
    })
}
