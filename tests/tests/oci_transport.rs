//! Registries and layouts as transports: what comes back is what was exported.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ostree_go_tests::bench::source;
use ostree_go_tests::cli::run;
use ostree_go_tests::containers::{Registry, skopeo};
use ostree_go_tests::gallery::Gallery;
use ostree_go_tests::host::Host;
use ostree_go_tests::ostree;
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::tools;
use ostree_go_tests::webserver::Fault;
use serde_json::Value;
use std::fs;
use std::process::Command;

const REF: &str = "go-sdk/x86_64/1.99";

/// Refs, their commits' checksums, and the bytes of the commits and signatures behind them.
fn state(repo: &std::path::Path, prefix: &str) -> Vec<String> {
    let refs = ostree::ostree(repo, ["refs"]);
    let mut state: Vec<String> = refs
        .lines()
        .filter_map(|name| Some((name, name.strip_prefix(prefix)?)))
        .map(|(name, short)| {
            let commit = ostree::ostree(repo, ["rev-parse", name]).trim().to_owned();
            let object = |ending: &str| {
                let path = format!("objects/{}/{}.{ending}", &commit[..2], &commit[2..]);
                fs::read(repo.join(path)).ok().map(|bytes| bytes.len())
            };
            format!(
                "{short} {commit} {:?} {:?}",
                object("commit"),
                object("commitmeta")
            )
        })
        .collect();
    state.sort();
    state
}

#[test]
fn an_import_brings_the_same_commits_back() {
    let gallery = Gallery::new();
    let publisher = gallery.publisher.bench.repo();
    let layout = gallery.layout();
    let archive = gallery.publisher.bench.path("all.tar");
    for tag in ["1.99.1", "1.99"] {
        // In zstd, into an archive.
        let to = format!("oci-archive:{}:{tag}", archive.display());
        let _ = fs::remove_file(&archive);
        gallery.publisher.run(["export", "oci", tag, &to]).ok();
        let from = format!("oci:{}:{tag}", layout.display());
        for (mode, image) in [("archive", &to), ("bare-user", &from)] {
            let name = format!("{mode}-{tag}");
            let repo = gallery.host.path(&name);
            let repo_arg = repo.to_str().expect("UTF-8").to_owned();
            gallery
                .host
                .run(["init", "--mode", mode, "--repo", &repo_arg])
                .ok();
            let out = gallery
                .host
                .run(["import", image, "--repo", &repo_arg])
                .ok();
            assert!(
                out.stderr.contains("signatures were not verified"),
                "{}",
                out.stderr
            );
            ostree::ostree(&repo, ["fsck", "--quiet"]);
            let imported = state(&repo, "");
            let all = state(&publisher, "");
            assert!(
                imported.iter().all(|line| all.contains(line)),
                "{imported:#?}\n{all:#?}"
            );
            // Both releases, and the layers of both: common and site are one each.
            assert_eq!(imported.len(), 2 + 4, "{imported:#?}");
            // The stock command finds the publisher's signature.
            let keys = gallery.gpg.export(&gallery.key).display().to_string();
            let import = format!("--gpg-import={keys}");
            ostree::ostree(
                &repo,
                ["remote", "add", "acme", "http://a.example/", &import],
            );
            let name = format!("go-sdk/aarch64/{tag}");
            let shown = ostree::ostree(&repo, ["show", &name, "--gpg-verify-remote=acme"]);
            assert!(shown.contains("Good signature"), "{shown}");
        }
    }
}

#[test]
fn an_import_may_ask_for_signatures_and_for_one_architecture() {
    let gallery = Gallery::new();
    let from = format!("oci:{}:1.99", gallery.layout().display());
    let out = gallery
        .host
        .run(["import", &from, "--dry-run", "--format", "json"])
        .ok();
    let document: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(document["commits"].as_array().expect("commits").len(), 2);
    assert_eq!(document["verified"], false);
    assert_eq!(gallery.host.refs(), Vec::<String>::new());
    let args = [
        "import", &from, "--remote", "acme", "--arch", "x86_64", "--format", "json",
    ];
    let out = gallery.host.run(args).ok();
    let document: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(document["verified"], true);
    assert_eq!(document["layers"].as_array().expect("layers").len(), 3);
    let refs = gallery.host.refs();
    assert_eq!(refs.len(), 4, "{refs:?}");
    assert!(refs.contains(&format!("acme:{REF}")));
    // Nobody's key, no remote, no tag, no image.
    gallery.release_by(None, "1.99.2", 1_771_000_000, |toy| toy);
    let mut said = gallery
        .host
        .run(["import", &from, "--remote", "acme"])
        .exits(3)
        .stderr;
    let layout = format!("oci:{}", gallery.layout().display());
    let absent = format!("{layout}:none");
    let folder = gallery.host.path("nothing");
    let nothing = format!("oci:{}", folder.display());
    for (args, code) in [
        (["import", &from, "--remote", "other"], 1),
        (["import", &layout, "--arch", "x86_64"], 1),
        (["import", &absent, "--arch", "x86_64"], 1),
        (["import", &nothing, "--arch", "x86_64"], 1),
        (["import", "dir:x", "--arch", "x86_64"], 2),
    ] {
        said += &gallery.host.run(args).exits(code).stderr;
    }
    let said = said.replace(gallery.layout().to_str().expect("UTF-8"), "LAYOUT");
    let said = said.replace(folder.to_str().expect("UTF-8"), "NOTHING");
    let said = said.replace(gallery.host.repo().to_str().expect("UTF-8"), "REPO");
    insta::assert_snapshot!(gallery.masked(&said));
}

