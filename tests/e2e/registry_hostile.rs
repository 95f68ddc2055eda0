//! A table of attacks by a registry, and of attacks on an installation: each ends with the right error, within bounds of memory,
//! requests and time, and leaves the repository and the root whole.

use std::fs;
use std::process::Command;
use std::time::Duration;

use ostree_go_tests::cli::run;
use ostree_go_tests::hostile::{Attack, Hostile};
use ostree_go_tests::memory::{MemoryLimit, measured_within};
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::registry_fixture::{NAME, RegistryFixture};
use ostree_go_tests::running::Running;
use rustix::process::{Pid, Signal, kill_process};

/// The most memory of the command, whatever the registry does.
const MEMORY: u64 = 300 << 20;
/// Upper bound on the requests of a pull: eight at a time, each tried twice, with up to ten redirects.
const REQUESTS: usize = 8 * 2 * 11;
/// Guards against hanging.
const LIMIT: Duration = Duration::from_secs(120);
const REF: &str = "go-sdk/x86_64/1.99";

/// A registry that can misbehave, and a host that knows it as the remote `evil`.
struct Attacked {
    fixture: RegistryFixture,
    server: Hostile,
    limit: Option<MemoryLimit>,
}

impl Attacked {
    fn new() -> Self {
        let fixture = RegistryFixture::new();
        let server = Hostile::serving(&fixture.publisher.sandbox.path("www"));
        let keys = fixture.gpg.export(&fixture.key);
        let keys = keys.to_str().unwrap();
        let url = format!("oci+{}/{NAME}", server.url());
        let add = ["remote", "add", "evil", &url, "--gpg-import", keys];
        fixture.host.run(add).ok();
        fixture.root(add).ok();
        Self {
            fixture,
            server,
            limit: MemoryLimit::new(MEMORY),
        }
    }

    /// Attacks a pull and an installation; returns the messages of both.
    #[track_caller]
    fn attack(&self, name: &str, path: &str, attack: &Attack, code: i32) -> String {
        let limits = ["--retries", "1", "--stall-timeout", "2"];
        let pull = ["pull", "evil", REF].into_iter().chain(limits);
        let install = ["install", "1.99"].into_iter().chain(limits);
        let mut messages = String::new();
        for mut command in [
            self.fixture.host.ostree_go(pull),
            self.fixture.on_root(install),
        ] {
            self.server.reset();
            self.server.attack(path, attack.clone());
            let (out, memory) = measured_within(self.limit.as_ref(), &mut command, LIMIT);
            let requests = self.server.requests().len();
            println!(
                "{name}: {}, {} MiB, {requests} requests, {} MiB sent",
                out.status,
                memory >> 20,
                self.server.sent() >> 20
            );
            assert_eq!(out.code(), Some(code), "{name}: {out}");
            assert!(memory < MEMORY, "{name}: {memory} bytes of memory");
            assert!(requests < REQUESTS, "{name}: {requests} requests");
            messages += &out.stderr;
        }
        for repo in ["repo", "root/repo"] {
            let repo = self.fixture.host.path(repo);
            ostree(&repo, ["fsck", "--quiet"]);
            assert_eq!(ostree(&repo, ["refs"]), "", "{name}");
        }
        let deployments = self.fixture.host.path("root/deployments");
        let deployed = fs::read_dir(deployments).map_or(0, Iterator::count);
        assert_eq!(deployed, 0, "{name}: nothing is installed");
        messages
    }
}

#[test]
fn bodies_of_a_registry_without_end() {
    let attacked = Attacked::new();
    for path in ["/manifests/1.99$", "/manifests/sha256:", "/blobs/sha256:"] {
        for attack in [Attack::Endless, Attack::EndlessChunks, Attack::Huge] {
            let name = format!("{attack:?} for {path}");
            let messages = attacked.attack(&name, path, &attack, 1);
            assert!(
                messages.contains("larger than") || messages.contains("more than"),
                "{name}: {messages}"
            );
        }
        let messages = attacked.attack("denied", path, &Attack::Status(403), 1);
        assert!(messages.contains("403"), "{messages}");
        attacked.attack("missing", path, &Attack::Status(404), 1);
        attacked.attack("busy", path, &Attack::Status(503), 75);
    }
}

#[test]
fn heads_of_a_registry_without_end() {
    let attacked = Attacked::new();
    for attack in [
        Attack::EndlessHeaders,
        Attack::EndlessHeader,
        Attack::ChunkExtension,
        Attack::RedirectLoop,
        Attack::DripHead(20),
        Attack::CutAfter(10),
        Attack::CutAndDeny(10),
    ] {
        for path in ["/manifests/1.99$", "/blobs/sha256:"] {
            let name = format!("{attack:?} for {path}");
            attacked.attack(&name, path, &attack, 75);
        }
    }
    for attack in [Attack::Drip(20), Attack::WrongLength(1)] {
        let name = format!("{attack:?} for a manifest");
        attacked.attack(&name, "/manifests/1.99$", &attack, 75);
    }
    // The next pull and the next installation succeed.
    attacked.server.reset();
    attacked.fixture.host.run(["pull", "evil", REF]).ok();
    attacked.fixture.root(["install", "1.99"]).ok();
}

#[test]
fn a_layer_that_needs_a_large_window() {
    let attacked = Attacked::new();
    let fixture = &attacked.fixture;
    // From a pipe, so that the frame announces the window of 2 GiB and no size.
    let archive = fixture.publisher.sandbox.path("archive");
    let content = fixture.archive("1.99", "common");
    fs::write(&archive, &content).unwrap();
    let script = "cat \"$0\" | zstd --ultra -1 --long=31 > \"$0.zst\"";
    let mut zstd = Command::new("sh");
    run(zstd.args(["-c", script]).arg(&archive)).ok();
    let blob = fs::read(archive.with_extension("zst")).unwrap();
    fixture.replace_blob("1.99", "common", &blob, "zstd", content.len());
    let messages = attacked.attack("large window", "/nothing", &Attack::Endless, 3);
    assert!(messages.contains("memory"), "{messages}");
}

#[test]
fn a_signal_ends_a_download_that_would_never_end() {
    let attacked = Attacked::new();
    attacked
        .server
        .attack("/blobs/sha256:", Attack::DripHead(20));
    let args = ["pull", "evil", REF, "--min-rate", "0"];
    let mut running = Running::start(&mut attacked.fixture.host.ostree_go(args));
    let asked = || {
        let requests = attacked.server.requests();
        requests.iter().any(|path| path.contains("/blobs/sha256:"))
    };
    while !asked() {
        assert!(!running.ends_within(Duration::from_millis(10)), "it waits");
    }
    let pid = Pid::from_raw(running.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    running.wait(LIMIT).exits(130);
}
