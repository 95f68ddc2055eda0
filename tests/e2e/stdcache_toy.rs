//! Std caches of toy SDKs, with a stand-in for the sandbox: the order of refs and transactions, kills, signatures.

use ostree_go_sdk::{Arch, failpoint};
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::fake_bwrap;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::state::State;
use ostree_go_tests::tools;
use serde_json::Value;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

const NAMES: [&str; 4] = [
    "x86_64-trimpath",
    "x86_64-plain",
    "aarch64-trimpath",
    "aarch64-plain",
];

fn ref_of(name: &str) -> String {
    format!("go-sdk/stdcache/1.99.1/{name}")
}

/// Returns a sandbox with toy SDKs and a treefile that names all std caches, or `None` on a machine without SDKs.
fn sandbox() -> Option<Sandbox> {
    if Arch::host().is_none() {
        tools::skip("there is no SDK for this machine");
        return None;
    }
    Some(Sandbox::with_toys("stdcache: {}"))
}

fn command<'a>(sandbox: &Sandbox, args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = sandbox.ostree_go(["compose", "go.yaml"].into_iter().chain(args));
    fake_bwrap::put_before(&mut command, &sandbox.path("bin"));
    command.env("LOG", sandbox.path("log"));
    command
}

fn compose<'a>(sandbox: &Sandbox, args: impl IntoIterator<Item = &'a str>) -> Output {
    run(&mut command(sandbox, args)).ok()
}

/// Returns the number of sandboxes that were started since the last call.
fn started(sandbox: &Sandbox) -> usize {
    let log = sandbox.path("log");
    let text = fs::read_to_string(&log).unwrap_or_default();
    let _ = fs::remove_file(log);
    text.lines().count()
}

#[test]
fn each_target_and_mode_is_a_commit_that_is_built_once() {
    let Some(sandbox) = sandbox() else {
        return;
    };
    let out = compose(&sandbox, ["--format", "json"]);
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["unchanged"], false);
    let all = json["std_caches"].as_array().unwrap();
    assert_eq!(all.len(), NAMES.len());
    for (one, name) in all.iter().zip(NAMES) {
        assert_eq!(one["id"], name);
        assert_eq!(one["ref"], ref_of(name));
        assert_eq!(one["version"], "1.99.1");
        assert_eq!(one["unchanged"], false);
        assert_eq!(
            one["commit"].as_str(),
            sandbox.rev(&ref_of(name)).as_deref()
        );
        // The index, the package, the facts and the empty output. The list of sources is left out.
        assert_eq!(one["files"], 4);
        let listed = ostree(&sandbox.repo(), ["ls", "-R", &ref_of(name)]);
        let dir = format!("/usr/lib/sdk/stdcache/go-1.99/{name}");
        assert!(listed.contains(&format!("{dir}/index")), "{listed}");
        let index = ostree(
            &sandbox.repo(),
            ["cat", &ref_of(name), &format!("{dir}/index")],
        );
        assert_eq!(index.lines().next(), Some("ostree-go stdcache 1"));
        assert_eq!(index.lines().count(), 4, "{index}");
    }
    // The outputs of both modes are the same here, so that the second mode adds only its index, which is the same too.
    assert_eq!(all[1]["new_objects"], 0);
    sandbox.fsck();
    // A check of the machine, and seven commands for each.
    assert_eq!(started(&sandbox), 1 + 4 * 7);

    let out = compose(&sandbox, []);
    assert!(out.stderr.ends_with("nothing changed\n"), "{out}");
    assert_eq!(started(&sandbox), 0);

    // One that is missing is built, and the others are not touched.
    let before = State::of(&sandbox.repo());
    ostree(&sandbox.repo(), ["refs", "--delete", &ref_of(NAMES[2])]);
    compose(&sandbox, []);
    assert_eq!(started(&sandbox), 1 + 7);
    State::of(&sandbox.repo()).assert_is(&before);

    // The result is the same when it is built again.
    let out = compose(&sandbox, ["--force-nocache"]);
    assert!(out.stderr.ends_with("nothing changed\n"), "{out}");
    assert_eq!(started(&sandbox), 4 * 7);
    State::of(&sandbox.repo()).assert_is(&before);
}

#[test]
fn a_release_does_not_depend_on_its_std_caches() {
    let Some(with) = sandbox() else {
        return;
    };
    let out = compose(&with, []);
    let without = Sandbox::with_toys("");
    let commits: Vec<&str> = out.stdout.lines().collect();
    assert_eq!(without.compose([]), commits);
    // The release is not composed again when the treefile asks for std caches later.
    let out = {
        without.treefile(
            "1.99.1",
            &format!("{}\nstdcache: {{}}", ostree_go_tests::sandbox::TOY_SOURCE),
        );
        compose(&without, ["--format", "json"])
    };
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["releases"][0]["unchanged"], true);
    assert_eq!(json["std_caches"][0]["unchanged"], false);
    State::of(&without.repo()).assert_is(&State::of(&with.repo()));
}

#[test]
fn a_compose_that_is_killed_while_it_builds_is_completed_by_the_next_one() {
    let Some(undisturbed) = sandbox() else {
        return;
    };
    compose(&undisturbed, []);
    let complete = State::of(&undisturbed.repo());
    for name in failpoint::STD_CACHE_NAMES {
        for times in [1, 3] {
            // The SDK is checked out once.
            if *name == "stdcache.checked-out" && times > 1 {
                continue;
            }
            let sandbox = sandbox().expect("as above");
            let point = format!("{name}@{times}");
            let out = run(command(&sandbox, []).env("OSTREE_GO_FAILPOINT", &point));
            assert_eq!(out.status.signal(), Some(9), "{point}: {out}");
            // The releases are complete, and so are the std caches before the kill.
            let refs = sandbox.refs();
            let built = refs.iter().filter(|name| name.contains("/stdcache/"));
            let expected = times - usize::from(*name != "stdcache.committed");
            assert_eq!(built.count(), expected, "{point}: {refs:?}");
            sandbox.fsck();
            compose(&sandbox, []);
            State::of(&sandbox.repo()).assert_is(&complete);
        }
    }
}

#[test]
fn a_summary_names_the_std_caches() {
    let Some(sandbox) = sandbox() else {
        return;
    };
    compose(&sandbox, ["--no-stdcache"]);
    ostree(&sandbox.repo(), ["summary", "-u"]);
    compose(&sandbox, []);
    let summary = ostree(&sandbox.repo(), ["summary", "-v"]);
    for name in NAMES {
        assert!(summary.contains(&ref_of(name)), "{summary}");
    }
}

#[test]
fn std_caches_without_the_sdk_are_kept() {
    let Some(sandbox) = sandbox() else {
        return;
    };
    compose(&sandbox, []);
    started(&sandbox);
    let host = Arch::host().expect("as above");
    let other = Arch::ALL.into_iter().find(|arch| *arch != host).unwrap();
    // The other release identifies the same sources.
    ostree(
        &sandbox.repo(),
        ["refs", "--delete", &format!("go-sdk/{host}/1.99.1")],
    );
    let other = other.to_string();
    let out = compose(&sandbox, ["--arch", &other, "--format", "json"]);
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["std_caches"].as_array().unwrap().len(), NAMES.len());
    assert_eq!(json["unchanged"], true);
    assert_eq!(started(&sandbox), 0);
}
