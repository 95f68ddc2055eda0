//! Hooks after a deployment.

use ostree_go_tests::cli::{run, workspace};
use ostree_go_tests::hooks::{HookHost, set_mode};
use ostree_go_tests::host::read;
use ostree_go_tests::running::Running;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::signals::interrupt;
use ostree_go_tests::tools;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

/// Guards against hanging.
const LIMIT: Duration = Duration::from_mins(2);

#[test]
fn required_hooks_run_before_wanted_ones_and_other_files_do_not_run() {
    let host = HookHost::new();
    for name in ["wanted.d/05-c", "required.d/20-b", "required.d/10-a"] {
        host.logging(name);
    }
    for name in ["required.d/30-x~", "wanted.d/x.rpmsave", "wanted.d/.x"] {
        host.logging(name);
    }
    let removed = host.logging("wanted.d/50-removed");
    fs::remove_file(&removed).unwrap();
    symlink("/dev/null", &removed).unwrap();
    let plain = host.logging("required.d/40-plain");
    set_mode(&plain, 0o644);
    let out = host.run(["upgrade"]).ok();
    let expected = "running hook 10-a\nrunning hook 20-b\nrunning hook 05-c\n\
        go 1.99.2 is installed and active (unsigned)\n\
        warning: hook 40-plain is not executable and was left out\n";
    assert_eq!(out.stderr, expected);
    let order = ["required.d/10-a", "required.d/20-b", "wanted.d/05-c"];
    assert_eq!(host.take_log(), order);
    let outcomes = [
        "10-a succeeded",
        "20-b succeeded",
        "40-plain not-executable",
        "05-c succeeded",
    ];
    assert_eq!(host.outcomes("1.99.2"), outcomes);
    // Nothing was switched, or hooks were not wanted.
    host.run(["upgrade"]).ok();
    host.run(["use", "1.99.2"]).ok();
    host.run(["use", "1.99.1", "--no-hooks"]).ok();
    host.run(["install", "1.99.2", "--from-repo", "repo", "--no-activate"])
        .ok();
    assert_eq!(host.take_log(), [""; 0]);
    host.run(["use", "1.99.2"]).ok();
    assert_eq!(host.take_log(), order);
    host.host.check();
}

#[test]
fn a_hook_has_a_cleared_environment_and_a_process_group() {
    let host = HookHost::new();
    let script = r#"
tr '\0' '\n' <"/proc/$$/environ" >"$T/environment"
{ readlink "/proc/$$/fd/0"; pwd; } >"$T/place"
[ "$(cut -d' ' -f5 "/proc/$$/stat")" = "$$" ]
"#;
    host.hook("required.d/10-a", script);
    let mut command = host.command(["upgrade"]);
    run(command.env("GOFLAGS", "-mod=mod")).ok();
    let status = host.json(["status"]);
    let commit = |at: usize| status["deployments"][at]["commit"].as_str().unwrap();
    let root = host.host.root();
    let goroot = root.join("deployments").join(commit(0));
    let goroot = goroot.join("usr/lib/sdk/go-1.99");
    let goarch = host.host.arch().goarch();
    let home = command.get_envs().find(|(name, _)| *name == "HOME");
    let home = home.unwrap().1.unwrap().to_str().unwrap();
    let expected = [
        ("HOME", home.to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("OSTREE_GO_COMMIT", commit(0).to_owned()),
        ("OSTREE_GO_EVENT", "post-deploy".to_owned()),
        ("OSTREE_GO_GOROOT", goroot.display().to_string()),
        ("OSTREE_GO_HOOK", "1".to_owned()),
        (
            "OSTREE_GO_MODULE_VERSION",
            format!("golang.org/toolchain@v0.0.1-go1.99.2.linux-{goarch}"),
        ),
        ("OSTREE_GO_OPERATION", "upgrade".to_owned()),
        ("OSTREE_GO_PREVIOUS_COMMIT", commit(1).to_owned()),
        ("OSTREE_GO_PREVIOUS_VERSION", "1.99.1".to_owned()),
        ("OSTREE_GO_ROOT", root.display().to_string()),
        ("OSTREE_GO_VERSION", "1.99.2".to_owned()),
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        ),
    ];
    let text = read(&host.path("environment"));
    let found: BTreeMap<&str, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    assert_eq!(found, BTreeMap::from(expected));
    assert_eq!(read(&host.path("place")), "/dev/null\n/\n");
}

