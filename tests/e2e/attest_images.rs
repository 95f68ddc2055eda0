//! `export attest --oci-referrer`: attestations that a client by others finds beside an image.

use crate::attest::{REF, attest, keyed, masked};
use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::containers::Registry;
use ostree_go_tests::images::{all, blob, document};
use ostree_go_tests::referrers::{Referrer, ReferrersRegistry, referrers};
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::sdk::{Sdk, sdk};
use ostree_go_tests::tools;
use serde_json::Value;
use std::fs;
use std::process::Command;

const PLAIN: &str = "--tls-verify=false";

/// Attaches signed attestations of both architectures to an image, and returns the JSON document.
#[track_caller]
fn attach(sandbox: &Sandbox, image: &str, more: &[&str]) -> Value {
    let args = ["1.99.1", "--oci-referrer", image, PLAIN, "--format", "json"];
    let sign = ["--sign-from-file", "secret"];
    let out = attest(sandbox, [&args[..], &sign, more].concat()).ok();
    serde_json::from_str(&out.stdout).unwrap()
}

/// The media type of the empty configuration of OCI.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Asserts that a client by others finds the reported attestations of one release, and that they are verified.
#[track_caller]
fn assert_found(sdk: &Sdk, sandbox: &Sandbox, host: &str, made: &Value, arch: &str) {
    let release = format!("go-sdk/{arch}/1.99.1");
    let commit = sandbox.rev(&release).unwrap();
    let made = made["attestations"].as_array().unwrap();
    let made: Vec<&Value> = made.iter().filter(|one| one["commit"] == *commit).collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let subject = text(&made[0]["referrer"]["subject"]);
    let image = format!("{host}/acme/go-sdk@{subject}");
    let folder = sandbox.path("found");
    let mut found = referrers(sdk, &image, &folder);
    found.sort();
    // The registry of go-containerregistry lists the media type of the configuration.
    let lists_config = found.iter().all(|one| one.artifact_type == EMPTY);
    let expected = made.iter().map(|one| {
        let digest = text(&one["referrer"]["digest"]);
        Referrer {
            artifact_type: match lists_config {
                true => EMPTY.to_owned(),
                false => text(&one["media_type"]),
            },
            predicate_type: text(&one["predicate_type"]),
            content: folder.join(digest.trim_start_matches("sha256:")),
            digest,
        }
    });
    let mut expected: Vec<Referrer> = expected.collect();
    expected.sort();
    assert_eq!(found, expected);
    for one in &found {
        let path = one.content.to_str().unwrap();
        let verify = ["verify", &release, "--attestation", path];
        let out = sandbox.run([&verify[..], &["--attestation-keys", "public"]].concat());
        assert!(out.ok().stdout.contains(&one.predicate_type));
    }
}

