//! Runs a hook: with a limit for its time and for the memory of its output, and until nothing of its process
//! group is left.

use super::outcome::HookOutcome;
use crate::progress::{POLL_INTERVAL, Progress};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::fs::File;
use std::io::{self, ErrorKind as Io, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// Number of bytes that are kept of each stream: the last ones.
const KEPT: usize = 64 << 10;
/// Size of the buffer for reading, which is also the capacity of a pipe (pipe(7)).
const CHUNK: usize = 64 << 10;
/// Number of reads of a stream between two looks at the clock.
const READS: usize = 16;

/// The end of a hook.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: HookOutcome,
    /// The last lines of standard output, followed by those of standard error.
    pub(super) lines: Vec<String>,
}

/// Runs a hook to its end.
pub(super) fn execute(command: &mut Command, timeout: Duration, progress: &dyn Progress) -> Ended {
    if progress.is_cancelled() {
        return Ended {
            outcome: HookOutcome::Interrupted,
            lines: Vec::new(),
        };
    }
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let ended = command.spawn().and_then(|mut child| {
        let ended = supervise(&mut child, timeout, progress);
        ended.inspect_err(|_| {
            signal(Pid::from_child(&child), Signal::KILL);
            let _ = child.wait();
        })
    });
    ended.unwrap_or_else(|error| Ended {
        outcome: HookOutcome::NotStarted,
        lines: vec![error.to_string()],
    })
}

/// Waits for the end of a hook, and ends it when its time is over or the operation is cancelled.
fn supervise(child: &mut Child, timeout: Duration, progress: &dyn Progress) -> io::Result<Ended> {
    // The hook leads its process group.
    let group = Pid::from_child(child);
    let process = pidfd_open(group, PidfdFlags::empty())?;
    let mut streams = [
        Stream::new(child.stdout.take().map(OwnedFd::from))?,
        Stream::new(child.stderr.take().map(OwnedFd::from))?,
    ];
    let deadline = Instant::now().checked_add(timeout);
    let is_over = |deadline: Option<Instant>| deadline.is_some_and(|at| Instant::now() >= at);
    let (mut ended_by, mut kill_at) = (None, None);
    loop {
        let has_ended = wait_for_event(&process, &streams)?;
        for stream in &mut streams {
            stream.read()?;
        }
        if has_ended {
            break;
        }
        if ended_by.is_none() {
            ended_by = match progress.is_cancelled() {
                true => Some(HookOutcome::Interrupted),
                false => is_over(deadline).then_some(HookOutcome::TimedOut),
            };
            if ended_by.is_some() {
                signal(group, Signal::TERM);
                kill_at = Some(Instant::now() + GRACE);
            }
        } else if is_over(kill_at) {
            signal(group, Signal::KILL);
            kill_at = None;
        }
    }
    // The number of the group is not used again before the hook is reaped.
    signal(group, Signal::KILL);
    let status = child.wait()?;
    let mut lines = Vec::new();
    for mut stream in streams {
        stream.read()?;
        lines.extend(stream.tail.lines());
    }
    Ok(Ended {
        outcome: ended_by.unwrap_or_else(|| outcome(status)),
        lines,
    })
}

fn outcome(status: ExitStatus) -> HookOutcome {
    match (status.code(), status.signal()) {
        (Some(0), _) => HookOutcome::Succeeded,
        (Some(code), _) => HookOutcome::Exited(code),
        (None, signal) => HookOutcome::Killed(signal.unwrap_or_default()),
    }
}

/// Sends a signal to the processes of a group.
fn signal(group: Pid, signal: Signal) {
    // An error means that all have ended.
    let _ = kill_process_group(group, signal);
}

