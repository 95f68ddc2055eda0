//! Deployments on hosts with different umasks and users, with several channels, with damage and its repair.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{self, Output};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::host::{Host, read};
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::ostree::{ostree, try_ostree};
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::tools;
use ostree_go_tests::toy::Toy;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const GOROOT: &str = "usr/lib/sdk/go-1.99";

/// Returns a command that runs with the given umask.
fn with_umask(umask: &str, command: &Command) -> Command {
    let mut sh = Command::new("sh");
    sh.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
    sh.arg(command.get_program()).args(command.get_args());
    sh.current_dir(command.get_current_dir().expect("a folder"));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => sh.env(name, value),
            None => sh.env_remove(name),
        };
    }
    sh
}

#[test]
fn every_user_can_use_an_sdk_installed_by_root() {
    if !tools::is_root() {
        return tools::skip("only root installs for everybody");
    }
    let host = Host::new();
    host.release("1.99.1", 100);
    host.release("1.99.2", 200);
    let as_root = |args: &[&str]| {
        let command = host.command(args.iter().copied());
        cli::run(&mut with_umask("077", &command)).ok()
    };
    as_root(&["install", "1.99.1", "--from-repo", "repo"]);
    as_root(&["install", "1.99", "--from-repo", "repo"]);
    as_root(&["rollback"]);
    as_root(&["upgrade", "1.99"]);
    fs::set_permissions(host.sandbox.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let as_user = |command: &mut Command| cli::run(command.uid(1000).gid(1000));
    let status = as_user(&mut host.command(["status", "--verify", "all"])).ok();
    assert_eq!(
        status.stdout.matches(" good ").count(),
        2,
        "{}",
        status.stdout
    );
    let repo = host.root().join("repo");
    as_user(&mut host.command(["fsck", "--repo", repo.to_str().unwrap()])).ok();
    // Everything below `current` can be read, and its programs executed.
    let mut find = Command::new("find");
    let unreadable = find.arg(host.current("")).args(["!", "-readable"]);
    assert_eq!(as_user(unreadable).ok().stdout, "");
    let mut find = Command::new("find");
    let programs = find
        .arg(host.current(&format!("{GOROOT}/bin")))
        .args(["-executable"]);
    assert_eq!(
        as_user(programs.args(["-name", "go"]))
            .ok()
            .stdout
            .lines()
            .count(),
        1
    );
    // What is shut again is damage: nobody else can use it.
    let go = fs::canonicalize(host.current("usr/bin/go")).unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o500)).unwrap();
    let out = host.run(["status"]).exits(4);
    assert!(out.stderr.contains("bin/go is changed"), "{}", out.stderr);
    fs::set_permissions(&go, fs::Permissions::from_mode(0o555)).unwrap();
    let folder = go.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    let out = host.run(["status"]).exits(4);
    assert!(
        out.stderr.contains("go-1.99/bin is changed"),
        "{}",
        out.stderr
    );
    host.install("1.99.1").ok();
    host.check();
}

/// A publisher with an nginx server, and a host that belongs to an ordinary user if possible.
struct World {
    publisher: Sandbox,
    gpg: Gpg,
    key: String,
    nginx: Nginx,
    host: Sandbox,
    user: Option<u32>,
}

impl World {
    fn new() -> Option<Self> {
        let nginx = Nginx::start()?;
        let (publisher, host, gpg) = (Sandbox::new(), Sandbox::new(), Gpg::new());
        symlink(publisher.repo(), nginx.path("repo")).unwrap();
        let key = gpg.key("publisher");
        let user = tools::is_root().then_some(1000);
        let home = host.path("home");
        for folder in [&home, &host.path("data"), &host.path("")] {
            fs::create_dir_all(folder).unwrap();
            chown(folder, user, user).unwrap();
        }
        fs::set_permissions(&home, fs::Permissions::from_mode(0o555)).unwrap();
        Some(Self {
            publisher,
            gpg,
            key,
            nginx,
            host,
            user,
        })
    }

