//! A machine with systemd as its first process, in a container of systemd-nspawn.

use crate::cli::{Output, binary, run};
use crate::sdk::cache_dir;
use crate::tools;
use sha2::Digest;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The release of Debian, whose libraries are at least as new as those the command is built with.
const SUITE: &str = "trixie";
const MIRROR: &str = "http://deb.debian.org/debian";
/// The packages besides the essential ones: what `ostree-go` links, the tools it calls, and those of the tests.
const PACKAGES: &str = "bubblewrap,curl,dbus,dbus-user-session,gnupg,libostree-1-1,libpam-systemd,procps,systemd,\
    systemd-sysv,util-linux";
/// The path of the command under test on a machine that was booted with [`Machine::boot_with_command`].
pub const PROGRAM: &str = "/opt/ostree-go/ostree-go";
/// An ordinary user of the machine, whose service manager runs.
pub const USER: u32 = 1000;

/// Limit for the start and for the shutdown. Both take about a second.
const LIMIT: Duration = Duration::from_secs(60);

/// A booted machine with Debian, with its own network and without access to another one.
/// Its changes are lost when it is dropped, which shuts it down.
#[derive(Debug)]
pub struct Machine {
    nspawn: Child,
    /// The process ID of the machine's first process.
    init: u32,
}

impl Machine {
    /// Boots a machine, or returns `None` after printing why the test is skipped. The first call on a host creates
    /// its file system, which takes about a minute.
    ///
    /// # Panics
    ///
    /// Panics if it does not start, or if a requirement is missing and `CI` is set.
    pub fn boot() -> Option<Self> {
        Self::boot_with([])
    }

    /// Boots a machine with the command under test at [`PROGRAM`], which sees `shared` at the same path.
    ///
    /// # Panics
    ///
    /// Panics like [`Machine::boot`].
    pub fn boot_with_command(shared: &Path) -> Option<Self> {
        let program = binary().canonicalize().expect("the command");
        let shared = format!("--bind={}", shared.display());
        let program = format!("--bind-ro={}:{PROGRAM}", program.display());
        let machine = Self::boot_with([&*shared, &*program])?;
        let deadline = Instant::now() + LIMIT;
        let manager = format!("user@{USER}");
        while !machine
            .run(["systemctl", "is-active", &manager])
            .status
            .success()
        {
            assert!(Instant::now() < deadline, "{manager} does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(machine)
    }

    /// Boots a machine with additional arguments for `systemd-nspawn`, for example `--bind-ro=/path`.
    ///
    /// # Panics
    ///
    /// Panics like [`Machine::boot`].
    pub fn boot_with<'a>(args: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !tools::is_root() {
            tools::skip("only root can boot a machine");
            return None;
        }
        let nspawn = tools::require("systemd-nspawn")?;
        let nsenter = tools::require("nsenter")?;
        let tree = tree()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ostree-go-test-{}-{number}", std::process::id());
        let log = tempfile::tempfile().expect("a log");
        let nspawn = Command::new(nspawn)
            // Hosts with both versions of control groups would pass on the first one.
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .arg("--directory")
            .arg(&tree)
            .arg(format!("--machine={name}"))
            .args(["--boot", "--quiet", "--register=no", "--keep-unit"])
            // Several machines can use one tree at a time.
            .args(["--volatile=overlay", "--private-network", "--console=pipe"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log.try_clone().expect("the log"))
            .process_group(0)
            .spawn()
            .expect("systemd-nspawn runs");
        let mut machine = Self { nspawn, init: 0 };
        machine.wait_until_booted(&nsenter, &log);
        Some(machine)
    }

    fn wait_until_booted(&mut self, nsenter: &Path, log: &File) {
        let deadline = Instant::now() + LIMIT;
        let mut state = String::new();
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.nspawn.try_wait() {
                panic!("systemd-nspawn ended: {status}\n{}", text_of(log));
            }
            if let Some(init) = only_child(self.nspawn.id()) {
                self.init = init;
                let out = enter(nsenter, init)
                    .args(["systemctl", "is-system-running"])
                    .output()
                    .expect("nsenter runs");
                state = String::from_utf8_lossy(&out.stdout).trim().to_owned();
                // A unit that fails in a container is not important here.
                if ["running", "degraded"].contains(&&*state) {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the machine is `{state}` after {LIMIT:?}\n{}", text_of(log));
    }

    /// Returns a command that runs in the machine as root, with a clean environment.
    ///
    /// # Panics
    ///
    /// Panics if `nsenter` is missing, which `boot` has required.
    pub fn exec<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let nsenter = tools::find("nsenter").expect("nsenter");
        let mut command = enter(&nsenter, self.init);
        command.args(args);
        command
    }

    /// Returns a command that runs in the machine as [`USER`], with a clean environment.
    pub fn exec_as_user<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let user = USER.to_string();
        let mut command = self.exec(["setpriv", "--reuid", &user, "--regid", &user]);
        command.args(["--clear-groups", "env"]);
        command.arg(format!("XDG_RUNTIME_DIR=/run/user/{USER}"));
        command.arg("HOME=/home/user").args(args);
        command
    }

    /// Runs a command in the machine as root.
    #[track_caller]
    pub fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        run(&mut self.exec(args))
    }

