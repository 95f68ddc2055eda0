//! `ostree-go run` with services of systemd, on a booted machine.

use ostree_go_tests::cli::run;
use ostree_go_tests::host::Host;
use ostree_go_tests::machine::{Machine, PROGRAM};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A shell script that tries to leave the sandbox: it prints what it reaches.
const ESCAPE: &str = "echo x > file && echo source; echo x > /etc/x && echo etc; echo x > /dev/shm/escaped; \
    ls /home/user 2> /dev/null; ls /root 2> /dev/null; cat /etc/shadow 2> /dev/null; ls /sys/class/net; \
    ls /run/dbus 2> /dev/null; echo \"$CREDENTIAL\"; kill -0 $OUTSIDE 2> /dev/null && echo signal; \
    grep -c . /etc/passwd; exit 7";

#[test]
fn a_service_isolates_a_command() {
    let host = Host::new();
    host.release("1.99.1", 1_800_000_000);
    host.install("1.99.1").ok();
    fs::create_dir_all(host.sandbox.path("src/out")).unwrap();
    host.sandbox
        .write("src/go.mod", "module example.com/src\n\ngo 1.26\n");
    let folder = host.sandbox.path("").canonicalize().unwrap();
    let Some(machine) = Machine::boot_with_command(&folder) else {
        return;
    };
    let root = host.root().canonicalize().unwrap().display().to_string();
    let source = folder.join("src").display().to_string();
    let outside = machine
        .run(["systemctl", "show", "--property=MainPID", "--value", "dbus"])
        .ok();
    let outside = format!("OUTSIDE={}", outside.stdout.trim());
    let start = [
        "env",
        "-C",
        &source,
        "CREDENTIAL=hunter2",
        PROGRAM,
        "--root",
        &root,
        "run",
        "--sandbox",
        "systemd",
        "--host-tools",
        "--env",
        &outside,
    ];
    let words = |more: &[&'static str]| -> Vec<String> {
        let all = [&start[..], more].concat();
        all.into_iter().map(str::to_owned).collect()
    };
    let with = |words: &[String], make: &dyn Fn(&[&str]) -> Command| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(&mut make(&words))
    };
    let as_root = |words: &[&str]| machine.exec(words.iter().copied());
    let as_user = |words: &[&str]| machine.exec_as_user(words.iter().copied());

    let out = with(&words(&["--", "sh", "-c", ESCAPE]), &as_root).exits(7);
    assert_eq!(out.stdout, "lo\n\n1\n", "{out}");
    assert!(
        out.stderr
            .starts_with("sandbox: systemd, go 1.99.1, no network\n"),
        "{out}"
    );
    assert!(!fs::exists(folder.join("src/file")).unwrap());
    machine.run(["test", "!", "-e", "/dev/shm/escaped"]).ok();

    // A user's manager cannot create a process namespace.
    let out = with(&words(&["--", "true"]), &as_user).exits(1);
    assert!(
        out.stderr
            .contains("signals to other processes of its user"),
        "{out}"
    );
    let out = with(&words(&["--weak", "--", "sh", "-c", ESCAPE]), &as_user).exits(7);
    assert_eq!(out.stdout, "lo\n\n1\n", "{out}");

    // Exit codes, arguments, writable directories, time, and memory.
    let out = with(
        &words(&[
            "-q",
            "--write",
            "out",
            "--",
            "sh",
            "-c",
            "echo $$ $HOME > out/file; exit 3",
        ]),
        &as_root,
    );
    out.exits(3);
    let text = fs::read_to_string(folder.join("src/out/file")).unwrap();
    assert!(text.ends_with(" /tmp/home\n"), "{text}");
    with(&words(&["--timeout", "1s", "--", "sleep", "600"]), &as_root).exits(124);
    // The time may be over before systemd has started the service.
    let slow = "#!/bin/sh\n[ \"$1\" = --version ] || sleep 2\nexec /usr/bin/systemd-run \"$@\"\n";
    let program = host.sandbox.write("bin/systemd-run", slow);
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut late = words(&["--timeout", "1s", "--", "sleep", "600"]);
    late.insert(3, format!("PATH={}/bin:/usr/bin", folder.display()));
    with(&late, &as_root).exits(124);

    // Nothing is left.
    let units = machine.run([
        "systemctl",
        "list-units",
        "--all",
        "--plain",
        "--no-legend",
        "ostree-go-run*",
    ]);
    assert_eq!(units.ok().stdout, "");
    let left = machine.run(["find", "/dev/shm", "-name", "run-*"]).ok();
    assert_eq!(left.stdout, "");
}
