//! A compose that dies at any of its named points leaves the repository as it was, or complete, and the next one does
//! what it would have done anyway.

use ostree_go_sdk::{Arch, failpoint};
use ostree_go_tests::bench::Bench;
use ostree_go_tests::cli::{run, workspace};
use ostree_go_tests::ostree::ostree;
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
/// Passed once for each ref that moves.
const REFS: &str = "transaction.ref-moved";
/// The time of the channels' commits: the same in every run.
const NOW: &str = "1767323045";

/// Toys of both versions and architectures, on a server.
fn serve() -> Server {
    let bench = Bench::new();
    let mut files = Vec::new();
    for arch in Arch::ALL {
        for version in [OLD, NEW] {
            let name = format!("go{version}.linux-{arch}.tar.gz");
            let path = bench.path(&name);
            Toy::new(arch).version(version).tar_gz(&path);
            files.push((name, fs::read(&path).expect("the archive")));
        }
    }
    Server::start(files)
}

/// Writes the treefile of a version, which downloads what it composes.
fn treefile(bench: &Bench, server: &Server, version: &str) {
    let mut sources = String::new();
    for arch in Arch::ALL {
        let name = format!("go{version}.linux-{arch}.tar.gz");
        let (url, sha256) = (server.url(&name), server.sha256(&name));
        sources += &format!("  {arch}: [{{ url: \"{url}\", sha256: {sha256} }}]\n");
    }
    let channels = "channels: [\"go-sdk/${basearch}/1.99\", \"go-sdk/${basearch}/stable\"]";
    bench.treefile(version, &format!("{channels}\nsource:\n{sources}"));
}

fn compose(bench: &Bench) -> Command {
    let mut command = bench.ostree_go(["compose", "go.yaml", "--cachedir", "cache"]);
    command.env("SOURCE_DATE_EPOCH", NOW);
    command
}

/// Composes without disturbance, the old version first if `twice`.
fn undisturbed(server: &Server, twice: bool) -> (String, State) {
    let bench = Bench::new();
    if twice {
        treefile(&bench, server, OLD);
        run(&mut compose(&bench)).ok();
    }
    treefile(&bench, server, NEW);
    let commits = run(&mut compose(&bench)).ok().stdout;
    (commits, State::of(&bench.repo()))
}

/// Kills a compose at every point that it passes.
fn survives(twice: bool) {
    let server = serve();
    let (commits, complete) = undisturbed(&server, twice);
    for name in failpoint::NAMES.iter().filter(|name| **name != REFS) {
        let bench = Bench::new();
        if twice {
            treefile(&bench, &server, OLD);
            run(&mut compose(&bench)).ok();
        }
        let before = State::of(&bench.repo());
        treefile(&bench, &server, NEW);
        let out = run(compose(&bench).env("OSTREE_GO_FAILPOINT", name));
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

        let repo = bench.repo();
        if repo.join("config").exists() {
            bench.fsck();
            let out = run(&mut bench.ostree_go(["list"]));
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

        let again = run(&mut compose(&bench)).ok();
        assert_eq!(again.stdout, commits, "{name}");
        assert_eq!(leftovers(&repo), [""; 0], "{name}");
        State::of(&repo).assert_is(&complete);
    }
}

#[test]
fn a_new_repository_survives_every_crash() {
    survives(false);
}

#[test]
fn a_release_survives_every_crash_of_the_next() {
    survives(true);
}

#[test]
fn refs_move_in_an_order_that_a_crash_does_not_break() {
    let server = serve();
    let (commits, complete) = undisturbed(&server, false);
    for moved in 1..=complete.refs().len() {
        let bench = Bench::new();
        treefile(&bench, &server, NEW);
        let out = run(compose(&bench).env("OSTREE_GO_FAILPOINT", format!("{REFS}@{moved}")));
        assert_eq!(out.status.signal(), Some(9), "{moved}: {}", out.stderr);
        let repo = bench.repo();
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
        let again = run(&mut compose(&bench)).ok();
        assert_eq!(again.stdout, commits, "{moved}");
        State::of(&repo).assert_is(&complete);
    }
}

#[test]
fn a_download_goes_on_where_it_was_cut() {
    let server = serve();
    let bench = Bench::new();
    treefile(&bench, &server, NEW);
    let out = run(compose(&bench).env("OSTREE_GO_FAILPOINT", "cache.completing"));
    assert_eq!(out.status.signal(), Some(9));
    let partial = fs::read_dir(bench.path("cache/partial")).expect("partial downloads");
    assert!(partial.count() > 0, "the download is kept");
    run(&mut compose(&bench)).ok();
    let left = fs::read_dir(bench.path("cache/partial")).expect("partial downloads");
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
        .chain(failpoint::DEPLOY_NAMES)
        .chain(failpoint::PULL_NAMES)
        .chain(failpoint::DELTA_NAMES)
        .chain(failpoint::OVERLAY_NAMES);
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
