//! Commands that `run` refuses.

use super::Project;
use insta::assert_snapshot;
use ostree_go_tests::cli::run;
use ostree_go_tests::host::Host;
use ostree_go_tests::tools;
use std::process::Command;

/// Returns the message of a refused command, with the paths of the test replaced.
#[track_caller]
fn refused(project: &Project, command: &mut Command, code: i32) -> String {
    let out = run(command).exits(code);
    assert_eq!(out.stdout, "");
    let folder = project.path("").canonicalize().unwrap();
    let folder = folder.to_str().unwrap().trim_end_matches('/').to_owned();
    out.stderr.replace(&folder, "[dir]")
}

#[test]
fn programs_that_are_not_in_the_sandbox() {
    let project = Project::new();
    let said = |args: &[&str]| refused(&project, &mut project.command(args), 1);
    assert_snapshot!(said(&["--", "make"]), @"
    error: there is no program `make` in the sandbox
    hint: the sandbox contains only the SDK and the sources; --host-tools adds the programs of this machine
    ");
    assert_snapshot!(said(&["--host-tools", "--", "no-such-program"]), @"error: there is no program `no-such-program` in the sandbox");
    assert_snapshot!(said(&["--", "./missing"]), @"
    error: there is no program `./missing` in the sandbox
    hint: the sandbox contains only the SDK and the sources; --host-tools adds the programs of this machine
    ");
    project.file("src/script", "#!/bin/sh\n");
    let path = project.path("src/script");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_snapshot!(said(&["--", "./script"]), @"
    error: the program [dir]/src/./script needs /bin/sh, which is not in the sandbox
    hint: build a static program with CGO_ENABLED=0, or add the programs of this machine with --host-tools
    ");
}

#[test]
fn unknown_values_of_options() {
    let project = Project::new();
    let said = |args: &[&str]| refused(&project, &mut project.command(args), 2);
    assert_snapshot!(said(&["--sandbox", "docker", "--", "go"]), @"
    error: invalid value 'docker' for '--sandbox <SANDBOX>' [possible values: auto, bwrap, systemd, landlock, none]
    hint: `--help` lists the allowed arguments
    ");
    assert_snapshot!(said(&["--timeout", "soon", "--", "go"]), @"
    error: invalid value 'soon' for '--timeout <DURATION>': expected a duration such as 90s, 10m or 2h, found `soon`
    hint: `--help` lists the allowed arguments
    ");
    assert_snapshot!(said(&["--memory", "much", "--", "go"]), @"
    error: invalid value 'much' for '--memory <SIZE>': expected a size such as 512M or 2G, found `much`
    hint: `--help` lists the allowed arguments
    ");
    assert_snapshot!(said(&["--env", "=1", "--", "go"]), @"error: `=1` has no name of a variable");
}

#[test]
fn directories_that_are_no_project() {
    let project = Project::new();
    let said = |folder: &str, args: &[&str]| {
        let mut command = project.command(args);
        command
            .current_dir(project.path(folder))
            .env("HOME", project.path(""));
        refused(&project, &mut command, 1)
    };
    assert_snapshot!(said("", &["--", "go"]), @"
    error: the sources would be all of [dir], which contains the home directory
    hint: change to the directory of a project, or name the directory of the sources with --source
    ");
    assert_snapshot!(said("src", &["--source", "out", "--", "go"]), @"
    error: the working directory [dir]/src is not in the sources, [dir]/src/out
    hint: change to the directory of a project, or name the directory of the sources with --source
    ");
    assert_snapshot!(said("src", &["--write", "missing", "--", "go"]), @"
    error: cannot find missing
      No such file or directory (os error 2)
    ");
}

#[test]
fn sdks_that_are_not_installed() {
    let project = Project::new();
    let said = refused(
        &project,
        &mut project.command(&["--sdk", "1.98", "--", "go"]),
        1,
    );
    assert_snapshot!(said, @"
    error: go 1.98 is not installed under [dir]/root
    hint: `ostree-go install 1.98` installs it; installed is `1.99.1`
    ");
    let empty = Host::new();
    let out = run(&mut empty.command(["run", "--", "go"])).exits(1);
    assert!(out.stderr.contains("hint: `ostree-go remote add`"), "{out}");
}

#[test]
fn limits_that_this_machine_does_not_have() {
    let project = Project::new();
    let said = |args: &[&str]| refused(&project, &mut project.command(args), 1);
    let text = said(&["--cpus", "0", "--host-tools", "--", "true"]);
    assert!(
        text.starts_with("error: the number of CPUs is 0, expected 1 to "),
        "{text}"
    );
    if std::path::Path::new("/run/systemd/system").exists() {
        return;
    }
    assert_snapshot!(said(&["--memory", "1G", "--host-tools", "--", "true"]), @"
    error: memory cannot be limited: there is no service manager of systemd with a memory controller
    hint: omit --memory, or run the command in a session of systemd
    ");
    assert_snapshot!(said(&["--sandbox", "systemd", "--host-tools", "--", "true"]), @"
    error: the sandbox systemd needs a service manager, and systemd does not manage this session
    hint: use another sandbox with --sandbox, for example landlock
    ");
}

/// Returns the command after `prefix`, with the directory and environment of the original.
fn behind(prefix: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(prefix[0]);
    outer
        .args(&prefix[1..])
        .arg(command.get_program())
        .args(command.get_args());
    outer
        .current_dir(command.get_current_dir().unwrap())
        .env_clear();
    outer.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    outer
}

#[test]
fn a_machine_without_bubblewrap() {
    let (project, Some(bwrap)) = (Project::new(), tools::require("bwrap")) else {
        return;
    };
    let bwrap = bwrap.canonicalize().unwrap().display().to_string();
    // A device is not a program.
    let prefix = [
        "bwrap",
        "--dev-bind",
        "/",
        "/",
        "--dev-bind",
        "/dev/null",
        &bwrap,
        "--",
    ];
    let command = project.command(&["--sandbox", "bwrap", "--host-tools", "--", "true"]);
    assert_snapshot!(refused(&project, &mut behind(&prefix, &command), 1), @"
    error: the sandbox bwrap needs the program `bwrap`, which is not installed
    hint: install the package bubblewrap, or use another sandbox with --sandbox
    ");
}

#[test]
fn a_machine_without_user_namespaces() {
    let project = Project::new();
    let (Some(_), Some(_)) = (tools::require("bwrap"), tools::require("unshare")) else {
        return;
    };
    // The setting belongs to a user namespace and applies to those below it.
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all \"$@\"";
    let prefix = [
        "unshare",
        "--user",
        "--map-current-user",
        "--keep-caps",
        "sh",
        "-c",
        script,
        "sh",
    ];
    let command = project.command(&["--sandbox", "bwrap", "--host-tools", "--", "true"]);
    assert_snapshot!(refused(&project, &mut behind(&prefix, &command), 1), @"
    error: the sandbox bwrap needs user namespaces, which `user.max_user_namespaces = 0` forbids
    hint: run `sysctl -w user.max_user_namespaces=10000` as root, or use --sandbox landlock
    ");
}
