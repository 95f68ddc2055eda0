//! Starts a command with bubblewrap.
//!
//! The build cache is in a file system in memory that exists only in the sandbox, so that nothing is left
//! behind even if this process is killed. It is filled from outside before the command starts: bubblewrap reads one
//! of its files from a pipe, and waits there, after everything else was mounted, until the pipe is closed.

use super::backend::{Backend, Network};
use super::detect;
use super::error::{Reason, SandboxError, Unavailable};
use super::helper::Mount;
use super::limits;
use super::options::Sandbox;
use super::places::Places;
use super::processes::process_id;
use super::running::{Control, Running, Target, capture};
use super::seed::seed_cache;
use crate::fs::context::IoContext;
use rustix::fs::MemfdFlags;
use rustix::io::FdFlags;
use rustix::process::Pid;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

type Variables = Vec<(OsString, OsString)>;

/// The arguments of bubblewrap that do not follow from the sandbox.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub sandbox: &'a Sandbox,
    /// The path of the program in the sandbox.
    pub program: &'a Path,
    pub mounts: Vec<Mount>,
    /// Generated files.
    pub files: Vec<(&'static str, String)>,
    pub environment: Variables,
    /// The command line before that of bubblewrap, and variables only for it.
    pub scope: (Vec<OsString>, Variables),
    /// The bytes that the command can write to `/tmp`.
    pub size: u64,
}

/// The directory for temporary files in the sandbox.
pub(super) const TEMPORARY: &str = "/tmp";
/// The bytes that the command can write to `/dev/shm`, as in containers of podman and docker.
const SHARED_MEMORY: u64 = 64 << 20;
/// The file for which bubblewrap waits.
const GATE: &str = "/.ostree-go";

/// Why bubblewrap did not start the command.
enum Failure {
    /// It ended before it had created the sandbox.
    Setup {
        message: String,
    },
    Other(SandboxError),
}

impl<E: Into<SandboxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

