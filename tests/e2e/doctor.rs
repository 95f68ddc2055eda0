//! `doctor`: each finding on a machine that has the fault.

use ostree_go_tests::cli::{self, Output};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::hooks::HookHost;
use ostree_go_tests::host::Host;
use ostree_go_tests::std_cache::commit_both;
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::tools;
use ostree_go_tests::webserver::{Fault, FaultyServer};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the command with a `PATH` in which the active SDK comes first.
fn doctor(host: &Host) -> Command {
    let mut command = host.command(["doctor", "--format", "json"]);
    command.env_remove("OSTREE_REPO");
    let path = std::env::var("PATH").expect("a PATH in UTF-8");
    let bin = host.current("usr/bin");
    command.env("PATH", format!("{}:{path}", bin.display()));
    command
}

/// Runs the command, and returns the findings and the exit code.
#[track_caller]
fn examine(command: &mut Command) -> (Vec<Value>, i32) {
    let out: Output = cli::run(command);
    let document: Value = serde_json::from_str(&out.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", out.stdout, out.stderr));
    let findings = document["findings"].as_array().expect("findings").clone();
    let number = |severity: &str| {
        let same = findings.iter().filter(|one| one["severity"] == severity);
        same.count()
    };
    assert_eq!(document["problems"], number("problem"));
    assert_eq!(document["warnings"], number("warning"));
    for finding in &findings {
        let is_good = finding["severity"] == "good" || finding["severity"] == "note";
        assert!(is_good || finding["advice"].is_string(), "{finding:#}");
    }
    (findings, out.code().expect("an exit code"))
}

fn words(findings: &[Value]) -> Vec<&str> {
    let words = findings.iter().map(|one| one["finding"].as_str());
    words.map(|word| word.expect("a word")).collect()
}

#[track_caller]
fn find<'f>(findings: &'f [Value], word: &str) -> &'f Value {
    let found = findings.iter().find(|one| one["finding"] == word);
    found.unwrap_or_else(|| panic!("no finding {word}: {findings:#?}"))
}

/// A host with an SDK that was installed from a signed remote.
fn healthy() -> (Host, Gpg, String, FaultyServer) {
    let (host, gpg) = (Host::new(), Gpg::new());
    let key = gpg.key("publisher");
    host.release("1.99.1", 1_770_000_000);
    let home = gpg.home().to_str().expect("UTF-8").to_owned();
    for name in ["1.99.1", "1.99"] {
        host.run(["sign", name, "--gpg-sign", &key, "--gpg-homedir", &home])
            .ok();
    }
    host.run(["publish"]).ok();
    let server = FaultyServer::serving(&host.sandbox.repo());
    let (url, keys) = (server.url(), gpg.export(&key));
    let keys = keys.to_str().expect("UTF-8").to_owned();
    let on_root = |args: &[&str]| {
        let mut command = host.command(args.iter().copied());
        cli::run(command.env_remove("OSTREE_REPO")).ok();
    };
    on_root(&["remote", "add", "acme", &url, "--gpg-import", &keys]);
    on_root(&["install", "1.99"]);
    (host, gpg, key, server)
}