#[test]
fn an_upgrade_brings_only_the_layers_that_changed() {
    let gallery = Gallery::new();
    gallery.root_remote();
    gallery.server.behave();
    gallery.root(["install", "1.99"]).ok();
    assert_eq!(gallery.fetched("1.99"), ["common", "toolchain", "site"]);
    // Garbage collection leaves what the next upgrade builds on.
    gallery.root(["gc"]).ok();
    gallery.release("1.99.2", 1_771_000_000, |toy| toy);
    gallery.server.behave();
    let out = gallery.root(["upgrade", "--format", "json"]).ok();
    let document: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(document["active"]["version"], "1.99.2");
    // The toy's version is in `common`; the tools are the same.
    assert_eq!(gallery.fetched("1.99"), ["common"]);
    gallery.root(["rollback"]).ok();
    // Deployed still: both are kept. Then one goes, and its layers with it.
    gallery.root(["uninstall", "1.99.2", "--active"]);
    gallery.root(["gc"]).ok();
    let repo = gallery.host.path("root/repo");
    ostree::ostree(&repo, ["fsck", "--quiet"]);
    gallery.server.behave();
    gallery.root(["upgrade"]).ok();
    assert_eq!(gallery.fetched("1.99"), ["common"]);
    // Nothing to do asks for a manifest alone.
    gallery.server.behave();
    gallery.root(["upgrade", "--unchanged-exit-77"]).exits(77);
    assert!(gallery.fetched("1.99").is_empty());
}

#[test]
fn a_pull_that_broke_off_keeps_the_layers_that_came() {
    let gallery = Gallery::new();
    let toolchain = gallery.blob("1.99", "toolchain");
    gallery
        .server
        .fault(&format!("/blobs/{toolchain}"), Fault::Status(500));
    gallery.pull(&[REF]).exits(75);
    assert_eq!(gallery.host.refs(), Vec::<String>::new());
    gallery.host.fsck();
    gallery.server.behave();
    gallery.pull(&[REF]).ok();
    assert!(gallery.fetched("1.99").contains(&"toolchain".to_owned()));
    gallery.host.fsck();
    // A damaged layer is no layer.
    let repo = gallery.host.repo();
    let listed = ostree::ostree(&repo, ["ls", "-RC", &format!("acme:{REF}")]);
    let line = listed
        .lines()
        .find(|line| line.starts_with('-') && line.ends_with("/bin/gofmt"))
        .expect("a file");
    let sum = line
        .split_whitespace()
        .find(|word| word.len() == 64)
        .expect("a checksum");
    fs::remove_file(repo.join(format!("objects/{}/{}.file", &sum[..2], &sum[2..]))).expect("gone");
    gallery.release("1.99.2", 1_771_000_000, |toy| toy);
    gallery.server.behave();
    gallery.pull(&[REF]).ok();
    assert_eq!(gallery.fetched("1.99"), ["common", "toolchain"]);
    ostree::ostree(&repo, ["fsck", "--quiet", &format!("acme:{REF}")]);
}

#[test]
fn commits_alone() {
    let gallery = Gallery::new();
    gallery.server.behave();
    let out = gallery
        .pull(&["--commit-metadata-only", REF, "--format", "json"])
        .ok();
    let document: Value = serde_json::from_str(&out.stdout).expect("JSON");
    let planned = &document["commits"][0];
    assert_eq!(planned["download"]["way"], "layers");
    assert!(planned["download"]["bytes"].as_u64().expect("bytes") > 0);
    assert_eq!(planned["signed"], true);
    assert!(gallery.fetched("1.99").is_empty());
    assert_eq!(gallery.host.refs(), Vec::<String>::new());
}