impl Plan<'_> {
    /// Starts the command.
    ///
    /// # Errors
    /// Returns [`SandboxError::Unavailable`] if bubblewrap does not work on this machine.
    pub fn start(&self) -> Result<Running, SandboxError> {
        let unavailable = |reason| {
            SandboxError::Unavailable(Unavailable {
                backend: Backend::Bwrap,
                reason,
            })
        };
        let bwrap = detect::program(&self.sandbox.host, "bwrap").map_err(unavailable)?;
        let explained = |failure| match failure {
            Failure::Other(error) => error,
            Failure::Setup { message } => unavailable(reason(message)),
        };
        if detect::namespaces_are_doubtful() {
            self.probe(&bwrap).map_err(explained)?;
        }
        match self.attempt(&bwrap, false) {
            Ok((running, gate)) => {
                // The command starts here.
                drop(gate);
                Ok(running)
            }
            Err(Failure::Other(error)) => Err(error),
            // Its message went to standard error: the same again, to report it.
            Err(setup) => Err(explained(self.probe(&bwrap).err().unwrap_or(setup))),
        }
    }

    /// Creates the sandbox without running the command.
    fn probe(&self, bwrap: &Path) -> Result<(), Failure> {
        let (running, gate) = self.attempt(bwrap, true)?;
        running.control.kill();
        let _ = running.wait(None);
        drop(gate);
        Ok(())
    }

    /// Creates the sandbox. The command starts when the gate, which is returned too, is closed.
    fn attempt(&self, bwrap: &Path, is_probe: bool) -> Result<(Running, File), Failure> {
        let (info, info_of_bwrap) = pipe()?;
        let (gate_of_bwrap, gate) = pipe()?;
        let files = self.files.iter();
        let files = files.map(|(path, text)| Ok((*path, file_in_memory(text)?)));
        let files: Vec<(&str, OwnedFd)> = files.collect::<Result<_, SandboxError>>()?;
        let inherited = [&info_of_bwrap, &gate_of_bwrap].into_iter();
        for file in inherited.chain(files.iter().map(|(_, file)| file)) {
            rustix::io::fcntl_setfd(file, FdFlags::empty())
                .map_err(|errno| start_failed(errno.into()))?;
        }
        let mut words = self.scope.0.clone();
        words.extend(self.with_umask());
        words.push(bwrap.into());
        words.extend(self.words(&files, &gate_of_bwrap, &info_of_bwrap));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_clear();
        command.envs(self.environment.iter().cloned());
        command.envs(self.scope.1.iter().cloned());
        // Otherwise Ctrl-C would end bubblewrap, which kills the command.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        if is_probe || self.sandbox.capture_stderr {
            command.stdin(Stdio::null()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().map_err(start_failed)?;
        drop((info_of_bwrap, gate_of_bwrap, files));
        let opened = self.open(info, gate, is_probe);
        let stderr = capture(&mut child);
        let (group, is_cold, gate) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let message = stderr.and_then(|reader| reader.join().ok());
                let Some(error) = error else {
                    let message = message.unwrap_or_default();
                    return Err(Failure::Setup {
                        message: last_line(&message),
                    });
                };
                return Err(error.into());
            }
        };
        let running = self.running(child, group, is_cold);
        let mut running = running.ok_or_else(|| start_failed(io::ErrorKind::InvalidData.into()))?;
        running.stderr = stderr;
        Ok((running, gate))
    }

    fn running(&self, child: Child, group: Pid, is_cold: bool) -> Option<Running> {
        let owner = process_id(child.id())?;
        Some(Running {
            child,
            control: Control::new(Target::Group { group, owner }),
            backend: Backend::Bwrap,
            gaps: Vec::new(),
            is_cold,
            time: self.sandbox.limits.time,
            status: None,
            _control_reader: None,
            stderr: None,
            scratch: None,
        })
    }

    /// Waits until everything is mounted, and fills the build cache. Returns the first process in the sandbox, true if
    /// the cache could not be filled, and the gate, which starts the command when it is closed. The inner
    /// error is `None` if bubblewrap has ended.
    fn open(
        &self,
        info: OwnedFd,
        gate: OwnedFd,
        is_probe: bool,
    ) -> Result<(Pid, bool, File), Option<SandboxError>> {
        let pid = first_process(File::from(info)).ok_or(None)?;
        let mut gate = File::from(gate);
        match self.wait_at_gate(pid, &mut gate) {
            Ok(()) => {
                let is_needed = !is_probe && !self.sandbox.std_caches.is_empty();
                Ok((pid, is_needed && self.seed(pid).is_err(), gate))
            }
            Err(error) => {
                // Otherwise the command would start when the gate is closed.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                Err(error)
            }
        }
    }

    fn wait_at_gate(&self, pid: Pid, gate: &mut File) -> Result<(), Option<SandboxError>> {
        let size = rustix::pipe::fcntl_getpipe_size(&*gate);
        let size = size.map_err(|errno| Some(start_failed(errno.into())))?;
        // The pipe is full after the first write, so that the second one ends when bubblewrap reads the file.
        gate.write_all(&vec![b' '; size]).map_err(|_| None)?;
        gate.write_all(b"\n").map_err(|_| None)?;
        match self.sandbox.limits.cpus {
            Some(cpus) => limits::set_cpus(Some(pid), cpus).map_err(Some),
            None => Ok(()),
        }
    }

    /// Fills the build cache of a sandbox that is not running yet. Its root is a directory of bubblewrap's then,
    /// and `newroot` in it is the root of the command.
    fn seed(&self, pid: Pid) -> io::Result<()> {
        if self.sandbox.go_cache.is_some() {
            return Ok(());
        }
        let root = format!("/proc/{}/root/newroot", pid.as_raw_nonzero());
        let places = Places::below(Path::new(TEMPORARY));
        let inside = places
            .go_cache
            .strip_prefix("/")
            .unwrap_or(&places.go_cache);
        seed_cache(&self.sandbox.std_caches, &Path::new(&root).join(inside))
    }

    /// Returns the command line before that of bubblewrap that sets the umask, which bubblewrap and the command inherit.
    /// A process cannot set that of its child alone.
    fn with_umask(&self) -> Vec<OsString> {
        let Some(umask) = self.sandbox.umask else {
            return Vec::new();
        };
        let script = format!("umask {umask:03o} && exec \"$@\"");
        vec!["/bin/sh".into(), "-c".into(), script.into(), "sh".into()]
    }

    fn words(&self, files: &[(&str, OwnedFd)], gate: &OwnedFd, info: &OwnedFd) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |new: &[&dyn AsRef<OsStr>]| {
            words.extend(new.iter().map(|word| word.as_ref().to_owned()));
        };
        let number = |fd: &OwnedFd| fd.as_raw_fd().to_string();
        add(&[&"--unshare-all", &"--die-with-parent", &"--new-session"]);
        if self.sandbox.network == Network::Host {
            add(&[&"--share-net"]);
        }
        add(&[&"--cap-drop", &"ALL"]);
        if let Some(id) = self.sandbox.uid {
            let id = id.to_string();
            add(&[&"--uid", &id, &"--gid", &id]);
        }
        for (name, _) in &self.scope.1 {
            add(&[&"--unsetenv", name]);
        }
        add(&[&"--proc", &"/proc", &"--dev", &"/dev"]);
        let size = SHARED_MEMORY.to_string();
        add(&[
            &"--perms",
            &"1777",
            &"--size",
            &size,
            &"--tmpfs",
            &"/dev/shm",
        ]);
        add(&[&"--remount-ro", &"/dev"]);
        let places = Places::below(Path::new(TEMPORARY));
        let size = self.size.to_string();
        add(&[
            &"--perms", &"1777", &"--size", &size, &"--tmpfs", &TEMPORARY,
        ]);
        add(&[&"--perms", &"0700", &"--dir", &places.home]);
        add(&[&"--perms", &"0700", &"--dir", &places.go_cache]);
        for mount in &self.mounts {
            let option = match mount.is_writable {
                true => "--bind",
                false => "--ro-bind",
            };
            add(&[&option, &mount.bind.source, &mount.bind.dest]);
        }
        for (path, file) in files {
            add(&[&"--perms", &"0444", &"--ro-bind-data", &number(file), path]);
        }
        add(&[&"--perms", &"0444", &"--file", &number(gate), &GATE]);
        add(&[&"--remount-ro", &"/", &"--chdir", &self.sandbox.directory]);
        add(&[&"--info-fd", &number(info), &"--", &self.program]);
        words.extend(self.sandbox.command.iter().skip(1).cloned());
        words
    }
}

