//! Runs podman, buildah, skopeo and a registry.

use crate::tools;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Configuration of containers for test machines, whose namespaces, limits and cgroups differ from those of a
/// desktop: the network of the host, limits that root is allowed to set, and runc, which supports hybrid
/// cgroups.
const RUN: [&str; 4] = [
    "--runtime=runc",
    "--network=none",
    "--ulimit=nofile=20000:20000",
    "--ulimit=nproc=4096:4096",
];

/// A separate store of images and containers for one test.
#[derive(Debug)]
pub struct Containers {
    folder: TempDir,
    podman: PathBuf,
    buildah: PathBuf,
}

impl Containers {
    /// Creates an empty store, or returns `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if the directory cannot be created, or if a tool is missing and `CI` is set.
    pub fn new() -> Option<Self> {
        if !tools::is_root() {
            tools::skip("containers of a store of their own are for root");
            return None;
        }
        let (podman, buildah) = (tools::require("podman")?, tools::require("buildah")?);
        tools::require("runc")?;
        Some(Self {
            folder: tempfile::tempdir().expect("a folder for the store"),
            podman,
            buildah,
        })
    }

    fn store(&self, command: &mut Command) {
        command
            .arg("--root")
            .arg(self.folder.path().join("store"))
            .arg("--runroot")
            .arg(self.folder.path().join("run"))
            .args(["--storage-driver", "overlay"]);
    }

    /// Returns `podman run --rm` with arguments.
    pub fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(&self.podman);
        self.store(&mut command);
        command.args(["--cgroup-manager=cgroupfs", "--events-backend=file", RUN[0]]);
        command.args(["run", "--rm"]).args(&RUN[1..]).args(args);
        command
    }

    /// Returns `podman` with arguments.
    pub fn podman<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(&self.podman);
        self.store(&mut command);
        command.args(["--cgroup-manager=cgroupfs", "--events-backend=file"]);
        command.args(args);
        command
    }

    /// Returns `buildah build` for the Containerfile in a directory.
    pub fn build(&self, context: &Path, tag: &str) -> Command {
        let mut command = Command::new(&self.buildah);
        self.store(&mut command);
        command.args(["build", "--isolation=oci"]).args(RUN);
        command.args(["-t", tag]).arg(context);
        command
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        // Overlays are mounted in the store while a container runs, and one below it permanently.
        for mount in ["store/overlay", "store"] {
            let _ = Command::new("umount")
                .arg("--lazy")
                .arg(self.folder.path().join(mount))
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// Debian's `docker-registry` on the loopback interface; stopped when dropped.
#[derive(Debug)]
pub struct Registry {
    folder: TempDir,
    port: u16,
    running: Child,
}

/// The bcrypt hash of `secret`.
const PASSWORD: &str = "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

/// Settings of a registry that only `builder` with the password `secret` can use.
pub const GUARD: &str = "auth: {htpasswd: {realm: acme, path: FOLDER/htpasswd}}\n";

impl Registry {
    /// Starts an empty registry without access control, or returns `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn start() -> Option<Self> {
        Self::start_with("", "")
    }

    /// Starts a registry that only `builder` with the password `secret` can use.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn guarded() -> Option<Self> {
        Self::start_with("", GUARD)
    }

    /// Starts a registry with additional settings: `http` for its connections, such as `tls: {…}`, and `more` for
    /// the top level, such as [`GUARD`].
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn start_with(http: &str, more: &str) -> Option<Self> {
        // The name of the program in Fedora.
        let fedora = tools::find("registry");
        let command = fedora.or_else(|| tools::require("docker-registry"))?;
        let folder = tempfile::tempdir().expect("a folder for the registry");
        let path = folder.path().display().to_string();
        fs::write(
            folder.path().join("htpasswd"),
            format!("builder:{PASSWORD}\n"),
        )
        .expect("a password file");
        // If another process takes the port before the registry does, try again with another port.
        for _ in 0..5 {
            let port = tools::free_port();
            let config = format!(
                "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: FOLDER/blobs}}}}\n\
                 http: {{addr: \"127.0.0.1:{port}\", {http}}}\n{more}"
            );
            let file = folder.path().join("config.yml");
            fs::write(&file, config.replace("FOLDER", &path)).expect("a configuration");
            let log = fs::File::create(folder.path().join("log")).expect("a log");
            let child = Command::new(&command)
                .arg("serve")
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("the log"))
                .stderr(log)
                .spawn();
            let mut running = child.expect("docker-registry runs");
            if is_up(&mut running, port) {
                return Some(Self {
                    folder,
                    port,
                    running,
                });
            }
            let _ = running.kill();
            let _ = running.wait();
        }
        panic!("docker-registry does not start");
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the log of the registry, which contains its requests.
    ///
    /// # Panics
    ///
    /// Panics if the log cannot be read.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the log")
    }
}

fn is_up(running: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Ok(Some(_)) = running.try_wait() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

/// Returns `skopeo` with arguments, or `None` after printing why the test is skipped.
pub fn skopeo<'a>(args: impl IntoIterator<Item = &'a str>) -> Option<Command> {
    let mut command = Command::new(tools::require("skopeo")?);
    command.args(args);
    Some(command)
}
