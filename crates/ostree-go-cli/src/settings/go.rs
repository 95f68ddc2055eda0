//! The variables of the go command, and the directory of a project.

use super::Settings;
use crate::error::CliError;
use ostree_go_sdk::doctor::GoEnvironment;
use ostree_go_sdk::toolchains::{Workspace, clean_path};
use ostree_go_sdk::workspace::uses_variable;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Patterns of paths of modules, each in the syntax of `GOPRIVATE`.
#[derive(Debug, Default)]
pub struct PrivateModules {
    /// Modules that are not looked up in the checksum database.
    pub no_sumdb: Option<String>,
    /// Modules that are not requested from the default proxies.
    pub no_proxy: Option<String>,
}

impl Settings {
    /// Returns the patterns of private modules: `GONOSUMDB` and `GONOPROXY`, and `GOPRIVATE` for those
    /// that are not set, in the environment or in the file of `go env -w`.
    pub fn private_modules(&self) -> PrivateModules {
        let file = self.stored_go_env();
        let value = |variable: &Option<String>, name: &str| {
            variable.clone().or_else(|| stored_value(&file, name))
        };
        let private = value(&self.goprivate, "GOPRIVATE");
        PrivateModules {
            no_sumdb: value(&self.gonosumdb, "GONOSUMDB").or_else(|| private.clone()),
            no_proxy: value(&self.gonoproxy, "GONOPROXY").or(private),
        }
    }

    /// Returns the variables that decide which Go is run, and which build cache it uses: from the
    /// environment, or from the file in which `go env -w` stores them. Source: `go help environment`, `GOENV`.
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
        let gocache = || stored("GOCACHE").map(PathBuf::from);
        environment.gocache = self.gocache.clone().or_else(gocache);
        // Source: `os.UserCacheDir` of Go.
        let home = || Some(self.home.as_ref()?.join(".cache"));
        environment.cache_home = self.cache_home.clone().or_else(home);
        environment.gocacheprog = self.gocacheprog.clone().or_else(|| stored("GOCACHEPROG"));
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

    /// Returns the variables that decide what the go command builds and where modules come from, of the
    /// environment and of the file of `go env -w`. Source: `EnvOrAndChanged` in
    /// `src/cmd/go/internal/cfg/cfg.go`.
    pub fn workspace_environment(&self) -> Vec<(String, String)> {
        let file = self.stored_go_env();
        let stored = file.lines().filter_map(|line| line.split_once('='));
        // `go env -w` stores no variables of other programs.
        let stored = stored.filter(|(name, _)| name.starts_with("GO") || name.starts_with("CGO_"));
        let stored = stored.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let own = env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        // An empty variable is the same as none.
        let all = stored.chain(own).filter(|(_, value)| !value.is_empty());
        let used = all.filter(|(name, _)| uses_variable(name));
        let last: BTreeMap<String, String> = used.collect();
        last.into_iter().collect()
    }

    /// Returns Go's module cache, which the file of `go env -w` can name, too.
    pub fn stored_module_cache(&self) -> Option<PathBuf> {
        let file = self.stored_go_env();
        let stored = |name: &str| stored_value(&file, name).map(PathBuf::from);
        if self.gomodcache.is_some() {
            return self.module_cache();
        }
        if let Some(path) = stored("GOMODCACHE") {
            return Some(path);
        }
        match (&self.gopath, stored("GOPATH")) {
            (None, Some(list)) => {
                let first = env::split_paths(&list).next()?;
                Some(first.join("pkg/mod"))
            }
            _ => self.module_cache(),
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn goprivate_is_the_default_for_private_modules() {
        let mut settings = Settings::from_env();
        settings.goenv = Some("off".to_owned());
        settings.goprivate = Some("*.corp.example.com".to_owned());
        settings.gonosumdb = Some("none".to_owned());
        settings.gonoproxy = None;
        let private = settings.private_modules();
        assert_eq!(private.no_sumdb.as_deref(), Some("none"));
        assert_eq!(private.no_proxy.as_deref(), Some("*.corp.example.com"));
    }

    #[test]
    fn the_last_stored_value_counts() {
        let file = "GOWORK=/a\nGOWORKX=1\nGOWORK=off\nGOROOT=\n";
        assert_eq!(stored_value(file, "GOWORK").as_deref(), Some("off"));
        assert_eq!(stored_value(file, "GOROOT"), None);
    }
}
