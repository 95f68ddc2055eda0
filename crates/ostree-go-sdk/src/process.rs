//! Other programs, run to their end.

use crate::kind::ErrorKind;
use std::io;
use std::process::{Command, Stdio};

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
            Self::Failed { .. } => ErrorKind::Io,
        }
    }
}

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

/// Runs a program without input and returns what it wrote to its standard output.
pub(crate) fn run(program: &str, command: &mut Command) -> Result<String, ProcessError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ProcessError::Start {
            program: program.to_owned(),
            source,
        })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().lines().last().unwrap_or("it said nothing");
    Err(ProcessError::Failed {
        program: program.to_owned(),
        said: said.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory() {
        assert!(available_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
