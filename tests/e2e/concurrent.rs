//! Concurrent composes in one repository: they run one after the other, and no result is lost.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::state::State;
use ostree_go_tests::toy::Toy;
use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Older versions come last, so that some composes find a newer version in the channel.
const VERSIONS: [&str; 5] = ["1.99.3", "1.99.5", "1.99.2", "1.99.4", "1.99.1"];
const CHANNEL: &str = "go-sdk/toy";

/// Writes a toy SDK and a treefile for it, and returns the name of the treefile.
fn prepare(sandbox: &Sandbox, version: &str, arch: Arch) -> String {
    let archive = sandbox.path(&format!("{version}.{arch}.tar.gz"));
    Toy::new(arch).version(version).tar_gz(&archive);
    let channels = format!("channels: [{CHANNEL}, \"go-sdk/${{basearch}}/1.99\"]");
    let lines = format!("arches: [{arch}]\n{}\n{channels}", source(&archive));
    let go = sandbox.treefile(version, &lines);
    let name = format!("{version}.{arch}.yaml");
    std::fs::rename(go, sandbox.path(&name)).expect("the treefile gets its name");
    name
}

#[test]
fn ten_processes_at_once() {
    let sandbox = Sandbox::new();
    let mut composes = Vec::new();
    for version in VERSIONS {
        for arch in Arch::ALL {
            composes.push((version, arch, prepare(&sandbox, version, arch)));
        }
    }
    // The repository is not there yet: who comes first makes it.
    let results: Vec<Output> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (_, _, name) in &composes {
            let sandbox = &sandbox;
            threads.push(scope.spawn(move || sandbox.run(["compose", name, "--format", "json"])));
        }
        let results = threads
            .into_iter()
            .map(|thread| thread.join().expect("a run"));
        results.collect()
    });
    let mut moved = 0;
    for (out, (version, arch, _)) in results.into_iter().zip(&composes) {
        let json: serde_json::Value = serde_json::from_str(&out.ok().stdout).expect("JSON");
        let release = &json["releases"][0];
        let name = format!("go-sdk/{arch}/{version}");
        assert_eq!(release["ref"], *name);
        assert_eq!(
            release["commit"].as_str().map(str::to_owned),
            sandbox.rev(&name)
        );
        match release["channels"][0]["state"].as_str() {
            Some("moved") => moved += 1,
            state => assert_eq!(state, Some("newer"), "{name}"),
        }
    }
    drop(State::of(&sandbox.repo()));

    let history = history(&sandbox, CHANNEL);
    assert_eq!(history.len(), moved, "no promotion is lost: {history:?}");
    assert!(
        history.is_sorted_by(|later, earlier| later >= earlier),
        "{history:?}"
    );
    assert_eq!(history.first().map(String::as_str), Some("1.99.5"));
    for arch in Arch::ALL {
        let of_arch = self::history(&sandbox, &format!("go-sdk/{arch}/1.99"));
        assert!(
            of_arch.is_sorted_by(|later, earlier| later > earlier),
            "{of_arch:?}"
        );
        assert_eq!(of_arch.first().map(String::as_str), Some("1.99.5"));
    }
}

/// Returns the versions of a channel, newest first.
fn history(sandbox: &Sandbox, channel: &str) -> Vec<String> {
    let log = ostree(&sandbox.repo(), ["log", channel]);
    let versions = log
        .lines()
        .filter_map(|line| line.strip_prefix("Version: "));
    versions.map(str::to_owned).collect()
}

/// Creates a sandbox with a release in its repository, and a treefile for the next release.
fn with_next() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    let first = prepare(&sandbox, "1.99.1", Arch::X86_64);
    sandbox.run(["compose", &first]).ok();
    let next = prepare(&sandbox, "1.99.2", Arch::X86_64);
    (sandbox, next)
}

