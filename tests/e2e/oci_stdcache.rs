//! Std caches from registries: restored from the layers with Go's build cache, verified as those of other remotes.

use ostree_go_tests::cli::run;
use ostree_go_tests::containers::Registry;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::registry_fixture::RegistryFixture;
use ostree_go_tests::std_cache::commit_both;
use ostree_go_tests::tools;
use serde_json::Value;
use std::fs;

/// The time of the std caches.
const SECONDS: u64 = 1_770_000_000;
const TRIMPATH: &str = "stdcache/x86_64-trimpath";
const PLAIN: &str = "stdcache/x86_64-plain";
/// The annotation of a manifest with the commits of its std caches.
const LIST: &str = "io.github.ostree-go.stdcache.layers";

/// Commits the std caches of a version for both targets, signs them, and publishes the images again.
fn add_std_caches(fixture: &RegistryFixture, version: &str) {
    let home = fixture.gpg.home().to_str().unwrap().to_owned();
    for target in ["x86_64", "aarch64"] {
        commit_both(&fixture.publisher.sandbox.repo(), version, target, SECONDS);
        for mode in ["trimpath", "plain"] {
            let name = format!("go-sdk/stdcache/{version}/{target}-{mode}");
            let key = &fixture.key;
            let sign = ["sign", &name, "--gpg-sign", key, "--gpg-homedir", &home];
            fixture.publisher.run(sign).ok();
        }
    }
    fixture.show(version);
    fixture.show("1.99");
}

/// A registry with 1.99.1 and its std caches, and a host with the remote in its root directory. The images of
/// the fixture that tests change are those for x86_64; returns `None` on other machines.
fn with_std_caches() -> Option<RegistryFixture> {
    if std::env::consts::ARCH != "x86_64" {
        tools::skip("this machine installs the images for another architecture");
        return None;
    }
    let fixture = RegistryFixture::new();
    add_std_caches(&fixture, "1.99.1");
    fixture.root_remote();
    Some(fixture)
}

