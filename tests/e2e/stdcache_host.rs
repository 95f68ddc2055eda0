//! Std caches on hosts and in repositories: installed with SDKs, kept by upgrades, repaired, removed, published and
//! pruned.

use base64::{Engine, prelude::BASE64_STANDARD};
use ostree_go_sdk::Arch;
use ostree_go_sdk::deploy::Root;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::host::{Host, read};
use ostree_go_tests::ostree::{ostree, try_ostree};
use ostree_go_tests::std_cache::{ToyStdCache, commit_both};
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

/// The architecture of this machine, and the other one.
fn arches() -> [&'static str; 2] {
    match Arch::host().expect("a machine that Go SDKs are composed for") {
        Arch::X86_64 => ["x86_64", "aarch64"],
        _ => ["aarch64", "x86_64"],
    }
}

/// A host, and a repository with release 1.99.1 and its std caches for all targets.
fn host_with_std_caches() -> Host {
    let host = Host::new();
    release(&host, "1.99.1", 100, &arches());
    host
}

/// Composes a release, and commits its std caches for some targets.
fn release(host: &Host, version: &str, seconds: u64, targets: &[&str]) {
    host.release(version, seconds);
    for target in targets {
        commit_both(&host.sandbox.repo(), version, target, seconds);
    }
}