    /// Composes, signs and publishes a release of a channel for this machine.
    fn release(&self, channel: &str, version: &str) {
        // A web server tells a summary from the last by its size and the second it was written in.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let arch = Arch::host().expect("a machine that Go is composed for");
        let archive = self.publisher.path("go.tar.gz");
        let toy = Toy::new(arch).version(version);
        toy.with("src/version.go", format!("// {version}\n"))
            .tar_gz(&archive);
        let channel = format!("channels: [\"go-sdk/{arch}/{channel}\"]");
        let lines = format!("arches: [{arch}]\n{channel}\n{}", source(&archive));
        self.publisher.treefile(version, &lines);
        let home = self.gpg.home().to_str().unwrap();
        let sign = ["--gpg-sign", &self.key, "--gpg-homedir", home];
        for verb in [&["compose", "go.yaml"][..], &["publish"]] {
            self.publisher.run([verb, &sign].concat()).ok();
        }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = self.host.ostree_go(args.iter().copied());
        command
            .env_remove("OSTREE_REPO")
            .env_remove("XDG_CACHE_HOME");
        command.env("HOME", self.host.path("home"));
        command.env("XDG_DATA_HOME", self.host.path("data"));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        } else {
            command.env("OSTREE_GO_ROOT", self.root());
        }
        cli::run(&mut command)
    }

    fn trust(&self) {
        let key = self.host.path("acme.asc");
        fs::copy(self.gpg.export(&self.key), &key).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let url = format!("{}/repo", self.nginx.url());
        self.run(&[
            "remote",
            "add",
            "acme",
            &url,
            "--gpg-import",
            key.to_str().unwrap(),
        ])
        .ok();
    }

    fn root(&self) -> PathBuf {
        self.host.path("data/ostree-go")
    }

    fn repo(&self) -> PathBuf {
        self.root().join("repo")
    }

    fn version(&self, link: &str) -> String {
        let folder = self.root().join(link).join("usr/lib/sdk");
        let goroot = fs::read_dir(folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        read(&goroot.join("VERSION"))
            .lines()
            .next()
            .unwrap()
            .to_owned()
    }
}

#[test]
fn an_ordinary_user_with_an_unwritable_home() {
    let Some(world) = World::new() else { return };
    world.release("1.99", "1.99.1");
    world.trust();
    world.run(&["install", "1.99"]).ok();
    assert_eq!(world.version("current"), "go1.99.1");
    world.release("1.99", "1.99.2");
    world.run(&["upgrade"]).ok();
    assert_eq!(world.version("current"), "go1.99.2");
    world.run(&["rollback"]).ok();
    assert_eq!(world.version("current"), "go1.99.1");
    world.run(&["status", "--verify", "all"]).ok();
    world.run(&["uninstall", "1.99.2"]).ok();
    world.run(&["gc"]).ok();
    world.run(&["status", "--verify", "all"]).ok();
    let left = fs::read_dir(world.host.path("home")).unwrap().count();
    assert_eq!(left, 0, "something was written to HOME");
}

#[test]
fn several_channels_are_upgraded_together() {
    let Some(world) = World::new() else { return };
    world.release("1.98", "1.98.1");
    world.release("1.99", "1.99.1");
    world.trust();
    world.run(&["install", "1.98"]).ok();
    world.run(&["install", "1.99"]).ok();
    world.release("1.98", "1.98.2");
    // The active channel has nothing new; the other one is not asked.
    world.run(&["upgrade", "--unchanged-exit-77"]).exits(77);
    // One that is named is installed beside the active one.
    let out = world.run(&["upgrade", "1.98"]).ok();
    assert!(
        out.stderr.contains("go 1.98.2 is installed\n"),
        "{}",
        out.stderr
    );
    assert_eq!(world.version("current"), "go1.99.1");
    assert_eq!(world.version("sdk/go-1.98.2"), "go1.98.2");
    world.release("1.98", "1.98.3");
    world.release("1.99", "1.99.2");
    let out = world.run(&["upgrade", "--all"]).ok();
    assert!(
        out.stderr.contains("go 1.98.3 is installed\n"),
        "{}",
        out.stderr
    );
    assert!(
        out.stderr.contains("go 1.99.2 is installed and active\n"),
        "{}",
        out.stderr
    );
    assert_eq!(world.version("current"), "go1.99.2");
    world
        .run(&["upgrade", "--all", "--unchanged-exit-77"])
        .exits(77);
    world.run(&["upgrade", "1.97"]).exits(1);
    world.run(&["upgrade", "1.99", "--all"]).exits(2);
    world.run(&["upgrade", "--arch", "aarch64"]).exits(2);
    // A rollback is of what was active, whatever was installed beside it.
    world.run(&["rollback"]).ok();
    assert_eq!(world.version("current"), "go1.99.1");

    // The remote goes, with its refs; what is installed stays whole.
    let before = ostree(&world.repo(), ["refs"]);
    assert!(before.contains("acme:go-sdk/"), "{before}");
    let out = world.run(&["remote", "delete", "acme"]).ok();
    assert!(
        out.stderr.contains("deleted remote acme and its 2 refs"),
        "{}",
        out.stderr
    );
    let after = ostree(&world.repo(), ["refs"]);
    assert!(!after.contains("acme:"), "{after}");
    world.run(&["gc"]).ok();
    world.run(&["status", "--verify", "all"]).ok();
    ostree(&world.repo(), ["fsck", "--quiet"]);
}

