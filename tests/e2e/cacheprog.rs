//! `cacheprog` with a real go command.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ostree_go_sdk::stdcache::{SeedLink, StdCache, seed_gocache};
use ostree_go_sdk::{Arch, SystemClock};
use ostree_go_tests::cli::{Output, binary, run};
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::sdk::{self, Sdk};
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::{small_std_cache, tools};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A module, a std cache for it, and a directory to write to.
struct Fixture {
    sandbox: Sandbox,
    sdk: Sdk,
    std: PathBuf,
}

impl Fixture {
    fn new() -> Option<Self> {
        if std::env::consts::ARCH != "x86_64" {
            tools::skip("this machine cannot run x86_64 programs");
            return None;
        }
        let sdk = sdk::sdk("1.26.5", Arch::X86_64)?;
        let sandbox = Sandbox::new();
        small_std_cache::program(&sandbox.path("hello"), "hello");
        let std = small_std_cache::small(&sdk);
        Some(Self { sandbox, sdk, std })
    }

    /// Returns the value of `GOCACHEPROG` with additional arguments.
    fn program(&self, std: &Path, args: &str) -> String {
        let (binary, std) = (binary().display(), std.display());
        format!("'{binary}' cacheprog --verbose --stdcache '{std}' {args}")
    }

    /// Builds a module, prints the names of the packages that are compiled, and runs the program.
    fn command(&self, module: &str, program: &str) -> Command {
        let module = self.sandbox.path(module);
        let mut go = small_std_cache::go(&self.sdk, &module, &["build", "-v", "-o", "hello", "."]);
        go.env("GOCACHE", self.sandbox.path("write"));
        go.env("GOCACHEPROG", program);
        go
    }

    fn build(&self, program: &str) -> Output {
        let out = run(&mut self.command("hello", program)).ok();
        let hello = run(&mut Command::new(self.sandbox.path("hello/hello"))).ok();
        assert_eq!(hello.stderr, "hello\n");
        out
    }
}

/// Returns the packages that `go build -v` has compiled.
fn compiled(out: &Output) -> Vec<&str> {
    let lines = out.stderr.lines();
    lines.filter(|line| !line.contains(' ')).collect()
}

const ONLY_THE_PROGRAM: [&str; 1] = ["example.com/hello"];

#[test]
fn a_build_uses_the_std_cache_and_stores_the_rest() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let program = fixture.program(&fixture.std, "");
    let out = fixture.build(&program);
    assert_eq!(compiled(&out), ONLY_THE_PROGRAM, "{out}");
    assert!(
        out.stderr
            .contains(" hits from std caches, 0 from the write directory"),
        "{out}"
    );
    // Everything is stored now, also for a go command that does not use the command.
    let again = fixture.build(&program);
    assert!(compiled(&again).is_empty(), "{again}");
    let stored = fs::read_to_string(fixture.sandbox.path("write/ostree-go-verified"));
    assert!(stored.unwrap().lines().count() > 10);
    let clean = ["clean", "-cache"];
    let mut clean = small_std_cache::go(&fixture.sdk, &fixture.sandbox.path("hello"), &clean);
    run(clean.env("GOCACHE", fixture.sandbox.path("write"))).ok();
    let out = fixture.build(&program);
    assert!(out.stderr.contains(" 0 from the write directory"), "{out}");
}

#[test]
fn a_cache_is_still_warm_without_the_command() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let empty = fixture.sandbox.path("empty");
    fs::create_dir_all(&empty).unwrap();
    fs::write(empty.join("index"), "ostree-go stdcache 1\n").unwrap();
    let out = fixture.build(&fixture.program(&empty, ""));
    assert!(compiled(&out).contains(&"runtime"), "{out}");
    let out = fixture.build("");
    assert!(compiled(&out).is_empty(), "{out}");
}

