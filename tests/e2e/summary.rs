//! A summary stays true after refs have moved. The stock `ostree pull-local` resolves refs by it, like rpm-ostree for
//! its layers.

use ostree_go_sdk::Arch;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::ostree::{init, ostree, try_ostree};
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE, source};
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

const STABLE: &str = "go-sdk/x86_64/stable";
const CHANNELS: &str = "channels: [\"go-sdk/${basearch}/1.99\"]";

fn release(version: &str) -> String {
    format!("go-sdk/x86_64/{version}")
}

/// Writes the toy SDKs and the treefile of a version.
fn prepare(sandbox: &Sandbox, version: &str) {
    sandbox.toys(version);
    sandbox.treefile(version, &format!("{TOY_SOURCE}\n{CHANNELS}"));
}

fn compose(sandbox: &Sandbox, version: &str, args: &[&str]) -> String {
    prepare(sandbox, version);
    let all = [&["compose", "go.yaml"], args].concat();
    sandbox.run(all).ok().stderr
}

/// Asserts that the stock client finds, by the summary, the commits that the refs name.
#[track_caller]
fn assert_true(sandbox: &Sandbox) {
    let client = sandbox.path("client");
    let _ = fs::remove_dir_all(&client);
    init(&client, "archive");
    let from = sandbox.repo();
    for name in sandbox.refs() {
        ostree(&client, ["pull-local", from.to_str().unwrap(), &name]);
        let found = ostree(&client, ["rev-parse", &name]);
        assert_eq!(Some(found.trim().to_owned()), sandbox.rev(&name), "{name}");
    }
    let listed = ostree(&from, ["summary", "--view"]);
    let listed = listed.lines().filter_map(|line| line.strip_prefix("* "));
    assert_eq!(listed.collect::<Vec<_>>(), sandbox.refs());
}

struct Key {
    gpg: Gpg,
    id: String,
}

impl Key {
    fn new() -> Self {
        let gpg = Gpg::new();
        let id = gpg.key("publisher");
        Self { gpg, id }
    }

    fn args(&self) -> [&str; 4] {
        let home = self.gpg.home().to_str().unwrap();
        ["--gpg-sign", &self.id, "--gpg-homedir", home]
    }

    fn public(&self) -> String {
        self.gpg.export(&self.id).display().to_string()
    }
}

fn summary(sandbox: &Sandbox) -> [Option<Vec<u8>>; 2] {
    ["summary", "summary.sig"].map(|name| fs::read(sandbox.repo().join(name)).ok())
}

#[test]
fn every_command_that_moves_refs_refreshes_an_unsigned_summary() {
    let sandbox = Sandbox::new();
    compose(&sandbox, "1.99.1", &[]);
    assert_eq!(summary(&sandbox), [None, None], "no summary is created");
    ostree(&sandbox.repo(), ["summary", "-u"]);

    let said = compose(&sandbox, "1.99.2", &[]);
    assert!(said.contains("the summary was refreshed"), "{said}");
    assert_true(&sandbox);
    let unchanged = summary(&sandbox);
    let said = compose(&sandbox, "1.99.2", &[]);
    assert!(!said.contains("summary"), "{said}");
    assert_eq!(summary(&sandbox), unchanged);

    let archive = sandbox.path("other.tar.gz");
    let toy = Toy::new(Arch::X86_64).version("1.99.2");
    toy.with("src/fmt/print.go", "package other\n")
        .tar_gz(&archive);
    sandbox.treefile("1.99.2", &format!("arches: [x86_64]\n{}", source(&archive)));
    sandbox.compose(["--replace"]);
    assert_true(&sandbox);

    let promoted = sandbox
        .run(["promote", "1.99.1", "stable", "--format", "json"])
        .ok();
    let promoted: Value = serde_json::from_str(&promoted.stdout).unwrap();
    assert_eq!(promoted["summary"], "refreshed");
    assert_true(&sandbox);

    let other = Sandbox::new();
    compose(&other, "1.99.3", &[]);
    let image = format!("oci:{}", sandbox.path("images").display());
    other.run(["export", "oci", "1.99.3", &image]).ok();
    sandbox.run(["import", &image]).ok();
    assert!(sandbox.rev(&release("1.99.3")).is_some());
    assert_true(&sandbox);

    sandbox.run(["prune", "--keep", "1"]).ok();
    assert_eq!(sandbox.rev(&release("1.99.3")), None);
    assert_true(&sandbox);
    sandbox.fsck();
}

