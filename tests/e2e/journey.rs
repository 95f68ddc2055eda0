//! The complete workflow of a publisher and a host, over a real web server.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::Output;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::toy::Toy;
use serde_json::Value;

/// A publisher with a key, and a host that trusts it.
struct World {
    sandbox: Sandbox,
    gpg: Gpg,
    key: String,
    nginx: Nginx,
}

impl World {
    fn new() -> Option<Self> {
        let nginx = Nginx::start()?;
        let sandbox = Sandbox::new();
        std::os::unix::fs::symlink(sandbox.repo(), nginx.path("repo")).unwrap();
        let gpg = Gpg::new();
        let key = gpg.key("publisher");
        Some(Self {
            sandbox,
            gpg,
            key,
            nginx,
        })
    }

    /// Composes, signs and publishes a release for this machine.
    fn release(&self, version: &str) {
        // A web server tells a summary from the last by its size and the second it was written in.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let arch = Arch::host().expect("a machine that Go is composed for");
        let archive = self.sandbox.path(&format!("go{version}.tar.gz"));
        Toy::new(arch).version(version).tar_gz(&archive);
        let lines = format!(
            "arches: [{arch}]\nchannels: [\"go-sdk/{arch}/1.99\"]\n{}",
            source(&archive)
        );
        self.sandbox.treefile(version, &lines);
        let home = self.gpg.home().to_str().unwrap();
        let sign = ["--gpg-sign", &self.key, "--gpg-homedir", home];
        self.sandbox
            .run(["compose", "go.yaml"].into_iter().chain(sign))
            .ok();
        self.sandbox.run(["publish"].into_iter().chain(sign)).ok();
    }

    /// Runs a verb on the host, with only the repository of its root directory.
    fn host(&self, args: &[&str]) -> Output {
        let mut command = self.sandbox.ostree_go(args.iter().copied());
        command
            .env_remove("OSTREE_REPO")
            .env("OSTREE_GO_ROOT", self.sandbox.path("root"));
        ostree_go_tests::cli::run(&mut command)
    }

    fn trust(&self) {
        let key = self.gpg.export(&self.key);
        let url = format!("{}/repo", self.nginx.url());
        self.host(&[
            "remote",
            "add",
            "acme",
            &url,
            "--gpg-import",
            key.to_str().unwrap(),
        ])
        .ok();
    }

    /// Returns the version that `current` points to.
    fn current(&self) -> Option<String> {
        let root = self
            .sandbox
            .path("root/current/usr/lib/sdk/go-1.99/VERSION");
        let text = std::fs::read_to_string(root).ok()?;
        text.lines().next().map(str::to_owned)
    }

    fn status(&self) -> Value {
        let out = self.host(&["status", "--format", "json"]).ok();
        serde_json::from_str(&out.stdout).unwrap()
    }
}

#[test]
fn install_upgrade_and_rollback() {
    let Some(world) = World::new() else { return };
    world.release("1.99.1");
    world.trust();
    world.host(&["install", "1.99"]).ok();
    assert_eq!(world.current().as_deref(), Some("go1.99.1"));
    let again = world.host(&["install", "1.99"]).ok();
    assert!(again.stderr.contains("is up to date"), "{}", again.stderr);
    assert_eq!(
        world.host(&["upgrade", "--unchanged-exit-77"]).code(),
        Some(77)
    );

    world.release("1.99.2");
    let upgraded = world.host(&["upgrade"]).ok();
    assert!(upgraded.stderr.contains("by delta"), "{}", upgraded.stderr);
    assert_eq!(world.current().as_deref(), Some("go1.99.2"));
    let status = world.status();
    assert_eq!(
        status["deployments"].as_array().unwrap().len(),
        2,
        "{status}"
    );
    assert_eq!(status["deployments"][0]["remote"], "acme", "{status}");
    assert_eq!(
        status["deployments"][0]["signatures"][0]["key"],
        world.key.as_str(),
        "{status}"
    );

    // Offline, there and back again.
    let nginx = world.nginx;
    drop(nginx);
    let world = HostOnly {
        sandbox: world.sandbox,
    };
    for expected in ["go1.99.1", "go1.99.2", "go1.99.1"] {
        world.host(&["rollback"]).ok();
        assert_eq!(world.current().as_deref(), Some(expected));
    }
    let refused = world.host(&["upgrade"]);
    assert_eq!(refused.code(), Some(75), "{refused:?}");
    assert!(
        refused.stderr.contains("1.99.1 stays active"),
        "{}",
        refused.stderr
    );
}

/// A host whose publisher no longer exists.
struct HostOnly {
    sandbox: Sandbox,
}

impl HostOnly {
    fn host(&self, args: &[&str]) -> Output {
        let mut command = self.sandbox.ostree_go(args.iter().copied());
        command
            .env_remove("OSTREE_REPO")
            .env("OSTREE_GO_ROOT", self.sandbox.path("root"));
        ostree_go_tests::cli::run(&mut command)
    }

    fn current(&self) -> Option<String> {
        let root = self
            .sandbox
            .path("root/current/usr/lib/sdk/go-1.99/VERSION");
        let text = std::fs::read_to_string(root).ok()?;
        text.lines().next().map(str::to_owned)
    }
}

#[test]
fn content_without_the_publishers_signature_never_runs() {
    let Some(world) = World::new() else { return };
    world.release("1.99.1");
    world.trust();
    world.host(&["install", "1.99"]).ok();

    // The next release is signed by somebody else.
    let stranger = Gpg::new();
    let key = stranger.key("stranger");
    let theirs = World {
        key,
        gpg: stranger,
        sandbox: world.sandbox,
        nginx: world.nginx,
    };
    theirs.release("1.99.2");
    let refused = theirs.host(&["upgrade"]).exits(3);
    assert!(
        refused.stderr.contains("1.99.1 stays active"),
        "{}",
        refused.stderr
    );
    assert_eq!(theirs.current().as_deref(), Some("go1.99.1"));
    theirs.host(&["install", "1.99.2"]).exits(3);
    assert_eq!(theirs.current().as_deref(), Some("go1.99.1"));
    let status = theirs.status();
    assert_eq!(
        status["deployments"].as_array().unwrap().len(),
        1,
        "{status}"
    );
    // What was there before is still good to install.
    theirs.host(&["install", "1.99.1"]).ok();
}
