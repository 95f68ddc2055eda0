//! Settings from environment variables. No other module of the program, and no part of the library,
//! reads the environment.

mod caches;
mod go;
mod hooks;
mod sandbox;
mod sockets;

use crate::error::CliError;
use crate::files;
use ostree_go_sdk::http::{HttpOptions, Netrc};
use ostree_go_sdk::upstream::HeadStore;
use rustix::fs::Mode;
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The root directory of the system.
const SYSTEM_ROOT: &str = "/var/lib/ostree-go";

/// The word with which this program runs itself as the helper of a sandbox.
pub const SANDBOX_HELPER: &str = "__sandbox";

/// Settings from the environment, which is read once.
#[derive(Debug)]
pub struct Settings {
    source_date_epoch: Option<String>,
    goproxy: Option<String>,
    cache_home: Option<PathBuf>,
    data_home: Option<PathBuf>,
    state_home: Option<PathBuf>,
    home: Option<PathBuf>,
    http_proxy: Option<String>,
    https_proxy: Option<String>,
    no_proxy: Vec<String>,
    netrc: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
    config_home: Option<PathBuf>,
    /// `OSTREE_REPO` and `OSTREE_GO_ROOT`, which are the defaults of `--repo` and `--root`.
    pub repo: Option<PathBuf>,
    pub root_dir: Option<PathBuf>,
    path: Vec<PathBuf>,
    goroot: Option<PathBuf>,
    gotoolchain: Option<String>,
    goenv: Option<String>,
    gowork: Option<OsString>,
    goprivate: Option<String>,
    gonosumdb: Option<String>,
    gonoproxy: Option<String>,
    working_dir: Option<PathBuf>,
    pub auth_file: Option<PathBuf>,
    pub no_color: bool,
    gocache: Option<PathBuf>,
    gocacheprog: Option<String>,
    gopath: Option<PathBuf>,
    gomodcache: Option<PathBuf>,
    gotmpdir: Option<PathBuf>,
    temporary: Option<PathBuf>,
    inside_hook: bool,
}

