//! The units of the module proxy: systemd accepts and rates them, and the first connection starts the service.

use crate::unit::{WORST, rating};
use ostree_go_tests::cli::{binary, workspace};
use ostree_go_tests::machine::Machine;
use ostree_go_tests::sandbox::Sandbox;
use std::path::PathBuf;

const UNITS: [&str; 2] = ["ostree-go-proxy.service", "ostree-go-proxy.socket"];
const SERVICE: &str = UNITS[0];
const URL: &str = "http://127.0.0.1:3000/golang.org/toolchain/@v";

fn unit(name: &str) -> PathBuf {
    workspace().join("packaging/systemd").join(name)
}

#[test]
fn systemd_rates_the_proxy_as_safe_enough() {
    let Some(rating) = rating(&unit(SERVICE)) else {
        return;
    };
    assert!(rating < WORST, "{rating}");
}

#[test]
fn the_first_connection_starts_the_proxy() {
    let sandbox = Sandbox::with_toys("");
    sandbox.compose([]);
    let repo = format!("--bind-ro={}:/srv/repo", sandbox.repo().display());
    let Some(machine) = Machine::boot_with([&*repo]) else {
        return;
    };
    machine.copy(&binary().canonicalize().unwrap(), "/usr/bin/ostree-go");
    for name in UNITS {
        machine.copy(&unit(name), &format!("/etc/systemd/system/{name}"));
    }
    let options = "PROXY_OPTIONS=\"--upstream http://127.0.0.1:1 --repo /srv/repo\"\n";
    let options = sandbox.write("proxy.env", options);
    machine.copy(&options, "/etc/ostree-go/proxy.env");
    for name in UNITS {
        // The machine has no man pages.
        let out = machine
            .run(["systemd-analyze", "verify", "--man=no", name])
            .ok();
        assert_eq!(
            (out.stdout.as_str(), out.stderr.as_str()),
            ("", ""),
            "{name}"
        );
    }
    machine.run(["systemctl", "daemon-reload"]).ok();
    machine.run(["systemctl", "start", UNITS[1]]).ok();
    let active = machine.run(["systemctl", "is-active", SERVICE]);
    assert_eq!(active.stdout, "inactive\n");

    let list = machine.run(["curl", "--silent", "--fail", &format!("{URL}/list")]);
    let journal = || machine.run(["journalctl", "--no-pager", "--unit", SERVICE]);
    assert!(list.status.success(), "{list}\n{}", journal());
    let version = "v0.0.1-go1.99.1.linux-amd64";
    assert!(list.stdout.lines().any(|line| line == version), "{list}");
    let zip = format!("{URL}/{version}.zip");
    let out = machine.run(["curl", "--silent", "--fail", "--output", "/tmp/zip", &zip]);
    assert!(out.status.success(), "{out}\n{}", journal());
    let active = machine.run(["systemctl", "is-active", SERVICE]);
    assert_eq!(active.stdout, "active\n");
    let pid = machine
        .run([
            "systemctl",
            "show",
            "--property=MainPID",
            "--value",
            SERVICE,
        ])
        .ok()
        .stdout;
    let user = machine
        .run(["ps", "--no-headers", "-o", "user", pid.trim()])
        .ok();
    assert_ne!(user.stdout.trim(), "root");
    // What the service writes is in its own directories.
    machine
        .run(["test", "-d", "/var/cache/private/ostree-go-proxy"])
        .ok();
    machine.run(["systemctl", "stop", SERVICE]).ok();
    let result = ["systemctl", "show", "--property=Result", "--value", SERVICE];
    assert_eq!(machine.run(result).ok().stdout, "success\n");
}
