//! A running command that a test waits for with a limit, or kills.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::cli::Output;

/// A command in the background. Its output goes to unnamed files: no pipe can fill, and a grandchild that survives a kill
/// (an agent of GnuPG's, for example) does not keep the test waiting for the end of a pipe.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: File,
    stderr: File,
    command: String,
}

impl Running {
    /// Starts a command.
    ///
    /// # Panics
    ///
    /// Panics when it cannot be started.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let file = || tempfile::tempfile().expect("a temporary file");
        let (stdout, stderr) = (file(), file());
        let handle = |file: &File| Stdio::from(file.try_clone().expect("a second handle"));
        let child = command
            .stdin(Stdio::null())
            .stdout(handle(&stdout))
            .stderr(handle(&stderr))
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        Self {
            child,
            stdout,
            stderr,
            command: format!("{command:?}"),
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether the command has ended within `limit`.
    ///
    /// # Panics
    ///
    /// Panics when its state cannot be read.
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        let start = Instant::now();
        loop {
            if self.child.try_wait().expect("a child's state").is_some() {
                return true;
            }
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(Duration::from_millis(5)));
        }
    }

    /// Waits until the command ends.
    ///
    /// # Panics
    ///
    /// Panics when it has not ended after `limit`, which guards against hanging; the command is killed then.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Output {
        if !self.ends_within(limit) {
            let out = self.kill_all();
            panic!("hangs: no end after {limit:?}\n{out}");
        }
        self.end()
    }

    /// Kills the command with SIGKILL, but not its children. It may have ended by itself before: `status.signal()` of the
    /// result is 9 if it was killed.
    pub fn kill(mut self) -> Output {
        // An error means that it has ended already.
        let _ = self.child.kill();
        self.end()
    }

    /// Kills the command and its children with SIGKILL, for a command that hangs.
    ///
    /// # Panics
    ///
    /// Panics when the process id does not fit its type.
    pub fn kill_all(self) -> Output {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // An error means that all have ended.
        let _ = kill_process_group(pid.expect("a process id"), Signal::KILL);
        self.end()
    }

    /// Kills the descendants of the command that run the program `name`, and returns whether there were any.
    ///
    /// # Panics
    ///
    /// Panics if `/proc` cannot be read.
    pub fn kill_children_named(&self, name: &str) -> bool {
        // Format: `PID (NAME) STATE PPID …`, see proc_pid_stat(5).
        let processes: Vec<(u32, String, u32)> = std::fs::read_dir("/proc")
            .expect("/proc")
            .filter_map(|entry| {
                let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
                let (start, rest) = stat.rsplit_once(") ")?;
                let (pid, program) = start.split_once(" (")?;
                let parent = rest.split(' ').nth(1)?.parse().ok()?;
                Some((pid.parse().ok()?, program.to_owned(), parent))
            })
            .collect();
        let parent_of = |pid| processes.iter().find(|p| p.0 == pid).map(|p| p.2);
        let is_descendant = |pid| {
            let mut above = parent_of(pid);
            while let Some(pid) = above.filter(|pid| *pid != self.id()) {
                above = parent_of(pid);
            }
            above.is_some()
        };
        let mut killed = false;
        for (pid, program, _) in &processes {
            if program == name && is_descendant(*pid) {
                let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
                killed |= kill_process(pid.expect("a process id"), Signal::KILL).is_ok();
            }
        }
        killed
    }

    fn end(mut self) -> Output {
        let status = self.child.wait().expect("a child's status");
        Output::new(self.command, status, text(self.stdout), text(self.stderr))
    }
}

/// Runs a command to its end.
///
/// # Panics
///
/// Panics when it cannot be started, or has not ended after `limit`, which guards against hanging.
#[track_caller]
pub fn run_within(command: &mut Command, limit: Duration) -> Output {
    Running::start(command).wait(limit)
}

fn text(mut file: File) -> String {
    use std::io::Seek;
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .expect("the output of a command");
    String::from_utf8_lossy(&bytes).into_owned()
}