#[test]
fn a_required_hook_that_fails_switches_back() {
    let host = HookHost::new();
    host.hook(
        "required.d/10-check",
        "echo no compiler; echo broken >&2; exit 3",
    );
    host.logging("required.d/20-next");
    host.logging("wanted.d/10-check");
    let out = host.run(["upgrade"]).exits(1);
    let expected = "running hook 10-check\n10-check: no compiler\n10-check: broken\n\
        error: hook 10-check failed with exit 3; switched back to go 1.99.1\n  no compiler broken\n\
        hint: `ostree-go status` shows the results of all hooks; `ostree-go use 1.99.2` runs them again\n";
    assert_eq!(out.stderr, expected);
    assert_eq!(host.host.active().as_deref(), Some("1.99.1"));
    assert_eq!(host.take_log(), [""; 0]);
    let outcomes = ["10-check exited", "20-next skipped", "10-check skipped"];
    assert_eq!(host.outcomes("1.99.2"), outcomes);
    let out = host.run(["status"]).ok();
    let text = "hook 10-check of go 1.99.2 failed with exit 3; switched back to go 1.99.1";
    assert_eq!(out.stderr, format!("warning: {text}\n"));
    assert!(out.stdout.contains("exited 3"), "{out}");
    let status = host.json(["status"]);
    assert_eq!(status["deployments"][0]["switched_back"], true);
    assert_eq!(status["deployments"][0]["hooks"][0]["code"], 3);
    let output = &status["deployments"][0]["hooks"][0]["output"];
    assert_eq!(output, "no compiler\nbroken");
    assert_eq!(status["history"][2]["switched_back"], true);
    assert_eq!(host.actions(), ["install", "upgrade", "rollback"]);
    // An SDK that a hook has refused is no target of a rollback.
    let out = host.run(["rollback"]).exits(1);
    assert!(
        out.stderr.contains("no deployment to roll back to"),
        "{out}"
    );
    host.logging("required.d/10-check");
    let used = host.json(["use", "1.99.2"]);
    assert_eq!(used["hooks"].as_array().unwrap().len(), 3);
    assert_eq!(host.host.active().as_deref(), Some("1.99.2"));
    assert_eq!(host.run(["status"]).ok().stderr, "");
    host.host.check();
}

#[test]
fn a_hook_that_fails_after_the_first_installation_leaves_no_active_sdk() {
    let host = HookHost::empty();
    host.host.release("1.99.1", 100);
    host.hook("required.d/10-check", "[ -e \"$T/good\" ]");
    let out = host
        .run(["install", "1.99", "--from-repo", "repo"])
        .exits(1);
    let text = "hook 10-check failed with exit 1; no SDK is active, as before";
    assert!(out.stderr.contains(text), "{out}");
    assert_eq!(host.host.active(), None);
    assert!(!host.host.current("").exists());
    let out = host.run(["status"]).ok();
    let text = "hook 10-check of go 1.99.1 failed with exit 1; no SDK is active";
    assert!(out.stderr.contains(text), "{out}");
    fs::write(host.path("good"), "").unwrap();
    let installed = host.json(["install", "1.99", "--from-repo", "repo"]);
    assert_eq!(installed["activated"], true);
    assert_eq!(installed["hooks"][0]["kind"], "required");
    assert_eq!(installed["hooks"][0]["outcome"], "succeeded");
    host.host.check();
}