/// Returns the names of the std caches of the SDK that was installed last; all files of the root are compared with
/// their commits.
#[track_caller]
fn installed(fixture: &RegistryFixture) -> Vec<String> {
    let args = ["status", "--verify", "all", "--format", "json"];
    let status: Value = serde_json::from_str(&fixture.root(args).ok().stdout).unwrap();
    let caches = status["deployments"][0]["std_caches"].as_array().unwrap();
    for cache in caches {
        assert_eq!(cache["check"], "good", "{status:#}");
        let index = format!("{}/index", cache["path"].as_str().unwrap());
        let index = fs::read_to_string(index).unwrap();
        assert_eq!(index.lines().count(), 1 + 4, "{index}");
    }
    let names = caches.iter().map(|cache| cache["id"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

/// Asserts that an installation is refused and leaves nothing behind, and returns its message.
#[track_caller]
fn refused(fixture: &RegistryFixture) -> String {
    let out = fixture.root(["install", "1.99"]).exits(3);
    let repo = fixture.host.path("root/repo");
    ostree(&repo, ["fsck", "--quiet"]);
    assert_eq!(ostree(&repo, ["refs"]), "");
    assert!(!fixture.host.path("root/current").exists());
    fixture.masked(&out.stderr)
}

#[test]
fn install_and_upgrade_take_the_std_caches_of_a_registry() {
    let Some(fixture) = with_std_caches() else {
        return;
    };
    fixture.server.reset();
    let out = fixture.root(["install", "1.99"]).ok();
    let expected = "std caches installed: x86_64-trimpath, x86_64-plain (";
    assert!(out.stderr.contains(expected), "{}", out.stderr);
    assert_eq!(
        fixture.fetched("1.99"),
        ["common", "toolchain", "site", TRIMPATH, PLAIN]
    );
    assert_eq!(installed(&fixture), ["x86_64-trimpath", "x86_64-plain"]);
    // The same commits, with their signatures, as in the publisher's repository.
    let repo = fixture.host.path("root/repo");
    ostree(&repo, ["fsck", "--quiet"]);
    for id in ["x86_64-trimpath", "x86_64-plain"] {
        let name = format!("go-sdk/stdcache/1.99.1/{id}");
        let here = format!("acme:{name}");
        let found = ostree(&repo, ["rev-parse", here.as_str()]);
        let found = found.trim().to_owned();
        assert_eq!(Some(found), fixture.publisher.sandbox.rev(&name));
        let shown = ostree(&repo, ["show", &here, "--gpg-verify-remote=acme"]);
        assert!(shown.contains("Good signature"), "{shown}");
    }

    fixture.release("1.99.2", 1_771_000_000, |toy| toy);
    add_std_caches(&fixture, "1.99.2");
    fixture.root(["gc"]).ok();
    fixture.server.reset();
    fixture.root(["upgrade"]).ok();
    assert_eq!(fixture.fetched("1.99"), ["common", TRIMPATH, PLAIN]);
    assert_eq!(installed(&fixture), ["x86_64-trimpath", "x86_64-plain"]);
    fixture.server.reset();
    fixture.root(["upgrade", "--unchanged-exit-77"]).exits(77);
    assert!(fixture.fetched("1.99").is_empty());

    // Those for another target are in the image for it.
    fixture.root(["upgrade", "--stdcache", "aarch64"]).ok();
    assert_eq!(
        installed(&fixture),
        [
            "x86_64-trimpath",
            "x86_64-plain",
            "aarch64-trimpath",
            "aarch64-plain"
        ]
    );
    ostree(&repo, ["fsck", "--quiet"]);
    fixture.root(["rollback"]).ok();
}

#[test]
fn std_caches_of_a_registry_can_be_left_out() {
    let Some(fixture) = with_std_caches() else {
        return;
    };
    fixture.server.reset();
    fixture.root(["install", "1.99", "--no-stdcache"]).ok();
    assert_eq!(fixture.fetched("1.99"), ["common", "toolchain", "site"]);
    assert!(installed(&fixture).is_empty());
    fixture.release("1.99.2", 1_771_000_000, |toy| toy);
    add_std_caches(&fixture, "1.99.2");
    fixture.server.reset();
    fixture.root(["upgrade"]).ok();
    assert_eq!(fixture.fetched("1.99"), ["common"]);
    assert!(installed(&fixture).is_empty());
}

#[test]
fn a_preview_and_a_pin_include_std_caches() {
    let Some(fixture) = with_std_caches() else {
        return;
    };
    let pinned = format!("1.99@{}", fixture.digest("1.99"));
    fixture.root(["install", "1.99", "--no-stdcache"]).ok();
    fixture.root(["uninstall", "1.99.1", "--active"]).ok();
    fixture.root(["gc"]).ok();
    fixture.server.reset();
    let args = ["install", &pinned, "--stdcache", "x86_64"];
    let preview = args.into_iter().chain(["--dry-run", "--format", "json"]);
    let preview: Value = serde_json::from_str(&fixture.root(preview).ok().stdout).unwrap();
    let planned = preview["deployments"][0]["std_caches"].as_array().unwrap();
    assert_eq!(planned.len(), 2, "{preview:#}");
    for cache in planned {
        assert_eq!(cache["action"], "install", "{preview:#}");
        assert_eq!(cache["download"]["way"], "layers", "{preview:#}");
    }
    assert!(fixture.fetched("1.99").is_empty());
    fixture.root(args).ok();
    assert_eq!(installed(&fixture), ["x86_64-trimpath", "x86_64-plain"]);
}

#[test]
fn images_without_std_caches_and_repacked_images_are_installed() {
    let Some(fixture) = with_std_caches() else {
        return;
    };
    // As an earlier version has exported it.
    fixture.edit("1.99", |manifest| {
        let annotations = manifest["annotations"].as_object_mut().unwrap();
        annotations.remove(LIST).expect("the annotation");
    });
    fixture.root(["install", "1.99"]).ok();
    assert!(installed(&fixture).is_empty());
    let refused = fixture.root(["install", "1.99", "--stdcache", "x86_64"]);
    let refused = refused.exits(1).stderr;
    assert!(refused.contains("std cache for x86_64"), "{refused}");
    // A tool that compresses layers again drops the annotations of layers.
    fixture.show("1.99");
    fixture.edit("1.99", |manifest| {
        for layer in manifest["layers"].as_array_mut().unwrap() {
            layer.as_object_mut().unwrap().remove("annotations");
        }
    });
    fixture.root(["install", "1.99"]).ok();
    assert_eq!(installed(&fixture), ["x86_64-trimpath", "x86_64-plain"]);
}

/// Returns the position of a text in an archive.
fn position(archive: &[u8], text: &str) -> usize {
    let mut windows = archive.windows(text.len());
    windows
        .position(|window| window == text.as_bytes())
        .expect("the text")
}

#[test]
fn layers_that_are_not_the_signed_std_cache_are_refused() {
    let Some(fixture) = with_std_caches() else {
        return;
    };
    let original = fixture.archive("1.99", TRIMPATH);
    let mut said = String::new();

    // Another output under the same name.
    let mut archive = original.clone();
    let at = position(&archive, "go object 1.99.1");
    archive[at] = b'G';
    fixture.replace("1.99", TRIMPATH, &archive);
    said += &refused(&fixture);
    // An action that names another output.
    let mut archive = original.clone();
    let at = position(&archive, "v1 ") + "v1 ".len() + 64 + 1;
    archive[at] = if archive[at] == b'0' { b'1' } else { b'0' };
    fixture.show("1.99");
    fixture.replace("1.99", TRIMPATH, &archive);
    said += &refused(&fixture);
    // An action in another form.
    let mut archive = original.clone();
    let at = position(&archive, "v1 ");
    archive[at + 1] = b'2';
    fixture.show("1.99");
    fixture.replace("1.99", TRIMPATH, &archive);
    let message = refused(&fixture);
    assert!(
        message.contains("is not an action of Go's cache"),
        "{message}"
    );
    // Another layer.
    fixture.show("1.99");
    let site = fixture.archive("1.99", "site");
    fixture.replace("1.99", TRIMPATH, &site);
    let message = refused(&fixture);
    let expected = "is not a file of a build cache in /var/cache/go-build";
    assert!(message.contains(expected), "{message}");
    // Nothing at all.
    fixture.show("1.99");
    fixture.replace("1.99", TRIMPATH, &[0; 1024]);
    said += &refused(&fixture);

    let trees = said.matches("layer `stdcache/x86_64-trimpath`: it has the tree");
    assert_eq!(trees.count(), 3, "{said}");
    fixture.show("1.99");
    fixture.root(["install", "1.99"]).ok();
    assert_eq!(installed(&fixture), ["x86_64-trimpath", "x86_64-plain"]);
}

#[test]
fn commits_that_are_not_the_signed_std_cache_are_refused() {
    let Some(fixture) = with_std_caches() else {
        return;
    };
    let last = |manifest: &Value| manifest["layers"].as_array().unwrap().len() - 1;
    // Without its signature.
    fixture.edit("1.99", |manifest| {
        let last = last(manifest);
        let annotations = &mut manifest["layers"][last]["annotations"];
        let annotations = annotations.as_object_mut().unwrap();
        annotations
            .remove("io.github.ostree-go.layer.commitmeta")
            .expect("the signature");
    });
    let message = refused(&fixture);
    assert!(
        message.contains("go-sdk/stdcache/1.99.1/x86_64-plain"),
        "{message}"
    );
    // The std cache of another version, with its signature.
    let old = fixture.manifest("1.99.1");
    fixture.release("1.99.2", 1_771_000_000, |toy| toy);
    add_std_caches(&fixture, "1.99.2");
    fixture.edit("1.99", |manifest| {
        let last = last(manifest);
        manifest["layers"][last] = old["layers"][last].clone();
    });
    let message = refused(&fixture);
    assert!(
        message.contains("go-sdk/stdcache/1.99.2/x86_64-plain"),
        "{message}"
    );
    // The std cache for the other mode.
    fixture.show("1.99");
    fixture.edit("1.99", |manifest| {
        let last = last(manifest);
        manifest["layers"][last] = manifest["layers"][last - 1].clone();
    });
    let message = refused(&fixture);
    assert!(
        message.contains("go-sdk/stdcache/1.99.2/x86_64-plain"),
        "{message}"
    );
    // An object that is not a commit at all.
    fixture.show("1.99");
    fixture.edit("1.99", |manifest| {
        let last = last(manifest);
        manifest["layers"][last]["annotations"]["io.github.ostree-go.layer.commit"] = "AAAA".into();
    });
    refused(&fixture);
    fixture.show("1.99");
    fixture.root(["install", "1.99"]).ok();
    assert_eq!(installed(&fixture), ["x86_64-trimpath", "x86_64-plain"]);
}

#[test]
fn a_real_registry_has_the_std_caches() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let fixture = RegistryFixture::new();
    add_std_caches(&fixture, "1.99.1");
    let image = format!("docker://{}/acme/go-sdk", registry.host());
    let export = ["export", "oci", "1.99", &image, "--tls-verify=false"];
    fixture.publisher.run(export).ok();
    let url = format!("oci+http://{}/acme/go-sdk", registry.host());
    let keys = fixture.gpg.export(&fixture.key).display().to_string();
    fixture
        .root(["remote", "add", "acme", &url, "--gpg-import", &keys])
        .ok();
    let mut install = fixture.on_root(["install", "1.99"]);
    run(&mut install).ok();
    assert_eq!(installed(&fixture).len(), 2);
    ostree(&fixture.host.path("root/repo"), ["fsck", "--quiet"]);
}
