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

/// Returns the first CPUs that this process may use, as many as the limit allows.
pub(super) fn cpu_set(limit: usize) -> Result<CpuSet, SandboxError> {
    let allowed = sched_getaffinity(None).unwrap_or_default();
    let mut set = CpuSet::new();
    let cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    for cpu in cpus.take(limit) {
        set.set(cpu);
    }
    let available = usize::try_from(allowed.count()).unwrap_or(1);
    if limit == 0 || limit > available {
        let found = limit;
        return Err(SandboxError::Cpus { found, available });
    }
    Ok(set)
}

/// Limits a process that has not started others yet, or this thread.
pub(super) fn set_cpus(process: Option<Pid>, limit: usize) -> Result<(), SandboxError> {
    let set = cpu_set(limit)?;
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
        assert_eq!(cpu_set(1).unwrap().count(), 1);
        insta::assert_snapshot!(
            cpu_set(0).unwrap_err().to_string().split(" to ").next().unwrap(),
            @"the number of CPUs is 0, expected 1"
        );
        assert!(cpu_set(100_000).is_err());
    }
}
