//! Registries and layouts as transports: an import restores exactly what was exported.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ostree_go_tests::cli::run;
use ostree_go_tests::containers::{Registry, skopeo};
use ostree_go_tests::host::Host;
use ostree_go_tests::images;
use ostree_go_tests::ostree;
use ostree_go_tests::registry_fixture::{RegistryFixture, digest};
use ostree_go_tests::tools;
use ostree_go_tests::webserver::Fault;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

const REF: &str = "go-sdk/x86_64/1.99";

/// Returns the refs, their commits, and the bytes of these commits and their signatures.
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
fn an_import_restores_the_same_commits() {
    let fixture = RegistryFixture::new();
    let publisher = fixture.publisher.sandbox.repo();
    let layout = fixture.layout();
    let archive = fixture.publisher.sandbox.path("all.tar");
    for tag in ["1.99.1", "1.99"] {
        // In zstd, into an archive.
        let to = format!("oci-archive:{}:{tag}", archive.display());
        let _ = fs::remove_file(&archive);
        fixture.publisher.run(["export", "oci", tag, &to]).ok();
        let from = format!("oci:{}:{tag}", layout.display());
        for (mode, image) in [("archive", &to), ("bare-user", &from)] {
            let name = format!("{mode}-{tag}");
            let repo = fixture.host.path(&name);
            let repo_arg = repo.to_str().expect("UTF-8").to_owned();
            fixture
                .host
                .run(["init", "--mode", mode, "--repo", &repo_arg])
                .ok();
            let out = fixture
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
            let keys = fixture.gpg.export(&fixture.key).display().to_string();
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
fn an_import_can_require_signatures_and_one_architecture() {
    let fixture = RegistryFixture::new();
    let from = format!("oci:{}:1.99", fixture.layout().display());
    let out = fixture
        .host
        .run(["import", &from, "--dry-run", "--format", "json"])
        .ok();
    let document: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(document["commits"].as_array().expect("commits").len(), 2);
    assert_eq!(document["verified"], false);
    assert_eq!(fixture.host.refs(), Vec::<String>::new());
    let args = [
        "import", &from, "--remote", "acme", "--arch", "x86_64", "--format", "json",
    ];
    let out = fixture.host.run(args).ok();
    let document: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(document["verified"], true);
    assert_eq!(document["layers"].as_array().expect("layers").len(), 3);
    let refs = fixture.host.refs();
    assert_eq!(refs.len(), 4, "{refs:?}");
    assert!(refs.contains(&format!("acme:{REF}")));
    // Nobody's key, no remote, no tag, no image.
    fixture.release_by(None, "1.99.2", 1_771_000_000, |toy| toy);
    let mut said = fixture
        .host
        .run(["import", &from, "--remote", "acme"])
        .exits(3)
        .stderr;
    let layout = format!("oci:{}", fixture.layout().display());
    let absent = format!("{layout}:none");
    let folder = fixture.host.path("nothing");
    let nothing = format!("oci:{}", folder.display());
    for (args, code) in [
        (["import", &from, "--remote", "other"], 1),
        (["import", &layout, "--arch", "x86_64"], 1),
        (["import", &absent, "--arch", "x86_64"], 1),
        (["import", &nothing, "--arch", "x86_64"], 1),
        (["import", "dir:x", "--arch", "x86_64"], 2),
    ] {
        said += &fixture.host.run(args).exits(code).stderr;
    }
    let said = said.replace(fixture.layout().to_str().expect("UTF-8"), "LAYOUT");
    let said = said.replace(folder.to_str().expect("UTF-8"), "NOTHING");
    let said = said.replace(fixture.host.repo().to_str().expect("UTF-8"), "REPO");
    insta::assert_snapshot!(fixture.masked(&said));
}

#[test]
fn an_upgrade_fetches_only_changed_layers() {
    let fixture = RegistryFixture::new();
    fixture.root_remote();
    fixture.server.reset();
    fixture.root(["install", "1.99"]).ok();
    assert_eq!(fixture.fetched("1.99"), ["common", "toolchain", "site"]);
    // Garbage collection leaves what the next upgrade builds on.
    fixture.root(["gc"]).ok();
    fixture.release("1.99.2", 1_771_000_000, |toy| toy);
    fixture.server.reset();
    let out = fixture.root(["upgrade", "--format", "json"]).ok();
    let document: Value = serde_json::from_str(&out.stdout).expect("JSON");
    assert_eq!(document["active"]["version"], "1.99.2");
    // The toy's version is in `common`; the tools are the same.
    assert_eq!(fixture.fetched("1.99"), ["common"]);
    fixture.root(["rollback"]).ok();
    // Deployed still: both are kept. Then one goes, and its layers with it.
    fixture.root(["uninstall", "1.99.2", "--active"]);
    fixture.root(["gc"]).ok();
    let repo = fixture.host.path("root/repo");
    ostree::ostree(&repo, ["fsck", "--quiet"]);
    fixture.server.reset();
    fixture.root(["upgrade"]).ok();
    assert_eq!(fixture.fetched("1.99"), ["common"]);
    // Nothing to do asks for a manifest alone.
    fixture.server.reset();
    fixture.root(["upgrade", "--unchanged-exit-77"]).exits(77);
    assert!(fixture.fetched("1.99").is_empty());
}

#[test]
fn an_interrupted_pull_keeps_complete_layers() {
    let fixture = RegistryFixture::new();
    let toolchain = fixture.blob("1.99", "toolchain");
    fixture
        .server
        .fault(&format!("/blobs/{toolchain}"), Fault::Status(500));
    fixture.pull(&[REF]).exits(75);
    assert_eq!(fixture.host.refs(), Vec::<String>::new());
    fixture.host.fsck();
    fixture.server.reset();
    fixture.pull(&[REF]).ok();
    assert!(fixture.fetched("1.99").contains(&"toolchain".to_owned()));
    fixture.host.fsck();
    // A damaged layer is no layer.
    let repo = fixture.host.repo();
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
    fixture.release("1.99.2", 1_771_000_000, |toy| toy);
    fixture.server.reset();
    fixture.pull(&[REF]).ok();
    assert_eq!(fixture.fetched("1.99"), ["common", "toolchain"]);
    ostree::ostree(&repo, ["fsck", "--quiet", &format!("acme:{REF}")]);
}

#[test]
fn only_commit_metadata_is_fetched() {
    let fixture = RegistryFixture::new();
    fixture.server.reset();
    let out = fixture
        .pull(&["--commit-metadata-only", REF, "--format", "json"])
        .ok();
    let document: Value = serde_json::from_str(&out.stdout).expect("JSON");
    let planned = &document["commits"][0];
    assert_eq!(planned["download"]["way"], "layers");
    assert!(planned["download"]["bytes"].as_u64().expect("bytes") > 0);
    assert_eq!(planned["signed"], true);
    assert!(fixture.fetched("1.99").is_empty());
    assert_eq!(fixture.host.refs(), Vec::<String>::new());
}

#[test]
fn a_real_registry_with_images_by_ostree_go_and_by_skopeo() {
    let (Some(registry), fixture) = (Registry::start(), RegistryFixture::new()) else {
        return;
    };
    let host = registry.host();
    let image = format!("docker://{host}/acme/go-sdk");
    fixture
        .publisher
        .run(["export", "oci", "1.99.1", &image, "--tls-verify=false"])
        .ok();
    // The channel goes there by skopeo, with the index and all.
    let from = format!("oci:{}:1.99", fixture.layout().display());
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
    let keys = fixture.gpg.export(&fixture.key);
    let keys = keys.to_str().expect("UTF-8").to_owned();
    fixture
        .root(["remote", "add", "acme", &url, "--gpg-import", &keys])
        .ok();
    fixture.root(["install", "1.99"]).ok();
    fixture.root(["install", "1.99.1", "--no-activate"]).ok();
    let repo = fixture.host.path("root/repo");
    ostree::ostree(&repo, ["fsck", "--quiet"]);
    for (name, here) in [
        ("1.99", "acme:go-sdk/x86_64/1.99"),
        ("1.99.1", "acme:go-sdk/x86_64/1.99.1"),
    ] {
        let there = fixture
            .publisher
            .sandbox
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
    fixture
        .host
        .run(["remote", "add", "guarded", &url, "--no-gpg-verify"])
        .ok();
    let out = fixture.host.run(["pull", "guarded", REF]).exits(1);
    let said = out.stderr.replace(&guarded.host(), "HOST");
    insta::assert_snapshot!(said);
    let auth = BASE64_STANDARD.encode("builder:secret");
    let auths = format!(
        "{{\"auths\":{{\"{}\":{{\"auth\":\"{auth}\"}}}}}}",
        guarded.host()
    );
    let file = fixture.publisher.sandbox.write("auth.json", &auths);
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
    fixture.publisher.run(export).ok();
    let mut pull = fixture.host.ostree_go(["pull", "guarded", REF]);
    run(pull.env("REGISTRY_AUTH_FILE", file)).ok();
    // Credentials in the URL do as well, and are not shown.
    let url = format!("oci+http://builder:secret@{}/acme/go-sdk", guarded.host());
    fixture
        .host
        .run(["remote", "add", "known", &url, "--no-gpg-verify"])
        .ok();
    fixture.host.run(["pull", "known", REF]).ok();
    let listed = fixture.host.run(["remote", "list"]).ok().stdout;
    assert!(!listed.contains("secret"), "{listed}");
}

/// Runs the command for a root directory, and kills it at a failpoint.
#[test]
fn a_killed_pull_leaves_a_consistent_repository() {
    let fixture = RegistryFixture::new();
    for point in [
        "pull.fetched",
        "pull.locked",
        "transaction.folders-moved",
        "transaction.objects-moved",
        "pull.committed",
    ] {
        let mut pull: Command = fixture.host.ostree_go(["pull", REF]);
        let out = run(pull.env("OSTREE_GO_FAILPOINT", point));
        assert_eq!(out.code(), None, "{point}: {}", out.stderr);
        fixture.host.fsck();
    }
    fixture.pull(&[REF]).ok();
    fixture.host.fsck();
    assert_eq!(fixture.host.refs().len(), 4);
}

#[test]
fn a_real_sdk_from_a_real_registry() {
    if std::env::consts::ARCH != "x86_64" {
        return tools::skip("this machine cannot run x86_64 programs");
    }
    let host = Host::new();
    let added = host.sandbox.add_real_sdks(&[host.arch()]);
    let (Some(()), Some(registry)) = (added, Registry::start()) else {
        return;
    };
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
    let there = host.sandbox.rev("go-sdk/x86_64/1.26.5");
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

/// Creates a layout with the image in a directory of skopeo's transport `dir:`, whose manifest can
/// be changed.
fn layout_of(dir: &Path, layout: &Path, change: impl FnOnce(&mut Value)) {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a folder");
    for file in fs::read_dir(dir).expect("files") {
        let file = file.expect("a file");
        fs::copy(file.path(), blobs.join(file.file_name())).expect("a blob");
    }
    let mut manifest = images::document(&dir.join("manifest.json"));
    change(&mut manifest);
    let bytes = serde_json::to_vec(&manifest).expect("JSON");
    let entry = json!({
        "mediaType": manifest["mediaType"], "digest": digest(&bytes), "size": bytes.len(),
    });
    fs::write(images::blob(layout, &entry["digest"]), bytes).expect("a manifest");
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(layout.join("index.json"), index.to_string()).expect("an index");
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .expect("a version");
}

#[test]
fn images_that_skopeo_compressed_again_are_imported() {
    let fixture = RegistryFixture::new();
    let folder = fixture.publisher.sandbox.path("");
    let in_folder = |name: &str| folder.join(name);
    let copy = |args: &[&str]| -> Option<()> {
        let mut command = skopeo(["copy", "--quiet"].into_iter().chain(args.iter().copied()))?;
        run(command.current_dir(&folder)).ok();
        Some(())
    };
    let amd64 = ["--override-os=linux", "--override-arch=amd64"];
    let from = "oci:layout:1.99";
    let chunked = "--dest-compress-format=zstd:chunked";
    let copied = || -> Option<()> {
        copy(&["--all", chunked, from, "oci:chunked:1.99"])?;
        copy(
            &[
                &amd64[..],
                &["--dest-compress", chunked, from, "dir:dir-chunked"],
            ]
            .concat(),
        )?;
        copy(&[&amd64[..], &["--dest-decompress", from, "dir:dir-plain"]].concat())?;
        copy(&[&amd64[..], &["--format=v2s2", from, "dir:dir-docker"]].concat())
    };
    let Some(()) = copied() else { return };
    layout_of(&in_folder("dir-plain"), &in_folder("plain"), |_| {});
    layout_of(&in_folder("dir-docker"), &in_folder("docker"), |_| {});
    layout_of(&in_folder("dir-chunked"), &in_folder("bare"), |manifest| {
        let annotations = manifest["annotations"].as_object_mut();
        let list = annotations
            .expect("a map")
            .remove("io.github.ostree-go.layers");
        assert!(list.is_some());
    });
    // Skopeo has dropped the annotations of the layers, and has written other blobs.
    for (dir, media_type) in [("dir-chunked", "tar+zstd"), ("dir-plain", "tar")] {
        let manifest = images::document(&in_folder(dir).join("manifest.json"));
        for layer in manifest["layers"].as_array().expect("layers") {
            let expected = format!("application/vnd.oci.image.layer.v1.{media_type}");
            assert_eq!(layer["mediaType"], expected);
            let commit = &layer["annotations"]["io.github.ostree-go.layer.commit"];
            assert!(commit.is_null(), "{layer}");
        }
    }

    let all = state(&fixture.publisher.sandbox.repo(), "");
    for (image, count) in [("chunked:1.99", 2 + 4), ("plain", 1 + 3)] {
        let repo = fixture.host.path(&image.replace(':', "-"));
        let repo_arg = repo.to_str().expect("UTF-8");
        fixture.host.run(["init", "--repo", repo_arg]).ok();
        let image = format!("oci:{}", in_folder(image).display());
        let import = ["import", &image, "--repo", repo_arg];
        fixture.host.run(import).ok();
        ostree::ostree(&repo, ["fsck", "--quiet"]);
        // The same commits, with the same signatures.
        let imported = state(&repo, "");
        assert!(
            imported.iter().all(|line| all.contains(line)),
            "{imported:#?}"
        );
        assert_eq!(imported.len(), count, "{imported:#?}");
    }
    let said = ["docker", "bare"].map(|image| {
        let image = format!("oci:{}", in_folder(image).display());
        let stderr = fixture.host.run(["import", &image]).exits(1).stderr;
        stderr.replace(
            folder.to_str().expect("UTF-8").trim_end_matches('/'),
            "FOLDER",
        )
    });
    insta::assert_snapshot!(fixture.masked(&said.concat()), @"
    error: the image at FOLDER/docker/blobs/sha256/SUM has lost the commits in its annotations: its manifest has Docker's format, which has no annotations
    hint: the image was changed when it was copied; copy it unchanged, for example with `skopeo copy --all --preserve-digests`
    error: the image at FOLDER/bare/blobs/sha256/SUM has lost the commits in its annotations: its layer sha256:SUM has no annotation `io.github.ostree-go.layer.commit`
    hint: the image was changed when it was copied; copy it unchanged, for example with `skopeo copy --all --preserve-digests`
    ");
}

/// The form of an index by `docker buildx build --provenance`, as BuildKit documents it.
#[test]
fn attestations_in_an_index_are_left_out() {
    let fixture = RegistryFixture::new();
    let mut index = fixture.document("1.99");
    let attestation = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(b"{}"), "size": 2,
        },
        "layers": [{
            "mediaType": "application/vnd.in-toto+json", "digest": digest(b"{}"), "size": 2,
            "annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"},
        }],
    });
    let bytes = serde_json::to_vec(&attestation).expect("JSON");
    let manifests = index["manifests"].as_array_mut().expect("manifests");
    let subject = manifests[0]["digest"].clone();
    manifests.push(json!({
        "mediaType": attestation["mediaType"], "digest": fixture.put(&attestation),
        "size": bytes.len(), "platform": {"architecture": "unknown", "os": "unknown"},
        "annotations": {
            "vnd.docker.reference.digest": subject,
            "vnd.docker.reference.type": "attestation-manifest",
        },
    }));
    let attested = fixture.put(&index);
    fixture.point("1.99", &attested);
    let image = format!("{}:1.99", fixture.url());
    fixture.host.run(["import", &image]).ok();
    assert_eq!(
        fixture.host.refs().len(),
        2 + 4,
        "{:?}",
        fixture.host.refs()
    );
    fixture.root_remote();
    fixture.root(["install", "1.99"]).ok();

    // In a layout, next to the only image.
    let layout = fixture.layout();
    let path = layout.join("index.json");
    let mut top = images::document(&path);
    let manifests = top["manifests"].as_array_mut().expect("manifests");
    manifests.truncate(1);
    let mut entry = index["manifests"][2].clone();
    entry["platform"] = Value::Null;
    manifests.push(entry);
    fs::write(&path, top.to_string()).expect("an index");
    let image = format!("oci:{}", layout.display());
    fixture.host.run(["import", &image]).ok();

    // An index without an image names the platforms of images only.
    index["manifests"].as_array_mut().expect("all").remove(0);
    index["manifests"].as_array_mut().expect("all").remove(0);
    let attested = fixture.put(&index);
    fixture.point("1.99", &attested);
    let image = format!("{}:1.99", fixture.url());
    let said = fixture.host.run(["import", &image]).exits(1).stderr;
    insta::assert_snapshot!(fixture.masked(&said), @"error: no image for any platform at http://HOST/v2/acme/go-sdk/manifests/1.99");
}
