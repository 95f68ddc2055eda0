//! A command that was started in a sandbox.

use super::backend::Backend;
use super::error::{Gap, SandboxError};
use super::limits::Limits;
use super::processes::process_id;
use super::scratch::Scratch;
use super::supervise::{FAILED, SCRATCH_FULL, exit_code};
use crate::progress::{POLL_INTERVAL, Progress};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group};
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running command.
#[derive(Debug)]
pub struct Running {
    pub(super) child: Child,
    pub(super) control: Control,
    pub(super) backend: Backend,
    pub(super) gaps: Vec<Gap>,
    pub(super) is_cold: bool,
    pub(super) time: Option<Duration>,
    /// The pipe for messages of the helper, and the end of the pipe to it that it reads. The helper opens both by
    /// their paths in `/proc`.
    pub(super) status: Option<(File, File)>,
    pub(super) _control_reader: Option<File>,
    pub(super) stderr: Option<JoinHandle<Vec<u8>>>,
    /// Removed after the command has ended.
    pub(super) scratch: Option<Scratch>,
}

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// The exit code, or 128 and the number of the signal that ended the command. 124 after
    /// [`Cause::Timeout`].
    pub code: u8,
    /// The reason why the command was ended, if it did not end by itself.
    pub cause: Option<Cause>,
    /// The standard error, if it was [captured](super::Sandbox::capture_stderr).
    pub stderr: Vec<u8>,
}

/// A reason for which a command was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The time was over.
    Timeout,
    /// The command used half of the free space of the file system with its temporary files.
    ScratchFull,
}

/// The exit code after a timeout, as of timeout(1).
const TIMED_OUT: u8 = 124;

/// Sends signals to a running command; can be used by another thread.
#[derive(Debug, Clone)]
pub struct Control(Arc<Mutex<Target>>);

#[derive(Debug)]
pub(super) enum Target {
    /// The first process in the sandbox, which has the ID of the command's process group, and its parent.
    Group { group: Pid, owner: Pid },
    /// The pipe to the helper.
    Helper(File),
    /// The command has ended, and its process ID may belong to another process.
    Ended,
}

impl Control {
    pub(super) fn new(target: Target) -> Self {
        Self(Arc::new(Mutex::new(target)))
    }

    /// Sends a signal, by its number, to the process group of the command.
    pub fn signal(&self, number: i32) {
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An error means that the command has ended.
        match &mut *target {
            Target::Group { group, .. } => {
                if let Some(signal) = Signal::from_named_raw(number) {
                    signal_group(*group, signal);
                }
            }
            Target::Helper(pipe) => {
                let _ = u8::try_from(number).map(|byte| pipe.write_all(&[byte]));
            }
            Target::Ended => {}
        }
    }

    /// Kills the command and all processes that it has started.
    pub fn kill(&self) {
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*target {
            // The end of the first process ends all others of its namespace. bubblewrap's own ends it, too, but not
            // before the command has started.
            Target::Group { group, owner } => {
                let _ = kill_process(*group, Signal::KILL);
                let _ = kill_process(*owner, Signal::KILL);
            }
            // Closes the pipe.
            Target::Helper(_) => *target = Target::Ended,
            Target::Ended => {}
        }
    }

    fn set_ended(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Target::Ended;
    }
}

impl Running {
    /// Returns the backend that isolates the command.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Returns what the backend does not isolate, and the caller has accepted.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Returns true if there are std caches, and the build cache could not be filled from them.
    #[must_use]
    pub fn is_cold(&self) -> bool {
        self.is_cold
    }