/// Returns the tags of the image, according to the registry.
fn tags(host: &str) -> Vec<String> {
    let url = format!("http://{host}/v2/acme/go-sdk/tags/list");
    let out = run(Command::new("curl").args(["--silent", "--fail", &url])).ok();
    let found: Value = serde_json::from_str(&out.stdout).unwrap();
    let tags = found["tags"].as_array().unwrap().iter();
    tags.map(|tag| tag.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_client_by_others_lists_the_attestations_in_a_registry() {
    let (Some(sdk), Some(_)) = (sdk("1.26.5", Arch::X86_64), tools::require("curl")) else {
        return;
    };
    let Some(debian) = Registry::start() else {
        return;
    };
    let sandbox = keyed();
    let new = ReferrersRegistry::start(&sdk);
    // The first one has the interface, and for the second one the tag is needed.
    for (host, count) in [(new.host().to_owned(), 1), (debian.host(), 3)] {
        let image = format!("docker://{host}/acme/go-sdk:1.99.1");
        sandbox.run(["export", "oci", "1.99.1", &image, PLAIN]).ok();
        let made = attach(&sandbox, &image, &[]);
        for arch in ["x86_64", "aarch64"] {
            assert_found(&sdk, &sandbox, &host, &made, arch);
        }
        assert_eq!(tags(&host).len(), count, "{:?}", tags(&host));
        // Again, and by the digest of the index.
        assert_eq!(attach(&sandbox, &image, &[]), made);
        let url = format!("http://{host}/v2/acme/go-sdk/manifests/1.99.1");
        let accept = "Accept: application/vnd.oci.image.index.v1+json";
        let mut curl = Command::new("curl");
        let out = run(curl.args(["--silent", "--fail", "-H", accept, &url])).ok();
        let index = ostree_go_tests::registry_fixture::digest(out.stdout.as_bytes());
        let by_digest = format!("docker://{host}/acme/go-sdk@{index}");
        let again = attach(&sandbox, &by_digest, &[]);
        assert_eq!(again["attestations"], made["attestations"]);
        for arch in ["x86_64", "aarch64"] {
            assert_found(&sdk, &sandbox, &host, &made, arch);
        }
        assert_eq!(tags(&host).len(), count);
    }
}

#[test]
fn an_image_of_one_architecture_and_an_encapsulated_one() {
    let sandbox = keyed();
    for more in [&["--arch", "x86_64"][..], &["--encapsulate"]] {
        let layout = sandbox.path("img");
        let _ = fs::remove_dir_all(&layout);
        let export = ["export", "oci", "1.99.1", "oci:img:latest"];
        sandbox.run([&export[..], more].concat()).ok();
        let args = [REF, "--oci-referrer", "oci:img:latest", "--format", "json"];
        let out = attest(&sandbox, args).ok();
        let found: Value = serde_json::from_str(&out.stdout).unwrap();
        let referrer = &found["attestations"][0]["referrer"];
        let manifest = document(&blob(&layout, &referrer["digest"]));
        let image = document(&blob(&layout, &manifest["subject"]["digest"]));
        assert_eq!(image["mediaType"], manifest["subject"]["mediaType"]);
        let size = fs::metadata(blob(&layout, &referrer["subject"]));
        assert_eq!(manifest["subject"]["size"], size.unwrap().len());
    }
}

#[test]
fn another_export_keeps_the_attestations_and_an_import_ignores_them() {
    let sandbox = keyed();
    let export = ["export", "oci", "1.99.1", "oci:img"];
    sandbox.run(export).ok();
    attach(&sandbox, "oci:img", &[]);
    let before = all(&sandbox.path("img"));
    let sorted = |layout: &[(std::path::PathBuf, Vec<u8>)]| {
        let names = layout.iter().map(|(path, _)| path.clone());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    sandbox.run(export).ok();
    let after = all(&sandbox.path("img"));
    assert_eq!(sorted(&after), sorted(&before));
    let index = document(&sandbox.path("img/index.json"));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 3);
    let other = Sandbox::new();
    other.run(["init"]).ok();
    let image = format!("oci:{}:1.99.1", sandbox.path("img").display());
    other.run(["import", &image]).ok();
    assert_eq!(other.rev(REF), sandbox.rev(REF));
}

/// Returns the message of a failed `export attest --oci-referrer oci:img:1.99.1`.
#[track_caller]
fn failed(sandbox: &Sandbox, code: i32) -> String {
    let before = all(&sandbox.path("img"));
    let args = [REF, "--slsa", "--oci-referrer", "oci:img:1.99.1"];
    let out: Output = attest(sandbox, args).exits(code);
    assert_eq!(out.stdout, "");
    assert_eq!(all(&sandbox.path("img")), before);
    ostree_go_tests::images::masked(&masked(sandbox, &out.stderr))
}

#[test]
fn a_damaged_layout_is_left_as_it_is() {
    let sandbox = keyed();
    sandbox.run(["export", "oci", "1.99.1", "oci:img"]).ok();
    let layout = sandbox.path("img");
    let index = document(&layout.join("index.json"));
    let top = blob(&layout, &index["manifests"][0]["digest"]);
    let honest = fs::read(&top).unwrap();
    let manifests = document(&top)["manifests"].clone();
    fs::write(&top, "{}").unwrap();
    assert_snapshot!(failed(&sandbox, 1), @"error: the document 1.99.1 of image oci:img:1.99.1 is damaged: its digest is sha256:SHA256");
    fs::remove_file(&top).unwrap();
    assert_snapshot!(failed(&sandbox, 1), @"
    error: there is no image oci:img:1.99.1
    hint: write the image with `ostree-go export oci` first
    ");
    fs::write(&top, honest).unwrap();
    // The manifest of the architecture is another one than the index says.
    let own = manifests.as_array().unwrap().iter();
    let mut own = own.filter(|one| one["platform"]["architecture"] == "amd64");
    let manifest = blob(&layout, &own.next_back().unwrap()["digest"]);
    let honest = fs::read(&manifest).unwrap();
    fs::write(&manifest, [&honest[..], b"\n"].concat()).unwrap();
    assert_snapshot!(failed(&sandbox, 1), @"error: the document sha256:SHA256 of image oci:img:1.99.1 is damaged: its digest is sha256:SHA256");
    fs::write(&manifest, honest).unwrap();
    // So is the list of referrers.
    attach(&sandbox, "oci:img", &[]);
    let index = document(&layout.join("index.json"));
    let entries = index["manifests"].as_array().unwrap().iter();
    let lists = entries.filter(|one| {
        let name = &one["annotations"]["org.opencontainers.image.ref.name"];
        name.as_str().unwrap().starts_with("sha256-")
    });
    for list in lists {
        fs::write(blob(&layout, &list["digest"]), "[]").unwrap();
    }
    assert_snapshot!(failed(&sandbox, 1), @"error: the document sha256-SHA256 of image oci:img:1.99.1 is damaged: its digest is sha256:SHA256");
    sandbox.write("img/index.json", "[]");
    assert_snapshot!(failed(&sandbox, 1), @"
    error: img is not an OCI image layout: its `index.json` is damaged
    hint: use a directory that is empty or does not exist
    ");
}

#[test]
fn a_registry_that_refuses() {
    let Some(registry) = Registry::guarded() else {
        return;
    };
    let sandbox = keyed();
    let said = |image: &str, code: i32| {
        let args = [REF, "--slsa", "--oci-referrer", image, PLAIN];
        let out = attest(&sandbox, args).exits(code);
        out.stderr.replace(&registry.host(), "HOST")
    };
    let image = format!("docker://{}/acme/go-sdk:1.99.1", registry.host());
    assert_snapshot!(said(&image, 1), @"
    error: cannot push HOST/acme/go-sdk:1.99.1: the registry answered with status 401
    hint: log in with `podman login`, or name a credentials file with --authfile
    ");
    assert_snapshot!(said("docker://127.0.0.1:1/acme/go-sdk:1", 75), @"
    error: cannot push 127.0.0.1:1/acme/go-sdk:1: no answer from http://127.0.0.1:1/v2/
      io: Connection refused (os error 111)
    hint: check the address; use --tls-verify=false for a registry without encryption
    ");
    let Some(open) = Registry::start() else {
        return;
    };
    let image = format!("docker://{}/acme/go-sdk:1.99.1", open.host());
    let out = said(&image, 1).replace(&open.host(), "HOST");
    assert_snapshot!(out, @"
    error: there is no image docker://HOST/acme/go-sdk:1.99.1
    hint: write the image with `ostree-go export oci` first
    ");
}
