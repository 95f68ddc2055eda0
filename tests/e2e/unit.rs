//! `export unit`: systemd accepts the units and rates them, and a service tries what they have to deny.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::run;
use ostree_go_tests::machine::Machine;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::tools;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The worst rating of `systemd-analyze security` that is accepted, from 0 (safe) to 10.
pub(crate) const WORST: f64 = 2.0;

/// Builds the service with a real SDK, as a static program. `None` if the SDK is missing.
fn service(sandbox: &Sandbox) -> Option<PathBuf> {
    let arch = Arch::host()?;
    let sdk = sdk("1.26.5", arch)?;
    sandbox.write("service/main.go", include_str!("service/main.go"));
    sandbox.write("service/go.mod", "module example.com/service\n\ngo 1.26\n");
    let program = sandbox.path("app");
    run(Command::new(sdk.dir.join("bin/go"))
        .args(["build", "-trimpath", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(sandbox.path("service"))
        .env_clear()
        .env("HOME", sandbox.path("home"))
        .envs([
            ("CGO_ENABLED", "0"),
            ("GOFLAGS", "-buildvcs=false"),
            ("GOPROXY", "off"),
            ("GOTOOLCHAIN", "local"),
            ("PATH", "/usr/bin:/bin"),
        ]))
    .ok();
    Some(program)
}

/// Writes a unit with additional arguments, and returns its text.
fn export(sandbox: &Sandbox, program: &Path, args: &[&str]) -> String {
    let program = program.to_str().unwrap();
    let unit = sandbox.path("app.service");
    let all = [
        &[
            "export",
            "unit",
            "app",
            program,
            "--install-path",
            "/usr/local/bin/app",
            "--output",
            unit.to_str().unwrap(),
        ],
        args,
    ]
    .concat();
    sandbox.run(all).ok();
    fs::read_to_string(unit).unwrap()
}

/// Returns the rating of a unit by `systemd-analyze security`.
pub(crate) fn rating(unit: &Path) -> Option<f64> {
    let analyze = tools::require("systemd-analyze")?;
    let out = run(Command::new(analyze)
        .args(["security", "--offline=true", "--no-pager"])
        .arg(unit)
        .env("LC_ALL", "C.UTF-8"))
    .ok();
    let (_, rating) = out.stdout.rsplit_once("exposure level for ").unwrap();
    let (_, rating) = rating.split_once(": ").unwrap();
    let rating = rating.split_whitespace().next().unwrap();
    Some(rating.parse().unwrap())
}

const FORMS: [&[&str]; 6] = [
    &[],
    &["--listen", "8080", "--state-dir"],
    &[
        "--listen",
        "443",
        "--memory-max",
        "268435456",
        "--cpus",
        "2",
    ],
    &["--listen", "443", "--socket-activation", "--no-network"],
    &["--no-network", "--read-write", "/srv/data"],
    &[
        "--run-as",
        "daemon",
        "--listen",
        "udp:5353",
        "--allow-address",
        "10.0.0.0/8",
    ],
];

#[test]
fn systemd_rates_every_form_as_safe_enough() {
    let sandbox = Sandbox::new();
    let program = std::env::current_exe().unwrap();
    for args in FORMS {
        export(&sandbox, &program, args);
        let Some(rating) = rating(&sandbox.path("app.service")) else {
            return;
        };
        assert!(rating < WORST, "{args:?}: {rating}");
    }
}

#[test]
fn the_text_is_that_of_the_options() {
    let sandbox = Sandbox::new();
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    let args = [
        "export",
        "unit",
        "app.service",
        program,
        "--install-path=/opt/acme/app",
        "--env=A=b c",
        "--",
        "-v",
        "100%",
    ];
    let text = sandbox.run(args).ok().stdout;
    for line in [
        "Description=app",
        "ExecStart=/opt/acme/app -v 100%%",
        "Environment=\"A=b c\"",
        "ProtectSystem=strict",
        "SystemCallFilter=~listen",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    // A program that is not static may be loaded from the directories of libraries.
    assert!(text.contains("ExecPaths=/opt/acme/app -/lib"), "{text}");

    let json = [&args[..6], &["--format", "json"]].concat();
    let json: Value = serde_json::from_str(&sandbox.run(json).ok().stdout).unwrap();
    assert_eq!(json["name"], "app");
    assert_eq!(json["program"], "/opt/acme/app");
    assert_eq!(json["static"], false);
    assert_eq!(json["files"][0]["name"], "app.service");
    assert_eq!(json["files"][0]["path"], Value::Null);
}

/// The host of a service, with the program installed.
struct Host {
    machine: Machine,
    sandbox: Sandbox,
    program: PathBuf,
}

impl Host {
    fn boot() -> Option<Self> {
        let sandbox = Sandbox::new();
        let program = service(&sandbox)?;
        let machine = Machine::boot()?;
        machine.copy(&program, "/usr/local/bin/app");
        Some(Self {
            machine,
            sandbox,
            program,
        })
    }

    /// Installs the units of some options, checks them with `systemd-analyze verify`, starts them, and returns the
    /// answer of the service.
    fn start(&self, args: &[&str], unit: &str) -> Value {
        export(&self.sandbox, &self.program, args);
        let units = ["app.service", "app.socket"].map(|name| {
            let path = format!("/etc/systemd/system/{name}");
            (self.sandbox.path(name), path)
        });
        let units: Vec<_> = units.iter().filter(|(file, _)| file.exists()).collect();
        // The service needs the socket.
        for (file, path) in &units {
            self.machine.copy(file, path);
        }
        for (_, path) in &units {
            let out = self.machine.run(["systemd-analyze", "verify", path]).ok();
            assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("", ""));
        }
        self.machine.run(["systemctl", "daemon-reload"]).ok();
        self.machine.run(["systemctl", "restart", unit]).ok();
        let answer = self.ask();
        self.machine.run(["systemctl", "stop", unit]).ok();
        answer
    }

    fn ask(&self) -> Value {
        let out = self.machine.run([
            "curl",
            "--silent",
            "--retry-connrefused",
            "--retry",
            "30",
            "--retry-delay",
            "1",
            "http://127.0.0.1:8080/",
        ]);
        if out.status.success() {
            return serde_json::from_str(&out.stdout).unwrap();
        }
        let journal = self.machine.run(["journalctl", "--no-pager", "--unit=app"]);
        panic!("the service does not answer: {}", journal.stdout);
    }
}

/// Returns what the service was allowed to do.
fn allowed(answer: &Value) -> Vec<&str> {
    let allowed = answer["allowed"].as_array().unwrap();
    allowed.iter().map(|one| one.as_str().unwrap()).collect()
}

#[test]
fn a_service_cannot_write_execute_or_open_ports() {
    let Some(host) = Host::boot() else {
        return;
    };
    // Without the unit, the service may do all of this.
    host.machine.copy(
        &host.sandbox.write(
            "plain.service",
            "[Service]\nExecStart=/usr/local/bin/app\nStateDirectory=app\n",
        ),
        "/etc/systemd/system/plain.service",
    );
    host.machine.run(["systemctl", "start", "plain"]).ok();
    let answer = host.ask();
    host.machine.run(["systemctl", "stop", "plain"]).ok();
    let plain = allowed(&answer);
    for what in [
        "write to /etc",
        "write to /usr/local/bin",
        "execute /bin/true",
        "execute in tmp",
        "execute in app",
        "map memory that is writable and executable",
        "make memory executable",
        "create a file in memory",
        "listen for pprof",
        "read the environment of another process",
        "open a packet socket",
    ] {
        assert!(plain.contains(&what), "{what}: {plain:?}");
    }
    for path in ["/var/lib/app", "/etc/written", "/usr/local/bin/written"] {
        host.machine.run(["rm", "-rf", path]).ok();
    }

    // Whether other ports are denied depends on the kernel; the next test has a form that never does.
    let ports = ["listen for pprof", "listen on another port"];
    let args = [
        "--listen",
        "8080",
        "--state-dir",
        "--memory-max",
        "268435456",
    ];
    let answer = host.start(&args, "app.service");
    let mut found = allowed(&answer);
    found.retain(|what| !ports.contains(what));
    assert_eq!(found, ["write to the state"]);
    assert_eq!(answer["root"], false);
    assert_eq!(answer["memory"], "241591905");
    // Go found out that there is IPv6, although ports are denied.
    assert_eq!(answer["address"], "[::]:8080");
}

#[test]
fn a_service_that_gets_its_port_from_systemd_opens_no_other() {
    let Some(host) = Host::boot() else {
        return;
    };
    for more in [&[][..], &["--no-network"]] {
        let args = [&["--listen", "8080", "--socket-activation"], more].concat();
        let answer = host.start(&args, "app.socket");
        assert_eq!(answer["allowed"], Value::Null);
        assert_eq!(answer["address"], "[::]:8080");
        host.machine.run(["systemctl", "stop", "app.service"]).ok();
    }
}

#[test]
fn a_service_without_ports_cannot_listen() {
    let Some(host) = Host::boot() else {
        return;
    };
    export(&host.sandbox, &host.program, &[]);
    let unit = host.sandbox.path("app.service");
    host.machine.copy(&unit, "/etc/systemd/system/app.service");
    host.machine.run(["systemctl", "daemon-reload"]).ok();
    host.machine.run(["systemctl", "start", "app"]).ok();
    // The service prints its answer and ends, because it cannot listen.
    let journal = [
        "journalctl",
        "--unit=app",
        "--output=cat",
        "--identifier=app",
        "--no-pager",
    ];
    let mut printed = String::new();
    for _ in 0..100 {
        printed = host.machine.run(journal).ok().stdout;
        if printed.contains("allowed") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let line = printed.lines().find(|line| line.contains("allowed"));
    let answer: Value = serde_json::from_str(line.expect("an answer")).unwrap();
    assert_eq!(answer["allowed"], Value::Null);
}
