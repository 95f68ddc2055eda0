//! A program that tries to leave the sandbox, compiled by a real SDK, and `go test` in the sandbox.

use super::{Project, backends, is_running};
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::sdk::{Sdk, sdk};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};

const ESCAPE: &str = include_str!("escape.go");
const CREDENTIAL: &str = "hunter2";

/// What the program tries to reach.
struct Outside {
    tcp: TcpListener,
    udp: UdpSocket,
    _abstract: UnixListener,
    _unix: UnixListener,
    process: Child,
}

impl Outside {
    fn of(project: &Project) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let udp = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        udp.set_nonblocking(true).unwrap();
        let address = SocketAddr::from_abstract_name(format!("ostree-go-{port}")).unwrap();
        let mut process = Command::new("sleep");
        process.arg("600").env_clear().env("CREDENTIAL", CREDENTIAL);
        if let Some(uid) = project.uid {
            process.uid(uid).gid(uid);
        }
        let unix = project.path("home/socket");
        // The one of an earlier attempt.
        let _ = fs::remove_file(&unix);
        let listener = UnixListener::bind(&unix).unwrap();
        fs::set_permissions(&unix, fs::Permissions::from_mode(0o777)).unwrap();
        Self {
            tcp,
            udp,
            _abstract: UnixListener::bind_addr(&address).unwrap(),
            _unix: listener,
            process: process.spawn().unwrap(),
        }
    }

    fn port(&self) -> u16 {
        self.tcp.local_addr().unwrap().port()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Compiles the program into the project.
fn compile(project: &Project, sdk: &Sdk) {
    project.file("src/escape.go", ESCAPE);
    let mut go = Command::new(sdk.dir.join("bin/go"));
    go.args(["build", "-o", "escape", "escape.go"])
        .current_dir(project.path("src"));
    go.env_clear().envs([
        ("CGO_ENABLED", "0"),
        ("GOTOOLCHAIN", "local"),
        ("GOPROXY", "off"),
    ]);
    go.env("GOCACHE", project.path("cache"))
        .env("HOME", project.path("home"));
    run(&mut go).ok();
    fs::remove_file(project.path("src/escape.go")).unwrap();
}

/// The sandbox has its own file system there, which the test compares with that of the host.
const OWN: &str = "write to /dev/shm of the host";
const UDP: &str = "send by UDP";

fn try_to_escape(project: &Project, backend: &str) {
    let outside = Outside::of(project);
    let shm = PathBuf::from("/dev/shm/escaped");
    let _ = fs::remove_file(&shm);
    let secret = project.path("secret");
    fs::write(&secret, "of root\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let path = |name: &str| project.path(name).display().to_string();
    let sdk = project
        .host
        .current("usr/lib/sdk/go-1.99")
        .canonicalize()
        .unwrap();
    let daemon = path("src/out/alive");
    let args = [
        format!("source={}", path("src")),
        format!("sdk={}", sdk.display()),
        format!("home={}", path("home")),
        "shm=/dev/shm".to_owned(),
        format!("secret={}", secret.display()),
        format!("port={}", outside.port()),
        format!("abstract=ostree-go-{}", outside.port()),
        format!("unix={}", path("home/socket")),
        format!("pid={}", outside.process.id()),
        format!("daemon={daemon}"),
    ];
    let start = ["--sandbox", backend, "--write", "out", "--", "./escape"];
    let mut command = project.command(&start);
    command
        .args(args)
        .env("HOME", project.path("home"))
        .env("AWS_SECRET_ACCESS_KEY", CREDENTIAL);
    let out = run(&mut command).ok();
    let found = attempts(&out);
    assert!(found.len() > 20, "{out}");
    let reached = found.iter().filter(|(_, result)| **result != "denied");
    let reached: Vec<&str> = reached
        .map(|(name, _)| *name)
        .filter(|name| ![OWN, UDP].contains(name))
        .collect();
    assert!(reached.is_empty(), "{reached:?}\n{out}");

    // What the program cannot know: whether the outside noticed it.
    let received = outside.udp.recv(&mut [0; 16]).unwrap_err();
    assert_eq!(received.kind(), ErrorKind::WouldBlock);
    for path in ["src/escaped", "home/escaped"] {
        assert!(!project.path(path).exists(), "{path}");
    }
    assert!(!sdk.join("escaped").exists() && !shm.exists());
    assert!(
        project.path("src/out/alive").exists(),
        "the daemon was started\n{out}"
    );
    assert!(!is_running(&daemon), "the daemon has survived");
    fs::remove_file(project.path("src/out/alive")).unwrap();
}

/// Returns the result of each attempt.
fn attempts(out: &Output) -> BTreeMap<&str, &str> {
    out.stdout
        .lines()
        .filter_map(|line| line.rsplit_once(": "))
        .collect()
}

#[test]
fn a_program_cannot_leave_the_sandbox() {
    let Some(host) = Arch::host() else { return };
    let Some(sdk) = sdk("1.26.5", host) else {
        return;
    };
    for project in [Project::new(), Project::of_plain_user()] {
        project.directory("home");
        project.file("home/secret", "of the user\n");
        compile(&project, &sdk);
        for backend in backends() {
            try_to_escape(&project, backend);
        }
    }
}

#[test]
fn a_program_cannot_fill_the_memory_of_the_machine() {
    let project = Project::new();
    if !backends().contains(&"bwrap") {
        return;
    }
    // The size is a limit, so that nothing has to be written to see it.
    let script = "df --output=size -B1 /tmp /dev/shm | tail -n +2";
    let out = project.sh("bwrap", &["--quiet"], script).ok();
    let sizes: Vec<u64> = out
        .stdout
        .lines()
        .map(|size| size.trim().parse().unwrap())
        .collect();
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let total = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .unwrap();
    let total: u64 = total.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(sizes[0] <= total * 1024 / 2, "{sizes:?}");
    assert_eq!(sizes[1], 64 << 20);
    // Everything else is read-only.
    let out = project.sh(
        "bwrap",
        &["--quiet"],
        "for d in / /dev /etc /run /var; do touch $d/x && echo $d; done; true",
    );
    assert_eq!(out.ok().stdout, "");
}

#[test]
fn go_tests_a_module() {
    let host = ostree_go_tests::host::Host::of_plain_user();
    if host.sandbox.add_real_sdks(&[host.arch()]).is_none() {
        return;
    }
    host.install("1.26.5").ok();
    let uid = ostree_go_tests::tools::is_root().then_some(1000);
    let project = Project { host, uid };
    project.directory("src");
    project.file("src/go.mod", "module example.com/src\n\ngo 1.26\n");
    project.file("src/a.go", "package a\n\nfunc A() int { return 1 }\n");
    let test = "package a\n\nimport (\n\t\"os/user\"\n\t\"testing\"\n)\n\nfunc TestA(t *testing.T) {\n\
        \tif A() != 1 {\n\t\tt.Fatal()\n\t}\n\tif _, err := user.Current(); err != nil {\n\t\tt.Fatal(err)\n\t}\n\
        \tif err := os.WriteFile(\"x\", nil, 0o644); err == nil {\n\t\tt.Fatal(\"written\")\n\t}\n}\n";
    project.file(
        "src/a_test.go",
        &test.replace("\t\"os/user\"", "\t\"os\"\n\t\"os/user\""),
    );
    for backend in backends() {
        let out =
            run(&mut project.command(&["--sandbox", backend, "--", "go", "test", "./..."])).ok();
        assert!(out.stdout.starts_with("ok  \texample.com/src"), "{out}");
    }
}
