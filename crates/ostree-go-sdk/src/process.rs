//! Other programs, run to their end.

use crate::kind::ErrorKind;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStdin, Command, Output, Stdio};

/// Why another program did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It cannot be started.
    #[error("cannot run `{program}`")]
    Start {
        /// Its name.
        program: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// It failed.
    #[error("`{program}` failed: {said}")]
    Failed {
        /// Its name.
        program: String,
        /// The last line it wrote to its standard error.
        said: String,
    },
}

impl ProcessError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Start { source, .. } => ErrorKind::of_io(source),
            Self::Failed { said, .. } if said.contains(NO_SPACE) => ErrorKind::DiskFull,
            Self::Failed { .. } => ErrorKind::Io,
        }
    }
}

/// The words for `ENOSPC` in the C locale, which [`run_in_c`] and [`feed`] run in.
const NO_SPACE: &str = "No space left on device";

/// Bytes of memory that this machine can give without swapping; `None` where nobody says.
/// Source: `MemAvailable` of `/proc/meminfo` (proc(5)).
pub(crate) fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Runs a program without input and returns what it wrote, however it ended.
pub(crate) fn output(program: &str, command: &mut Command) -> Result<Output, ProcessError> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ProcessError::Start {
            program: program.to_owned(),
            source,
        })
}

/// Runs a program without input and returns what it wrote to its standard output.
pub(crate) fn run(program: &str, command: &mut Command) -> Result<String, ProcessError> {
    done(program, &output(program, command)?)
}

/// Runs a program that is told one thing, a short one. Returns what it answers, however it ended.
pub(crate) fn ask(
    program: &str,
    command: &mut Command,
    question: &str,
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
        // One that knows the answer without listening is right as well.
        let _ = stdin.write_all(question.as_bytes());
    }
    child.wait_with_output().map_err(failed)
}

/// As [`run`], in the C locale, so that a full disk is known for one.
pub(crate) fn run_in_c(program: &str, command: &mut Command) -> Result<String, ProcessError> {
    run(program, command.env("LC_ALL", "C"))
}

/// Runs a program, in the C locale, that reads what `write` writes. The inner error is that of
/// making it.
///
/// Where both fail, the program's error is the one to tell if `write` failed in writing to it:
/// that it no longer reads has a reason that it knows.
pub(crate) fn feed<E>(
    program: &str,
    command: &mut Command,
    write: impl FnOnce(&mut dyn Write) -> Result<(), Fed<E>>,
) -> Result<Result<(), E>, ProcessError> {
    let failed = |source| ProcessError::Start {
        program: program.to_owned(),
        source,
    };
    // Files take its output without anybody reading at the same time: a program whose pipe is full
    // stands still.
    let (mut stdout, mut stderr) = (in_memory().map_err(failed)?, in_memory().map_err(failed)?);
    let mut child = command
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(stdout.try_clone().map_err(failed)?)
        .stderr(stderr.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let mut out = BufWriter::with_capacity(256 << 10, Stdin(child.stdin.take()));
    let written = write(&mut out).and_then(|()| out.flush().map_err(Fed::Write));
    let (stdin, rest) = out.into_parts();
    // Where writing has failed, what is left over must not be written when it is dropped.
    drop((stdin, rest));
    let output = Output {
        status: child.wait().map_err(failed)?,
        stdout: content(&mut stdout).map_err(failed)?,
        stderr: content(&mut stderr).map_err(failed)?,
    };
    let said = done(program, &output);
    match written {
        Err(Fed::Source(error)) => Ok(Err(error)),
        Err(Fed::Write(source)) => Err(said.err().unwrap_or_else(|| failed(source))),
        Ok(()) => said.map(|_| Ok(())),
    }
}

/// An empty file that is nowhere but in memory.
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

/// Why what a program was to read did not all come.
pub(crate) enum Fed<E> {
    /// The program no longer reads.
    Write(io::Error),
    /// Making it failed.
    Source(E),
}

impl<E> From<io::Error> for Fed<E> {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// The pipe to a program; none is one that is closed.
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

/// What a program that has ended wrote, or why it failed.
fn done(program: &str, output: &Output) -> Result<String, ProcessError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(program, output))
}

/// Why a program that has ended did not do what it was asked.
pub(crate) fn failed(program: &str, output: &Output) -> ProcessError {
    let said = String::from_utf8_lossy(&output.stderr);
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    // A full disk is not always the last thing that a program tells.
    let full = lines.clone().rfind(|line| line.contains(NO_SPACE));
    let said = full.or_else(|| lines.next_back());
    let killed = output.status.signal();
    let killed = killed.map(|signal| format!("it was killed by signal {signal}"));
    ProcessError::Failed {
        program: program.to_owned(),
        said: killed.unwrap_or_else(|| said.unwrap_or("it said nothing").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory() {
        assert!(available_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
