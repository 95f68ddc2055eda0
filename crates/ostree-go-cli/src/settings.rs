//! Settings from environment variables. No other module of the program, and no part of the library,
//! reads the environment.

use crate::error::CliError;
use crate::files;
use ostree_go_sdk::doctor::GoEnvironment;
use ostree_go_sdk::http::{HttpOptions, Netrc};
use ostree_go_sdk::stdcache::FolderKind;
use ostree_go_sdk::toolchains::{Workspace, clean_path};
use rustix::fs::{Access, Mode};
use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root directory of the system.
const SYSTEM_ROOT: &str = "/var/lib/ostree-go";

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
    working_dir: Option<PathBuf>,
    pub auth_file: Option<PathBuf>,
    pub no_color: bool,
    gocache: Option<PathBuf>,
    gopath: Option<PathBuf>,
    gomodcache: Option<PathBuf>,
    gotmpdir: Option<PathBuf>,
    temporary: Option<PathBuf>,
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
            working_dir: path("PWD"),
            auth_file: bytes("REGISTRY_AUTH_FILE").map(PathBuf::from),
            // The same rules as in curl. HTTP_PROXY is not read, because web servers set it from a
            // header of the request.
            http_proxy: text("http_proxy").or_else(|| text("ALL_PROXY")),
            https_proxy: text("https_proxy")
                .or_else(|| text("HTTPS_PROXY"))
                .or_else(|| text("ALL_PROXY")),
            gocache: bytes("GOCACHE").map(PathBuf::from),
            gopath: bytes("GOPATH").map(PathBuf::from),
            gomodcache: bytes("GOMODCACHE").map(PathBuf::from),
            gotmpdir: path("GOTMPDIR"),
            temporary: path("TMPDIR"),
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

    /// Returns the variables that the go command needs for its caches if it could not write to its
    /// default ones, which are in the home directory. Sources: `go help environment`, and
    /// `os.UserCacheDir`.
    pub fn go_caches(&self) -> Vec<(&'static str, PathBuf)> {
        let home = self.home.as_deref();
        let build = self.cache_home.clone();
        let build = build.or_else(|| Some(home?.join(".cache")));
        let is_usable = |path: Option<&Path>| path.is_some_and(is_writable);
        let needs_build = self.gocache.is_none() && !is_usable(build.as_deref());
        let sets_modules = self.gopath.is_some() || self.gomodcache.is_some();
        let needs_modules = !sets_modules && !is_usable(home);
        if !needs_build && !needs_modules {
            return Vec::new();
        }
        let Some(folder) = self.private_folder() else {
            return Vec::new();
        };
        let mut caches = Vec::new();
        if needs_build {
            caches.push(("GOCACHE", folder.join("go-build")));
        }
        if needs_modules {
            // Not only GOMODCACHE: the go command stores the checksum database below GOPATH.
            caches.push(("GOPATH", folder.join("go")));
        }
        caches
    }

    /// Creates a directory that survives a boot if possible, and that nobody else can write to:
    /// whoever writes into a build cache decides what is built from it.
    fn private_folder(&self) -> Option<PathBuf> {
        let name = format!("ostree-go-{}", rustix::process::geteuid().as_raw());
        let mut candidates = vec![PathBuf::from("/var/tmp").join(&name)];
        if is_root() {
            candidates.insert(0, PathBuf::from("/var/cache/ostree-go"));
        }
        let cache = self.cache_home.as_ref();
        candidates.extend(cache.map(|folder| folder.join("ostree-go")));
        candidates.push(self.temporary().join(&name));
        candidates.into_iter().find(|path| make_private(path))
    }

    /// Returns the directory for temporary files.
    pub fn temporary(&self) -> PathBuf {
        let temporary = self.temporary.clone();
        temporary.unwrap_or_else(|| PathBuf::from("/tmp"))
    }

    /// Returns the directory in which the go command makes temporary files.
    pub fn go_temporary(&self) -> PathBuf {
        self.gotmpdir.clone().unwrap_or_else(|| self.temporary())
    }

    /// Returns the build cache that the go command names to its child processes.
    pub fn gocache(&self) -> Option<PathBuf> {
        self.gocache.clone().filter(|path| path.is_absolute())
    }

    /// Returns the directories of the roots that have SDKs which this user can run: that of the command
    /// line or the user's own, and the system's if none was given.
    pub fn all_roots(&self, given: Option<&Path>) -> Vec<PathBuf> {
        if let Some(root) = given {
            return vec![root.to_owned()];
        }
        let system = PathBuf::from(SYSTEM_ROOT);
        let own = self.root().ok().filter(|own| *own != system);
        own.into_iter().chain([system]).collect()
    }

    /// Returns the places for a build cache and for modules, in order of preference.
    pub fn cache_places(&self, kind: FolderKind) -> Vec<(PathBuf, PathBuf)> {
        let user = rustix::process::geteuid().as_raw();
        let name = format!("ostree-go-{user}");
        let below = |base: PathBuf| (base.join("go-build"), base.join("go-mod"));
        // No directory of the system is created here, and no home.
        let in_existing = |dir: PathBuf, name: &str| dir.is_dir().then(|| below(dir.join(name)));
        let places = match kind {
            FolderKind::Tmpfs => vec![
                self.runtime_dir
                    .clone()
                    .and_then(|dir| in_existing(dir, "ostree-go")),
                in_existing(PathBuf::from(format!("/run/user/{user}")), "ostree-go"),
                in_existing(self.temporary(), &name),
            ],
            FolderKind::Persistent => {
                let home = self.home.as_ref().filter(|home| home.is_dir());
                let cache = self.cache_home.clone();
                let cache = cache.or_else(|| Some(home?.join(".cache")));
                let system = match is_root() {
                    true => in_existing(PathBuf::from("/var/cache"), "ostree-go"),
                    false => in_existing(PathBuf::from("/var/cache/ostree-go"), &user.to_string()),
                };
                vec![
                    // The places that the go command uses itself.
                    cache.map(|cache| {
                        let modules = self.modules(home);
                        let modules = modules.unwrap_or_else(|| cache.join("go-mod"));
                        (cache.join("go-build"), modules)
                    }),
                    system,
                    in_existing(PathBuf::from("/var/tmp"), &name),
                ]
            }
        };
        places.into_iter().flatten().collect()
    }

    /// Returns the directory of modules that the go command uses.
    fn modules(&self, home: Option<&PathBuf>) -> Option<PathBuf> {
        let gopath = self.gopath.as_ref();
        let first = gopath.and_then(|list| env::split_paths(list).next());
        let gopath = first.or_else(|| Some(home?.join("go")));
        self.gomodcache
            .clone()
            .or_else(|| Some(gopath?.join("pkg/mod")))
    }

    /// Returns true if the go command needs a `GOPATH`, below which it stores the checksum database.
    pub fn needs_gopath(&self) -> bool {
        self.gopath.is_none() && !self.home.as_deref().is_some_and(is_writable)
    }

    /// Returns a directory for temporary files of uploads to a registry, and creates it if it does
    /// not exist; `None` if it cannot be written.
    pub fn scratch(&self) -> Option<PathBuf> {
        let path = self.cache();
        let exists = files::create_directory(&path).is_ok();
        (exists && is_writable(&path)).then_some(path)
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

    /// Returns the variables that decide which Go is run: from the environment, or from the file in
    /// which `go env -w` stores them. Source: `go help environment`, `GOENV`.
    pub fn go_environment(&self) -> GoEnvironment {
        let file = self.stored_go_env();
        let stored = |name: &str| stored_value(&file, name);
        let mut environment = GoEnvironment::default();
        environment.path.clone_from(&self.path);
        environment.goroot = self
            .goroot
            .clone()
            .or_else(|| stored("GOROOT").map(Into::into));
        environment.gotoolchain = self.gotoolchain.clone().or_else(|| stored("GOTOOLCHAIN"));
        environment
    }

    /// Returns the content of the file in which `go env -w` stores variables; empty if there is none.
    fn stored_go_env(&self) -> String {
        let home = self.home.as_ref().map(|home| home.join(".config"));
        let file = match self.goenv.as_deref() {
            Some("off") => None,
            Some(file) => Some(PathBuf::from(file)),
            None => self
                .config_home
                .clone()
                .or(home)
                .map(|dir| dir.join("go/env")),
        };
        let text = file.and_then(|file| std::fs::read_to_string(file).ok());
        text.unwrap_or_default()
    }

    /// Returns the workspace that `GOWORK` selects, in the environment or in the file of `go env -w`.
    pub fn workspace(&self) -> Workspace {
        let stored = || stored_value(&self.stored_go_env(), "GOWORK").map(OsString::from);
        match self.gowork.clone().or_else(stored) {
            None => Workspace::Auto,
            Some(value) if value == "auto" => Workspace::Auto,
            Some(value) if value == "off" => Workspace::Off,
            Some(path) => Workspace::File(path.into()),
        }
    }

    /// Returns the absolute path of a directory, without `.` and `..`. Like `os.Getwd` of Go, this uses
    /// `PWD` for the current directory, if it is right: it has the names of symbolic links.
    pub fn project_dir(&self, dir: Option<&Path>) -> Result<PathBuf, CliError> {
        let is_same = |path: &&PathBuf| match (path.metadata(), Path::new(".").metadata()) {
            (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
            _ => false,
        };
        let current = match self.working_dir.as_ref().filter(is_same) {
            Some(path) => path.clone(),
            None => env::current_dir().map_err(CliError::file("find", Path::new(".")))?,
        };
        Ok(clean_path(&current.join(dir.unwrap_or(Path::new("")))))
    }

    /// Returns `PATH` with a directory before all others, where it is not repeated.
    pub fn path_after(&self, first: PathBuf) -> OsString {
        let others = self.path.iter().filter(|path| **path != first);
        let all: Vec<&Path> = std::iter::once(&*first)
            .chain(others.map(|path| &**path))
            .collect();
        // Only a path that contains `:` cannot be joined, and no root has one.
        env::join_paths(all).unwrap_or_else(|_| first.clone().into())
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

/// Returns the value of a variable in the file of `go env -w`, in which the last one counts.
fn stored_value(file: &str, name: &str) -> Option<String> {
    let mut lines = file.lines().rev();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.filter(|value| !value.is_empty()).map(str::to_owned)
}

/// Returns true if a directory can be written, or created.
fn is_writable(path: &Path) -> bool {
    let found = path.ancestors().find(|folder| folder.exists());
    let access = Access::WRITE_OK | Access::EXEC_OK;
    found.is_some_and(|folder| rustix::fs::access(folder, access).is_ok())
}

/// Creates a directory if it does not exist. Returns true if only this user can write to it.
fn make_private(path: &Path) -> bool {
    use std::os::unix::fs::DirBuilderExt;
    // An error means that it exists, or that it cannot be used.
    let _ = std::fs::DirBuilder::new().mode(0o700).create(path);
    let user = rustix::process::geteuid().as_raw();
    let is_private = path
        .symlink_metadata()
        .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o022 == 0);
    is_private && is_writable(path)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn paths_of_projects_are_absolute_and_clean() {
        let mut settings = Settings::from_env();
        let of =
            |settings: &Settings, dir: &str| settings.project_dir(Some(Path::new(dir))).unwrap();
        assert_eq!(of(&settings, "/a/./b/../c/"), Path::new("/a/c"));
        settings.working_dir = Some("/nonexistent".into());
        let here = std::env::current_dir().unwrap();
        assert_eq!(settings.project_dir(None).unwrap(), here);
        assert_eq!(of(&settings, "x/."), here.join("x"));
    }

    #[test]
    fn a_directory_is_put_before_path_once() {
        let mut settings = Settings::from_env();
        settings.path = ["/a", "/b", "/c"].map(PathBuf::from).into();
        assert_eq!(settings.path_after("/b".into()), "/b:/a:/c");
        settings.path.clear();
        assert_eq!(settings.path_after("/b".into()), "/b");
    }

    #[test]
    fn the_last_stored_value_counts() {
        let file = "GOWORK=/a\nGOWORKX=1\nGOWORK=off\nGOROOT=\n";
        assert_eq!(stored_value(file, "GOWORK").as_deref(), Some("off"));
        assert_eq!(stored_value(file, "GOROOT"), None);
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_not_used() {
        let top = std::env::temp_dir().join(format!("ostree-go-private-{}", std::process::id()));
        std::fs::create_dir(&top).unwrap();
        let path = top.join("caches");
        assert!(make_private(&path) && make_private(&path));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        symlink(&path, top.join("link")).unwrap();
        assert!(!make_private(&top.join("link")));
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&path, open).unwrap();
        assert!(!make_private(&path));
        assert!(is_writable(&top.join("a/b")));
        std::fs::remove_dir_all(&top).unwrap();
    }
}
