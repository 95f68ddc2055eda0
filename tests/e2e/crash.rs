//! A compose that is killed at any failpoint leaves the repository unchanged or complete, and the next compose gives the
//! same result as without the kill.

use ostree_go_sdk::{Arch, failpoint};
use ostree_go_tests::cli::{run, workspace};
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::server::Server;
use ostree_go_tests::state::{State, leftovers};
use ostree_go_tests::toy::Toy;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const OLD: &str = "1.99.1";
const NEW: &str = "1.99.2";
/// Failpoints that are passed once for each ref that moves.
const REFS: &str = "transaction.ref-moved";
/// Timestamp of the channels' commits, the same in every run.
const NOW: &str = "1767323045";

/// Starts a server with toy SDKs of both versions and architectures.
fn serve() -> Server {
    let sandbox = Sandbox::new();
    let mut files = Vec::new();
    for arch in Arch::ALL {
        for version in [OLD, NEW] {
            let name = format!("go{version}.linux-{arch}.tar.gz");
            let path = sandbox.path(&name);
            Toy::new(arch).version(version).tar_gz(&path);
            files.push((name, fs::read(&path).expect("the archive")));
        }
    }
    Server::start(files)
}

/// Writes the treefile of a version, whose source is downloaded.
fn treefile(sandbox: &Sandbox, server: &Server, version: &str) {
    let mut sources = String::new();
    for arch in Arch::ALL {
        let name = format!("go{version}.linux-{arch}.tar.gz");
        let (url, sha256) = (server.url(&name), server.sha256(&name));
        sources += &format!("  {arch}: [{{ url: \"{url}\", sha256: {sha256} }}]\n");
    }
    let channels = "channels: [\"go-sdk/${basearch}/1.99\", \"go-sdk/${basearch}/stable\"]";
    sandbox.treefile(version, &format!("{channels}\nsource:\n{sources}"));
}

fn compose(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.ostree_go(["compose", "go.yaml", "--cachedir", "cache"]);
    command.env("SOURCE_DATE_EPOCH", NOW);
    command
}

/// Composes without a kill; with `twice`, the old version first.
fn undisturbed(server: &Server, twice: bool) -> (String, State) {
    let sandbox = Sandbox::new();
    if twice {
        treefile(&sandbox, server, OLD);
        run(&mut compose(&sandbox)).ok();
    }
    treefile(&sandbox, server, NEW);
    let commits = run(&mut compose(&sandbox)).ok().stdout;
    (commits, State::of(&sandbox.repo()))
}

/// Kills a compose at every failpoint that it passes.
fn survives(twice: bool) {
    let server = serve();
    let (commits, complete) = undisturbed(&server, twice);
    for name in failpoint::NAMES.iter().filter(|name| **name != REFS) {
        let sandbox = Sandbox::new();
        if twice {
            treefile(&sandbox, &server, OLD);
            run(&mut compose(&sandbox)).ok();
        }
        let before = State::of(&sandbox.repo());
        treefile(&sandbox, &server, NEW);
        let out = run(compose(&sandbox).env("OSTREE_GO_FAILPOINT", name));
        // A repository that is there is not made again.
        if twice && name.starts_with("repo.") {
            out.ok();
            continue;
        }
        assert_eq!(
            out.status.signal(),
            Some(9),
            "{name} is not passed: {}",
            out.stderr
        );
        assert_eq!(out.stdout, "", "{name}");

        let repo = sandbox.repo();
        if repo.join("config").exists() {
            sandbox.fsck();
            let out = run(&mut sandbox.ostree_go(["list"]));
            assert_eq!(
                out.ok().stderr.contains("contains no releases"),
                !twice && *name != "compose.committed"
            );
        }
        let wanted = if *name == "compose.committed" {
            &complete
        } else {
            &before
        };
        assert_eq!(State::refs_of(&repo), *wanted.refs(), "{name}");

        let again = run(&mut compose(&sandbox)).ok();
        assert_eq!(again.stdout, commits, "{name}");
        assert_eq!(leftovers(&repo), [""; 0], "{name}");
        State::of(&repo).assert_is(&complete);
    }
}