    /// Returns a handle that sends signals to the command.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until the command has ended, and nothing of it is left.
    ///
    /// # Errors
    /// Returns an error if the backend failed, or if the operation was cancelled; then the command was killed.
    pub fn wait(mut self, progress: Option<&dyn Progress>) -> Result<Ended, SandboxError> {
        let waited = self.wait_for_end(progress);
        if waited.is_err() {
            self.control.kill();
        }
        let status = self.child.wait();
        self.control.set_ended();
        let stderr = self
            .stderr
            .take()
            .map(|reader| reader.join().unwrap_or_default());
        let messages = self.messages();
        self.scratch = None;
        let mut cause = waited?;
        let status = status.map_err(|source| self.failed(&source))?;
        match messages.split_first() {
            // A service that has not started when its time is over cannot start: that is no failure.
            Some((&FAILED, message)) if cause.is_none() => {
                let message = String::from_utf8_lossy(message).into_owned();
                let backend = self.backend;
                return Err(SandboxError::Failed { backend, message });
            }
            Some((&SCRATCH_FULL, _)) => cause = cause.or(Some(Cause::ScratchFull)),
            _ => {}
        }
        let code = match cause {
            Some(Cause::Timeout) => TIMED_OUT,
            _ => exit_code(status),
        };
        Ok(Ended {
            code,
            cause,
            stderr: stderr.unwrap_or_default(),
        })
    }

    fn failed(&self, source: &io::Error) -> SandboxError {
        SandboxError::Failed {
            backend: self.backend,
            message: source.to_string(),
        }
    }

    /// Returns what the helper has written. It has ended, so that only the end of the pipe in this process must be
    /// closed.
    fn messages(&mut self) -> Vec<u8> {
        let mut messages = Vec::new();
        if let Some((mut reader, writer)) = self.status.take() {
            drop(writer);
            let _ = reader.read_to_end(&mut messages);
        }
        messages
    }

    /// Waits until the process can be reaped, and ends it when its time is over.
    fn wait_for_end(&self, progress: Option<&dyn Progress>) -> Result<Option<Cause>, SandboxError> {
        let pid = process_id(self.child.id()).ok_or(SandboxError::NoCommand)?;
        let process = rustix::process::pidfd_open(pid, PidfdFlags::empty());
        let process = process.map_err(|errno| self.failed(&errno.into()))?;
        let start = Instant::now();
        let term = self.time.map(|time| start + time);
        let kill = term.map(|term| term + Limits::GRACE);
        let (mut terminated, mut killed) = (false, false);
        loop {
            let now = Instant::now();
            let next = match (terminated, killed) {
                (false, _) => term,
                (true, false) => kill,
                (true, true) => None,
            };
            let left = next.map(|next| next.saturating_duration_since(now));
            let left = match progress {
                Some(_) => Some(left.unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL)),
                None => left,
            };
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut watched = [PollFd::new(&process, PollFlags::IN)];
            match poll(&mut watched, left.as_ref()) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(terminated.then_some(Cause::Timeout)),
                Err(errno) => return Err(self.failed(&errno.into())),
            }
            if progress.is_some_and(Progress::is_cancelled) {
                return Err(SandboxError::Cancelled);
            }
            let now = Instant::now();
            if !terminated && term.is_some_and(|term| now >= term) {
                terminated = true;
                self.control.signal(Signal::TERM.as_raw());
            } else if terminated && !killed && kill.is_some_and(|kill| now >= kill) {
                killed = true;
                self.control.kill();
            }
        }
    }
}

/// Sends a signal to a process group. It exists only shortly after the sandbox was created.
fn signal_group(group: Pid, signal: Signal) {
    for _ in 0..20 {
        let sent = kill_process_group(group, signal);
        if sent != Err(rustix::io::Errno::SRCH)
            || rustix::process::test_kill_process(group).is_err()
        {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads standard error to its end on a thread.
pub(super) fn capture(child: &mut Child) -> Option<JoinHandle<Vec<u8>>> {
    let mut stderr = child.stderr.take()?;
    let read = move || {
        let mut bytes = Vec::new();
        let _ = stderr.read_to_end(&mut bytes);
        bytes
    };
    std::thread::Builder::new().spawn(read).ok()
}
