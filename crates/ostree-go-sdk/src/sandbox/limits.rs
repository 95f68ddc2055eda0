//! Limits of memory, CPUs and time.

use super::error::SandboxError;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::time::Duration;

/// Limits of a command. Default: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, without swap. Needs a service manager of systemd, which creates a control group.
    pub memory: Option<u64>,
    /// Number of CPUs.
    pub cpus: Option<usize>,
    /// The duration after which the command gets SIGTERM, and SIGKILL [`Limits::GRACE`] later.
    pub time: Option<Duration>,
}

impl Limits {
    /// The time that a command has to end after SIGTERM.
    pub const GRACE: Duration = Duration::from_secs(5);
}

/// Returns the numbers of the first CPUs that this process may use, as many as the limit allows.
pub(super) fn cpus(limit: usize) -> Result<Vec<usize>, SandboxError> {
    let allowed = sched_getaffinity(None).unwrap_or_default();
    let allowed = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    let mut allowed: Vec<usize> = allowed.collect();
    if limit == 0 || limit > allowed.len() {
        let (found, available) = (limit, allowed.len());
        return Err(SandboxError::Cpus { found, available });
    }
    allowed.truncate(limit);
    Ok(allowed)
}

/// Limits a process that has not started others yet, or this thread.
pub(super) fn set_cpus(process: Option<Pid>, limit: usize) -> Result<(), SandboxError> {
    let mut set = CpuSet::new();
    cpus(limit)?.into_iter().for_each(|cpu| set.set(cpu));
    sched_setaffinity(process, &set).map_err(|source| SandboxError::Start {
        program: "sched_setaffinity".to_owned(),
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_existing_cpus_are_given() {
        assert_eq!(cpus(1).unwrap().len(), 1);
        insta::assert_snapshot!(
            cpus(0).unwrap_err().to_string().split(" to ").next().unwrap(),
            @"the number of CPUs is 0, expected 1"
        );
        assert!(cpus(100_000).is_err());
    }
}
