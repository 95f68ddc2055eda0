//! `ostree-go run`: commands in a sandbox, with a toy SDK and the programs of this machine.

mod container;
mod escapes;
mod refused;

use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::host::Host;
use ostree_go_tests::running::Running;
use ostree_go_tests::tools;
use ostree_go_tests::webserver::FaultyServer;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A host with a toy SDK, and a project of its user.
struct Project {
    host: Host,
    uid: Option<u32>,
}

impl Project {
    /// Creates the project `src` with the directory `src/out`, for the user who runs the test.
    fn new() -> Self {
        Self::on(Host::new(), None)
    }

    /// Creates the same for an ordinary user.
    fn of_plain_user() -> Self {
        let uid = tools::is_root().then_some(1000);
        Self::on(Host::of_plain_user(), uid)
    }

    fn on(host: Host, uid: Option<u32>) -> Self {
        host.release("1.99.1", 1_800_000_000);
        host.install("1.99.1").ok();
        let project = Self { host, uid };
        project.directory("src/out");
        project.file("src/go.mod", "module example.com/src\n\ngo 1.26\n");
        project
    }

    fn path(&self, name: &str) -> PathBuf {
        self.host.sandbox.path(name)
    }

    /// Creates a directory that belongs to the user of the project.
    fn directory(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
        let mut name = Path::new(name);
        while name != Path::new("") {
            chown(self.path(name.to_str().unwrap()), self.uid, self.uid).unwrap();
            name = name.parent().unwrap();
        }
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.host.sandbox.write(name, text);
        chown(path, self.uid, self.uid).unwrap();
    }

    /// Returns `run` with arguments, in the directory of the project.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.host.command([&["run"], args].concat());
        command.current_dir(self.path("src"));
        command
    }

    /// Runs a shell script in a sandbox with the programs of this machine.
    #[track_caller]
    fn sh(&self, backend: &str, options: &[&str], script: &str) -> Output {
        run(&mut self.script(backend, options, script))
    }

    fn script(&self, backend: &str, options: &[&str], script: &str) -> Command {
        let start = ["--sandbox", backend, "--host-tools"];
        let end = ["--", "sh", "-c", script];
        self.command(&[&start, options, &end].concat())
    }
}

/// Returns the sandboxes that are tested on this machine.
fn backends() -> Vec<&'static str> {
    let mut backends = Vec::new();
    if tools::require("bwrap").is_some() {
        backends.push("bwrap");
    }
    match fs::read_to_string("/proc/sys/kernel/osrelease") {
        Ok(release) if is_at_least(&release, (6, 12)) => backends.push("landlock"),
        _ => tools::skip("Landlock restricts signals since Linux 6.12"),
    }
    backends
}

fn is_at_least(release: &str, wanted: (u32, u32)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    next().zip(next()).is_some_and(|found| found >= wanted)
}

#[test]
fn exit_codes_are_those_of_the_command() {
    let project = Project::new();
    for backend in backends() {
        project.sh(backend, &[], "exit 0").ok();
        project.sh(backend, &[], "exit 7").exits(7);
        project.sh(backend, &[], "kill -9 $$").exits(137);
        let out = project.sh(backend, &[], "echo out; echo err >&2").ok();
        assert_eq!(out.stdout, "out\n");
        let expected = format!("sandbox: {backend}, go 1.99.1, no network\nerr\n");
        assert_eq!(out.stderr, expected);
        let out = project.sh(backend, &["--quiet"], "cat").ok();
        assert_eq!(out.stderr, "");
    }
}

#[test]
fn arguments_are_passed_unchanged() {
    let project = Project::new();
    for backend in backends() {
        let words = ["", "a b", "$HOME", "%n", "--", "\"'\\", "ü"];
        let start = [
            "--sandbox",
            backend,
            "--host-tools",
            "-q",
            "--",
            "printf",
            "[%s]",
        ];
        let out = run(&mut project.command(&[&start[..], &words].concat())).ok();
        assert_eq!(out.stdout, "[][a b][$HOME][%n][--][\"'\\][ü]");
    }
}

#[test]
fn sources_are_read_only_and_named_directories_are_not() {
    for project in [Project::new(), Project::of_plain_user()] {
        for backend in backends() {
            let out = project.sh(backend, &[], "pwd; echo x > file");
            assert!(!out.status.success(), "{out}");
            assert_eq!(
                out.stdout.trim(),
                project
                    .path("src")
                    .canonicalize()
                    .unwrap()
                    .to_str()
                    .unwrap()
            );
            let out = project.sh(
                backend,
                &["--write", "out"],
                "echo x > out/file; echo x > $TMPDIR/y; cat out/file",
            );
            assert_eq!(out.ok().stdout, "x\n");
            assert!(project.path("src/out/file").exists() && !project.path("src/file").exists());
            fs::remove_file(project.path("src/out/file")).unwrap();
            // Other directories of the user.
            project.directory("other");
            project.file("other/file", "other\n");
            let other = project.path("other/file").display().to_string();
            assert!(
                !project
                    .sh(backend, &[], &format!("cat {other}"))
                    .status
                    .success()
            );
            let parent = project.path("other").display().to_string();
            let out = project.sh(backend, &["--read", &parent], &format!("cat {other}"));
            assert_eq!(out.ok().stdout, "other\n");
        }
    }
}

