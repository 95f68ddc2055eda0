//! Real SDKs that are composed once for all tests of a process. Tests of composing compose their own.

use crate::cli::{run, target_dir};
use crate::ostree::{init, ostree};
use crate::sandbox::{Sandbox, source};
use crate::sdk::sdk;
use ostree_go_sdk::Arch;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The version of the SDKs.
pub const VERSION: &str = "1.26.5";

/// A repository with the SDKs for both architectures. Never write into it.
#[derive(Debug)]
struct Composed {
    repo: PathBuf,
    /// Other processes wait for the folder.
    _lock: File,
}

impl Sandbox {
    /// Creates a sandbox whose repository has the release [`VERSION`] for an architecture, with its layers. Returns `None` after
    /// printing why the test is skipped.
    ///
    /// The stock command copies the commits, as hard links where it can, from a repository that this process composes when the
    /// first test needs it. Nothing is taken over from an earlier process, whose command could have been another one.
    ///
    /// # Panics
    ///
    /// Panics if composing or copying fails.
    pub fn with_real_sdk(arch: Arch) -> Option<Self> {
        let sandbox = Self::new();
        sandbox.add_real_sdks(&[arch])?;
        Some(sandbox)
    }

    /// Adds the releases for some architectures to the repository, which is created if it does not exist.
    ///
    /// # Panics
    ///
    /// Panics if composing or copying fails.
    pub fn add_real_sdks(&self, arches: &[Arch]) -> Option<()> {
        static COMPOSED: OnceLock<Option<Composed>> = OnceLock::new();
        let shared = &COMPOSED.get_or_init(compose).as_ref()?.repo;
        let refs = ostree(shared, ["refs"]);
        let others = Arch::ALL.into_iter().filter(|arch| !arches.contains(arch));
        let others: Vec<String> = others.map(|arch| format!("/{arch}/")).collect();
        let wanted = refs
            .lines()
            .filter(|name| !others.iter().any(|other| name.contains(other.as_str())));
        if !self.repo().exists() {
            init(&self.repo(), "archive");
        }
        let from = shared.to_str().expect("UTF-8");
        ostree(&self.repo(), ["pull-local", from].into_iter().chain(wanted));
        Some(())
    }
}

fn compose() -> Option<Composed> {
    let both = Arch::ALL.map(|arch| sdk(VERSION, arch));
    let [Some(first), Some(_)] = &both else {
        return None;
    };
    let path = first.tar_gz.to_str().expect("UTF-8");
    let path = path.replace(first.arch.goarch(), "${goarch}");
    // A static is never dropped, so that a temporary folder would remain.
    let folder = target_dir().join("tests-real-sdks");
    fs::create_dir_all(target_dir()).expect("the target directory");
    let lock = File::create(folder.with_extension("lock")).expect("a lock file");
    lock.lock().expect("the lock of the folder");
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the folder of an earlier process");
    }
    fs::create_dir_all(&folder).expect("a folder");
    let sandbox = Sandbox::new();
    sandbox.treefile(VERSION, &source(Path::new(&path)));
    let repo = folder.join("repo");
    let mut command = sandbox.ostree_go(["compose", "go.yaml"]);
    run(command.env("OSTREE_REPO", &repo)).ok();
    Some(Composed { repo, _lock: lock })
}
