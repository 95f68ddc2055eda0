//! The state that every operation of a campaign starts from.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ostree_go_sdk::Arch;
use tempfile::TempDir;

use super::operation::Operation;
use crate::cli::{ostree_go, run, workspace};
use crate::gpg::Gpg;
use crate::ostree::{init, ostree};
use crate::powercut::Disk;
use crate::std_cache::ToyStdCache;
use crate::toy::Toy;
use crate::webserver::FaultyServer;

/// Time of the commits that operations make: the same in every run, so that their ids are the same.
const NOW: &str = "300";

/// Repositories and roots with toy SDKs, in a folder that is put back to its first state before each run.
///
/// | path | state |
/// |---|---|
/// | `repo` | releases 1.99.1 and 1.99.2 with std caches for this machine, signed; published with the first; an OS to overlay |
/// | `host` | empty, with the remote `acme` |
/// | `mirror` | the same, to be served on |
/// | `imported` | empty |
/// | `image` | release 1.99.1 as an OCI layout |
/// | `online` | a root with 1.99.1 from the remote `acme`, which has 1.99.2 too |
/// | `local` | a root with 1.99.1 and 1.99.2 (active) copied from `repo`, and a commit that nothing needs |
#[derive(Debug)]
pub struct World {
    place: Place,
    gpg: Gpg,
    key: String,
    server: FaultyServer,
    _served: TempDir,
    /// Power cuts since the first state.
    boots: Cell<u32>,
}

#[derive(Debug)]
enum Place {
    Folder(TempDir),
    Disk(Disk),
}

impl Place {
    fn work(&self) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.path().join("work"),
            Self::Disk(disk) => disk.path().join("work"),
        }
    }
}

impl World {
    /// Makes a world in a temporary folder.
    ///
    /// # Panics
    ///
    /// Panics when an undisturbed command fails.
    pub fn new() -> Self {
        Self::at(Place::Folder(tempfile::tempdir().expect("a folder")))
    }

    /// Makes a world on a disk.
    ///
    /// # Panics
    ///
    /// Panics when an undisturbed command fails.
    pub fn on(disk: Disk) -> Self {
        Self::at(Place::Disk(disk))
    }

    fn at(place: Place) -> Self {
        fs::create_dir(place.work()).expect("a folder");
        let gpg = Gpg::new();
        let key = gpg.key("acme");
        let served = tempfile::tempdir().expect("a folder to serve");
        let world = Self {
            key,
            server: FaultyServer::serving(&served.path().join("repo")),
            place,
            gpg,
            _served: served,
            boots: Cell::new(0),
        };
        world.fill(world._served.path());
        world.save();
        world
    }

    fn fill(&self, served: &Path) {
        fs::create_dir(self.path("home")).expect("a folder");
        self.ours("key generate --type ed25519 --output-dir keys");
        fs::copy(self.gpg.export(&self.key), self.path("keys/acme.asc")).expect("the public key");
        self.release("1.99.1", "100");
        self.std_caches("1.99.1", 100);
        self.ours("--repo repo publish --gpg-sign KEY --gpg-homedir HOME");
        copy(&self.path("repo"), &served.join("repo"));
        for repo in ["--repo host init --mode bare-user", "--repo mirror init"] {
            self.ours(repo);
        }
        for at in ["--repo host", "--repo mirror", "--root online"] {
            self.ours(&format!(
                "{at} remote add acme URL --gpg-import keys/acme.asc"
            ));
        }
        self.ours("--root online install 1.99");
        self.ours("--root local install 1.99 --from-repo repo");
        self.ours("--repo imported init --mode bare-user");
        self.ours("--repo repo export oci 1.99.1 oci:image");

        // The compose adds them to the summary.
        self.std_caches("1.99.2", 200);
        self.release("1.99.2", "200");
        self.ours("--root local upgrade");
        let repo = self.path("repo");
        let garbage = [repo.to_str().expect("UTF-8"), "go-sdk/aarch64/1.99.1"];
        let pull = ["pull-local"].into_iter().chain(garbage);
        ostree(&self.path("local/repo"), pull);
        fs::remove_dir_all(served.join("repo")).expect("the old one goes");
        copy(&repo, &served.join("repo"));
        let mut publish = self.command("publish --gpg-sign KEY --gpg-homedir HOME");
        run(publish.arg("--repo").arg(served.join("repo"))).ok();
        self.base();
        // For reading the summary as others do, with its signature.
        let judge = self.path("judge");
        init(&judge, "bare-user");
        let url = format!("file://{}", repo.display());
        let keys = self.path("keys/acme.asc").display().to_string();
        let import = format!("--gpg-import={keys}");
        let verify = "--set=gpg-verify-summary=true";
        ostree(&judge, ["remote", "add", &import, verify, "acme", &url]);

        self.treefile("1.99.3");
    }