#[test]
fn the_environment_has_only_what_is_allowed() {
    let project = Project::new();
    for backend in backends() {
        let mut command = project.script(backend, &["--env", "GIVEN=1", "--env", "NAMED"], "env");
        command.envs([
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("LD_LIBRARY_PATH", "/lib"),
            ("GOROOT", "/nowhere"),
            ("GOAMD64", "v3"),
            ("NAMED", "2"),
            ("TZ", "UTC"),
        ]);
        let out = run(&mut command).ok().stdout;
        let has = |line: &str| out.lines().any(|found| found == line);
        for line in [
            "GIVEN=1",
            "NAMED=2",
            "GOAMD64=v3",
            "TZ=UTC",
            "GOPROXY=off",
            "GOTOOLCHAIN=local",
            "USER=sandbox",
        ] {
            assert!(has(line), "{line}: {out}");
        }
        for text in ["hunter2", "LD_LIBRARY_PATH", "GOROOT"] {
            assert!(!out.contains(text), "{text}: {out}");
        }
    }
}

#[test]
fn a_command_has_limited_time_and_cpus() {
    let project = Project::new();
    for backend in backends() {
        let out = project
            .sh(backend, &["--timeout", "1s"], "sleep 600; true")
            .exits(124);
        let last = out.stderr.lines().last();
        assert_eq!(
            last,
            Some("the command was ended, because its time was over")
        );
        let out = project
            .sh(backend, &["--cpus", "1"], "nproc; echo $GOMAXPROCS")
            .ok();
        assert_eq!(out.stdout, "1\n1\n");
    }
}

#[test]
fn a_build_cache_is_kept_on_request() {
    let project = Project::of_plain_user();
    for backend in backends() {
        let script = "cat $GOCACHE/mark; echo kept > $GOCACHE/mark";
        project.sh(backend, &[], script).ok();
        assert_eq!(project.sh(backend, &[], script).ok().stdout, "");
        let keep = ["--keep-cache"];
        project.sh(backend, &keep, script).ok();
        assert_eq!(project.sh(backend, &keep, script).ok().stdout, "kept\n");
        let _ = fs::remove_dir_all(project.path(".cache/ostree-go/run"));
    }
}

/// Waits until a file exists.
fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(
            start.elapsed() < Duration::from_mins(1),
            "{}",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn pid(running: &Running) -> Pid {
    Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap()
}

#[test]
fn signals_reach_the_command() {
    let project = Project::new();
    for backend in backends() {
        let script =
            "trap 'echo ended; exit 9' TERM INT; touch out/ready; while true; do sleep 0.1; done";
        for signal in [Signal::TERM, Signal::INT] {
            let running = Running::start(&mut project.script(backend, &["--write", "out"], script));
            wait_for(&project.path("src/out/ready"));
            kill_process(pid(&running), signal).unwrap();
            let out = running.wait(Duration::from_mins(1)).exits(9);
            assert_eq!(out.stdout, "ended\n");
            fs::remove_file(project.path("src/out/ready")).unwrap();
        }
    }
}

/// Returns true if a process runs whose arguments contain a word.
fn is_running(word: &str) -> bool {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .any(|args| {
            args.split(|byte| *byte == 0)
                .any(|arg| arg == word.as_bytes())
        })
}

#[test]
fn nothing_is_left_when_the_command_is_killed() {
    let project = Project::new();
    for (number, backend) in backends().into_iter().enumerate() {
        // A duration that no other process sleeps for.
        let word = format!("{}.{number}", 100_000 + std::process::id());
        let script = format!("touch out/ready; setsid sleep {word} & sleep {word}");
        let running = Running::start(&mut project.script(backend, &["--write", "out"], &script));
        wait_for(&project.path("src/out/ready"));
        running.kill();
        fs::remove_file(project.path("src/out/ready")).unwrap();
        let start = Instant::now();
        while is_running(&word) || !scratch().is_empty() {
            assert!(start.elapsed() < Duration::from_mins(1), "{:?}", scratch());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Returns the directories for temporary files of this user's sandboxes that no process uses.
fn scratch() -> Vec<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let entries = fs::read_dir(format!("/dev/shm/ostree-go-run-{user}"));
    let entries = entries.into_iter().flatten().filter_map(Result::ok);
    let is_left = |path: &PathBuf| {
        let opened = fs::File::open(path);
        opened.is_ok_and(|folder| {
            folder.metadata().is_ok_and(|found| found.is_dir()) && folder.try_lock().is_ok()
        })
    };
    entries.map(|entry| entry.path()).filter(is_left).collect()
}

#[test]
fn a_missing_sdk_is_installed_on_request() {
    let project = Project::new();
    let host = &project.host;
    host.release("1.99.2", 1_800_000_100);
    host.run(["publish"]).ok();
    let server = FaultyServer::serving(&host.sandbox.repo());
    let url = server.url();
    let mut add = host.command(["remote", "add", "acme", &url, "--no-gpg-verify"]);
    run(add.env_remove("OSTREE_REPO")).ok();
    project.file("src/go.mod", "module example.com/src\n\ngo 1.99.2\n");
    let words = ["--host-tools", "--", "sh", "-c", "command -v go"];
    let out = run(&mut project.command(&words)).exits(1);
    assert!(
        out.stderr.contains("hint: `ostree-go install --for "),
        "{out}"
    );
    assert_eq!(out.stdout, "");
    for installs in [true, false] {
        let out = run(&mut project.command(&[&["--install"], &words[..]].concat())).ok();
        assert_eq!(
            out.stderr.contains("go 1.99.2 is installed"),
            installs,
            "{out}"
        );
        assert!(out.stdout.ends_with("/usr/bin/go\n"), "{out}");
    }
    // It is for this project only.
    assert_eq!(host.active().as_deref(), Some("1.99.1"));
    let out = run(&mut project.command(&["--install", "--sdk", "1.99.1", "--", "true"])).exits(2);
    assert!(out.stderr.contains("cannot be used with"), "{out}");
}
