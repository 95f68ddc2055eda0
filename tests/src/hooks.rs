//! Hooks of a test's root directory, which log that they run.

use crate::cli::{Output, binary, run};
use crate::host::{Host, read};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A host with hooks, in `config/ostree-go`.
#[derive(Debug)]
pub struct HookHost {
    /// The host.
    pub host: Host,
}

impl HookHost {
    /// Creates a host of an ordinary user on which 1.99.1 is active without hooks, and with a release 1.99.2.
    ///
    /// # Panics
    ///
    /// Panics if a command fails.
    pub fn new() -> Self {
        let host = Self::empty();
        host.host.release("1.99.1", 100);
        host.host.install("1.99").ok();
        host.host.release("1.99.2", 200);
        host
    }

    /// Creates a host of an ordinary user on which nothing is installed.
    pub fn empty() -> Self {
        Self {
            host: Host::of_plain_user(),
        }
    }

    /// Returns a path in the sandbox, in which hooks can write.
    pub fn path(&self, name: &str) -> PathBuf {
        self.host.sandbox.path(name)
    }

    /// Writes a hook, `required.d/10-check` for example, and returns its path. `$T` in the script is the sandbox,
    /// and `$OSTREE_GO` the command.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written.
    pub fn hook(&self, name: &str, script: &str) -> PathBuf {
        let top = self.path("config");
        let path = top.join("ostree-go/hooks/post-deploy").join(name);
        let folder = path.parent().expect("a folder");
        fs::create_dir_all(folder).expect("a folder for hooks");
        // Whatever the umask is.
        for folder in folder.ancestors().take_while(|up| up.starts_with(&top)) {
            set_mode(folder, 0o755);
        }
        let sandbox = self.path("");
        let sandbox = sandbox.to_str().expect("UTF-8").trim_end_matches('/');
        let program = binary().to_str().expect("UTF-8");
        let head = format!("#!/bin/sh\nset -eu\nT='{sandbox}' OSTREE_GO='{program}'\n");
        fs::write(&path, format!("{head}{script}\n")).expect("a hook");
        set_mode(&path, 0o755);
        path
    }

    /// Writes a hook that appends its name to the log.
    pub fn logging(&self, name: &str) -> PathBuf {
        self.hook(name, &format!("echo {name} >>\"$T/log\""))
    }

    /// Returns the log, and removes it.
    pub fn take_log(&self) -> Vec<String> {
        let path = self.path("log");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text.lines().map(str::to_owned).collect()
    }

    /// Returns the command with the hooks.
    pub fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.host.command(args);
        command.env("XDG_CONFIG_HOME", self.path("config"));
        command
    }

    /// Runs the command with the hooks.
    #[track_caller]
    pub fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        run(&mut self.command(args))
    }

    /// Runs the command with the hooks, and returns the document that it prints.
    ///
    /// # Panics
    ///
    /// Panics if it fails.
    #[track_caller]
    pub fn json<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Value {
        let out = self.run(args.into_iter().chain(["--format", "json"])).ok();
        serde_json::from_str(&out.stdout).expect("a document")
    }

    /// Returns the outcomes of the hooks of a version in `status`, as `NAME OUTCOME`.
    #[track_caller]
    pub fn outcomes(&self, version: &str) -> Vec<String> {
        let status = self.json(["status", "--verify", "none"]);
        let deployments = status["deployments"].as_array().expect("an array");
        let one = deployments.iter().find(|one| one["version"] == version);
        let hooks = one.expect("a deployment")["hooks"].as_array().cloned();
        let text = |hook: &Value, key: &str| hook[key].as_str().expect("a text").to_owned();
        let hooks = hooks.expect("an array").into_iter();
        hooks
            .map(|hook| format!("{} {}", text(&hook, "name"), text(&hook, "outcome")))
            .collect()
    }

    /// Returns the actions in the history.
    #[track_caller]
    pub fn actions(&self) -> Vec<String> {
        let status = self.json(["status", "--verify", "none"]);
        let history = status["history"].as_array().expect("an array");
        let actions = history.iter().map(|one| one["action"].as_str());
        actions.map(|one| one.expect("a word").to_owned()).collect()
    }

    /// Returns true if the process whose number a hook has written into a file is running.
    ///
    /// # Panics
    ///
    /// Panics if there is no such file.
    pub fn is_running(&self, file: &str) -> bool {
        let number = read(&self.path(file));
        // Format: `PID (NAME) STATE …`, see proc_pid_stat(5). A zombie has ended.
        let stat = fs::read_to_string(Path::new("/proc").join(number.trim()).join("stat"));
        stat.is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or("Z").starts_with('Z'))
    }
}

impl Default for HookHost {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets the permissions of a file or directory.
///
/// # Panics
///
/// Panics if they cannot be set.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}
