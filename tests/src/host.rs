//! A host: a repository of toy SDKs beside it, and a root to install into.

use crate::bench::Bench;
use crate::cli::{Output, run};
use crate::ostree;
use crate::toy::Toy;
use ostree_go_sdk::Arch;
use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Toy SDKs composed into [`Bench::repo`], and a root at `root`.
#[derive(Debug, Default)]
pub struct Host {
    /// The folder that holds all of it.
    pub bench: Bench,
    uid: Option<u32>,
}

impl Host {
    /// A host of the user who runs the test.
    pub fn new() -> Self {
        Self::default()
    }

    /// A host of a plain user, or of this one where that is a plain user.
    ///
    /// # Panics
    ///
    /// When the folder cannot be given to the user.
    pub fn of_plain_user() -> Self {
        let host = Self {
            bench: Bench::new(),
            uid: crate::tools::is_root().then_some(1000),
        };
        std::os::unix::fs::chown(host.bench.path(""), host.uid, host.uid).expect("a new owner");
        host
    }

    /// The architecture of this machine.
    ///
    /// # Panics
    ///
    /// When no SDK is composed for it.
    pub fn arch(&self) -> Arch {
        Arch::host().expect("a machine that Go SDKs are composed for")
    }

    /// Composes a toy of a version for both architectures, on the channel `1.99` too; `seconds`
    /// is the time of the channel's commit.
    ///
    /// # Panics
    ///
    /// When composing fails.
    pub fn release(&self, version: &str, seconds: u64) {
        self.release_of(version, seconds, |toy| toy);
    }

    /// As [`Host::release`], with changes to the toy.
    ///
    /// # Panics
    ///
    /// When composing fails.
    pub fn release_of(&self, version: &str, seconds: u64, change: impl Fn(Toy) -> Toy) {
        for arch in Arch::ALL {
            // A file of each version's own, and one that every version has.
            let toy = Toy::new(arch)
                .version(version)
                .with("src/version.go", format!("// {version}\n"));
            let path = self
                .bench
                .path(&format!("{version}-{}.tar.gz", arch.goarch()));
            change(toy).tar_gz(&path);
        }
        let lines = format!(
            "channels: [\"go-sdk/${{basearch}}/1.99\"]\n\
             source: [{{ path: \"{version}-${{goarch}}.tar.gz\" }}]"
        );
        self.bench.treefile(version, &lines);
        let mut command = self.command(["compose", "go.yaml", "--replace"]);
        command.env("SOURCE_DATE_EPOCH", seconds.to_string());
        run(&mut command).ok();
    }

    /// The command, as the host's user, with repository and root named.
    pub fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.bench.ostree_go(args);
        command.env("OSTREE_GO_ROOT", self.root());
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid).env("HOME", self.bench.path(""));
            command.env_remove("XDG_CACHE_HOME");
        }
        command
    }

    /// Runs the command.
    #[track_caller]
    pub fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        run(&mut self.command(args))
    }

    /// Installs from the repository of toys.
    #[track_caller]
    pub fn install(&self, name: &str) -> Output {
        self.run(["install", name, "--from-repo", "repo"])
    }

    /// What a command prints as JSON, whatever its exit code.
    ///
    /// # Panics
    ///
    /// When that is no JSON.
    #[track_caller]
    pub fn json<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Value {
        let out = self.run(args.into_iter().chain(["--format", "json"]));
        serde_json::from_str(&out.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", out.stdout, out.stderr))
    }

    /// The version that `status` calls active.
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

    /// Where the root is.
    pub fn root(&self) -> PathBuf {
        self.bench.path("root")
    }

    /// A path in the active deployment.
    pub fn current(&self, path: &str) -> PathBuf {
        self.root().join("current").join(path)
    }

    /// Asserts that everything is whole: the stock `ostree fsck`, ours, and the state.
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

/// What is in a file of a deployment.
///
/// # Panics
///
/// When it cannot be read.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