#[test]
fn a_compose_reports_that_it_waits_and_continues() {
    let (sandbox, next) = with_next();
    let lock = lock(&sandbox);
    let mut waiting = Waiting::start(&mut sandbox.ostree_go(["compose", &next]));
    drop(lock);
    assert_eq!(waiting.end().0.code(), Some(0));
    assert_eq!(history(&sandbox, CHANNEL), ["1.99.2", "1.99.1"]);
}

#[test]
fn a_waiting_compose_can_be_cancelled() {
    for signal in ["TERM", "INT"] {
        let (sandbox, next) = with_next();
        let before = State::of(&sandbox.repo());
        let lock = lock(&sandbox);
        let mut waiting = Waiting::start(&mut sandbox.ostree_go(["compose", &next]));
        let pid = waiting.child.id().to_string();
        run(Command::new("kill").args(["-s", signal, &pid])).ok();
        let (status, said) = waiting.end();
        assert_eq!(status.code(), Some(130), "{said}");
        assert_eq!(said, "stopping…\nerror: stopped on request\n");
        State::of(&sandbox.repo()).assert_is(&before);
        drop(lock);
        sandbox.run(["compose", &next]).ok();
    }
}

/// The second treefile needs the output of `go env GOPROXY`, and this `go` sends the signal.
#[test]
fn a_signal_between_two_treefiles_stops_the_second_one() {
    let sandbox = Sandbox::new();
    let first = prepare(&sandbox, "1.99.1", Arch::X86_64);
    sandbox.treefile(
        "1.99.2",
        "arches: [x86_64]\nsource: [{ module: golang.org/toolchain }]",
    );
    let script = "#!/bin/sh\nkill -s INT $PPID\necho http://127.0.0.1:1\n";
    let go = sandbox.write("bin/go", script);
    std::fs::set_permissions(&go, Permissions::from_mode(0o755)).expect("an executable file");
    let path = std::env::var("PATH").expect("PATH");
    let path = format!("{}:{path}", sandbox.path("bin").display());
    let mut command = sandbox.ostree_go(["compose", &first, "go.yaml"]);
    let out = run(command.env("PATH", path)).exits(130);
    assert!(
        out.stderr.ends_with("\nerror: stopped on request\n"),
        "{}",
        out.stderr
    );
    assert!(sandbox.rev("go-sdk/x86_64/1.99.1").is_some());
    assert_eq!(sandbox.rev("go-sdk/x86_64/1.99.2"), None);
}

#[test]
fn a_killed_compose_releases_its_lock() {
    let (sandbox, next) = with_next();
    for point in ["compose.locked", "compose.source-read", "compose.refs-set"] {
        let out = run(sandbox
            .ostree_go(["compose", &next])
            .env("OSTREE_GO_FAILPOINT", point));
        assert_eq!(out.status.signal(), Some(9), "{point}: {}", out.stderr);
    }
    let start = Instant::now();
    let out = sandbox.run(["compose", &next]).ok();
    assert!(!out.stderr.contains("waiting"), "{}", out.stderr);
    assert!(start.elapsed() < Duration::from_secs(20), "it has waited");
    drop(State::of(&sandbox.repo()));
}

/// Holds the lock that protects refs.
fn lock(sandbox: &Sandbox) -> File {
    let file = File::open(sandbox.repo().join(".ostree-go.lock")).expect("the lock's file");
    file.lock().expect("the lock");
    file
}

/// A compose that waits for a lock.
struct Waiting {
    child: std::process::Child,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Waiting {
    /// Starts the compose, and returns when it has reported that it waits.
    fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("its stderr"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("a line");
        assert!(
            line.starts_with("waiting for another process to release"),
            "{line}"
        );
        Self { child, stderr }
    }

    /// Waits for the end, and returns the exit status and the remaining output.
    fn end(&mut self) -> (std::process::ExitStatus, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).expect("UTF-8");
        (self.child.wait().expect("it ends"), said)
    }
}