/// Returns the file of an object that only the active SDK needs.
fn object(repo: &Path, path: &str, kind: &str) -> PathBuf {
    let commit = fs::read_link(repo.join("../current")).unwrap();
    let commit = commit.file_name().unwrap().to_str().unwrap().to_owned();
    let listed = ostree(repo, ["ls", "-C", "-d", &commit, path]);
    let sums: Vec<&str> = listed
        .split_whitespace()
        .filter(|word| word.len() == 64)
        .collect();
    let sum = match kind {
        "dirmeta" => sums[1],
        "commit" => &commit,
        _ => sums[0],
    };
    repo.join(format!("objects/{}/{}.{kind}", &sum[..2], &sum[2..]))
}

/// Damages an object, asserts that the damage is detected, and repairs it by an install.
fn heals(repo: &Path, path: &str, kind: &str, flip: bool, run: &dyn Fn(&[&str]) -> Output) {
    let what = format!("{kind} of {path}, flipped: {flip}");
    let object = object(repo, path, kind);
    if flip {
        fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).unwrap();
        let mut bytes = fs::read(&object).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        if kind != "file" {
            // A copy from this machine shares it with the repository that it came from.
            fs::remove_file(&object).unwrap();
        }
        fs::write(&object, bytes).unwrap();
    } else {
        fs::remove_file(&object).unwrap();
    }
    assert!(
        !try_ostree(repo, ["fsck", "--quiet"]).status.success(),
        "{what}"
    );
    run(&["fsck", "--repo", repo.to_str().unwrap()]).exits(4);
    // A deployed file outlives its object; all else is seen.
    let seen = if kind == "file" && !flip { 0 } else { 4 };
    run(&["status"]).exits(seen);
    let out = run(&["install", "1.99"]).ok();
    assert!(object.exists(), "{what}: {}", out.stderr);
    run(&["status", "--verify", "all"]).ok();
    run(&["fsck", "--repo", repo.to_str().unwrap()]).ok();
    ostree(repo, ["fsck", "--quiet"]);
}

#[test]
fn the_next_install_repairs_damaged_objects() {
    let Some(world) = World::new() else { return };
    world.release("1.99", "1.99.1");
    world.trust();
    world.run(&["install", "1.99"]).ok();
    let local = Host::new();
    local.release("1.99.1", 100);
    local.install("1.99").ok();
    let from_repo = |args: &[&str]| match args {
        ["install", name] => local.install(name),
        args => local.run(args.iter().copied()),
    };
    let file = format!("/{GOROOT}/src/version.go");
    let folder = format!("/{GOROOT}/src");
    for (path, kind) in [(&file, "file"), (&folder, "dirtree"), (&folder, "dirmeta")] {
        // What was fetched anew for a deployed file is another inode: that comes last.
        for flip in [true, false] {
            heals(&world.repo(), path, kind, flip, &|args| world.run(args));
            heals(&local.root().join("repo"), path, kind, flip, &from_repo);
        }
    }
}

#[test]
fn pinned_deployments_are_kept() {
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200), ("1.99.3", 300)] {
        host.release(version, seconds);
        host.install("1.99").ok();
    }
    let out = host.run(["pin", "1.99.1"]).ok();
    assert_eq!(out.stderr, "go 1.99.1 is pinned\n");
    let status = host.run(["status"]).ok().stdout;
    let marks: Vec<&str> = status
        .lines()
        .skip(1)
        .map(|line| line[..2].trim_end())
        .collect();
    assert_eq!(marks, ["*", "<", " +"], "{status}");
    host.run(["gc", "--superseded"]).ok();
    assert_eq!(host.json(["status"])["deployments"][2]["pinned"], true);
    // Deploying it again keeps the pin.
    host.run(["install", "1.99.2", "--from-repo", "repo", "--no-activate"])
        .ok();
    let out = host.run(["unpin", "1.99.1"]).ok();
    assert_eq!(out.stderr, "go 1.99.1 is not pinned\n");
    let out = host.run(["gc", "--superseded"]).ok();
    assert!(
        out.stderr.starts_with("go 1.99.1 is removed\n"),
        "{}",
        out.stderr
    );
    host.run(["pin", "1.99.1"]).exits(1);
    host.check();
}

#[test]
fn refs_of_deployments_are_not_listed_as_releases() {
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99").ok();
    let repo = host.root().join("repo");
    let repo = repo.to_str().unwrap();
    assert!(ostree(Path::new(repo), ["refs"]).contains("ostree-go/deployment/"));
    let listed = host.run(["list", "--all", "--repo", repo]).ok();
    assert_eq!(listed.stdout, "");
    // Nor does a prune forget them.
    host.run(["prune", "--keep", "1", "--repo", repo]).ok();
    host.check();
}