#[test]
fn a_signed_summary_is_only_replaced_with_a_key() {
    let (sandbox, key) = (Sandbox::new(), Key::new());
    compose(&sandbox, "1.99.1", &key.args());
    sandbox.run([&["publish"][..], &key.args()].concat()).ok();
    let published = summary(&sandbox);

    let said = compose(&sandbox, "1.99.2", &[]);
    assert!(
        said.contains("run `ostree-go publish` with the key"),
        "{said}"
    );
    assert!(
        said.contains("warning: the new commit of go-sdk/x86_64/1.99 is not signed"),
        "{said}"
    );
    assert_eq!(summary(&sandbox), published);
    let client = sandbox.path("client");
    init(&client, "archive");
    let from = sandbox.repo().display().to_string();
    let name = release("1.99.2");
    let out = try_ostree(&client, ["pull-local", &from, &name]);
    assert!(!out.status.success(), "the stock client does not find it");
    let refused = sandbox.run(["export", "treefile", &name]).exits(1).stderr;
    assert!(
        refused.contains("names no commit for ref go-sdk/x86_64/1.99.2")
            && refused.contains("run `ostree-go publish`, with the key"),
        "{refused}"
    );

    // With the key, the same compose refreshes it.
    let said = compose(&sandbox, "1.99.2", &key.args());
    assert!(said.contains("the summary was refreshed"), "{said}");
    assert_true(&sandbox);
    sandbox.run(["export", "treefile", &name]).ok();
    let verifying = sandbox.path("verifying");
    init(&verifying, "archive");
    let import = format!("--gpg-import={}", key.public());
    let url = format!("file://{from}");
    let add = [
        "remote",
        "add",
        &import,
        "--set=gpg-verify-summary=true",
        "acme",
        &url,
    ];
    ostree(&verifying, add);
    ostree(&verifying, ["pull", "acme", "go-sdk/x86_64/1.99"]);
}

#[test]
fn a_prune_refreshes_summary_and_page() {
    let (sandbox, key) = (Sandbox::new(), Key::new());
    for version in ["1.99.1", "1.99.2", "1.99.3"] {
        compose(&sandbox, version, &key.args());
    }
    let public = key.public();
    let publish = [&["publish", "--public-key", &public][..], &key.args()].concat();
    sandbox.run(publish).ok();
    let read = |name: &str| fs::read_to_string(sandbox.repo().join(name)).unwrap();
    assert!(read("index.html").contains("1.99.1"));

    let said = sandbox
        .run([&["prune", "--keep", "1"][..], &key.args()].concat())
        .ok()
        .stderr;
    assert!(said.contains("the summary was refreshed"), "{said}");
    assert_true(&sandbox);
    let index: Value = serde_json::from_str(&read("index.json")).unwrap();
    let versions: Vec<_> = index["releases"].as_array().unwrap().iter().collect();
    assert!(
        versions.iter().all(|one| one["version"] == "1.99.3"),
        "{index}"
    );
    assert_eq!(index["keys"].as_array().unwrap().len(), 1, "{index}");
    assert!(!read("index.html").contains("1.99.1"));
    // The deltas that the summary names exist, and its signature is valid.
    let server = FaultyServer::serving(&sandbox.repo());
    let client = sandbox.path("verifying");
    init(&client, "bare-user");
    let import = format!("--gpg-import={public}");
    let verify = "--set=gpg-verify-summary=true";
    ostree(
        &client,
        ["remote", "add", &import, verify, "acme", &server.url()],
    );
    let pull = [
        "pull",
        "--require-static-deltas",
        "acme",
        "go-sdk/x86_64/1.99",
    ];
    ostree(&client, pull);
    ostree(&client, ["fsck", "--quiet"]);
}