/// Waits for output, for the end of the process, or for a short time. Returns true if the process has ended.
fn wait_for_event(process: &OwnedFd, streams: &[Stream]) -> io::Result<bool> {
    let mut watched = vec![PollFd::new(process, PollFlags::IN)];
    let pipes = streams.iter().filter_map(|stream| stream.pipe.as_ref());
    watched.extend(pipes.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
    let time = Timespec::try_from(POLL_INTERVAL).ok();
    match poll(&mut watched, time.as_ref()) {
        Ok(_) => Ok(watched.first().is_some_and(|one| !one.revents().is_empty())),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// A stream of a hook's output.
struct Stream {
    /// The pipe; `None` after its end.
    pipe: Option<File>,
    buffer: Vec<u8>,
    tail: Tail,
}

impl Stream {
    fn new(pipe: Option<OwnedFd>) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            // A process that has left the group may keep the pipe open.
            rustix::fs::fcntl_setfl(pipe, OFlags::NONBLOCK)?;
        }
        Ok(Self {
            pipe: pipe.map(File::from),
            buffer: vec![0; CHUNK],
            tail: Tail::default(),
        })
    }

    /// Reads what is in the pipe, up to a limit.
    fn read(&mut self) -> io::Result<()> {
        for _ in 0..READS {
            let Some(pipe) = &mut self.pipe else {
                return Ok(());
            };
            match pipe.read(&mut self.buffer) {
                Ok(0) => self.pipe = None,
                Ok(size) => self.tail.push(&self.buffer[..size]),
                Err(error) if error.kind() == Io::WouldBlock => return Ok(()),
                Err(error) if error.kind() == Io::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The end of a stream.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * KEPT {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let start = self.bytes.len().saturating_sub(KEPT);
        self.is_cut |= start > 0;
        self.bytes.drain(..start);
    }

    /// Returns the last lines. The first one is left out if its beginning was not kept.
    fn lines(mut self) -> Vec<String> {
        self.cut();
        let text = String::from_utf8_lossy(&self.bytes);
        let lines = text.lines().skip(usize::from(self.is_cut));
        lines.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;

    fn shell(script: &str, timeout: Duration) -> Ended {
        let mut command = Command::new("sh");
        execute(command.args(["-c", script]), timeout, &NoProgress)
    }

    #[test]
    fn the_end_of_the_output_is_kept() {
        let script = "yes | head -c 20M; echo last; echo error >&2";
        let ended = shell(script, Duration::from_secs(300));
        assert_eq!(ended.outcome, HookOutcome::Succeeded);
        let size: usize = ended.lines.iter().map(|line| line.len() + 1).sum();
        assert!(size > KEPT / 2 && size <= 2 * KEPT, "{size}");
        assert!(ended.lines.ends_with(&["last".into(), "error".into()]));
        assert!(ended.lines.starts_with(&["y".into()]));
    }

    #[test]
    fn exit_codes_and_signals_are_told_apart() {
        let of = |script| shell(script, Duration::from_secs(300)).outcome;
        assert_eq!(of("exit 7"), HookOutcome::Exited(7));
        assert_eq!(of("kill -KILL $$"), HookOutcome::Killed(9));
        let mut missing = Command::new("/nonexistent/hook");
        let ended = execute(&mut missing, Duration::from_secs(300), &NoProgress);
        assert_eq!(ended.outcome, HookOutcome::NotStarted);
        assert_eq!(ended.lines.len(), 1);
    }

    #[test]
    fn a_process_that_is_left_does_not_keep_a_hook_waiting() {
        // Both processes keep the pipes open; only the first one is in the group.
        let script = "sleep 600 & setsid sleep 3 & echo done";
        let ended = shell(script, Duration::from_secs(300));
        assert_eq!(ended.outcome, HookOutcome::Succeeded);
        assert_eq!(ended.lines, ["done"]);
    }

    #[test]
    fn a_hook_and_its_children_are_ended_when_the_time_is_over() {
        let ended = shell("sleep 600 & wait", Duration::from_millis(100));
        assert_eq!(ended.outcome, HookOutcome::TimedOut);
    }

    #[test]
    fn a_cancelled_operation_starts_no_hook() {
        struct Cancelled;
        impl Progress for Cancelled {
            fn is_cancelled(&self) -> bool {
                true
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let mut command = Command::new("touch");
        let ended = execute(command.arg(&file), Duration::from_secs(300), &Cancelled);
        assert_eq!(ended.outcome, HookOutcome::Interrupted);
        assert!(!file.exists());
    }
}