#[test]
fn a_wanted_hook_that_fails_is_a_warning() {
    let host = HookHost::new();
    host.hook("wanted.d/10-a", "echo offline >&2; exit 1");
    host.hook("wanted.d/20-b", "kill -KILL $$");
    let broken = host.hook("wanted.d/30-c", "");
    fs::write(&broken, "#!/nonexistent/shell\n").unwrap();
    host.logging("wanted.d/40-d");
    let out = host.run(["upgrade"]).ok();
    for text in [
        "warning: hook 10-a failed with exit 1: offline\n",
        "warning: hook 20-b was killed by signal 9\n",
        "warning: hook 30-c cannot be started: ",
    ] {
        assert!(out.stderr.contains(text), "{out}");
    }
    assert_eq!(host.host.active().as_deref(), Some("1.99.2"));
    let outcomes = [
        "10-a exited",
        "20-b killed",
        "30-c not-started",
        "40-d succeeded",
    ];
    assert_eq!(host.outcomes("1.99.2"), outcomes);
    // They have finished, so that nothing is repeated.
    host.take_log();
    host.run(["use", "1.99.2"]).ok();
    assert_eq!(host.take_log(), [""; 0]);
}

#[test]
fn a_hook_and_its_children_are_killed_when_the_time_is_over() {
    let host = HookHost::new();
    let script = "(trap '' TERM; exec sleep 600) & echo $! >\"$T/child\"; wait";
    host.hook("required.d/10-check", script);
    let out = host.run(["upgrade", "--hook-timeout", "1"]).exits(1);
    let text = "hook 10-check timed out; switched back to go 1.99.1";
    assert!(out.stderr.contains(text), "{out}");
    await_end(&host, "child");
    assert_eq!(host.outcomes("1.99.2"), ["10-check timed-out"]);
}

