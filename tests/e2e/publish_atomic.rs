//! Publishing replaces summary and signature together: a client finds a valid pair at every moment, and after a crash.

use ostree_go_sdk::failpoint;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::inject::{Calls, Fault, Injector};
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::ostree::{self, ostree, try_ostree};
use ostree_go_tests::running::Running;
use ostree_go_tests::sandbox::Sandbox;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

struct Publisher {
    sandbox: Sandbox,
    gpg: Gpg,
    key: String,
}

impl Publisher {
    fn new() -> Self {
        let (sandbox, gpg) = (Sandbox::new(), Gpg::new());
        let key = gpg.key("publisher");
        ostree::init(&sandbox.repo(), "archive");
        fs::create_dir(sandbox.path("tree")).unwrap();
        Self { sandbox, gpg, key }
    }

    /// Creates a publisher with one published commit; returns also the URL of its repository.
    fn served_by(nginx: &Nginx) -> (Self, String) {
        let publisher = Self::new();
        publisher.commit("first");
        ostree_go_tests::cli::run(&mut publisher.publish()).ok();
        let served = nginx.path("repo");
        std::os::unix::fs::symlink(publisher.sandbox.repo(), served).unwrap();
        (publisher, format!("{}/repo", nginx.url()))
    }

    fn commit(&self, subject: &str) {
        let tree = format!("--tree=dir={}", self.sandbox.path("tree").display());
        ostree(
            &self.sandbox.repo(),
            ["commit", "-b", "x", "-s", subject, &tree],
        );
        let mut sign = self.sandbox.ostree_go(["sign", "x"]);
        ostree_go_tests::cli::run(self.signing(&mut sign)).ok();
    }

    fn publish(&self) -> Command {
        let mut command = self.sandbox.ostree_go(["publish"]);
        self.signing(&mut command);
        command
    }

    fn signing<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .args(["--gpg-sign", &self.key, "--gpg-homedir"])
            .arg(self.gpg.home())
    }

    /// Pulls into a new repository with the stock command, which verifies summary and commit.
    fn pull(&self, url: &str, folder: &str) -> Result<(), String> {
        let client = self.sandbox.path(folder);
        let _ = fs::remove_dir_all(&client);
        ostree::init(&client, "archive");
        let import = format!("--gpg-import={}", self.gpg.export(&self.key).display());
        let add = [
            "remote",
            "add",
            &import,
            "--set=gpg-verify-summary=true",
            "acme",
            url,
        ];
        ostree(&client, add);
        let out = try_ostree(&client, ["pull", "acme", "x"]);
        match out.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        }
    }

    fn url(&self) -> String {
        format!("file://{}", self.sandbox.repo().display())
    }
}

fn identity(path: &Path) -> (u64, Vec<u8>) {
    (fs::metadata(path).unwrap().ino(), fs::read(path).unwrap())
}

#[test]
fn an_unchanged_publish_touches_neither_file() {
    let publisher = Publisher::new();
    publisher.commit("one");
    ostree_go_tests::cli::run(&mut publisher.publish()).ok();
    let files = ["summary", "summary.sig"].map(|name| publisher.sandbox.repo().join(name));
    let before = files.each_ref().map(|path| identity(path));
    // The summary has the time in seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    ostree_go_tests::cli::run(&mut publisher.publish()).ok();
    assert_eq!(files.each_ref().map(|path| identity(path)), before);
    publisher.commit("two");
    ostree_go_tests::cli::run(&mut publisher.publish()).ok();
    assert_ne!(files.each_ref().map(|path| identity(path)), before);
    publisher.pull(&publisher.url(), "client").unwrap();
}