#[test]
fn a_healthy_host_has_no_problems() {
    let (host, _gpg, _key, _server) = healthy();
    let (findings, code) = examine(&mut doctor(&host));
    assert_eq!(code, 0, "{findings:#?}");
    let expected = [
        "root-good",
        "clock-good",
        "keys-good",
        "remote-good",
        "environment-good",
        "software-good",
    ];
    let found = words(&findings);
    for word in expected {
        assert!(found.contains(&word), "{word}: {found:?}");
    }
    let version = Command::new("ostree").arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let version = version
        .lines()
        .find_map(|line| line.trim().strip_prefix("Version: "));
    let software = find(&findings, "software-good")["message"]
        .as_str()
        .unwrap();
    let version = version.expect("a version").trim_matches('\'');
    assert!(
        software.starts_with(&format!("libostree {version}, gpg")),
        "{software}"
    );
    let left: Vec<PathBuf> = fs::read_dir(host.root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("doctor"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let text = cli::run(&mut host.command(["doctor", "--offline"]))
        .ok()
        .stdout;
    assert!(
        text.starts_with("RESULT ") && text.contains("to do: put it first in PATH"),
        "{text}"
    );
}

#[test]
fn a_machine_without_a_root_directory_is_examined() {
    let host = Host::new();
    let (findings, code) = examine(&mut doctor(&host));
    assert_eq!(code, 0, "{findings:#?}");
    assert_eq!(words(&findings)[0], "no-root");
    assert!(!host.root().exists(), "the root directory was created");
}

#[test]
fn hooks_that_would_not_run_are_found() {
    let hooks = HookHost::new();
    let examine_hooks = || {
        let (mut findings, code) =
            examine(&mut hooks.command(["doctor", "--offline", "--format", "json"]));
        findings.retain(|one| one["topic"] == "hooks");
        (findings, code)
    };
    assert!(examine_hooks().0.is_empty());
    let good = hooks.logging("required.d/10-a");
    let (findings, code) = examine_hooks();
    assert_eq!((words(&findings), code), (vec!["hooks-good"], 0));
    assert_eq!(findings[0]["message"], "1 hook would run after an upgrade");

    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let plain = hooks.logging("wanted.d/20-b");
    mode(&plain, 0o644);
    let misplaced = hooks.logging("10-c");
    let unknown = hooks.logging("optional.d/10-d");
    let unknown = unknown.parent().unwrap();
    let (findings, code) = examine_hooks();
    assert_eq!(code, 0, "{findings:#?}");
    let messages: Vec<_> = findings
        .iter()
        .map(|one| one["message"].as_str().unwrap())
        .collect();
    let ignored = "is ignored: hooks are in post-deploy/required.d and post-deploy/wanted.d";
    let expected = [
        format!("the hook {} is not executable", plain.display()),
        format!("{} {ignored}", misplaced.display()),
        format!("{} {ignored}", unknown.display()),
    ];
    assert_eq!(messages, expected);
    assert!(findings.iter().all(|one| one["severity"] == "warning"));

    mode(&good, 0o775);
    let (findings, code) = examine_hooks();
    assert_eq!(code, 4);
    let refused = find(&findings, "unusable-hooks");
    let cause = refused["cause"].as_str().unwrap();
    assert!(
        cause.contains("10-a belongs to user") && cause.contains("has mode 0775"),
        "{cause}"
    );
}

#[test]
fn another_go_in_the_environment_is_found() {
    let (host, _gpg, _key, _server) = healthy();
    let other = host.sandbox.path("other");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("go"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(other.join("go"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = doctor(&host);
    let before = command
        .get_envs()
        .find(|(name, _)| *name == "PATH")
        .unwrap()
        .1
        .unwrap();
    let path = format!("{}:{}", other.display(), before.to_string_lossy());
    command.env("PATH", path);
    command
        .env("GOROOT", "/usr/local/go")
        .env("GOTOOLCHAIN", "go1.20.1");
    let (findings, code) = examine(&mut command);
    assert_eq!(code, 0, "{findings:#?}");
    let message = find(&findings, "other-go")["message"].as_str().unwrap();
    assert!(
        message.contains(other.join("go").to_str().unwrap()),
        "{message}"
    );
    find(&findings, "goroot");
    find(&findings, "gotoolchain");

    // The file of `go env -w`, and a GOROOT that is that of the active SDK.
    let home = host.sandbox.path("home");
    fs::create_dir_all(home.join(".config/go")).unwrap();
    fs::write(home.join(".config/go/env"), "GOTOOLCHAIN=go1.20.1\n").unwrap();
    let mut command = doctor(&host);
    let goroot = host.current("usr/lib/sdk/go-1.99");
    command.env("HOME", &home).env("GOROOT", goroot);
    let (findings, _) = examine(&mut command);
    find(&findings, "gotoolchain");
    assert!(!words(&findings).contains(&"goroot"), "{findings:#?}");

    let mut command = doctor(&host);
    let (findings, _) = examine(command.env("PATH", "/nonexistent"));
    find(&findings, "not-in-path");
    assert_eq!(find(&findings, "no-gpg")["severity"], "problem");
}

#[test]
fn remotes_that_do_not_answer_are_found() {
    let (host, _, _, server) = healthy();
    server.fault("/", Fault::Status(503));
    let (findings, code) = examine(&mut doctor(&host));
    assert_eq!(code, 4, "{findings:#?}");
    let found = find(&findings, "unreachable");
    assert!(
        found["cause"].as_str().unwrap().contains("503"),
        "{found:#}"
    );
    let mut command = doctor(&host);
    let (findings, code) = examine(command.arg("--offline"));
    assert_eq!(code, 0, "{findings:#?}");
}

#[test]
fn keys_that_expire_are_found() {
    let (host, gpg, key, _server) = healthy();
    let import = |keys: &Path| {
        let keys = keys.to_str().unwrap();
        let mut command = host.command(["remote", "import-key", "acme", keys]);
        cli::run(command.env_remove("OSTREE_REPO")).ok();
    };
    let soon = Command::new("gpg")
        .arg("--homedir")
        .arg(gpg.home())
        .args(["--batch", "--quick-set-expire", &key, "5d"])
        .status();
    assert!(soon.unwrap().success());
    import(&gpg.export(&key));
    let (findings, code) = examine(&mut doctor(&host));
    assert_eq!(code, 0, "{findings:#?}");
    let found = find(&findings, "key-expires-soon");
    assert!(
        found["message"].as_str().unwrap().contains(&key),
        "{found:#}"
    );
    gpg.expire(&key);
    import(&gpg.export(&key));
    let (findings, code) = examine(&mut doctor(&host));
    assert_eq!(code, 4, "{findings:#?}");
    find(&findings, "no-valid-key");
}

#[test]
fn a_clock_that_is_behind_is_found() {
    let Some(faketime) = tools::require("faketime") else {
        return;
    };
    let (host, _gpg, _key, _server) = healthy();
    let inner = doctor(&host);
    let mut command = Command::new(faketime);
    command.arg("2020-01-01 12:00:00");
    command.arg(inner.get_program()).args(inner.get_args());
    command.arg("--offline").env_clear();
    command
        .env("DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let (findings, code) = examine(&mut command);
    assert_eq!(code, 4, "{findings:#?}");
    let found = find(&findings, "clock-behind");
    assert!(
        found["message"]
            .as_str()
            .unwrap()
            .starts_with("the clock says 2020-01-01T"),
        "{found:#}"
    );
}

#[test]
fn a_directory_that_everybody_can_change_is_found() {
    let (host, _gpg, _key, _server) = healthy();
    fs::set_permissions(host.root(), fs::Permissions::from_mode(0o777)).unwrap();
    let (findings, code) = examine(doctor(&host).arg("--offline"));
    assert_eq!(code, 4, "{findings:#?}");
    let found = find(&findings, "writable-by-all");
    assert!(
        found["message"].as_str().unwrap().ends_with("the mode 777"),
        "{found:#}"
    );
}

#[test]
fn a_file_system_without_programs_and_xattrs_is_found() {
    if !tools::is_root() {
        return tools::skip("only root can mount a file system");
    }
    let (Some(mount), Some(umount)) = (tools::require("mount"), tools::require("umount")) else {
        return;
    };
    let host = Host::new();
    fs::create_dir(host.root()).unwrap();
    // A ramfs stores no extended attributes.
    let run = |program: &Path, args: &[&str]| {
        let status = Command::new(program).args(args).arg(host.root()).status();
        assert!(status.unwrap().success(), "{} {args:?}", program.display());
    };
    run(&mount, &["-t", "ramfs", "-o", "noexec", "ostree-go-test"]);
    let (findings, code) = examine(&mut doctor(&host));
    run(&mount, &["-o", "remount,ro"]);
    let (read_only, code_of_read_only) = examine(&mut doctor(&host));
    run(&umount, &[]);
    assert_eq!((code, code_of_read_only), (4, 4), "{findings:#?}");
    find(&findings, "no-exec");
    find(&findings, "no-user-xattrs");
    find(&read_only, "read-only");
}

/// The architecture of this machine, and the other one.
fn arches() -> [&'static str; 2] {
    match std::env::consts::ARCH {
        "x86_64" => ["x86_64", "aarch64"],
        _ => ["aarch64", "x86_64"],
    }
}

/// A host with an SDK and its std caches from a repository on the same machine.
fn with_std_caches() -> Host {
    let host = Host::new();
    host.release("1.99.1", 100);
    commit_both(&host.sandbox.repo(), "1.99.1", arches()[0], 100);
    host.install("1.99").ok();
    host
}

/// Returns the command without the network and without variables of Go.
fn offline(host: &Host) -> Command {
    let mut command = doctor(host);
    command.arg("--offline");
    for name in ["GOCACHE", "GOCACHEPROG", "GOROOT", "GOTOOLCHAIN"] {
        command.env_remove(name);
    }
    command.env("GOENV", "off");
    command
}

#[test]
fn std_caches_that_are_missing_are_found() {
    let [native, other] = arches();
    let host = Host::new();
    host.release("1.99.1", 100);
    host.install("1.99").ok();
    // No source needs to have std caches.
    let (findings, _) = examine(&mut offline(&host));
    let about = |findings: &[Value]| -> Vec<String> {
        let words = words(findings).into_iter();
        let words = words.filter(|word| word.starts_with("std-cache"));
        words.map(str::to_owned).collect()
    };
    assert!(about(&findings).is_empty(), "{findings:#?}");

    for target in [native, other] {
        commit_both(&host.sandbox.repo(), "1.99.1", target, 100);
    }
    let (findings, code) = examine(&mut offline(&host));
    assert_eq!(code, 0, "{findings:#?}");
    assert_eq!(about(&findings), ["std-cache-missing"]);
    let missing = find(&findings, "std-cache-missing");
    assert_eq!(missing["severity"], "warning");
    assert_eq!(missing["topic"], "std-cache");
    let expected = format!(
        "go 1.99.1 lacks the std caches {native}-trimpath and {native}-plain, which the selection names and the source offers"
    );
    assert_eq!(missing["message"], expected.as_str());
    assert_eq!(
        missing["advice"],
        "install what the source has: `ostree-go upgrade`"
    );
    host.run(["upgrade"]).ok();
    let (findings, _) = examine(&mut offline(&host));
    assert_eq!(about(&findings), ["std-cache-good"]);

    let install = ["install", "1.99", "--from-repo", "repo", "--no-stdcache"];
    host.run(install).ok();
    let (findings, _) = examine(&mut offline(&host));
    assert_eq!(about(&findings), ["std-cache-left-out"]);
    assert_eq!(find(&findings, "std-cache-left-out")["severity"], "note");

    // A target that was chosen, and that the next release does not have.
    host.run(["upgrade", "--stdcache", other]).ok();
    let (findings, _) = examine(&mut offline(&host));
    assert_eq!(about(&findings), ["std-cache-good"]);
    host.release("1.99.2", 200);
    commit_both(&host.sandbox.repo(), "1.99.2", native, 200);
    host.run(["upgrade"]).ok();
    let (findings, _) = examine(&mut offline(&host));
    assert_eq!(about(&findings), ["std-cache-missing"]);
    let expected = format!(
        "go 1.99.2 lacks the std caches {other}-trimpath and {other}-plain, which the selection names"
    );
    let missing = find(&findings, "std-cache-missing");
    assert_eq!(missing["message"], expected.as_str());
}

#[test]
fn std_caches_that_a_remote_offers_are_found() {
    let [native, _] = arches();
    let (host, _gpg, _key, _server) = healthy();
    commit_both(&host.sandbox.repo(), "1.99.1", native, 1_770_000_000);
    host.run(["publish"]).ok();
    let (findings, _) = examine(&mut doctor(&host));
    let missing = find(&findings, "std-cache-missing");
    let message = missing["message"].as_str().unwrap();
    assert!(message.ends_with(" and the source offers"), "{message}");
    let (findings, _) = examine(&mut offline(&host));
    assert!(
        !words(&findings).contains(&"std-cache-missing"),
        "{findings:#?}"
    );
}

#[test]
fn a_damaged_index_of_a_std_cache_is_found() {
    let host = with_std_caches();
    let status = host.json(["status"]);
    let path = status["deployments"][0]["std_caches"][1]["path"].as_str();
    let index = Path::new(path.unwrap()).join("index");
    fs::set_permissions(&index, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&index, "ostree-go stdcache 9\n").unwrap();
    let (findings, code) = examine(&mut offline(&host));
    assert_eq!(code, 4, "{findings:#?}");
    let found = find(&findings, "std-cache-damaged");
    let name = format!("the std cache {}-plain ", arches()[0]);
    let message = found["message"].as_str().unwrap();
    assert!(message.starts_with(&name), "{message}");
    let cause = found["cause"].as_str().unwrap();
    assert!(cause.contains("is not the index of a std cache"), "{cause}");
    host.install("1.99").ok();
    let (findings, _) = examine(&mut offline(&host));
    find(&findings, "std-cache-good");
}

#[test]
fn settings_that_bypass_std_caches_are_found() {
    let host = with_std_caches();
    let (findings, _) = examine(&mut offline(&host));
    let unset = find(&findings, "no-cacheprog");
    assert_eq!(unset["severity"], "note");
    find(&findings, "environment-good");

    let (findings, _) = examine(offline(&host).env("GOCACHE", "/srv/go-build"));
    let bypassed = find(&findings, "no-cacheprog");
    assert_eq!(bypassed["severity"], "warning");
    let message = bypassed["message"].as_str().unwrap();
    assert!(message.contains("GOCACHE, /srv/go-build"), "{message}");

    for other in [
        "/usr/bin/remote-cache --server cache.example",
        "ostree-go cacheprog --root /srv/other",
    ] {
        let (findings, _) = examine(offline(&host).env("GOCACHEPROG", other));
        let found = find(&findings, "other-cacheprog");
        let message = found["message"].as_str().unwrap();
        assert!(message.contains(&format!("`{other}`")), "{message}");
    }
    // What `env --cache` sets.
    let cache = host.sandbox.path("cache").display().to_string();
    let env = host.json(["env", "--cache", &cache]);
    let mut command = offline(&host);
    for (name, value) in env["set"].as_object().unwrap() {
        command.env(name, value.as_str().unwrap());
    }
    let (findings, _) = examine(&mut command);
    find(&findings, "environment-good");
    for word in ["no-cacheprog", "other-cacheprog"] {
        assert!(!words(&findings).contains(&word), "{findings:#?}");
    }
}

#[test]
fn a_small_build_cache_in_memory_is_found() {
    let Some(small) = Tmpfs::mount(50 << 20) else {
        return;
    };
    let host = with_std_caches();
    let cache = small.path().join("go-build");
    let (findings, code) = examine(offline(&host).env("GOCACHE", &cache));
    assert_eq!(code, 0, "{findings:#?}");
    let found = find(&findings, "small-gocache");
    assert_eq!(found["severity"], "warning");
    let message = found["message"].as_str().unwrap();
    let path = small.path().display().to_string();
    assert!(message.contains(&path), "{message}");
    // The default, in a home directory in memory.
    let mut command = offline(&host);
    command.env("XDG_CACHE_HOME", small.path());
    let (findings, _) = examine(&mut command);
    find(&findings, "small-gocache");
}

#[test]
fn a_sandbox_that_does_not_work_is_found() {
    let host = Host::new();
    let folder = host.sandbox.path("broken");
    fs::create_dir(&folder).unwrap();
    let program = folder.join("bwrap");
    fs::write(
        &program,
        "#!/bin/sh\necho 'bwrap: it is broken' >&2\nexit 1\n",
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = offline(&host);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", folder.display()));
    let (findings, code) = examine(&mut command);
    assert_eq!(code, 0, "{findings:#?}");
    let expected = "bwrap does not start: bwrap: it is broken";
    // Where another sandbox works, the reason is a finding of its own.
    let is_expected = |finding: &&Value| {
        let texts = [&finding["message"], &finding["cause"]];
        let mut texts = texts.into_iter().filter_map(Value::as_str);
        finding["topic"] == "sandbox" && texts.any(|text| text.contains(expected))
    };
    let found = findings.iter().find(is_expected);
    let found = found.unwrap_or_else(|| panic!("{findings:#?}"));
    assert!(found["advice"].is_string(), "{found:#}");
    let word = found["finding"].as_str().unwrap();
    let works = words(&findings).contains(&"sandbox-good");
    assert_eq!(word == "sandbox-unavailable", works, "{findings:#?}");
}