#[test]
fn two_builds_share_the_directory() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let program = fixture.program(&fixture.std, "");
    small_std_cache::program(&fixture.sandbox.path("other"), "other");
    let start = |module: &str| {
        let mut command = fixture.command(module, &program);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("go starts")
    };
    let running = [start("hello"), start("other"), start("hello")];
    for child in running.map(Child::wait_with_output) {
        let out = child.unwrap();
        assert!(out.status.success(), "{out:?}");
    }
    let out = fixture.build(&program);
    assert!(compiled(&out).is_empty(), "{out}");
}

#[test]
fn damaged_and_missing_archives_are_compiled_again() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let std = fixture.sandbox.path("std");
    small_std_cache::copy(&fixture.std, &std);
    let mut outputs: Vec<PathBuf> = fs::read_dir(std.join("outputs"))
        .unwrap()
        .flat_map(|dir| fs::read_dir(dir.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    outputs.sort_by_key(|path| path.metadata().unwrap().len());
    let [.., missing, changed] = outputs.as_slice() else {
        panic!("{outputs:?}");
    };
    fs::remove_file(missing).unwrap();
    let mut content = fs::read(changed).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(changed, content).unwrap();
    let program = fixture.program(&std, "");
    let out = fixture.build(&program);
    assert_eq!(compiled(&out).len(), 3, "{out}");
    for path in [missing, changed] {
        let expected = format!(
            "warning: {} is missing or damaged; what it contains is compiled again\n",
            path.display()
        );
        assert!(out.stderr.contains(&expected), "{out}");
    }
    let out = fixture.build(&program);
    assert!(compiled(&out).is_empty(), "{out}");
}

#[test]
fn a_std_cache_that_cannot_be_opened_is_reported() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let out = fixture.build(&fixture.program(&fixture.sandbox.write("std/index", "x\n"), ""));
    assert!(compiled(&out).contains(&"runtime"), "{out}");
    assert!(out.stderr.contains("warning: cannot read "), "{out}");
    let out = fixture.build(&fixture.program(&fixture.sandbox.path("std"), ""));
    assert!(
        out.stderr.contains("std/index is not the index of a std cache: the first line is not `ostree-go stdcache 1`"),
        "{out}"
    );
}

#[test]
fn the_directory_stays_below_its_limit() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let program = fixture.program(&fixture.std, "--max-size 20K");
    let out = fixture.build(&program);
    assert_eq!(compiled(&out), ONLY_THE_PROGRAM, "{out}");
    assert!(out.stderr.contains("cacheprog: removed "), "{out}");
    for _ in 0..3 {
        fixture.build(&program);
        let files = fs::read_dir(fixture.sandbox.path("write")).unwrap();
        let dirs = files.filter_map(|dir| fs::read_dir(dir.unwrap().path()).ok());
        let files = dirs.flatten();
        let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
        assert!(sizes.sum::<u64>() <= 20_000);
    }
}

#[test]
fn a_build_on_a_full_disk_succeeds() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let Some(disk) = Tmpfs::mount(1 << 20) else {
        return;
    };
    disk.fill();
    let write = format!("--write '{}'", disk.path().display());
    let out = fixture.build(&fixture.program(&fixture.std, &write));
    assert_eq!(compiled(&out), ONLY_THE_PROGRAM, "{out}");
    assert!(out.stderr.contains("could not be stored in"), "{out}");
}

#[test]
fn a_directory_that_cannot_be_written_is_reported() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let Some(disk) = Tmpfs::mount(1 << 20) else {
        return;
    };
    disk.remount("ro");
    let write = format!("--write '{}'", disk.path().display());
    let program = fixture.program(&fixture.std, &write);
    let out = fixture.build(&program);
    assert_eq!(compiled(&out), ONLY_THE_PROGRAM, "{out}");
    let expected = format!(
        "warning: cannot lock {}/ostree-go.lock",
        disk.path().display()
    );
    assert!(out.stderr.contains(&expected), "{out}");
    // The go command needs paths of files that exist as long as it runs.
    let module = fixture.sandbox.path("hello");
    let mut list = small_std_cache::go(
        &fixture.sdk,
        &module,
        &["list", "-export", "-f", "{{.Export}}", "."],
    );
    list.env("GOCACHE", fixture.sandbox.path("write"));
    let out = run(list.env("GOCACHEPROG", &program)).ok();
    assert!(out.stdout.starts_with('/'), "{out}");
}