#[test]
fn a_publish_that_dies_leaves_a_valid_pair() {
    let publisher = Publisher::new();
    publisher.commit("first");
    ostree_go_tests::cli::run(&mut publisher.publish()).ok();
    // Two renames after another; GnuPG stops at the first bad signature in between.
    let between = "publish.summary-written";
    for point in failpoint::PUBLISH_NAMES {
        publisher.commit(point);
        let mut command = publisher.publish();
        let out = ostree_go_tests::cli::run(command.env("OSTREE_GO_FAILPOINT", point));
        assert!(out.code().is_none(), "{point}: {out}");
        if *point != between {
            let pulled = publisher.pull(&publisher.url(), "client");
            assert_eq!(pulled, Ok(()), "after a death at {point}");
        }
        ostree_go_tests::cli::run(&mut publisher.publish()).ok();
        let pulled = publisher.pull(&publisher.url(), "client");
        assert_eq!(pulled, Ok(()), "once published after a death at {point}");
        let left = fs::read_dir(publisher.sandbox.repo().join("tmp")).unwrap();
        let left = left.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        let left: Vec<String> = left.filter(|name| name.contains("summary-")).collect();
        assert!(left.is_empty(), "{point}: {left:?}");
    }
}

#[test]
fn clients_pull_while_a_publisher_publishes() {
    let Some(nginx) = Nginx::start() else { return };
    let (publisher, url) = Publisher::served_by(&nginx);
    for round in 0..8 {
        publisher.commit(&format!("round {round}"));
        let mut running = Running::start(&mut publisher.publish());
        // A client that has the signature from before and the summary from after has to try again.
        let mut tried = 0;
        while let Err(error) = publisher.pull(&url, "client") {
            tried += 1;
            assert!(tried < 3, "round {round}: {error}");
        }
        assert!(running.ends_within(std::time::Duration::from_secs(60)));
    }
    publisher.pull(&url, "client").unwrap();
}

#[test]
fn our_clients_always_find_a_valid_pair() {
    let Some(nginx) = Nginx::start() else { return };
    let (publisher, url) = Publisher::served_by(&nginx);
    let client = Sandbox::new();
    client.run(["init", "--mode", "archive"]).ok();
    let keys = publisher.gpg.export(&publisher.key);
    let add = ["remote", "add", "acme", &url, "--gpg-import"];
    let add = add.into_iter().chain([keys.to_str().unwrap()]);
    client.run(add).ok();
    let mut pulls = 0;
    for round in 0..6 {
        publisher.commit(&format!("round {round}"));
        let mut running = Running::start(&mut publisher.publish());
        while !running.ends_within(std::time::Duration::ZERO) {
            // A mirror copies summary and signature as they are, so that they have to be of the same moment.
            client.run(["pull", "--mirror", "acme"]).ok();
            let mirror = format!("file://{}", client.repo().display());
            publisher.pull(&mirror, "of-mirror").unwrap();
            pulls += 1;
        }
    }
    assert!(pulls > 0, "a pull meets a publication");
    client.run(["pull", "--mirror", "acme"]).ok();
    publisher
        .pull(&format!("file://{}", client.repo().display()), "of-mirror")
        .unwrap();
    let copied = publisher.sandbox.repo().join("summary");
    assert_eq!(
        fs::read(client.repo().join("summary")).unwrap(),
        fs::read(copied).unwrap()
    );
}

#[test]
fn a_publish_that_fails_leaves_a_valid_pair() {
    let Some(injector) = Injector::new() else {
        return;
    };
    let publisher = Publisher::new();
    publisher.commit("first");
    ostree_go_tests::cli::run(&mut publisher.publish()).ok();
    publisher.commit("second");
    // Whatever rename fails, among them the last one, which replaces the signatures.
    let calls = Calls::of(&injector, &["rename"], &publisher.publish());
    let mut failed = 0;
    for (round, when) in calls.positions("rename").iter().enumerate() {
        publisher.commit(&format!("round {round}"));
        let fault = Fault::error("rename", "EIO", *when);
        let out = ostree_go_tests::cli::run(&mut injector.with(&fault, &publisher.publish()));
        failed += u32::from(out.code() != Some(0));
        let pulled = publisher.pull(&publisher.url(), "client");
        assert_eq!(pulled, Ok(()), "{fault}: {out}");
    }
    assert!(failed > 0, "a fault has an effect");
}
