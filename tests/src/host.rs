//! A host with a root directory to install into, and a repository of toy SDKs.

use crate::cli::{Output, run};
use crate::ostree;
use crate::sandbox::Sandbox;
use crate::toy::Toy;
use ostree_go_sdk::Arch;
use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A root directory `root`, and a repository ([`Sandbox::repo`]) into which toy SDKs are composed.
#[derive(Debug, Default)]
pub struct Host {
    /// Sandbox that contains all files.
    pub sandbox: Sandbox,
    uid: Option<u32>,
}

impl Host {
    /// Creates a host that belongs to the user who runs the test.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a host that belongs to an ordinary user: the current user, or another one if that is root.
    ///
    /// # Panics
    ///
    /// Panics if the owner of the directory cannot be changed.
    pub fn of_plain_user() -> Self {
        let host = Self {
            sandbox: Sandbox::new(),
            uid: crate::tools::is_root().then_some(1000),
        };
        std::os::unix::fs::chown(host.sandbox.path(""), host.uid, host.uid).expect("a new owner");
        host
    }

    /// Returns the architecture of this machine.
    ///
    /// # Panics
    ///
    /// Panics if ostree-go does not support it.
    pub fn arch(&self) -> Arch {
        Arch::host().expect("a machine that Go SDKs are composed for")
    }

    /// Composes a toy SDK of this version for both architectures, and moves the channel `1.99`; `seconds`
    /// is the time of the channel's commit.
    ///
    /// # Panics
    ///
    /// Panics if composing fails.
    pub fn release(&self, version: &str, seconds: u64) {
        self.release_of(version, seconds, |toy| toy);
    }

    /// Works like [`Host::release`], with changes to the toy SDK.
    ///
    /// # Panics
    ///
    /// Panics if composing fails.
    pub fn release_of(&self, version: &str, seconds: u64, change: impl Fn(Toy) -> Toy) {
        for arch in Arch::ALL {
            // A file of each version's own, and one that every version has.
            let toy = Toy::new(arch)
                .version(version)
                .with("src/version.go", format!("// {version}\n"));
            let path = self
                .sandbox
                .path(&format!("{version}-{}.tar.gz", arch.goarch()));
            change(toy).tar_gz(&path);
        }
        let lines = format!(
            "channels: [\"go-sdk/${{basearch}}/1.99\"]\n\
             source: [{{ path: \"{version}-${{goarch}}.tar.gz\" }}]"
        );
        self.sandbox.treefile(version, &lines);
        let mut command = self.command(["compose", "go.yaml", "--replace"]);
        command.env("SOURCE_DATE_EPOCH", seconds.to_string());
        run(&mut command).ok();
    }

    /// Returns the command, to be run as the host's user with its repository and root directory.
    pub fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.sandbox.ostree_go(args);
        command.env("OSTREE_GO_ROOT", self.root());
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid).env("HOME", self.sandbox.path(""));
            command.env_remove("XDG_CACHE_HOME");
        }
        command
    }

    /// Runs the command.
    #[track_caller]
    pub fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        run(&mut self.command(args))
    }

    /// Installs an SDK from the repository.
    #[track_caller]
    pub fn install(&self, name: &str) -> Output {
        self.run(["install", name, "--from-repo", "repo"])
    }

    /// Runs a command with JSON output and returns the document, regardless of the exit code.
    ///
    /// # Panics
    ///
    /// Panics if the output is not JSON.
    #[track_caller]
    pub fn json<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Value {
        let out = self.run(args.into_iter().chain(["--format", "json"]));
        serde_json::from_str(&out.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", out.stdout, out.stderr))
    }

    /// Returns the active version according to `status`.
    #[track_caller]
    pub fn active(&self) -> Option<String> {
        let status = self.json(["status", "--verify", "none"]);
        let all = status["deployments"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let active: Vec<&Value> = all.iter().filter(|d| d["active"] == true).collect();
        assert!(active.len() <= 1, "{status:#}");
        let version = active.first()?["version"].as_str();
        version.map(str::to_owned)
    }

    /// Returns the root directory.
    pub fn root(&self) -> PathBuf {
        self.sandbox.path("root")
    }

    /// Returns a path in the active deployment.
    pub fn current(&self, path: &str) -> PathBuf {
        self.root().join("current").join(path)
    }

    /// Asserts that nothing is damaged, according to the stock `ostree fsck`, `ostree-go fsck` and `status`.
    #[track_caller]
    pub fn check(&self) {
        let repo = self.root().join("repo");
        ostree::ostree(&repo, ["fsck", "--quiet"]);
        let repo = repo.to_str().expect("UTF-8").to_owned();
        self.run(["fsck", "--repo", &repo]).ok();
        self.run(["status", "--verify", "all"]).ok();
        for entry in self
            .root()
            .join("deployments")
            .read_dir()
            .expect("deployments")
        {
            let name = entry.expect("an entry").file_name();
            assert_eq!(name.len(), 64, "left over: {}", name.display());
        }
    }
}

/// Reads a file of a deployment.
///
/// # Panics
///
/// Panics if the file cannot be read.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