    /// Composes a release.
    fn release(&self, version: &str, seconds: &str) {
        self.treefile(version);
        let mut compose =
            self.command("--repo repo compose go.yaml --gpg-sign KEY --gpg-homedir HOME");
        run(compose.env("SOURCE_DATE_EPOCH", seconds)).ok();
    }

    /// Commits and signs the std caches of a version for this machine.
    fn std_caches(&self, version: &str, seconds: u64) {
        let native = Arch::host().expect("a machine that Go SDKs are composed for");
        for mode in ["trimpath", "plain"] {
            let cache = ToyStdCache::new(version, &format!("{native}-{mode}"), seconds);
            cache.commit(&self.path("repo"), &[]);
            let name = cache.ref_name();
            self.ours(&format!(
                "--repo repo sign {name} --gpg-sign KEY --gpg-homedir HOME"
            ));
        }
    }

    /// Writes `go.yaml` and the archives that it names.
    fn treefile(&self, version: &str) {
        for arch in Arch::ALL {
            let toy = Toy::new(arch)
                .version(version)
                .with("src/version.go", format!("// {version}\n"));
            toy.tar_gz(&self.path(&format!("{version}-{}.tar.gz", arch.goarch())));
        }
        let base = workspace().join("treefiles/base.yaml");
        let text = format!(
            "version: {version}\ninclude: {}\nchannels: [\"go-sdk/${{basearch}}/1.99\"]\n\
             source: [{{ path: \"{version}-${{goarch}}.tar.gz\" }}]\n",
            base.display()
        );
        fs::write(self.path("go.yaml"), text).expect("a treefile");
    }

    /// Commits the tree of an OS.
    fn base(&self) {
        let tree = self.path("os");
        for (path, text) in [
            ("usr/lib/os-release", "ID=toyos\n"),
            ("usr/lib/modules/6.1/vmlinuz", "a kernel\n"),
            ("usr/etc/hostname", "toy\n"),
        ] {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let tree = format!("--tree=dir={}", tree.display());
        ostree(
            &self.path("repo"),
            [
                "commit",
                "--branch=os/x86_64/base",
                &tree,
                "--timestamp=@100",
            ],
        );
    }

    /// A path in the world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.work().join(name)
    }

    /// The command of an operation.
    pub fn operation(&self, operation: Operation) -> Command {
        self.command(operation.args())
    }

    /// The command with arguments, separated by spaces; `KEY`, `HOME` and `URL` stand for the GPG key, the GnuPG home and the
    /// server.
    pub fn command(&self, args: &str) -> Command {
        let mut command = ostree_go();
        command
            .current_dir(self.place.work())
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("home/cache"))
            .env("RUST_BACKTRACE", "1")
            .env("SOURCE_DATE_EPOCH", NOW);
        if self.boots.get() > 0 {
            // libostree uses what an interrupted transaction has staged again, but not after another boot.
            command.env("OSTREE_BOOTID", format!("boot-{}", self.boots.get()));
        }
        for arg in args.split_whitespace() {
            match arg {
                "KEY" => command.arg(&self.key),
                "HOME" => command.arg(self.gpg.home()),
                "URL" => command.arg(self.server.url()),
                _ => command.arg(arg),
            };
        }
        command
    }

    fn ours(&self, args: &str) {
        run(&mut self.command(args)).ok();
    }

    /// The disk, where there is one.
    pub fn disk(&self) -> Option<&Disk> {
        match &self.place {
            Place::Folder(_) => None,
            Place::Disk(disk) => Some(disk),
        }
    }

    /// Mounts the disk again after its file system was shut down, as another boot of the machine would.
    ///
    /// # Panics
    ///
    /// Panics when the world is on no disk, or a process keeps a file on it open.
    pub fn boot_again(&self) {
        let disk = self.disk().expect("a world on a disk");
        disk.remount_after_shutdown();
        self.boots.set(self.boots.get() + 1);
    }

    fn save(&self) {
        match &self.place {
            Place::Folder(folder) => copy(&self.place.work(), &folder.path().join("saved")),
            Place::Disk(disk) => disk.save(),
        }
    }

    /// Puts everything back to the first state.
    ///
    /// # Panics
    ///
    /// Panics when a process still uses the disk.
    pub fn restore(&self) {
        self.boots.set(0);
        match &self.place {
            Place::Folder(folder) => {
                let work = self.place.work();
                run(Command::new("rm").arg("-rf").arg(&work)).ok();
                copy(&folder.path().join("saved"), &work);
            }
            Place::Disk(disk) => disk.restore(),
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Copies a folder with all modes, times, links and extended attributes.
fn copy(from: &Path, to: &Path) {
    run(Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .args([from, to]))
    .ok();
}
