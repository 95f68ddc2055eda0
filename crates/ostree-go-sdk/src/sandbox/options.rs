//! The options of a sandbox.

use super::backend::{Backend, Network};
use super::limits::Limits;
use crate::setters::setters;
use std::ffi::OsString;
use std::path::PathBuf;

/// A file or directory of the host that is visible in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bind {
    /// The absolute path on the host.
    pub source: PathBuf,
    /// The absolute path in the sandbox. Only bubblewrap and systemd support another one than on the host.
    pub dest: PathBuf,
}

impl<P: Into<PathBuf>> From<P> for Bind {
    /// Makes a file or directory visible at its own path.
    fn from(path: P) -> Self {
        let source = path.into();
        let dest = source.clone();
        Self { source, dest }
    }
}

/// What a sandbox uses of the host. Everything that a program would take from its environment is named
/// here, because the library does not read it.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// The directories that `bwrap`, `systemd-run` and `systemctl` are searched in, besides `/usr/bin` and `/bin`.
    pub path: Vec<PathBuf>,
    /// The directories in which a directory for temporary files can be created, in order of preference. Not
    /// used by bubblewrap, whose temporary files are in memory. The first one that allows programs to be
    /// executed and has 1 GB of free space is taken.
    pub scratch: Vec<PathBuf>,
    /// The program and the first arguments of the helper. It is run with one more argument, which it has to pass
    /// to [`supervise`](super::supervise()). Not used by bubblewrap.
    pub helper: Vec<OsString>,
    /// `XDG_RUNTIME_DIR`, in which the socket of the user's service manager is.
    pub runtime_dir: Option<PathBuf>,
}

/// A command to run in a sandbox.
#[derive(Debug, Clone)]
pub struct Sandbox {
    pub(super) command: Vec<OsString>,
    pub(super) host: Host,
    pub(super) backend: Option<Backend>,
    pub(super) network: Network,
    pub(super) read_only: Vec<Bind>,
    pub(super) writable: Vec<Bind>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) path: Vec<PathBuf>,
    pub(super) directory: PathBuf,
    pub(super) host_tools: bool,
    pub(super) accept_gaps: bool,
    pub(super) go_cache: Option<PathBuf>,
    pub(super) std_caches: Vec<PathBuf>,
    pub(super) limits: Limits,
    pub(super) capture_stderr: bool,
    pub(super) umask: Option<u32>,
    pub(super) uid: Option<u32>,
}

impl Sandbox {
    /// Describes a command: the program and its arguments. A program without a slash is searched in
    /// [`path`](Self::path).
    #[must_use]
    pub fn new(host: Host, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            host,
            backend: None,
            network: Network::None,
            read_only: Vec::new(),
            writable: Vec::new(),
            environment: Vec::new(),
            path: Vec::new(),
            directory: PathBuf::from("/"),
            host_tools: false,
            accept_gaps: false,
            go_cache: None,
            std_caches: Vec::new(),
            limits: Limits::default(),
            capture_stderr: false,
            umask: None,
            uid: None,
        }
    }

    setters! {
        /// Sets the backend. Default: `None`, the first of [`Backend::ISOLATING`] that works.
        backend: Option<Backend>;
        /// Sets the network. Default: none.
        network: Network;
        /// Sets the files and directories that the command can read. Default: none.
        read_only: Vec<Bind>;
        /// Sets the files and directories that the command can write. Default: none, besides those for temporary
        /// files. They must exist.
        writable: Vec<Bind>;
        /// Sets environment variables, besides `HOME`, `TMPDIR`, `PATH`, `USER`, `GOCACHE`, `GOPATH` and a few settings
        /// of Go. A variable that is set here replaces these.
        environment: Vec<(OsString, OsString)>;
        /// Sets the directories of programs, which become `PATH`. Default: none.
        path: Vec<PathBuf>;
        /// Sets the working directory, which must be in the sandbox. Default: `/`.
        directory: PathBuf;
        /// Sets whether the command can run the programs of the host: `/usr`, and directories such as `/bin` and `/lib`.
        /// Default: false.
        host_tools: bool;
        /// Sets whether a backend with [gaps](super::Gap) is used, and whether Landlock allows changes of modes, owners
        /// and times, which it cannot restrict to some of the files. Default: false.
        accept_gaps: bool;
        /// Sets a build cache that is kept; it is created if it does not exist. Default: `None`, a fresh one.
        go_cache: Option<PathBuf>;
        /// Sets the directories of the std caches that the build cache is filled from. They must be readable in
        /// the sandbox.
        std_caches: Vec<PathBuf>;
        /// Sets the limits. Default: none.
        limits: Limits;
        /// Sets whether the standard error of the command is returned by [`run`](Self::run) instead of written to that
        /// of this process, and its standard input is empty. Default: false.
        capture_stderr: bool;
        /// Sets the umask of the command. Default: `None`, that of this process. With bubblewrap, this needs `/bin/sh`.
        umask: Option<u32>;
        /// Sets the ID of the user and of the group, as the command sees them; its rights stay those of this process.
        /// Only bubblewrap supports this, and other backends ignore it. Default: `None`, those of this process.
        uid: Option<u32>;
    }

    /// Adds a file or directory that the command can read.
    #[must_use]
    pub fn read(mut self, bind: impl Into<Bind>) -> Self {
        self.read_only.push(bind.into());
        self
    }

    /// Adds a file or directory that the command can write.
    #[must_use]
    pub fn write(mut self, bind: impl Into<Bind>) -> Self {
        self.writable.push(bind.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }
}