/// Returns the names of the std caches of the SDK that was installed last.
#[track_caller]
fn installed(host: &Host) -> Vec<String> {
    let status = host.json(["status", "--verify", "all"]);
    let caches = status["deployments"][0]["std_caches"].as_array();
    let caches = caches.unwrap_or_else(|| panic!("{status:#}"));
    for cache in caches {
        assert_eq!(cache["check"], "good", "{status:#}");
        let index = PathBuf::from(cache["path"].as_str().unwrap()).join("index");
        assert!(read(&index).starts_with("ostree-go stdcache 1\n"));
    }
    caches
        .iter()
        .map(|cache| cache["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Returns the names of all std caches of targets, in the order of `status`.
fn both_of(targets: &[&str]) -> Vec<String> {
    let mut targets: Vec<&str> = targets.to_vec();
    // In the order of `Arch`.
    targets.sort_by_key(|target| *target != "x86_64");
    let names = targets
        .iter()
        .flat_map(|target| ["trimpath", "plain"].map(|mode| format!("{target}-{mode}")));
    names.collect()
}

/// Returns the number of folders of deployments and std caches.
fn folders(host: &Host) -> usize {
    host.root().join("deployments").read_dir().unwrap().count()
}

#[test]
fn the_native_std_caches_are_installed_and_removed_with_an_sdk() {
    let [native, _] = arches();
    let host = host_with_std_caches();
    let out = host.install("1.99").ok();
    let said: Vec<&str> = out.stderr.lines().collect();
    assert_eq!(said[0], "go 1.99.1 is installed and active (unsigned)");
    let names = format!("{native}-trimpath, {native}-plain");
    let expected = format!("std caches installed: {names} (");
    assert!(said[1].starts_with(&expected), "{}", out.stderr);
    assert_eq!(installed(&host), both_of(&[native]));
    host.check();
    assert_eq!(folders(&host), 3);
    let out = host.install("1.99").ok();
    assert_eq!(out.stderr, "go 1.99.1 is up to date (unsigned)\n");

    // Programs find them without the lock of the root directory.
    let root = Root::open(host.root()).unwrap();
    let active = root.active().unwrap().unwrap();
    let caches = root.std_caches(&active);
    let ids: Vec<String> = caches.iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(ids, both_of(&[native]));
    for (id, dir) in caches {
        assert!(dir.ends_with(format!("usr/lib/sdk/stdcache/go-1.99/{id}")));
        let mode = dir.join("index").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
    }

    // The release and its channel share them, and they stay as long as one of the two is installed.
    host.install("1.99.1").ok();
    assert_eq!(folders(&host), 4);
    host.run(["gc"]).ok();
    assert_eq!(installed(&host), both_of(&[native]));
    host.run(["uninstall", "1.99", "--active"]).ok();
    assert_eq!(installed(&host), both_of(&[native]));
    host.run(["uninstall", "1.99.1", "--active"]).ok();
    assert_eq!(folders(&host), 0);
    host.run(["gc"]).ok();
    assert_eq!(ostree(&host.root().join("repo"), ["refs"]), "");
}

#[test]
fn an_upgrade_takes_what_was_chosen() {
    let [native, other] = arches();
    let host = host_with_std_caches();
    host.install("1.99").ok();

    let out = host.run(["install", "1.99", "--from-repo", "repo", "--no-stdcache"]);
    let out = out.ok();
    let expected = format!("std caches removed: {native}-trimpath, {native}-plain (");
    assert!(out.stderr.contains(&expected), "{}", out.stderr);
    assert!(installed(&host).is_empty());
    assert_eq!(folders(&host), 1);
    release(&host, "1.99.2", 200, &arches());
    host.run(["upgrade"]).ok();
    assert!(installed(&host).is_empty());
    // The choice belongs to the channel, also if it is installed again.
    host.install("1.99").ok();
    assert!(installed(&host).is_empty());

    let out = host.run(["upgrade", "--stdcache", other]).ok();
    assert!(
        out.stderr.contains("std caches installed: "),
        "{}",
        out.stderr
    );
    assert_eq!(installed(&host), both_of(&arches()));
    release(&host, "1.99.3", 300, &arches());
    host.run(["upgrade"]).ok();
    assert_eq!(installed(&host), both_of(&arches()));

    // A release without the other target must not stop an upgrade.
    release(&host, "1.99.4", 400, &[native]);
    let out = host.run(["upgrade"]).ok();
    let expected = format!(
        "has no std cache for {other} of go 1.99.4; builds for it compile the standard library\n"
    );
    assert!(out.stderr.contains(&expected), "{}", out.stderr);
    assert_eq!(installed(&host), both_of(&[native]));
    // It is taken as soon as it exists.
    host.run(["upgrade", "--unchanged-exit-77"]).exits(77);
    commit_both(&host.sandbox.repo(), "1.99.4", other, 400);
    let check = host.json(["upgrade", "--check"]);
    assert_eq!(check["changes"], true, "{check:#}");
    host.run(["upgrade", "--unchanged-exit-77"]).exits(0);
    assert_eq!(installed(&host), both_of(&arches()));
    // A rollback needs no other choice: each SDK has its own std caches.
    host.run(["rollback"]).ok();
    let active = Root::open(host.root()).unwrap();
    let active = active.active().unwrap().unwrap();
    assert_eq!(
        (active.version.as_str(), active.std_caches.len()),
        ("1.99.3", 4)
    );
    host.check();
    host.run(["gc", "--superseded"]).ok();
    host.check();
}

#[test]
fn a_preview_shows_what_std_caches_add() {
    let [native, other] = arches();
    let host = host_with_std_caches();
    // A preview needs a root directory.
    host.install(&format!("go-sdk/{native}/1.99.1")).ok();
    host.run(["uninstall", "1.99.1", "--active"]).ok();
    host.run(["gc"]).ok();
    let args = ["install", "1.99", "--from-repo", "repo", "--dry-run"];
    let document = host.json(args.into_iter().chain(["--stdcache", other]));
    let planned = &document["deployments"][0]["std_caches"];
    let ids: Vec<&str> = planned
        .as_array()
        .unwrap_or_else(|| panic!("{document:#}"))
        .iter()
        .map(|cache| cache["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, both_of(&arches()));
    assert_eq!(planned[0]["action"], "install");
    assert_eq!(planned[0]["download"]["way"], "objects");
    assert!(planned[0]["bytes"].as_u64() > Some(10_000), "{document:#}");
    let out = host.run(args).ok();
    let row = format!("go-sdk/stdcache/1.99.1/{native}-plain");
    assert!(out.stdout.contains(&row), "{}", out.stdout);
    assert_eq!(folders(&host), 0);
    host.install("1.99").ok();
    let out = host.run(args.into_iter().chain(["--no-stdcache"])).ok();
    assert_eq!(
        out.stdout.matches("  remove  ").count(),
        2,
        "{}",
        out.stdout
    );
}

#[test]
fn damage_is_found_and_repaired() {
    let host = host_with_std_caches();
    host.install("1.99").ok();
    let status = host.json(["status"]);
    let path = status["deployments"][0]["std_caches"][1]["path"].as_str();
    let index = PathBuf::from(path.unwrap()).join("index");
    fs::set_permissions(&index, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&index, "ostree-go stdcache 1\n").unwrap();
    let out = host.run(["status"]).exits(4);
    assert!(
        out.stderr
            .contains("no longer verifies: /usr/lib/sdk/stdcache/go-1.99/"),
        "{}",
        out.stderr
    );
    let found = host.json(["status"])["deployments"][0].clone();
    assert_eq!(found["check"], "good", "{found:#}");
    assert_eq!(found["std_caches"][1]["check"], "damaged", "{found:#}");
    let done = host.json(["install", "1.99", "--from-repo", "repo"]);
    let outcomes = done["deployments"][0]["std_caches"].as_array().unwrap();
    let outcomes: Vec<&Value> = outcomes.iter().map(|cache| &cache["outcome"]).collect();
    assert_eq!(outcomes, ["unchanged", "repaired"], "{done:#}");
    host.check();
}

#[test]
fn a_state_without_std_caches_is_read_and_a_lost_state_is_rebuilt() {
    let [native, _] = arches();
    let host = host_with_std_caches();
    host.install("1.99").ok();
    let path = host.root().join("state.json");
    fs::rename(&path, host.sandbox.path("state.json")).unwrap();
    assert_eq!(installed(&host), both_of(&[native]));
    host.run(["pin", "1.99"]).ok();
    assert_eq!(installed(&host), both_of(&[native]));
    host.check();

    // As a version of the library without std caches wrote it.
    let mut state: Value = serde_json::from_str(&read(&path)).unwrap();
    let deployment = state["deployments"][0].as_object_mut().unwrap();
    deployment.remove("std_caches").unwrap();
    deployment.remove("std_cache_selection").unwrap();
    fs::write(&path, state.to_string()).unwrap();
    assert!(installed(&host).is_empty());
    host.install("1.99").ok();
    assert_eq!(installed(&host), both_of(&[native]));
    host.check();
}

#[test]
fn a_kill_at_any_point_leaves_std_caches_complete_or_absent() {
    let host = host_with_std_caches();
    host.install("1.99").ok();
    release(&host, "1.99.2", 200, &arches());
    let kill = |args: &[&str], point: &str| {
        let mut command = host.command(args.iter().copied());
        let out = run(command.env("OSTREE_GO_FAILPOINT", point));
        assert_eq!(out.status.signal(), Some(9), "{point}: {}", out.stderr);
        host.run(["status", "--verify", "all"]).ok();
        host.run(["gc"]).ok();
        host.check();
        assert!(host.current("usr/bin/go").exists(), "{point}");
    };
    for point in [
        "deploy.placed",
        "deploy.kept",
        "deploy.std-cache-placed",
        "deploy.recorded",
    ] {
        kill(&["upgrade"], point);
        assert_eq!(host.active().as_deref(), Some("1.99.1"), "{point}");
    }
    host.run(["upgrade"]).ok();
    assert_eq!(installed(&host).len(), 2);
    kill(&["upgrade", "--no-stdcache"], "deploy.std-caches-dropped");
    assert!(installed(&host).is_empty());
    assert_eq!(host.active().as_deref(), Some("1.99.2"));
}

/// Signs the commits of all refs, adds the remote `acme` to the root directory, and returns its server.
fn remote(host: &Host, gpg: &Gpg, publishes: bool) -> FaultyServer {
    let key = gpg.key("publisher");
    let home = gpg.home().to_str().unwrap().to_owned();
    let signing = ["--gpg-sign", &key, "--gpg-homedir", &home];
    for name in host.sandbox.refs() {
        host.run(["sign", name.as_str()].into_iter().chain(signing))
            .ok();
    }
    if publishes {
        host.run(["publish"].into_iter().chain(signing)).ok();
    }
    let server = FaultyServer::serving(&host.sandbox.repo());
    let keys = gpg.export(&key);
    let url = server.url();
    in_root(
        host,
        &[
            "remote",
            "add",
            "acme",
            &url,
            "--gpg-import",
            keys.to_str().unwrap(),
        ],
    )
    .ok();
    server
}

/// Runs a command with the repository of the root directory.
fn in_root(host: &Host, args: &[&str]) -> Output {
    let mut command = host.command(args.iter().copied());
    run(command.env_remove("OSTREE_REPO"))
}

#[test]
fn std_caches_come_from_a_signed_remote() {
    let [_, other] = arches();
    let (host, gpg) = (host_with_std_caches(), Gpg::new());
    let server = remote(&host, &gpg, true);
    let refs = in_root(&host, &["remote", "refs"]).ok();
    assert!(refs.stdout.contains("STD CACHE"), "{}", refs.stdout);
    assert!(!refs.stdout.contains("/stdcache/"), "{}", refs.stdout);
    let row = refs.stdout.lines().find(|line| line.contains("1.99.1"));
    assert!(row.unwrap().ends_with("x86_64 aarch64"), "{}", refs.stdout);
    let all = in_root(&host, &["remote", "refs", "--all"]).ok();
    assert_eq!(all.stdout.matches("/stdcache/").count(), 4);

    in_root(&host, &["install", "1.99", "--stdcache", other]).ok();
    assert_eq!(installed(&host), both_of(&arches()));
    host.check();
    // Each is one delta from nothing, and no object is requested by itself.
    let requests = server.requests();
    let of = |part: &str| requests.iter().filter(|path| path.contains(part)).count();
    assert_eq!(of(".filez"), 0, "{requests:#?}");
    assert_eq!(of("/superblock"), 5, "{requests:#?}");
}

#[test]
fn a_remote_without_a_summary_is_asked_for_the_refs() {
    let [native, _] = arches();
    let (host, gpg) = (Host::new(), Gpg::new());
    host.release("1.99.1", 100);
    ToyStdCache::new("1.99.1", &format!("{native}-trimpath"), 100)
        .commit(&host.sandbox.repo(), &[]);
    let server = remote(&host, &gpg, false);
    in_root(&host, &["install", "1.99"]).ok();
    assert_eq!(installed(&host), [format!("{native}-trimpath")]);
    let requests = server.requests();
    let absent = format!("/refs/heads/go-sdk/stdcache/1.99.1/{native}-plain");
    assert!(
        requests.iter().any(|path| path.ends_with(&absent)),
        "{requests:#?}"
    );
}

#[test]
fn a_remote_on_this_machine_offers_its_std_caches() {
    let [native, _] = arches();
    let host = host_with_std_caches();
    let url = format!("file://{}", host.sandbox.repo().display());
    in_root(&host, &["remote", "add", "acme", &url, "--no-gpg-verify"]).ok();
    in_root(&host, &["install", "1.99"]).ok();
    assert_eq!(installed(&host), both_of(&[native]));
    host.check();
}

#[test]
fn deltas_and_prune_follow_the_releases() {
    let host = host_with_std_caches();
    release(&host, "1.99.2", 200, &arches());
    let commit = |version: &str, id: &str| {
        let name = format!("go-sdk/stdcache/{version}/{id}");
        host.sandbox.rev(&name).unwrap()
    };
    let deltas_to = |document: &Value, to: &str| -> Vec<Option<String>> {
        let deltas = document["deltas"].as_array().unwrap().iter();
        let deltas = deltas.filter(|delta| delta["to"] == to);
        let mut from: Vec<Option<String>> = deltas
            .map(|delta| delta["from"].as_str().map(str::to_owned))
            .collect();
        from.sort();
        from
    };
    let published = host.json(["publish"]);
    let [old, new] = ["1.99.1", "1.99.2"].map(|version| commit(version, "x86_64-plain"));
    assert_eq!(deltas_to(&published, &old), [None]);
    assert_eq!(deltas_to(&published, &new), [None, Some(old.clone())]);
    // The archives have other names than before, and are patched all the same.
    let shown = host.json(["delta", "show", &format!("{old}-{new}")]);
    let patched = shown["patched"].as_array().unwrap().iter();
    let archives = patched.filter(|file| {
        let path = file["path"].as_str().unwrap_or_default();
        path.contains("/outputs/")
    });
    assert_eq!(archives.count(), 4, "{shown:#}");

    // Only the newest version of a channel is upgraded to.
    release(&host, "1.99.3", 300, &["x86_64"]);
    let published = host.json(["publish", "--history", "1"]);
    let newest = commit("1.99.3", "x86_64-plain");
    assert_eq!(deltas_to(&published, &newest), [None, Some(new.clone())]);
    assert_eq!(deltas_to(&published, &new), [None]);
    assert!(deltas_to(&published, &old).is_empty());

    // The std caches of 1.99.1 go with its releases.
    let refs = |document: &Value| -> Vec<String> {
        let refs = document["refs"].as_array().unwrap().iter();
        let names = refs.map(|entry| entry["ref"].as_str().unwrap().to_owned());
        names.filter(|name| name.contains("/stdcache/")).collect()
    };
    let planned = host.json(["prune", "--keep", "2", "--dry-run"]);
    let expected: Vec<String> = both_of(&["aarch64", "x86_64"])
        .iter()
        .map(|id| format!("go-sdk/stdcache/1.99.1/{id}"))
        .collect();
    let mut found = refs(&planned);
    let mut sorted = expected.clone();
    found.sort();
    sorted.sort();
    assert_eq!(found, sorted);
    host.run(["prune", "--keep", "2"]).ok();
    for name in &expected {
        assert_eq!(host.sandbox.rev(name), None, "{name}");
    }
    assert!(
        host.sandbox
            .rev("go-sdk/stdcache/1.99.2/aarch64-plain")
            .is_some()
    );
    host.sandbox.fsck();
    let shown = try_ostree(&host.sandbox.repo(), ["show", old.as_str()]);
    assert!(!shown.status.success(), "the commit still exists");
}

#[test]
fn verbs_describe_std_caches() {
    let host = host_with_std_caches();
    let name = "go-sdk/stdcache/1.99.1/x86_64-plain";
    let shown = host.json(["show", name]);
    assert_eq!(shown["kind"], "stdcache", "{shown:#}");
    assert_eq!(shown["std_cache"], "x86_64-plain");
    assert_eq!(shown["version"], "1.99.1");
    assert_eq!(shown["arch"], Value::Null);
    let out = host.run(["show", name]).ok();
    assert!(
        out.stdout.contains("stdcache  x86_64-plain\n"),
        "{}",
        out.stdout
    );
    let listed = host.run(["list"]).ok().stdout;
    assert!(!listed.contains("stdcache"), "{listed}");
    let listed = host.run(["list", "--all"]).ok().stdout;
    assert_eq!(listed.matches("  stdcache  ").count(), 4, "{listed}");
    release(&host, "1.99.2", 200, &["x86_64"]);
    let diff = host.json(["diff", name, "go-sdk/stdcache/1.99.2/x86_64-plain"]);
    assert_eq!(
        (&diff["added"], &diff["removed"], &diff["changed"]),
        (&4.into(), &4.into(), &1.into())
    );
    host.run(["fsck"]).ok();
}

#[test]
fn outputs_that_an_installation_has_verified_are_not_hashed_again_until_they_change() {
    let [native, _] = arches();
    let host = host_with_std_caches();
    host.install("1.99.1").ok();
    let records = host.root().join("verified");
    assert_eq!(records.read_dir().unwrap().count(), 2);
    let id = format!("{native}-plain");
    let index = host.json(["status"])["deployments"][0]["std_caches"]
        .as_array()
        .unwrap()
        .iter()
        .find(|cache| cache["id"] == id.as_str())
        .map(|cache| PathBuf::from(cache["path"].as_str().unwrap()).join("index"))
        .unwrap();
    let text = read(&index);
    let entries: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(' ').collect())
        .collect();
    let request = |number: usize, entry: &[&str]| {
        let action: Vec<u8> = (0..64)
            .step_by(2)
            .map(|at| u8::from_str_radix(&entry[0][at..at + 2], 16).unwrap())
            .collect();
        let action = BASE64_STANDARD.encode(action);
        format!("{{\"ID\":{number},\"Command\":\"get\",\"ActionID\":\"{action}\"}}\n\n")
    };
    let requests: String = (1..)
        .zip(&entries)
        .map(|(number, entry)| request(number, entry))
        .collect();
    let write = host.sandbox.path("write");
    let serve = || {
        let mut command = host.command(["cacheprog", "-v", "--write", write.to_str().unwrap()]);
        host.sandbox.write("requests", &requests);
        command.stdin(fs::File::open(host.sandbox.path("requests")).unwrap());
        run(&mut command).ok().stderr
    };
    let hits = entries.len();
    let said = serve();
    assert!(
        said.contains(&format!("{hits} hits from std caches")),
        "{said}"
    );
    // What a service hashes, it remembers here.
    let hashed = write.join("ostree-go-verified");
    assert!(!hashed.exists(), "{}", read(&hashed));
    let output = |entry: &[&str]| {
        let outputs = index.with_file_name("outputs");
        outputs.join(&entry[1][..2]).join(entry[1])
    };
    let change = |entry: &[&str], content: &[u8]| {
        let path = output(entry);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, content).unwrap();
    };
    let content = fs::read(output(&entries[0])).unwrap();
    change(&entries[0], &content);
    assert!(!serve().contains("warning"));
    assert_eq!(read(&hashed).lines().count(), 1);
    change(
        &entries[1],
        &vec![b'x'; fs::read(output(&entries[1])).unwrap().len()],
    );
    let said = serve();
    assert!(said.contains("is missing or damaged"), "{said}");
    host.run(["uninstall", "1.99.1", "--active"]).ok();
    assert_eq!(records.read_dir().unwrap().count(), 0);
}