/// Creates a pipe whose ends no other program inherits.
fn pipe() -> Result<(OwnedFd, OwnedFd), SandboxError> {
    let made = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    made.map_err(|errno| start_failed(errno.into()))
}

fn start_failed(source: io::Error) -> SandboxError {
    SandboxError::Start {
        program: "bwrap".to_owned(),
        source,
    }
}

fn file_in_memory(text: &str) -> Result<OwnedFd, SandboxError> {
    let made = rustix::fs::memfd_create("ostree-go", MemfdFlags::CLOEXEC);
    let mut file = File::from(made.map_err(|errno| start_failed(errno.into()))?);
    file.write_all(text.as_bytes())
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .context("write", "memory")?;
    Ok(file.into())
}

/// Reads the ID of the first process in the sandbox: `{ "child-pid": 42, … }`.
fn first_process(mut info: File) -> Option<Pid> {
    let (mut text, mut block) = (Vec::new(), [0; 512]);
    while !text.contains(&b'}') {
        let length = info.read(&mut block).ok().filter(|length| *length > 0)?;
        text.extend(&block[..length]);
    }
    let info: serde_json::Value = serde_json::from_slice(&text).ok()?;
    process_id(u32::try_from(info.get("child-pid")?.as_u64()?).ok()?)
}

/// Returns the reason why bubblewrap failed.
fn reason(message: String) -> Reason {
    let is_about_namespaces = [
        "namespace",
        "uid map",
        "Operation not permitted",
        "loopback",
    ]
    .iter()
    .any(|text| message.contains(text));
    let setting = is_about_namespaces.then(|| detect::forbidding_setting(detect::is_root()));
    setting.flatten().unwrap_or(Reason::Setup { message })
}

fn last_line(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.unwrap_or("bwrap printed no message").trim().to_owned()
}

/// Returns the directory for temporary files in the sandbox.
pub(super) fn places() -> Places {
    Places::below(&PathBuf::from(TEMPORARY))
}
