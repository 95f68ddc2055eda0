//! Runs other programs and waits for them.

use crate::kind::ErrorKind;
use crate::progress::{POLL_INTERVAL, Progress};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// An error of running another program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program cannot be started, or its pipes fail.
    #[error("cannot run `{program}`")]
    Start {
        /// The name of the program.
        program: String,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The program ended with an exit status other than 0, or was killed.
    #[error("`{program}` failed: {stderr}")]
    Failed {
        /// The name of the program.
        program: String,
        /// The last line that the program wrote to its standard error, or the signal that killed
        /// it.
        stderr: String,
    },
}

impl ProcessError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Start { source, .. } => ErrorKind::of_io(source),
            Self::Failed { stderr, .. } if stderr.contains(NO_SPACE) => ErrorKind::DiskFull,
            Self::Failed { .. } => ErrorKind::Io,
        }
    }
}

/// The message for `ENOSPC` in the C locale, which [`run_in_c`] and [`run_with_writer`] set.
const NO_SPACE: &str = "No space left on device";

/// Returns the number of bytes of memory that are available without swapping; `None` if it is
/// unknown. Source: `MemAvailable` of `/proc/meminfo` (proc(5)).
pub(crate) fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Runs a program without input and returns its output, whatever its exit status is.
pub(crate) fn output(program: &str, command: &mut Command) -> Result<Output, ProcessError> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ProcessError::Start {
            program: program.to_owned(),
            source,
        })
}

/// Runs a program without input and returns its standard output.
pub(crate) fn run(program: &str, command: &mut Command) -> Result<String, ProcessError> {
    stdout_or_error(program, &output(program, command)?)
}

/// Runs a program without input and returns its output, whatever its exit status is. When the
/// caller cancels, the program is killed with all processes of its group, and `None` is returned.
pub(crate) fn output_unless_cancelled(
    program: &str,
    command: &mut Command,
    progress: &dyn Progress,
) -> Result<Option<Output>, ProcessError> {
    let failed = |source| ProcessError::Start {
        program: program.to_owned(),
        source,
    };
    // The output goes to files, because a program would block on a full pipe that is not being
    // read.
    let (mut stdout, mut stderr) = (in_memory().map_err(failed)?, in_memory().map_err(failed)?);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone().map_err(failed)?)
        .stderr(stderr.try_clone().map_err(failed)?)
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if progress.is_cancelled() {
            // An error means that the group has ended already.
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
            child.wait().map_err(failed)?;
            return Ok(None);
        }
        std::thread::sleep(POLL_INTERVAL);
    };
    Ok(Some(Output {
        status,
        stdout: content(&mut stdout).map_err(failed)?,
        stderr: content(&mut stderr).map_err(failed)?,
    }))
}

/// Runs a program with a short input and returns its output, whatever its exit status is.
pub(crate) fn run_with_input(
    program: &str,
    command: &mut Command,
    input: &str,
) -> Result<Output, ProcessError> {
    let failed = |source| ProcessError::Start {
        program: program.to_owned(),
        source,
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It is not an error if the program does not read its input.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().map_err(failed)
}

/// The limits of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The time after which the program is killed.
    pub(crate) timeout: Duration,
    /// The maximum size of the standard output, and of the standard error, in bytes.
    pub(crate) bytes: u64,
}

/// The end of a program with limits.
#[derive(Debug)]
pub(crate) enum Limited {
    /// The program ended by itself.
    Ended(Output),
    /// The program was killed because of its limit of time.
    TimedOut,
    /// The program was killed because it wrote too much.
    TooLong,
}