/// Waits until a process that was killed has ended.
#[track_caller]
fn await_end(host: &HookHost, file: &str) {
    let start = Instant::now();
    while host.is_running(file) {
        assert!(start.elapsed() < LIMIT, "the process of {file} runs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_interrupted_hook_is_ended() {
    for (kind, active, after) in [
        ("required", "1.99.1", "switched back to go 1.99.1"),
        ("wanted", "1.99.2", "go 1.99.2 stays active"),
    ] {
        let host = HookHost::new();
        let script = "echo $$ >\"$T/hook\"; exec sleep 600";
        let path = host.hook(&format!("{kind}.d/10-check"), script);
        let running = Running::start(&mut host.command(["upgrade"]));
        let start = Instant::now();
        while fs::read_to_string(host.path("hook")).map_or(0, |text| text.len()) == 0 {
            assert!(start.elapsed() < LIMIT, "the hook does not run");
            std::thread::sleep(Duration::from_millis(5));
        }
        interrupt(running.id());
        let out = running.wait(LIMIT).exits(130);
        let text = format!("error: hook 10-check was interrupted; {after}\n");
        assert!(out.stderr.contains(&text), "{out}");
        await_end(&host, "hook");
        assert_eq!(host.host.active().as_deref(), Some(active));
        assert_eq!(host.outcomes("1.99.2"), ["10-check interrupted"]);
        fs::remove_file(path).unwrap();
        host.logging(&format!("{kind}.d/10-check"));
        host.run(["use", "1.99.2"]).ok();
        assert_eq!(host.outcomes("1.99.2"), ["10-check succeeded"]);
    }
}

#[test]
fn a_hook_with_much_output_needs_little_memory_and_prints_its_end() {
    let host = HookHost::new();
    host.hook(
        "required.d/10-check",
        "yes | head -c 200M; echo end; exit 1",
    );
    let out = host.run(["upgrade"]).exits(1);
    assert!(out.stderr.len() < 1 << 20, "{}", out.stderr.len());
    assert!(out.stderr.contains("10-check: y\n10-check: end\n"));
    assert!(out.stderr.contains("\n  y y y y end\n"));
    assert!(
        host.host
            .root()
            .join("state.json")
            .metadata()
            .unwrap()
            .len()
            < 1 << 16
    );
}

#[test]
fn a_hook_that_removes_write_permission_leaves_a_consistent_root() {
    let host = HookHost::new();
    let root = host.host.root();
    host.hook("wanted.d/10-check", "chmod u-w \"$OSTREE_GO_ROOT\"");
    let out = host.run(["upgrade"]).exits(1);
    let text = "error: go 1.99.2 is active, and its hooks have not finished\n";
    assert!(out.stderr.contains(text), "{out}");
    assert!(!out.stderr.contains("nothing was deployed"), "{out}");
    let out = host.run(["status"]).ok();
    let text = "the hooks of go 1.99.2 have not finished";
    assert!(out.stderr.contains(text), "{out}");
    set_mode(&root, 0o755);
    host.logging("wanted.d/10-check");
    let out = host.run(["use", "1.99.2"]).ok();
    assert!(out.stderr.contains("go 1.99.2 is already active"), "{out}");
    assert_eq!(host.take_log(), ["wanted.d/10-check"]);
    assert_eq!(host.run(["status"]).ok().stderr, "");
    host.host.check();
}

#[test]
fn a_hook_can_use_the_root_and_cannot_deploy() {
    let host = HookHost::new();
    let script = r#"
"$OSTREE_GO" status --verify none >"$T/status" 2>&1
"$OSTREE_GO" gc --quiet
"$OSTREE_GO" pin 1.99.1 --quiet
for verb in upgrade 'use 1.99.1' "install 1.99.1 --from-repo $T/repo"; do
    if "$OSTREE_GO" $verb >>"$T/nested" 2>&1; then exit 9; fi
done
"#;
    host.hook("required.d/10-check", script);
    host.run(["upgrade"]).ok();
    let status = read(&host.path("status"));
    assert!(
        status.contains("hooks of go 1.99.2 have not finished"),
        "{status}"
    );
    let nested = read(&host.path("nested"));
    let text = "error: a hook cannot start a deployment, because hooks would run again after it\n";
    assert_eq!(nested.matches(text).count(), 3, "{nested}");
    assert_eq!(host.host.active().as_deref(), Some("1.99.2"));
    let status = host.json(["status"]);
    assert_eq!(status["deployments"][1]["pinned"], true);
    host.host.check();
}

#[test]
fn a_switch_by_another_process_is_kept() {
    let host = HookHost::new();
    let script = "\"$OSTREE_GO\" rollback --quiet; exit 1";
    host.hook("required.d/10-check", script);
    host.logging("required.d/20-next");
    let out = host.run(["upgrade"]).exits(1);
    let text =
        "hook 10-check failed with exit 1; another process has changed the active SDK meanwhile";
    assert!(out.stderr.contains(text), "{out}");
    assert_eq!(host.host.active().as_deref(), Some("1.99.1"));
    assert_eq!(host.actions(), ["install", "upgrade", "rollback"]);
    // The same, but the hook succeeds: the others are not for the SDK that is active now.
    host.hook("required.d/10-check", "\"$OSTREE_GO\" rollback --quiet");
    let out = host.run(["use", "1.99.2"]).ok();
    let text = "note: another process has changed the active SDK, so the other hooks were skipped";
    assert!(out.stderr.contains(text), "{out}");
    let outcomes = ["10-check succeeded", "20-next skipped"];
    assert_eq!(host.outcomes("1.99.2"), outcomes);
    assert_eq!(host.host.active().as_deref(), Some("1.99.1"));
    assert_eq!(host.take_log(), [""; 0]);
}

#[test]
fn a_rollback_runs_no_hooks() {
    let host = HookHost::new();
    host.run(["upgrade"]).ok();
    host.hook("required.d/10-check", "touch \"$T/ran\"; exit 1");
    for expected in ["1.99.1", "1.99.2"] {
        host.run(["rollback"]).ok();
        assert_eq!(host.host.active().as_deref(), Some(expected));
    }
    assert!(!host.path("ran").exists());
}

#[test]
fn hooks_that_are_not_safe_are_refused_before_anything_is_deployed() {
    let host = HookHost::new();
    let path = host.hook("wanted.d/10-check", "touch \"$T/ran\"");
    set_mode(&path, 0o775);
    let refused = |args: &[&str], text: &str| {
        let out = host.run(args.iter().copied()).exits(1);
        assert!(out.stderr.contains(text), "{out}");
        let stays = "nothing was deployed; go 1.99.1 stays active";
        assert!(out.stderr.contains(stays), "{out}");
        let status = host.json(["status"]);
        assert_eq!(status["deployments"].as_array().unwrap().len(), 1);
    };
    refused(&["upgrade"], "wanted.d/10-check belongs to user ");
    refused(&["upgrade"], " has mode 0775, expected ");
    refused(&["upgrade"], "`chmod go-w ");
    refused(&["use", "1.99.1"], "has mode 0775");
    set_mode(&path, 0o755);
    let folder = host.path("config/ostree-go/hooks");
    set_mode(&folder, 0o757);
    refused(&["upgrade"], "config/ostree-go/hooks belongs to user ");
    set_mode(&folder, 0o755);
    fs::remove_file(&path).unwrap();
    symlink("10-check", &path).unwrap();
    refused(&["upgrade"], "cannot find ");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(
        &["upgrade"],
        "wanted.d/10-check is a directory, expected a file, or a link to one or to /dev/null",
    );
    // Without hooks, and where nothing is activated, they do not matter.
    host.run(["install", "1.99.2", "--from-repo", "repo", "--no-activate"])
        .ok();
    host.run(["upgrade", "--no-hooks"]).ok();
    assert!(!host.path("ran").exists());
}

#[test]
fn the_example_synchronizes_and_builds_projects() {
    let script = workspace().join("packaging/hooks/50-gomod-sync");
    if let Some(shellcheck) = tools::require("shellcheck") {
        run(Command::new(shellcheck).arg(&script)).ok();
    }
    let sandbox = Sandbox::new();
    for name in ["good", "with space", "bad"] {
        fs::create_dir(sandbox.path(name)).unwrap();
    }
    let dir = |name: &str| sandbox.path(name).display().to_string();
    let stub =
        "#!/bin/sh\nset -eu\necho \"$PWD: $*\" >>\"$LOG\"\ncase $PWD in */bad) exit 1 ;; esac\n";
    let stub = sandbox.write("bin/ostree-go", stub);
    set_mode(&stub, 0o755);
    let (good, space, bad) = (dir("good"), dir("with space"), dir("bad"));
    let list = format!("# a comment\n{good}\n\n{bad}\n{}\n{space}", dir("missing"));
    let list = sandbox.write("projects", &list);
    let path = format!("{}:/usr/bin:/bin", dir("bin"));
    let log = sandbox.path("log");
    let hook = |list: &std::path::Path| {
        let mut command = Command::new("sh");
        command.arg(&script).arg(list).env_clear();
        command.env("PATH", &path).env("LOG", &log);
        run(command.env("OSTREE_GO_VERSION", "1.99.2"))
    };
    let out = hook(&list).exits(1);
    let built = format!("{good} builds with go 1.99.2\n{space} builds with go 1.99.2\n");
    assert_eq!(out.stdout, built);
    let failed = format!("{bad} cannot be changed or built\n");
    assert!(out.stderr.contains(&failed), "{out}");
    let expected = format!(
        "{good}: gomod sync {good}\n{good}: run -- go build -o /dev/null ./...\n\
         {bad}: gomod sync {bad}\n\
         {space}: gomod sync {space}\n{space}: run -- go build -o /dev/null ./...\n"
    );
    assert_eq!(read(&log), expected);
    let out = hook(&sandbox.path("nothing")).ok();
    assert!(out.stdout.contains("there is nothing to do"), "{out}");
}
