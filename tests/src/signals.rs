//! Signals for a running command.

use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// Sends SIGINT to a process as soon as it has installed a handler for it.
///
/// # Panics
///
/// Panics if the process has not done so after a minute, or has ended.
pub fn interrupt(process: u32) {
    let start = Instant::now();
    while !handles_interrupt(process) {
        assert!(start.elapsed() < Duration::from_mins(1), "no handler");
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process id"), Signal::INT).expect("a signal");
}

/// Returns true if a process handles SIGINT, according to `SigCgt` of proc_pid_status(5).
fn handles_interrupt(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    // The file of a process that is starting may be empty.
    let caught = caught.map_or(0, |mask| {
        u64::from_str_radix(mask.trim(), 16).expect("a mask")
    });
    caught & (1 << (Signal::INT.as_raw() - 1)) != 0
}
