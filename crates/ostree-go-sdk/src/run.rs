//! Runs a command with an installed SDK in a sandbox, on the sources of a project.
//!
//! The command sees the project of the working directory, the SDK, and the module cache, all read-only and at
//! their own paths, and nothing else of the user's files.

use crate::deploy::{Deployment, Root};
use crate::fs::context::{IoContext, from_io_failure};
use crate::kind::ErrorKind;
use crate::sandbox::{Bind, Network, Running, Sandbox, SandboxError};
use crate::setters::setters;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// An error of running a command with an SDK.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// An error of the sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The directory of the sources contains more than a project.
    #[error("the sources would be all of {}, {what}", path.display())]
    TooMuch {
        /// The directory.
        path: PathBuf,
        /// The reason why it is more than a project.
        what: &'static str,
    },
    /// The working directory is not in the directory of the sources.
    #[error("the working directory {} is not in the sources, {}", directory.display(), project.display())]
    Outside {
        /// The working directory.
        directory: PathBuf,
        /// The directory of the sources.
        project: PathBuf,
    },
    /// A file or directory cannot be read.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The action that failed, as an infinitive.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
}

from_io_failure!(RunError);

impl RunError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Sandbox(error) => error.kind(),
            Self::TooMuch { .. } | Self::Outside { .. } => ErrorKind::InvalidInput,
            Self::Io { source, .. } => ErrorKind::of_io(source),
        }
    }
}

/// The options of a command with an SDK.
#[derive(Debug)]
pub struct Run {
    root: Root,
    deployment: Deployment,
    sandbox: Sandbox,
    directory: PathBuf,
    project: Option<PathBuf>,
    home: Option<PathBuf>,
    module_cache: Option<PathBuf>,
    proxies: Option<String>,
    keep_cache: Option<PathBuf>,
    network: Network,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

/// A command that was started with an SDK.
#[derive(Debug)]
#[non_exhaustive]
pub struct Started {
    /// The SDK.
    pub deployment: Deployment,
    /// The directory of the sources.
    pub project: PathBuf,
    /// The command.
    pub running: Running,
}

impl Run {
    /// Describes a command: the SDK, a sandbox with the command, its limits and variables, and the working
    /// directory. [`toolchains::select`](crate::toolchains::select) chooses the SDK for a directory.
    #[must_use]
    pub fn new(
        root: Root,
        deployment: Deployment,
        sandbox: Sandbox,
        directory: impl Into<PathBuf>,
    ) -> Self {
        Self {
            root,
            deployment,
            sandbox,
            directory: directory.into(),
            project: None,
            home: None,
            module_cache: None,
            proxies: None,
            keep_cache: None,
            network: Network::None,
            read: Vec::new(),
            write: Vec::new(),
        }
    }

    setters! {
        /// Sets the directory of the sources. Default: the highest directory above the working directory with a
        /// `go.work`, `go.mod` or `.git`, or else the working directory.
        project: Option<PathBuf>;
        /// Sets the home directory of the user, which is never shown as a whole.
        home: Option<PathBuf>;
        /// Sets the module cache of the user. It is read-only in the sandbox, and left out if it does not exist.
        module_cache: Option<PathBuf>;
        /// Sets the module proxies that are used with the network of the host. Default: those of the SDK.
        proxies: Option<String>;
        /// Sets the directory for build caches that are kept, one for each SDK. Default: `None`, a fresh one.
        keep_cache: Option<PathBuf>;
        /// Sets the network. Default: none.
        network: Network;
        /// Sets more files and directories that the command can read.
        read: Vec<PathBuf>;
        /// Sets the files and directories that the command can write.
        write: Vec<PathBuf>;
    }

    /// Starts the command.
    ///
    /// # Errors
    /// Returns an error if the sources would be a home directory or a system directory, or if the sandbox
    /// cannot be created.
    pub fn start(self) -> Result<Started, RunError> {
        let Sources { directory, project } = Sources::find(
            &self.directory,
            self.project.as_deref(),
            self.home.as_deref(),
        )?;
        let deployment = self.deployment;
        let sdk = found(&self.root.deployment_path(deployment.commit))?;
        let std_caches = self.root.std_caches(&deployment).into_iter();
        let std_caches: Vec<PathBuf> = std_caches
            .filter_map(|(_, dir)| dir.canonicalize().ok())
            .collect();
        let mut read = vec![project.clone(), sdk.clone()];
        read.extend(std_caches.iter().cloned());
        let mut variables = Vec::new();
        if let Some(modules) = &self.module_cache
            && let Ok(modules) = modules.canonicalize()
        {
            variables = module_variables(&modules, self.network, self.proxies.as_deref());
            read.push(modules);
        }
        for path in &self.read {
            read.push(found(path)?);
        }
        let mut write = Vec::new();
        for path in &self.write {
            write.push(found(path)?);
        }
        let commit = deployment.commit.to_string();
        let cache = self.keep_cache.map(|folder| folder.join(commit));
        let mut sandbox = self
            .sandbox
            .network(self.network)
            .path([sdk.join("usr/bin")])
            .directory(directory)
            .std_caches(std_caches)
            .go_cache(cache);
        for path in read {
            sandbox = sandbox.read(Bind::from(path));
        }
        for path in write {
            sandbox = sandbox.write(Bind::from(path));
        }
        for (name, value) in variables {
            sandbox = sandbox.variable(name, value);
        }
        Ok(Started {
            running: sandbox.start()?,
            deployment,
            project,
        })
    }
}

/// The absolute paths of a working directory, and of the directory of the sources, which contains it. Neither has
/// symbolic links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sources {
    pub(crate) directory: PathBuf,
    pub(crate) project: PathBuf,
}