/// Runs a program with an input, and kills it if it exceeds a limit. The program stays in the process
/// group of the caller, so that it can ask a person on the terminal, and Ctrl-C ends it.
pub(crate) fn run_limited(
    program: &str,
    command: &mut Command,
    input: &[u8],
    limits: &Limits,
) -> Result<Limited, ProcessError> {
    let failed = |source| ProcessError::Start {
        program: program.to_owned(),
        source,
    };
    // Input and output are files, because neither side blocks on them, and a process that the program
    // leaves behind cannot keep a pipe open.
    let mut stdin = in_memory().map_err(failed)?;
    stdin.write_all(input).map_err(failed)?;
    stdin.rewind().map_err(failed)?;
    let (mut stdout, mut stderr) = (in_memory().map_err(failed)?, in_memory().map_err(failed)?);
    let mut child = command
        .stdin(stdin)
        .stdout(stdout.try_clone().map_err(failed)?)
        .stderr(stderr.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    let status = loop {
        let ended = child.try_wait().map_err(failed)?;
        let size = |file: &File| file.metadata().map(|metadata| metadata.len());
        let is_long = size(&stdout).map_err(failed)? > limits.bytes
            || size(&stderr).map_err(failed)? > limits.bytes;
        let is_late = ended.is_none() && started.elapsed() >= limits.timeout;
        if is_long || is_late {
            // An error means that it has ended already.
            let _ = child.kill();
            child.wait().map_err(failed)?;
            return Ok(match is_long {
                true => Limited::TooLong,
                false => Limited::TimedOut,
            });
        }
        if let Some(status) = ended {
            break status;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(POLL_INTERVAL);
    };
    Ok(Limited::Ended(Output {
        status,
        stdout: content(&mut stdout).map_err(failed)?,
        stderr: content(&mut stderr).map_err(failed)?,
    }))
}

/// Does the same as [`run`] in the C locale, so that the message for a full disk is recognized.
pub(crate) fn run_in_c(program: &str, command: &mut Command) -> Result<String, ProcessError> {
    run(program, command.env("LC_ALL", "C"))
}

/// Runs a program in the C locale, with the output of `write` as its input. The inner error is an
/// error of producing the input.
///
/// If both fail, and `write` failed to write to the program, the program's error is returned,
/// because it explains why the program stopped reading.
pub(crate) fn run_with_writer<E>(
    program: &str,
    command: &mut Command,
    write: impl FnOnce(&mut dyn Write) -> Result<(), InputError<E>>,
) -> Result<Result<(), E>, ProcessError> {
    let failed = |source| ProcessError::Start {
        program: program.to_owned(),
        source,
    };
    // The output goes to files, because a program would block on a full pipe that is not being
    // read.
    let (mut stdout, mut stderr) = (in_memory().map_err(failed)?, in_memory().map_err(failed)?);
    let mut child = command
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(stdout.try_clone().map_err(failed)?)
        .stderr(stderr.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let mut out = BufWriter::with_capacity(256 << 10, Stdin(child.stdin.take()));
    let written = write(&mut out).and_then(|()| out.flush().map_err(InputError::Write));
    let (stdin, rest) = out.into_parts();
    // After an error, the buffered rest must not be written when the buffer is dropped.
    drop((stdin, rest));
    let output = Output {
        status: child.wait().map_err(failed)?,
        stdout: content(&mut stdout).map_err(failed)?,
        stderr: content(&mut stderr).map_err(failed)?,
    };
    let result = stdout_or_error(program, &output);
    match written {
        Err(InputError::Source(error)) => Ok(Err(error)),
        Err(InputError::Write(source)) => Err(result.err().unwrap_or_else(|| failed(source))),
        Ok(()) => result.map(|_| Ok(())),
    }
}

/// Creates an empty file in memory.
fn in_memory() -> io::Result<File> {
    let file = rustix::fs::memfd_create("output", rustix::fs::MemfdFlags::CLOEXEC)?;
    Ok(file.into())
}

/// Reads a file from its beginning.
fn content(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// An error of providing the input of a program.
pub(crate) enum InputError<E> {
    /// Writing failed because the program stopped reading.
    Write(io::Error),
    /// Producing the input failed.
    Source(E),
}

impl<E> From<io::Error> for InputError<E> {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// The pipe to a program; `None` if it is closed.
struct Stdin(Option<ChildStdin>);

impl Write for Stdin {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(stdin) => stdin.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the standard output of a program that has ended, or the error if it failed.
fn stdout_or_error(program: &str, output: &Output) -> Result<String, ProcessError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failure(program, output))
}

/// Returns the error for a program that has failed.
pub(crate) fn failure(program: &str, output: &Output) -> ProcessError {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let mut lines = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    // The message about a full disk is not always the last one.
    let full = lines.clone().rfind(|line| line.contains(NO_SPACE));
    let stderr = full.or_else(|| lines.next_back());
    let killed = output.status.signal();
    let killed = killed.map(|signal| format!("it was killed by signal {signal}"));
    ProcessError::Failed {
        program: program.to_owned(),
        stderr: killed.unwrap_or_else(|| stderr.unwrap_or("it printed no message").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_and_its_children_are_killed_when_the_caller_cancels() {
        struct Cancelled;
        impl Progress for Cancelled {
            fn is_cancelled(&self) -> bool {
                true
            }
        }
        let begun = std::time::Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & wait"]);
        let output = output_unless_cancelled("sh", &mut command, &Cancelled).unwrap();
        assert!(output.is_none());
        assert!(begun.elapsed() < std::time::Duration::from_secs(30));
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo error >&2; exit 3"]);
        let progress = &crate::progress::NoProgress;
        let output = output_unless_cancelled("sh", &mut command, progress).unwrap();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            (output.stdout, output.stderr),
            (b"out\n".to_vec(), b"error\n".to_vec())
        );
    }

    #[test]
    fn available_memory_is_known() {
        assert!(available_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