#[test]
fn a_real_registry_filled_by_us_and_by_skopeo() {
    let (Some(registry), gallery) = (Registry::start(), Gallery::new()) else {
        return;
    };
    let host = registry.host();
    let image = format!("docker://{host}/acme/go-sdk");
    gallery
        .publisher
        .run(["export", "oci", "1.99.1", &image, "--tls-verify=false"])
        .ok();
    // The channel goes there by skopeo, with the index and all.
    let from = format!("oci:{}:1.99", gallery.layout().display());
    let to = format!("{image}:1.99");
    let copy = [
        "copy",
        "--all",
        "--dest-tls-verify=false",
        "--insecure-policy",
        &from,
        &to,
    ];
    let Some(mut copy) = skopeo(copy) else { return };
    run(&mut copy).ok();
    let url = format!("oci+http://{host}/acme/go-sdk");
    let keys = gallery.gpg.export(&gallery.key);
    let keys = keys.to_str().expect("UTF-8").to_owned();
    gallery
        .root(["remote", "add", "acme", &url, "--gpg-import", &keys])
        .ok();
    gallery.root(["install", "1.99"]).ok();
    gallery.root(["install", "1.99.1", "--no-activate"]).ok();
    let repo = gallery.host.path("root/repo");
    ostree::ostree(&repo, ["fsck", "--quiet"]);
    for (name, here) in [
        ("1.99", "acme:go-sdk/x86_64/1.99"),
        ("1.99.1", "acme:go-sdk/x86_64/1.99.1"),
    ] {
        let there = gallery
            .publisher
            .bench
            .rev(&format!("go-sdk/x86_64/{name}"));
        assert_eq!(
            Some(ostree::ostree(&repo, ["rev-parse", here]).trim().to_owned()),
            there
        );
    }
    // The second release had every layer already.
    let blobs = |log: &str| log.matches("\"GET /v2/acme/go-sdk/blobs/").count();
    assert_eq!(blobs(&registry.log()), 3, "{}", registry.log());
    // One that wants to know who asks.
    let Some(guarded) = Registry::guarded() else {
        return;
    };
    let url = format!("oci+http://{}/acme/go-sdk", guarded.host());
    gallery
        .host
        .run(["remote", "add", "guarded", &url, "--no-gpg-verify"])
        .ok();
    let out = gallery.host.run(["pull", "guarded", REF]).exits(1);
    let said = out.stderr.replace(&guarded.host(), "HOST");
    insta::assert_snapshot!(said);
    let auth = BASE64_STANDARD.encode("builder:secret");
    let auths = format!(
        "{{\"auths\":{{\"{}\":{{\"auth\":\"{auth}\"}}}}}}",
        guarded.host()
    );
    let file = gallery.publisher.bench.write("auth.json", &auths);
    let image = format!("docker://{}/acme/go-sdk", guarded.host());
    let export = [
        "export",
        "oci",
        "1.99",
        &image,
        "--tls-verify=false",
        "--authfile",
        "auth.json",
    ];
    gallery.publisher.run(export).ok();
    let mut pull = gallery.host.ostree_go(["pull", "guarded", REF]);
    run(pull.env("REGISTRY_AUTH_FILE", file)).ok();
    // Credentials in the URL do as well, and are not shown.
    let url = format!("oci+http://builder:secret@{}/acme/go-sdk", guarded.host());
    gallery
        .host
        .run(["remote", "add", "known", &url, "--no-gpg-verify"])
        .ok();
    gallery.host.run(["pull", "known", REF]).ok();
    let listed = gallery.host.run(["remote", "list"]).ok().stdout;
    assert!(!listed.contains("secret"), "{listed}");
}

/// The command on a root, killed at a point.
#[test]
fn a_killed_pull_leaves_nothing_half_done() {
    let gallery = Gallery::new();
    for point in [
        "pull.fetched",
        "pull.locked",
        "transaction.folders-moved",
        "transaction.objects-moved",
        "pull.committed",
    ] {
        let mut pull: Command = gallery.host.ostree_go(["pull", REF]);
        let out = run(pull.env("OSTREE_GO_FAILPOINT", point));
        assert_eq!(out.code(), None, "{point}: {}", out.stderr);
        gallery.host.fsck();
    }
    gallery.pull(&[REF]).ok();
    gallery.host.fsck();
    assert_eq!(gallery.host.refs().len(), 4);
}

#[test]
fn a_real_sdk_by_way_of_a_real_registry() {
    if std::env::consts::ARCH != "x86_64" {
        return tools::skip("this machine cannot run x86_64 programs");
    }
    let host = Host::new();
    let (Some(sdk), Some(registry)) = (sdk("1.26.5", host.arch()), Registry::start()) else {
        return;
    };
    let lines = format!("arches: [x86_64]\n{}", source(&sdk.tar_gz));
    host.bench.treefile("1.26.5", &lines);
    host.bench.compose([]);
    let image = format!("docker://{}/go-sdk", registry.host());
    let export = ["export", "oci", "1.26.5", &image, "--tls-verify=false"];
    let digest = host.run(export).ok().stdout;
    let on_root = |args: &[&str]| {
        let mut command = host.command(args.iter().copied());
        run(command.env_remove("OSTREE_REPO")).ok()
    };
    let url = format!("oci+http://{}/go-sdk", registry.host());
    on_root(&["remote", "add", "acme", &url, "--no-gpg-verify"]);
    on_root(&["install", &format!("1.26.5@{}", digest.trim())]);
    host.check();
    let there = host.bench.rev("go-sdk/x86_64/1.26.5");
    let here = ostree::ostree(
        &host.root().join("repo"),
        ["rev-parse", "acme:go-sdk/x86_64/1.26.5"],
    );
    assert_eq!(Some(here.trim().to_owned()), there);
    let out = run(Command::new(host.current("usr/bin/go"))
        .arg("version")
        .env_clear())
    .ok();
    assert_eq!(out.stdout, "go version go1.26.5 linux/amd64\n");
}
