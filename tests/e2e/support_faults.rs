//! Tests of the kill runner, the fault injector and the power-cut disk: a method that finds nothing must be able to find something.

use std::cell::Cell;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ostree_go_tests::inject::{Calls, Effect, Fault, Injector};
use ostree_go_tests::kill;
use ostree_go_tests::memory::MemoryLimit;
use ostree_go_tests::powercut::{Disk, Kind};
use ostree_go_tests::random::Random;
use ostree_go_tests::running::{Running, run_within};

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let numbers = |seed| {
        let mut random = Random::with_seed(seed);
        (0..10).map(|_| random.below(1000)).collect::<Vec<_>>()
    };
    assert_eq!(numbers(1), numbers(1));
    assert_ne!(numbers(1), numbers(2));
    let mut random = Random::with_seed(3);
    assert_eq!(random.sample(3, 5), [1, 2, 3]);
    assert_eq!(random.sample(100, 5).len(), 5);
    assert_eq!(random.sample(0, 5), [0; 0]);
}

#[test]
fn kills_come_at_different_moments() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let prepared = Cell::new(0);
    let mut lengths = Vec::new();
    let killed = kill::rounds(
        8,
        &mut Random::with_seed(5),
        || {
            prepared.set(prepared.get() + 1);
            fs::write(&log, "").unwrap();
            let script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i >> log; sleep 0.02; done";
            let mut command = Command::new("sh");
            command.args(["-c", script]).current_dir(folder.path());
            command
        },
        |_| lengths.push(fs::read_to_string(&log).unwrap().lines().count()),
    );
    assert_eq!(prepared.get(), 9, "before each run and the undisturbed one");
    assert!(killed > 0);
    assert!(lengths.iter().any(|length| *length < 10), "{lengths:?}");
    lengths.dedup();
    assert!(lengths.len() > 1, "{lengths:?}");
}

#[test]
#[should_panic = "hangs"]
fn a_command_that_hangs_is_found() {
    run_within(Command::new("sleep").arg("60"), Duration::from_millis(50));
}

#[test]
fn a_killed_command_reports_its_signal_and_output() {
    let mut running = Running::start(Command::new("sh").args(["-c", "echo out; exec sleep 60"]));
    assert!(!running.ends_within(Duration::from_millis(300)));
    let out = running.kill();
    assert_eq!(out.status.signal(), Some(9));
    assert_eq!(out.stdout, "out\n");
}

#[test]
fn faults_come_at_the_call_that_was_chosen() {
    let Some(injector) = Injector::new() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // `mv` exits with 1 for a file that it cannot rename.
    let mv = || {
        for name in ["a", "b"] {
            let _ = fs::create_dir(folder.path().join("to"));
            fs::write(folder.path().join(name), name).unwrap();
            let _ = fs::remove_file(folder.path().join("to").join(name));
        }
        let mut command = Command::new("mv");
        command.args(["a", "b", "to"]).current_dir(folder.path());
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command
    };
    let exists = |name: &str| folder.path().join(name).exists();
    let names = ["rename", "renameat", "renameat2"];
    let calls = Calls::of(&injector, &names, &mv());
    let (name, positions) = calls.iter().last().expect("a rename");
    assert_eq!(positions, [1, 2]);

    let fault = Fault::error(name, "EIO", 2);
    let out = run_within(&mut injector.with(&fault, &mv()), kill::LIMIT).exits(1);
    assert!(out.stderr.contains("Input/output error"), "{out}");
    assert!(exists("to/a") && exists("b") && !exists("to/b"));

    let all = Fault {
        effect: Effect::ErrorFromThereOn("EIO"),
        ..Fault::error(name, "EIO", 1)
    };
    run_within(&mut injector.with(&all, &mv()), kill::LIMIT).exits(1);
    assert!(exists("a") && exists("b") && !exists("to/a") && !exists("to/b"));

    let fault = Fault::kill(name, 2);
    let out = run_within(&mut injector.with(&fault, &mv()), kill::LIMIT);
    assert_eq!(out.status.signal(), Some(9), "{out}");
    assert!(exists("to/a") && exists("b") && !exists("to/b"));
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_nothing_else() {
    for kind in Kind::ALL {
        let Some(disk) = Disk::new(kind) else { return };
        let write = |name: &str, synced: bool| {
            fs::write(disk.path().join(name), name).unwrap();
            if synced {
                // The folder as well, whose entry names the file.
                for path in [&*disk.path().join(name), &*disk.path()] {
                    sync(path);
                }
            }
        };
        write("kept", true);
        write("lost", false);
        disk.cut_power();
        let names = || {
            let entries = fs::read_dir(disk.path()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.filter(|name| name != "lost+found").collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["kept"], "{kind:?}");
        assert_eq!(
            fs::read_to_string(disk.path().join("kept")).unwrap(),
            "kept"
        );

        disk.save();
        write("later", true);
        assert_eq!(names(), ["kept", "later"], "{kind:?}");
        disk.restore();
        assert_eq!(names(), ["kept"], "{kind:?}");
    }
}

fn sync(path: &Path) {
    fs::File::open(path).unwrap().sync_all().unwrap();
}

#[test]
fn a_command_that_needs_too_much_memory_is_killed() {
    let Some(limit) = MemoryLimit::new(32 << 20) else {
        return;
    };
    let run = |bytes: &str| {
        let script = format!("head -c {bytes} /dev/zero | tail -c {bytes} | wc -c");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).env("PATH", "/usr/bin:/bin");
        run_within(&mut limit.wrap(&command), Duration::from_secs(60)).stdout
    };
    assert_eq!(run("1000000").trim(), "1000000");
    assert_ne!(run("100000000").trim(), "100000000");
}

#[test]
fn a_child_of_a_command_is_killed_by_its_name() {
    // The child has a process group of its own, as GnuPG has.
    let mut running = Running::start(Command::new("sh").args(["-c", "setsid sleep 60; echo end"]));
    let killed = || running.kill_children_named("sleep");
    let start = std::time::Instant::now();
    while !killed() {
        assert!(start.elapsed() < Duration::from_secs(30), "no child");
    }
    assert!(running.ends_within(Duration::from_secs(30)));
    assert!(!running.kill_children_named("sleep"));
}