#[test]
fn a_killed_process_leaves_a_usable_directory() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let write = fixture.sandbox.path("write");
    let mut child = start(&write);
    let id = STANDARD.encode([7; 32]);
    let request = format!(
        "{{\"ID\":1,\"Command\":\"put\",\"ActionID\":\"{id}\",\"OutputID\":\"{id}\",\"BodySize\":3000000}}\n\"{}",
        STANDARD.encode(vec![0; 1_500_000])
    );
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(request.as_bytes())
        .unwrap();
    let is_temporary = |name: &str| name.starts_with(".ostree-go-");
    let temporary = || {
        let dir = fs::read_dir(write.join("07"))
            .into_iter()
            .flatten()
            .flatten();
        dir.filter(|file| is_temporary(file.file_name().to_str().unwrap()))
            .count()
    };
    while temporary() == 0 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(temporary(), 1);
    // The first trim of a directory is due at once.
    let out = fixture.build(&fixture.program(&fixture.std, ""));
    assert!(out.stderr.contains("cacheprog: removed 1 file"), "{out}");
    assert_eq!(temporary(), 0);
}

#[test]
fn signals_end_the_service_and_leave_nothing() {
    for signal in ["TERM", "INT"] {
        let sandbox = Sandbox::new();
        let mut command = Command::new(binary());
        // Without a directory to write to, entries are in a temporary one.
        command
            .args(["cacheprog", "--root"])
            .arg(sandbox.path("root"));
        let temporary = sandbox.path("tmp");
        fs::create_dir(&temporary).unwrap();
        command.env_clear().env("TMPDIR", &temporary);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut first = [0; 10];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut first)
            .unwrap();
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 1);
        let mut kill = Command::new("kill");
        run(kill.args(["-s", signal, &child.id().to_string()])).ok();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "{signal}");
    }
}

#[test]
fn input_that_is_not_of_the_protocol() {
    let sandbox = Sandbox::new();
    let mut child = start(&sandbox.path("write"));
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    insta::assert_snapshot!(String::from_utf8(out.stderr).unwrap(), @r"
    error: the go command sent an invalid request: expected value at line 1 column 1
    hint: the go command runs this command: `ostree-go env --cache` prints the setting for it
    ");
    let mut command = sandbox.ostree_go(["cacheprog", "--max-size", "big"]);
    let out = run(&mut command).exits(2);
    assert!(
        out.stderr
            .contains("expected a size such as 500M, 10G or 2GiB"),
        "{out}"
    );
}

/// Starts the command as the go command does.
fn start(write: &Path) -> Child {
    let mut command = Command::new(binary());
    command.arg("cacheprog").arg("--write").arg(write);
    command.arg("--root").arg(write.with_file_name("root"));
    command.env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    command.spawn().expect("the command starts")
}

#[test]
fn a_seeded_cache_is_warm_without_the_command() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let caches = [StdCache::open(&fixture.std).unwrap()];
    for link in [SeedLink::Symlink, SeedLink::Hard] {
        let dest = tempfile::tempdir_in(fixture.std.parent().unwrap()).unwrap();
        seed_gocache(&caches, dest.path(), link, &SystemClock).unwrap();
        // The go command does not build a program that it finds to be up to date.
        let _ = fs::remove_file(fixture.sandbox.path("hello/hello"));
        for expected in [&ONLY_THE_PROGRAM[..], &[]] {
            let mut go = fixture.command("hello", "");
            let out = run(go.env("GOCACHE", dest.path())).ok();
            assert_eq!(compiled(&out), expected, "{link:?}: {out}");
        }
    }
}
