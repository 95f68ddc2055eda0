//! Memory of a command: a control group that limits what it and its children have together, and a measurement of its own
//! process.
//!
//! The kernel kills a process of the group (SIGKILL) when memory above the limit cannot be reclaimed. Works with the memory
//! controller of cgroup v1 and v2; creating a group needs root.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::cli::Output;
use crate::running::Running;
use crate::tools;

/// A control group; it is removed when this is dropped.
#[derive(Debug)]
pub struct MemoryLimit {
    folder: PathBuf,
}

impl MemoryLimit {
    /// Creates a group in which all processes together may have `bytes` of memory, or returns `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if no group can be created and `CI` is set.
    pub fn new(bytes: u64) -> Option<Self> {
        match Self::create(bytes) {
            Ok(group) => Some(group),
            Err(e) => {
                tools::skip(&format!(
                    "cannot create a control group with a memory limit: {e}"
                ));
                None
            }
        }
    }

    fn create(bytes: u64) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let (parent, limit) = controller()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ostree-go-test-{}-{number}", std::process::id());
        let folder = parent.join(name);
        fs::create_dir(&folder)?;
        let group = Self { folder };
        fs::write(group.folder.join(limit), bytes.to_string())?;
        Ok(group)
    }

    /// Wraps a command so that it runs in the group, with the environment that `command` sets and nothing else.
    ///
    /// # Panics
    ///
    /// Panics if the path of the group is not UTF-8.
    pub fn wrap(&self, command: &Command) -> Command {
        let processes = self.folder.join("cgroup.procs");
        let mut wrapped = Command::new("/bin/sh");
        wrapped
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
            .arg(processes)
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        wrapped
    }
}

/// Runs a command to its end; returns also the most memory that its own process had at once, in bytes: `VmHWM` of proc(5), which
/// counts no page cache.
///
/// # Panics
///
/// Panics if the command cannot be started, if it has not ended after `limit`, or if it ended before anything was measured.
#[track_caller]
pub fn measured(command: &mut Command, limit: Duration) -> (Output, u64) {
    let running = Running::start(command);
    let status = format!("/proc/{}/status", running.id());
    let (most, ended) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let watch = {
        let (most, ended) = (most.clone(), ended.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let text = fs::read_to_string(&status).unwrap_or_default();
                let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
                most.fetch_max(kib.unwrap_or(0) << 10, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(3));
            }
        })
    };
    let out = running.wait(limit);
    ended.store(true, Ordering::Relaxed);
    watch.join().expect("no panic");
    let most = most.load(Ordering::Relaxed);
    assert!(most > 0, "nothing was measured");
    (out, most)
}

/// Does the same as [`measured`], within a limit if there is one.
///
/// # Panics
///
/// Panics in the same cases.
#[track_caller]
pub fn measured_within(
    memory: Option<&MemoryLimit>,
    command: &mut Command,
    limit: Duration,
) -> (Output, u64) {
    match memory {
        Some(memory) => measured(&mut memory.wrap(command), limit),
        None => measured(command, limit),
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // The group of a test that failed may still have a process; the next boot removes it.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Returns the folder in which groups can be made, and the name of the file with the limit.
///
/// Source: `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst` of Linux.
fn controller() -> io::Result<(PathBuf, &'static str)> {
    let v1 = Path::new("/sys/fs/cgroup/memory");
    if v1.join("memory.limit_in_bytes").exists() {
        return Ok((v1.to_owned(), "memory.limit_in_bytes"));
    }
    let v2 = Path::new("/sys/fs/cgroup");
    let controllers = fs::read_to_string(v2.join("cgroup.controllers"))?;
    if !controllers.split_whitespace().any(|name| name == "memory") {
        return Err(io::Error::other("the memory controller is not available"));
    }
    fs::write(v2.join("cgroup.subtree_control"), "+memory")?;
    Ok((v2.to_owned(), "memory.max"))
}
