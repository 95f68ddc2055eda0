//! Several composes in one repository: they take turns, and nobody's work is lost.

use ostree_go_sdk::Arch;
use ostree_go_tests::bench::{Bench, source};
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::state::State;
use ostree_go_tests::toy::Toy;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Older ones come last, so that some composes find a newer version in the channel.
const VERSIONS: [&str; 5] = ["1.99.3", "1.99.5", "1.99.2", "1.99.4", "1.99.1"];
const CHANNEL: &str = "go-sdk/toy";

/// Writes a toy and a treefile for it; returns the treefile's name.
fn prepare(bench: &Bench, version: &str, arch: Arch) -> String {
    let archive = bench.path(&format!("{version}.{arch}.tar.gz"));
    Toy::new(arch).version(version).tar_gz(&archive);
    let channels = format!("channels: [{CHANNEL}, \"go-sdk/${{basearch}}/1.99\"]");
    let lines = format!("arches: [{arch}]\n{}\n{channels}", source(&archive));
    let go = bench.treefile(version, &lines);
    let name = format!("{version}.{arch}.yaml");
    std::fs::rename(go, bench.path(&name)).expect("the treefile gets its name");
    name
}

#[test]
fn ten_at_once() {
    let bench = Bench::new();
    let mut composes = Vec::new();
    for version in VERSIONS {
        for arch in Arch::ALL {
            composes.push((version, arch, prepare(&bench, version, arch)));
        }
    }
    // The repository is not there yet: who comes first makes it.
    let results: Vec<Output> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (_, _, name) in &composes {
            let bench = &bench;
            threads.push(scope.spawn(move || bench.run(["compose", name, "--format", "json"])));
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
            bench.rev(&name)
        );
        match release["channels"][0]["state"].as_str() {
            Some("moved") => moved += 1,
            state => assert_eq!(state, Some("newer"), "{name}"),
        }
    }
    drop(State::of(&bench.repo()));

    let history = history(&bench, CHANNEL);
    assert_eq!(history.len(), moved, "no promotion is lost: {history:?}");
    assert!(
        history.is_sorted_by(|later, earlier| later >= earlier),
        "{history:?}"
    );
    assert_eq!(history.first().map(String::as_str), Some("1.99.5"));
    for arch in Arch::ALL {
        let of_arch = self::history(&bench, &format!("go-sdk/{arch}/1.99"));
        assert!(
            of_arch.is_sorted_by(|later, earlier| later > earlier),
            "{of_arch:?}"
        );
        assert_eq!(of_arch.first().map(String::as_str), Some("1.99.5"));
    }
}

/// The versions of a channel, the latest first.
fn history(bench: &Bench, channel: &str) -> Vec<String> {
    let log = ostree(&bench.repo(), ["log", channel]);
    let versions = log
        .lines()
        .filter_map(|line| line.strip_prefix("Version: "));
    versions.map(str::to_owned).collect()
}

/// A bench with a release in its repository, and the treefile of the next.
fn with_next() -> (Bench, String) {
    let bench = Bench::new();
    let first = prepare(&bench, "1.99.1", Arch::X86_64);
    bench.run(["compose", &first]).ok();
    let next = prepare(&bench, "1.99.2", Arch::X86_64);
    (bench, next)
}

#[test]
fn a_waiting_compose_says_so_and_goes_on() {
    let (bench, next) = with_next();
    let lock = lock(&bench);
    let mut waiting = Waiting::start(&mut bench.ostree_go(["compose", &next]));
    drop(lock);
    assert_eq!(waiting.end().0.code(), Some(0));
    assert_eq!(history(&bench, CHANNEL), ["1.99.2", "1.99.1"]);
}

#[test]
fn a_waiting_compose_can_be_stopped() {
    for signal in ["TERM", "INT"] {
        let (bench, next) = with_next();
        let before = State::of(&bench.repo());
        let lock = lock(&bench);
        let mut waiting = Waiting::start(&mut bench.ostree_go(["compose", &next]));
        let pid = waiting.child.id().to_string();
        run(Command::new("kill").args(["-s", signal, &pid])).ok();
        let (status, said) = waiting.end();
        assert_eq!(status.code(), Some(130), "{said}");
        assert_eq!(said, "error: stopped on request\n");
        State::of(&bench.repo()).assert_is(&before);
        drop(lock);
        bench.run(["compose", &next]).ok();
    }
}

#[test]
fn a_killed_compose_blocks_nobody() {
    let (bench, next) = with_next();
    for point in ["compose.locked", "compose.source-read", "compose.refs-set"] {
        let out = run(bench
            .ostree_go(["compose", &next])
            .env("OSTREE_GO_FAILPOINT", point));
        assert_eq!(out.status.signal(), Some(9), "{point}: {}", out.stderr);
    }
    let start = Instant::now();
    let out = bench.run(["compose", &next]).ok();
    assert!(!out.stderr.contains("waiting"), "{}", out.stderr);
    assert!(start.elapsed() < Duration::from_secs(20), "it has waited");
    drop(State::of(&bench.repo()));
}

/// Holds the lock of whoever moves refs.
fn lock(bench: &Bench) -> File {
    let file = File::open(bench.repo().join(".ostree-go.lock")).expect("the lock's file");
    file.lock().expect("the lock");
    file
}

/// A compose that waits.
struct Waiting {
    child: std::process::Child,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Waiting {
    /// Starts it and returns when it has said that it waits.
    fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("its stderr"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("a line");
        assert!(line.starts_with("waiting for another ostree-go"), "{line}");
        Self { child, stderr }
    }

    /// How it ended, and what else it said.
    fn end(&mut self) -> (std::process::ExitStatus, String) {
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).expect("UTF-8");
        (self.child.wait().expect("it ends"), said)
    }
}
