//! Settings from environment variables. No other module of the program, and no part of the library,
//! reads the environment.

use crate::error::CliError;
use crate::files;
use ostree_go_sdk::http::HttpOptions;
use rustix::fs::Mode;
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Settings from the environment, which is read once.
#[derive(Debug)]
pub struct Settings {
    source_date_epoch: Option<String>,
    goproxy: Option<String>,
    cache_home: Option<PathBuf>,
    data_home: Option<PathBuf>,
    home: Option<PathBuf>,
    http_proxy: Option<String>,
    https_proxy: Option<String>,
    no_proxy: Vec<String>,
    runtime_dir: Option<PathBuf>,
    config_home: Option<PathBuf>,
    pub auth_file: Option<PathBuf>,
    pub no_color: bool,
}

impl Settings {
    pub fn from_env() -> Self {
        #[cfg(feature = "failpoints")]
        if let Ok(name) = env::var("OSTREE_GO_FAILPOINT") {
            ostree_go_sdk::failpoint::arm(&name);
        }
        let text = |key: &str| env::var(key).ok().filter(|value| !value.is_empty());
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
            home: path("HOME"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            config_home: path("XDG_CONFIG_HOME"),
            auth_file: text("REGISTRY_AUTH_FILE").map(PathBuf::from),
            // The same rules as in curl. HTTP_PROXY is not read, because web servers set it from a
            // header of the request.
            http_proxy: text("http_proxy").or_else(|| text("ALL_PROXY")),
            https_proxy: text("https_proxy")
                .or_else(|| text("HTTPS_PROXY"))
                .or_else(|| text("ALL_PROXY")),
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
            return Ok(PathBuf::from("/var/lib/ostree-go"));
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

    /// Returns a directory for temporary files of uploads to a registry, and creates it if it does
    /// not exist.
    pub fn scratch(&self) -> Result<PathBuf, CliError> {
        let path = self.cache();
        files::create_directory(&path)?;
        Ok(path)
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
    pub fn http(&self) -> HttpOptions {
        HttpOptions::new()
            .http_proxy(self.http_proxy.clone())
            .https_proxy(self.https_proxy.clone())
            .no_proxy(self.no_proxy.clone())
    }

    /// Returns `GOPROXY` as a go command on this machine would use it: from the environment, or
    /// from `go env`, which includes the defaults of the user and the distribution.
    pub fn goproxy(&self) -> Option<String> {
        self.goproxy.clone().or_else(|| {
            let output = Command::new("go")
                .args(["env", "GOPROXY"])
                .env("GOTOOLCHAIN", "local")
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .output()
                .ok()
                .filter(|output| output.status.success())?;
            let value = String::from_utf8(output.stdout).ok()?.trim().to_owned();
            (!value.is_empty()).then_some(value)
        })
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
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
