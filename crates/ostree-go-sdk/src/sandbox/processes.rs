//! The processes below this one.

use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;
use std::time::Duration;

/// Sends SIGKILL to all processes below this one, until there are none. A process whose parent has ended is below
/// this one only if this is a subreaper, prctl(2).
pub(super) fn kill_descendants() {
    // A process can start others while the list is read, so it is read again.
    for _ in 0..ATTEMPTS {
        let found = descendants();
        if found.is_empty() {
            return;
        }
        for pid in found {
            // An error means that it has ended.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Enough for a process that cannot be killed at once because it waits for a disk.
const ATTEMPTS: usize = 2000;

/// Returns the processes below this one that have not ended.
fn descendants() -> Vec<Pid> {
    let own = std::process::id();
    let all = processes();
    let is_below = |mut pid: u32| {
        // The depth is limited by the number of processes, because the list is not of one moment.
        for _ in 0..all.len() {
            match all.get(&pid) {
                Some((parent, _)) if *parent == own => return true,
                Some((parent, _)) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    let living = all.iter().filter(|(_, (_, has_ended))| !has_ended);
    let below = living.filter(|(pid, _)| is_below(**pid));
    below.filter_map(|(pid, _)| process_id(*pid)).collect()
}

pub(super) fn process_id(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Returns the parent of each process, and true if it has ended. Source: `PID (NAME) STATE PARENT …`,
/// proc_pid_stat(5).
fn processes() -> BTreeMap<u32, (u32, bool)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    let processes = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read(entry.path().join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let has_ended = matches!(fields.next()?, "Z" | "X");
        Some((pid, (fields.next()?.parse().ok()?, has_ended)))
    });
    processes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_is_below_this_process_until_it_has_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = process_id(child.id()).unwrap();
        assert!(descendants().contains(&pid));
        let first = process_id(1).unwrap();
        assert!(!descendants().contains(&first));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!descendants().contains(&pid));
    }
}
