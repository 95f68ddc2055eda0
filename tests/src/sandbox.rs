//! A sandbox for a test: a temporary directory with a treefile and a repository.

use crate::cli::{Output, ostree_go, run, workspace};
use crate::toy::Toy;
use ostree_go_sdk::Arch;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A temporary directory with a treefile and a repository.
#[derive(Debug)]
pub struct Sandbox {
    folder: TempDir,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// Creates an empty sandbox.
    ///
    /// # Panics
    ///
    /// Panics if the directory cannot be created.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder }
    }

    /// Returns a path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the path of the repository, which may not exist yet.
    pub fn repo(&self) -> PathBuf {
        self.path("repo")
    }

    /// Writes a file into the directory, and returns its path.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder");
        fs::write(&path, text).expect("a file in the folder");
        path
    }

    /// Writes the treefile `go.yaml` with a version, the shipped base treefile, and additional lines.
    pub fn treefile(&self, version: &str, lines: &str) -> PathBuf {
        let base = workspace().join("treefiles/base.yaml");
        let text = format!("version: {version}\ninclude: {}\n{lines}\n", base.display());
        self.write("go.yaml", &text)
    }

    /// Returns the command, to be run in the directory with the repository in `OSTREE_REPO`.
    pub fn ostree_go<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = ostree_go();
        command
            .current_dir(self.folder.path())
            .env("OSTREE_REPO", self.repo());
        command.args(args);
        command
    }

    /// Runs the command.
    #[track_caller]
    pub fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        run(&mut self.ostree_go(args))
    }

    /// Composes `go.yaml` with additional arguments, and returns the commit IDs.
    #[track_caller]
    pub fn compose<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let out = self
            .run(["compose", "go.yaml"].into_iter().chain(args))
            .ok();
        out.stdout.lines().map(str::to_owned).collect()
    }

    /// Returns the commit that a ref names, or `None` if the ref does not exist, according to the stock command.
    pub fn rev(&self, name: &str) -> Option<String> {
        let out = crate::ostree::try_ostree(&self.repo(), ["rev-parse", name]);
        let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        out.status.success().then_some(text)
    }

    /// Returns all refs, according to the stock command.
    pub fn refs(&self) -> Vec<String> {
        let text = crate::ostree::ostree(&self.repo(), ["refs"]);
        let mut refs: Vec<String> = text.lines().map(str::to_owned).collect();
        refs.sort();
        refs
    }

    /// Asserts that the stock `ostree fsck` finds no damage.
    #[track_caller]
    pub fn fsck(&self) {
        crate::ostree::ostree(&self.repo(), ["fsck", "--quiet"]);
    }

    /// Checks out a ref with the stock command, and returns the directory.
    #[track_caller]
    pub fn checkout(&self, name: &str, folder: &str) -> PathBuf {
        let dest = self.path(folder);
        let dest_arg = dest.to_str().expect("UTF-8").to_owned();
        crate::ostree::ostree(&self.repo(), ["checkout", "-U", name, &dest_arg]);
        dest
    }
}

/// Returns a `source:` line for a path.
pub fn source(path: &Path) -> String {
    format!("source: [{{ path: \"{}\" }}]", path.display())
}

/// The `source:` line for toy SDKs next to the treefile.
pub const TOY_SOURCE: &str = "source: [{ path: \"toy-${goarch}.tar.gz\" }]";

impl Sandbox {
    /// Creates a sandbox with toy SDKs and a treefile `go.yaml` with additional lines.
    pub fn with_toys(lines: &str) -> Self {
        let sandbox = Self::new();
        sandbox.toys("1.99.1");
        sandbox.treefile("1.99.1", &format!("{TOY_SOURCE}\n{lines}"));
        sandbox
    }

    /// Writes the toy SDKs of a version, `toy-amd64.tar.gz` and `toy-arm64.tar.gz`.
    pub fn toys(&self, version: &str) {
        for arch in Arch::ALL {
            let path = self.path(&format!("toy-{}.tar.gz", arch.goarch()));
            Toy::new(arch).version(version).tar_gz(&path);
        }
    }
}
