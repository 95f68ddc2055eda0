//! Processes that are killed while hooks run.

use ostree_go_tests::hooks::HookHost;
use ostree_go_tests::host::read;
use ostree_go_tests::kill::at_failpoint;
use ostree_go_tests::running::Running;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

/// Guards against hanging.
const LIMIT: Duration = Duration::from_mins(2);

static BOTH: [&str; 2] = ["required.d/10-a", "wanted.d/20-b"];

#[track_caller]
fn kill(host: &HookHost, args: &[&str], point: &str) {
    at_failpoint(&mut host.command(args.iter().copied()), point);
}

/// Asserts that `status` shows the active version, and whether its hooks have finished.
#[track_caller]
fn status(host: &HookHost, active: &str, is_finished: bool, point: &str) {
    assert_eq!(host.host.active().as_deref(), Some(active), "{point}");
    let out = host.run(["status"]).ok();
    let text = format!("the hooks of go {active} have not finished");
    assert_eq!(out.stderr.contains(&text), !is_finished, "{point}: {out}");
}

/// Removes 1.99.2, for the next round.
#[track_caller]
fn remove(host: &HookHost) {
    host.run(["uninstall", "1.99.2"]).ok();
    host.host.check();
    host.take_log();
}

#[test]
fn hooks_that_a_kill_has_interrupted_are_finished_by_the_next_command() {
    let host = HookHost::new();
    for name in BOTH {
        host.logging(name);
    }
    // The hooks that have run before the kill, and those that run after it.
    let points: [(&str, &[&str], &[&str]); 6] = [
        ("switch.done", &[], &BOTH),
        ("deploy.hooks-pending", &[], &BOTH),
        ("deploy.hook-ended", &BOTH[..1], &BOTH),
        ("deploy.hook-recorded", &BOTH[..1], &BOTH[1..]),
        ("deploy.hooks-pending@2", &BOTH[..1], &BOTH[1..]),
        ("deploy.hook-ended@2", &BOTH, &BOTH[1..]),
    ];
    let commands = [&["use", "1.99.2"][..], &["upgrade"]];
    for ((point, before, after), next) in points.into_iter().zip(commands.into_iter().cycle()) {
        kill(&host, &["upgrade"], point);
        assert_eq!(host.take_log(), before, "{point}");
        status(&host, "1.99.2", false, point);
        host.run(next.iter().copied()).ok();
        assert_eq!(host.take_log(), after, "{point}");
        status(&host, "1.99.2", true, point);
        let outcomes = ["10-a succeeded", "20-b succeeded"];
        assert_eq!(host.outcomes("1.99.2"), outcomes, "{point}");
        host.run(["rollback"]).ok();
        remove(&host);
    }
    // All have been recorded.
    kill(&host, &["upgrade"], "deploy.hook-recorded@2");
    status(&host, "1.99.2", true, "deploy.hook-recorded@2");
}

#[test]
fn a_switch_that_did_not_happen_has_no_hooks() {
    let host = HookHost::new();
    host.logging(BOTH[0]);
    kill(&host, &["upgrade"], "switch.recorded");
    status(&host, "1.99.1", true, "switch.recorded");
    assert_eq!(host.actions(), ["install"]);
    assert_eq!(host.take_log(), [""; 0]);
    host.run(["upgrade"]).ok();
    assert_eq!(host.take_log(), BOTH[..1]);
}

#[test]
fn a_rollback_is_possible_whatever_was_interrupted() {
    let host = HookHost::new();
    for name in BOTH {
        host.logging(name);
    }
    for point in ["switch.done", "deploy.hook-ended", "deploy.hook-recorded"] {
        kill(&host, &["upgrade"], point);
        host.take_log();
        host.run(["rollback"]).ok();
        assert_eq!(host.take_log(), [""; 0], "{point}");
        status(&host, "1.99.1", true, point);
        host.run(["use", "1.99.1"]).ok();
        assert_eq!(host.take_log(), [""; 0], "{point}");
        remove(&host);
    }
}

#[test]
fn a_kill_while_switching_back() {
    let host = HookHost::new();
    host.hook(BOTH[0], "echo failed >>\"$T/log\"; exit 1");
    // The first switch is that of the upgrade.
    kill(&host, &["upgrade"], "switch.recorded@2");
    status(&host, "1.99.2", false, "switch.recorded@2");
    let out = host.run(["use", "1.99.2"]).exits(1);
    let text = "hook 10-a failed with exit 1; switched back to go 1.99.1";
    assert!(out.stderr.contains(text), "{out}");
    assert_eq!(host.take_log(), ["failed", "failed"]);
    status(&host, "1.99.1", true, "use");
    remove(&host);
    kill(&host, &["upgrade"], "switch.done@2");
    status(&host, "1.99.1", true, "switch.done@2");
    assert_eq!(host.outcomes("1.99.2"), ["10-a exited"]);
    host.run(["upgrade", "--no-hooks"]).ok();
    status(&host, "1.99.2", true, "upgrade");
    host.host.check();
}

#[test]
fn a_kill_while_the_first_sdk_is_deactivated() {
    let host = HookHost::empty();
    host.host.release("1.99.1", 100);
    host.hook(BOTH[0], "exit 1");
    let install = ["install", "1.99", "--from-repo", "repo"];
    kill(&host, &install, "uninstall.deactivated");
    assert_eq!(host.host.active(), None);
    host.run(["status"]).ok();
    host.logging(BOTH[0]);
    host.run(install).ok();
    status(&host, "1.99.1", true, "install");
    host.host.check();
}

#[test]
fn a_kill_while_a_hook_runs() {
    let host = HookHost::new();
    host.logging(BOTH[0]);
    host.hook(BOTH[1], "echo $$ >\"$T/hook\"; exec sleep 600");
    let running = Running::start(&mut host.command(["upgrade"]));
    let start = Instant::now();
    while fs::read_to_string(host.path("hook")).map_or(0, |text| text.len()) == 0 {
        assert!(start.elapsed() < LIMIT, "the hook does not run");
        std::thread::sleep(Duration::from_millis(5));
    }
    let out = running.kill();
    assert_eq!(out.status.signal(), Some(9), "{out}");
    // Nothing ends the hook of a process that was killed.
    let hook: i32 = read(&host.path("hook")).trim().parse().unwrap();
    kill_process(Pid::from_raw(hook).unwrap(), Signal::KILL).unwrap();
    assert_eq!(host.take_log(), BOTH[..1]);
    status(&host, "1.99.2", false, "kill");
    let outcomes = ["10-a succeeded", "20-b pending"];
    assert_eq!(host.outcomes("1.99.2"), outcomes);
    host.logging(BOTH[1]);
    host.run(["use", "1.99.2"]).ok();
    assert_eq!(host.take_log(), BOTH[1..]);
    status(&host, "1.99.2", true, "use");
    host.host.check();
}