#[test]
fn a_release_that_was_deleted_is_missing_and_not_tampered_with() {
    let (sandbox, key) = (Sandbox::new(), Key::new());
    for version in ["1.99.1", "1.99.2"] {
        compose(&sandbox, version, &key.args());
    }
    sandbox.run([&["publish"][..], &key.args()].concat()).ok();
    let said = sandbox.run(["prune", "--keep", "1"]).ok().stderr;
    assert!(
        said.contains("run `ostree-go publish` with the key"),
        "{said}"
    );

    let server = FaultyServer::serving(&sandbox.repo());
    let urls = [server.url(), format!("file://{}", sandbox.repo().display())];
    for url in urls {
        let host = Sandbox::new();
        host.run(["init", "--mode", "bare-user"]).ok();
        let public = key.public();
        host.run(["remote", "add", "acme", &url, "--gpg-import", &public])
            .ok();
        let out = host.run(["pull", "acme", &release("1.99.1")]).exits(1);
        assert!(
            out.stderr.contains("which the server does not have")
                && out.stderr.contains("the publisher can update the summary"),
            "{url}: {}",
            out.stderr
        );
        host.run(["pull", "acme", &release("1.99.2")]).ok();
    }
}

/// Returns the modes of everything that clients request from a repository.
fn modes(sandbox: &Sandbox) -> Vec<(PathBuf, u32)> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = Vec::new();
    let mut next = vec![sandbox.repo()];
    while let Some(path) = next.pop() {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let name = path.strip_prefix(sandbox.repo()).unwrap().to_owned();
        let is_private = ["state", "tmp", "extensions"]
            .map(PathBuf::from)
            .contains(&name)
            || name.to_string_lossy().starts_with('.');
        if is_private {
            continue;
        }
        if path.is_dir() {
            next.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        found.push((name, mode));
    }
    found
}

#[test]
fn what_is_published_is_readable_regardless_of_the_umask() {
    let (sandbox, key) = (Sandbox::new(), Key::new());
    let public = key.public();
    let run = |args: &[&str]| {
        let inner = sandbox.ostree_go(args.iter().copied());
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "umask 077; exec \"$@\"", "sh"]);
        command.arg(inner.get_program()).args(inner.get_args());
        command.current_dir(sandbox.path("")).env_clear();
        command.envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        ostree_go_tests::cli::run(&mut command).ok()
    };
    let assert_readable = |expected: bool| {
        let wanted = |path: &PathBuf| match sandbox.repo().join(path).is_dir() {
            true => 0o555,
            false => 0o444,
        };
        let found = modes(&sandbox);
        let hidden: Vec<_> = found
            .iter()
            .filter(|(path, mode)| mode & wanted(path) != wanted(path))
            .collect();
        assert_eq!(hidden.is_empty(), expected, "{hidden:?}");
    };
    prepare(&sandbox, "1.99.1");
    run(&[&["compose", "go.yaml"][..], &key.args()].concat());
    assert_readable(false);
    run(&[&["publish", "--public-key", &public][..], &key.args()].concat());
    assert_readable(true);
    // A compose that refreshes the summary publishes too.
    prepare(&sandbox, "1.99.2");
    run(&[&["compose", "go.yaml"][..], &key.args()].concat());
    assert_readable(true);
    run(&[&["promote", "1.99.2", "stable"][..], &key.args()].concat());
    assert!(sandbox.rev(STABLE).is_some());
    assert_readable(true);
}