    /// Returns the path on this host of a path in the machine. It has to be below a directory of the root file
    /// system; absolute symlinks in it lead to this host.
    pub fn path(&self, path: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.init));
        root.join(path.trim_start_matches('/'))
    }

    /// Copies a file with its mode into the machine, and creates its directory.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be copied.
    pub fn copy(&self, from: &Path, to: &str) {
        let to = self.path(to);
        fs::create_dir_all(to.parent().expect("a file has a folder")).expect("the folder");
        fs::copy(from, &to).unwrap_or_else(|e| panic!("{}: {e}", to.display()));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.init != 0 {
            let _ = self.exec(["systemctl", "poweroff"]).output();
        }
        let deadline = Instant::now() + LIMIT;
        while self.init != 0 && Instant::now() < deadline {
            if let Ok(Some(_)) = self.nspawn.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // All processes of the machine end with the first one.
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

/// Returns `nsenter` into all namespaces of a process.
fn enter(nsenter: &Path, pid: u32) -> Command {
    let mut command = Command::new(nsenter);
    command.env_clear();
    command.env(
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    command.env("LC_ALL", "C.UTF-8").env("HOME", "/root");
    command.args(["--target", &pid.to_string(), "--all"]);
    command.args(["--root", "--wd", "--"]);
    command.stdin(Stdio::null());
    command
}

/// Returns the only child process of a process.
fn only_child(pid: u32) -> Option<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let mut children = list.split_whitespace();
    let first = children.next()?.parse().ok()?;
    children.next().is_none().then_some(first)
}

fn text_of(log: &File) -> String {
    use std::io::{Read, Seek};
    let (mut log, mut text) = (log, String::new());
    let _ = log.rewind();
    let _ = log.read_to_string(&mut text);
    text
}

/// Returns the file system of the machines, which is created once for each list of packages, or `None` after printing
/// why the test is skipped.
fn tree() -> Option<PathBuf> {
    let what = format!("{SUITE} {USER} {PACKAGES}");
    let hash = sha2::Sha256::digest(what.as_bytes());
    let hash: String = hash[..8].iter().map(|b| format!("{b:02x}")).collect();
    let cache = cache_dir();
    let tree = cache.join(format!("systemd-machine-{hash}"));
    fs::create_dir_all(&cache).expect("the cache can be written");
    // Test processes run in parallel: the first one creates it, the others wait.
    let lock = File::create(cache.join("systemd-machine.lock")).expect("a lock file");
    lock.lock().expect("the lock of the cache");
    if tree.exists() {
        return Some(tree);
    }
    let debootstrap = tools::require("debootstrap")?;
    let unfinished = tree.with_extension("new");
    let _ = fs::remove_dir_all(&unfinished);
    let mirror = std::env::var("OSTREE_GO_MIRROR").unwrap_or_else(|_| MIRROR.to_owned());
    let out = Command::new(debootstrap)
        .arg("--variant=minbase")
        .arg(format!("--include={PACKAGES}"))
        .arg(SUITE)
        .arg(&unfinished)
        .arg(mirror)
        .output()
        .expect("debootstrap runs");
    if !out.status.success() {
        let text = String::from_utf8_lossy(&out.stdout);
        let last = text.lines().last().unwrap_or_default();
        tools::skip(&format!("debootstrap cannot install {SUITE}: {last}"));
        return None;
    }
    let user = USER.to_string();
    let mut useradd = Command::new("chroot");
    useradd.arg(&unfinished);
    useradd.args(["useradd", "--create-home", "--uid", &user, "user"]);
    run(&mut useradd).ok();
    // Starts the manager of the user without a login.
    let linger = unfinished.join("var/lib/systemd/linger");
    fs::create_dir_all(&linger).expect("a directory");
    fs::write(linger.join("user"), "").expect("a file");
    fs::rename(&unfinished, &tree).expect("the tree gets its name");
    Some(tree)
}
