//! `doctor`: each finding on a machine that has the fault.

use ostree_go_tests::cli::{self, Output};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::host::Host;
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