#[test]
fn a_new_repository_survives_a_crash_at_every_point() {
    survives(false);
}

#[test]
fn a_release_survives_a_crash_of_the_next_compose() {
    survives(true);
}

#[test]
fn a_crash_leaves_a_consistent_order_of_refs() {
    let server = serve();
    let (commits, complete) = undisturbed(&server, false);
    for moved in 1..=complete.refs().len() {
        let sandbox = Sandbox::new();
        treefile(&sandbox, &server, NEW);
        let out = run(compose(&sandbox).env("OSTREE_GO_FAILPOINT", format!("{REFS}@{moved}")));
        assert_eq!(out.status.signal(), Some(9), "{moved}: {}", out.stderr);
        let repo = sandbox.repo();
        let refs = State::of(&repo).refs().clone();
        assert_eq!(refs.len(), moved);
        for arch in Arch::ALL {
            let is_of_arch = |name: &&String| name.starts_with(&format!("heads/go-sdk/{arch}/"));
            let release = format!("heads/go-sdk/{arch}/{NEW}");
            let channels = refs
                .keys()
                .filter(is_of_arch)
                .filter(|name| **name != release);
            assert!(
                channels.count() == 0 || refs.contains_key(&release),
                "{refs:?}"
            );
            if let Some(commit) = refs.get(&release) {
                let layers = ostree(&repo, ["show", "--print-metadata-key=sdk.layers", commit]);
                let named = layers.split('\'').filter(|text| text.len() == 64);
                for layer in named {
                    assert!(
                        refs.values().any(|commit| commit == layer),
                        "{layer}: {refs:?}"
                    );
                }
            }
        }
        let again = run(&mut compose(&sandbox)).ok();
        assert_eq!(again.stdout, commits, "{moved}");
        State::of(&repo).assert_is(&complete);
    }
}

#[test]
fn a_download_is_resumed() {
    let server = serve();
    let sandbox = Sandbox::new();
    treefile(&sandbox, &server, NEW);
    let out = run(compose(&sandbox).env("OSTREE_GO_FAILPOINT", "cache.completing"));
    assert_eq!(out.status.signal(), Some(9));
    let partial = fs::read_dir(sandbox.path("cache/partial")).expect("partial downloads");
    assert!(partial.count() > 0, "the download is kept");
    run(&mut compose(&sandbox)).ok();
    let left = fs::read_dir(sandbox.path("cache/partial")).expect("partial downloads");
    let left: Vec<_> = left.map(|entry| entry.expect("an entry").path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_point_has_a_name() {
    let mut hit = BTreeSet::new();
    for file in sources(&workspace().join("crates")) {
        let text = fs::read_to_string(&file).expect("a source file");
        for (at, _) in text.match_indices("failpoint::hit(") {
            let name = text[at..].split('"').nth(1).expect("a name in quotes");
            assert!(
                hit.insert(name.to_owned()),
                "{name} is passed at two places"
            );
        }
    }
    let names = failpoint::NAMES
        .iter()
        .chain(failpoint::STD_CACHE_NAMES)
        .chain(failpoint::MODULE_NAMES)
        .chain(failpoint::DEPLOY_NAMES)
        .chain(failpoint::PULL_NAMES)
        .chain(failpoint::PRUNE_NAMES)
        .chain(failpoint::DELTA_NAMES)
        .chain(failpoint::PUBLISH_NAMES)
        .chain(failpoint::OVERLAY_NAMES)
        .chain(failpoint::REBUILD_NAMES)
        .chain(failpoint::TRANSITION_NAMES)
        .chain(failpoint::PROXY_NAMES);
    let names: BTreeSet<String> = names.map(ToString::to_string).collect();
    assert_eq!(hit, names);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}