impl Settings {
    pub fn from_env() -> Self {
        #[cfg(feature = "failpoints")]
        if let Ok(name) = env::var("OSTREE_GO_FAILPOINT") {
            ostree_go_sdk::failpoint::arm(&name);
        }
        let text = |key: &str| env::var(key).ok().filter(|value| !value.is_empty());
        let bytes = |key: &str| env::var_os(key).filter(|value| !value.is_empty());
        let path = |key: &str| {
            env::var_os(key)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
        };
        Self {
            source_date_epoch: text("SOURCE_DATE_EPOCH"),
            goproxy: text("GOPROXY"),
            cache_home: path("XDG_CACHE_HOME"),
            data_home: path("XDG_DATA_HOME"),
            state_home: path("XDG_STATE_HOME"),
            home: path("HOME"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            config_home: path("XDG_CONFIG_HOME"),
            repo: text("OSTREE_REPO").map(PathBuf::from),
            root_dir: text("OSTREE_GO_ROOT").map(PathBuf::from),
            path: env::var_os("PATH")
                .map_or_else(Vec::new, |list| env::split_paths(&list).collect()),
            goroot: text("GOROOT").map(PathBuf::from),
            gotoolchain: text("GOTOOLCHAIN"),
            goenv: text("GOENV"),
            gowork: bytes("GOWORK"),
            goprivate: text("GOPRIVATE"),
            gonosumdb: text("GONOSUMDB"),
            gonoproxy: text("GONOPROXY"),
            working_dir: path("PWD"),
            auth_file: bytes("REGISTRY_AUTH_FILE").map(PathBuf::from),
            // The same rules as in curl. HTTP_PROXY is not read, because web servers set it from a
            // header of the request.
            http_proxy: text("http_proxy").or_else(|| text("ALL_PROXY")),
            https_proxy: text("https_proxy")
                .or_else(|| text("HTTPS_PROXY"))
                .or_else(|| text("ALL_PROXY")),
            gocache: bytes("GOCACHE").map(PathBuf::from),
            gocacheprog: text("GOCACHEPROG"),
            gopath: bytes("GOPATH").map(PathBuf::from),
            gomodcache: bytes("GOMODCACHE").map(PathBuf::from),
            gotmpdir: path("GOTMPDIR"),
            temporary: path("TMPDIR"),
            inside_hook: bytes("OSTREE_GO_HOOK").is_some(),
            netrc: path("NETRC"),
            no_color: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            no_proxy: text("no_proxy")
                .or_else(|| text("NO_PROXY"))
                .iter()
                .flat_map(|list| list.split(','))
                .map(|host| host.trim().to_owned())
                .filter(|host| !host.is_empty())
                .collect(),
        }
    }

    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub fn source_date_epoch(&self) -> Result<Option<u64>, CliError> {
        let Some(text) = &self.source_date_epoch else {
            return Ok(None);
        };
        let seconds = text.parse();
        seconds.map(Some).map_err(|_| {
            CliError::usage(format!(
                "SOURCE_DATE_EPOCH is `{text}`, expected seconds since 1970"
            ))
        })
    }

    /// Returns the default root directory, which contains the deployments: the system's for the
    /// user root, and a directory in the user's home for others.
    pub fn root(&self) -> Result<PathBuf, CliError> {
        if is_root() {
            return Ok(PathBuf::from(SYSTEM_ROOT));
        }
        match (&self.data_home, &self.home) {
            (Some(data), _) => Ok(data.join("ostree-go")),
            (None, Some(home)) => Ok(home.join(".local/share/ostree-go")),
            (None, None) => Err(CliError::Usage {
                message: "neither XDG_DATA_HOME nor HOME is set".to_owned(),
                hint: Some("set the root directory with --root PATH or OSTREE_GO_ROOT".to_owned()),
            }),
        }
    }

    /// Returns the directory for downloads.
    pub fn cache(&self) -> PathBuf {
        match (&self.cache_home, &self.home) {
            (Some(cache), _) => cache.join("ostree-go"),
            (None, Some(home)) => home.join(".cache/ostree-go"),
            (None, None) => PathBuf::from("/var/cache/ostree-go"),
        }
    }

    /// Returns the store for the newest heads of checksum databases, and creates its directory if it does not exist; `None` if it
    /// cannot be written, for example in a sandbox.
    pub fn heads(&self) -> Option<HeadStore> {
        let state = match (&self.state_home, &self.home) {
            (Some(state), _) => state.join("ostree-go"),
            (None, Some(home)) => home.join(".local/state/ostree-go"),
            (None, None) => return None,
        };
        let path = state.join("sumdb");
        let exists = files::create_directory(&path).is_ok();
        (exists && files::is_writable(&path)).then(|| HeadStore::new(path))
    }

    /// Returns a directory for temporary files of uploads to a registry, and creates it if it does
    /// not exist; `None` if it cannot be written.
    pub fn scratch(&self) -> Option<PathBuf> {
        let path = self.cache();
        let exists = files::create_directory(&path).is_ok();
        (exists && files::is_writable(&path)).then_some(path)
    }

    /// Returns the paths of credential files for registries, in order of precedence. Source:
    /// `containers-auth.json(5)`.
    pub fn auth_files(&self) -> Vec<PathBuf> {
        let home = self.home.as_ref();
        let config = self
            .config_home
            .clone()
            .or(home.map(|home| home.join(".config")));
        [
            self.runtime_dir
                .as_ref()
                .map(|dir| dir.join("containers/auth.json")),
            config.map(|dir| dir.join("containers/auth.json")),
            home.map(|home| home.join(".docker/config.json")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Returns the options for HTTP requests.
    pub fn http(&self) -> Result<HttpOptions, CliError> {
        Ok(HttpOptions::new()
            .http_proxy(self.http_proxy.clone())
            .https_proxy(self.https_proxy.clone())
            .no_proxy(self.no_proxy.clone())
            .netrc(self.netrc()?))
    }

    /// Reads the credentials in the file that `NETRC` names, or in `~/.netrc`, as the go command
    /// does. A missing file contains none; neither does a `~/.netrc` that cannot be read, because
    /// services often must not read home directories.
    fn netrc(&self) -> Result<Netrc, CliError> {
        let read = match (&self.netrc, &self.home) {
            (Some(path), _) => match std::fs::read(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                read => Some(read.map_err(CliError::file("read", path))?),
            },
            (None, Some(home)) => std::fs::read(home.join(".netrc")).ok(),
            (None, None) => None,
        };
        let text = read.unwrap_or_default();
        Ok(Netrc::parse(&String::from_utf8_lossy(&text)))
    }
}

/// Sets a umask that lets every user read and execute files that root installs, as for packages.
pub fn share_if_root() {
    if is_root() {
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
    }
}

/// Returns true if this process runs as root, according to the owner of its entry in `/proc`.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