impl Sources {
    /// Finds the sources of a working directory.
    ///
    /// # Errors
    /// Returns an error if the sources would be a home directory or a system directory, or if they do not contain
    /// the working directory.
    pub(crate) fn find(
        directory: &Path,
        project: Option<&Path>,
        home: Option<&Path>,
    ) -> Result<Self, RunError> {
        let directory = found(directory)?;
        let home = home.and_then(|home| home.canonicalize().ok());
        let project = match project {
            Some(path) => found(path)?,
            None => project_of(&directory, home.as_deref()),
        };
        require_project(&project, home.as_deref())?;
        match directory.starts_with(&project) {
            true => Ok(Self { directory, project }),
            false => Err(RunError::Outside { directory, project }),
        }
    }
}

/// Returns the absolute path of a file or directory, without symbolic links.
fn found(path: &Path) -> Result<PathBuf, RunError> {
    Ok(path.canonicalize().context("find", path)?)
}

/// Returns the highest directory at or above `directory` with the mark of a project, below the home directory.
fn project_of(directory: &Path, home: Option<&Path>) -> PathBuf {
    let above = directory.ancestors();
    let above = above.take_while(|path| require_project(path, home).is_ok());
    let marked = above.filter(|path| MARKS.iter().any(|mark| path.join(mark).exists()));
    marked.last().unwrap_or(directory).to_owned()
}

/// The files and directories at the top of a project.
const MARKS: [&str; 3] = ["go.work", "go.mod", ".git"];

/// The directories that no project is.
const SYSTEM: [&str; 16] = [
    "/",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "/var/home",
    "/var/tmp",
];

fn require_project(path: &Path, home: Option<&Path>) -> Result<(), RunError> {
    let is_system = SYSTEM.iter().any(|system| path == Path::new(system));
    let what = match home.is_some_and(|home| home.starts_with(path)) {
        true => "which contains the home directory",
        false if is_system => "which is a directory of the system",
        false => return Ok(()),
    };
    let path = path.to_owned();
    Err(RunError::TooMuch { path, what })
}

/// Returns the variables for a module cache that cannot be written. With a network, new modules are stored in the
/// sandbox, and those in the cache are taken from there: its download directory has the form of a module proxy.
fn module_variables(
    modules: &Path,
    network: Network,
    proxies: Option<&str>,
) -> Vec<(&'static str, OsString)> {
    if network != Network::Host {
        return vec![("GOMODCACHE", modules.into())];
    }
    let mut list = OsString::from("file://");
    list.push(modules.join("cache/download"));
    list.push(",");
    list.push(proxies.unwrap_or("https://proxy.golang.org,direct"));
    vec![("GOPROXY", list)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_below_the_home_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("home/repo/module/package")).unwrap();
        std::fs::create_dir_all(path("home/.git")).unwrap();
        let home = path("home");
        let of = |name: &str| project_of(&path(name), Some(&home));
        assert_eq!(
            of("home/repo/module/package"),
            path("home/repo/module/package")
        );
        std::fs::write(path("home/repo/module/go.mod"), "").unwrap();
        assert_eq!(of("home/repo/module/package"), path("home/repo/module"));
        std::fs::create_dir(path("home/repo/.git")).unwrap();
        assert_eq!(of("home/repo/module/package"), path("home/repo"));
        let refused = |path: &Path| require_project(path, Some(Path::new("/home/me"))).unwrap_err();
        insta::assert_snapshot!(refused(Path::new("/home/me")), @"the sources would be all of /home/me, which contains the home directory");
        insta::assert_snapshot!(refused(Path::new("/etc")), @"the sources would be all of /etc, which is a directory of the system");
    }

    #[test]
    fn modules_come_from_the_cache_first() {
        let of = |network| module_variables(Path::new("/m"), network, None);
        assert_eq!(of(Network::None), [("GOMODCACHE", "/m".into())]);
        let proxy = "file:///m/cache/download,https://proxy.golang.org,direct";
        assert_eq!(of(Network::Host), [("GOPROXY", proxy.into())]);
    }
}
