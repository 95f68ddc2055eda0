//! `export attest`: provenance and bills of materials of a release, which libraries by others read.

use crate::json::undocumented;
use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run, workspace};
use ostree_go_tests::images::{all, blob, document, sandbox as toys};
use ostree_go_tests::python;
use ostree_go_tests::sandbox::Sandbox;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const REF: &str = "go-sdk/x86_64/1.99.1";
const NAMES: [&str; 3] = ["slsa", "spdx", "cdx"];

/// A key pair of RFC 8032, 7.1, test 1; libostree's secret key is seed and public key.
pub(crate) const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
pub(crate) const SECRET: &str =
    "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
const STRANGER: &str = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=";

/// Writes the files `secret`, `public` and `stranger` with keys.
pub(crate) fn write_keys(sandbox: &Sandbox) {
    for (name, key) in [
        ("secret", SECRET),
        ("public", PUBLIC),
        ("stranger", STRANGER),
    ] {
        sandbox.write(name, &format!("{key}\n"));
    }
}

/// Returns toy SDKs, and the files `secret`, `public` and `stranger` with keys.
pub(crate) fn keyed() -> Sandbox {
    let sandbox = toys("archive");
    write_keys(&sandbox);
    sandbox
}

pub(crate) fn attest<'a>(sandbox: &Sandbox, args: impl IntoIterator<Item = &'a str>) -> Output {
    sandbox.run(["export", "attest"].into_iter().chain(args))
}

/// Replaces the checksums that differ between machines.
pub(crate) fn masked(sandbox: &Sandbox, text: &str) -> String {
    let text = text.replace(&sandbox.rev(REF).unwrap(), "[commit]");
    text.replace(sandbox.path("").to_str().unwrap(), "[dir]/")
}

/// Reads a document with the libraries of `tests/attest/requirements.txt`.
fn read(python: &Path, path: &Path, key: Option<&str>) -> String {
    let mut command = Command::new(python);
    command.arg(workspace().join("tests/attest/check.py"));
    run(command.arg(path).args(key)).ok().stdout
}

#[test]
fn libraries_by_others_read_and_verify_the_documents_of_a_real_release() {
    let requirements = workspace().join("tests/attest/requirements.txt");
    let Some(python) = python::with_packages(&requirements) else {
        return;
    };
    let Some(sandbox) = Sandbox::with_real_sdk(Arch::X86_64) else {
        return;
    };
    write_keys(&sandbox);
    let name = "go-sdk/x86_64/1.26.5";
    let commit = sandbox.rev(name).unwrap();
    attest(&sandbox, [name, "--output", "plain"]).ok();
    let sign = ["--sign-from-file", "secret", "--output", "signed"];
    attest(&sandbox, [name].into_iter().chain(sign)).ok();
    let subject = format!("subject {name} {{'sha256': '{commit}'}}\n");
    let found = [
        "slsa https://github.com/ostree-go/ostree-go/compose/v1 https://github.com/ostree-go/ostree-go\n",
        "spdx SPDX-2.3 15 packages\n",
        "cyclonedx 1.6 14 components\n",
    ];
    for (kind, found) in NAMES.into_iter().zip(found) {
        let plain = sandbox.path(&format!("plain/go-1.26.5-x86_64.{kind}.json"));
        let said = read(&python, &plain, None);
        assert!(said.ends_with(found), "{said}");
        let signed = sandbox.path(&format!("signed/go-1.26.5-x86_64.{kind}.dsse.json"));
        let said = read(&python, &signed, Some(PUBLIC));
        assert!(
            said.starts_with(&format!("verified by 1\n{subject}")),
            "{said}"
        );
        assert!(said.ends_with(found), "{said}");
        // And not by another key.
        let mut command = Command::new(&python);
        command.arg(workspace().join("tests/attest/check.py"));
        let out = run(command.arg(&signed).arg(STRANGER)).exits(1);
        assert!(out.stderr.contains("VerificationError"), "{out}");
    }
    // The hash of the content is the one that sum.golang.org has for this release, in in-toto's form.
    let slsa = document(&sandbox.path("plain/go-1.26.5-x86_64.slsa.json"));
    let dependencies = &slsa["predicate"]["buildDefinition"]["resolvedDependencies"];
    let module = json!({
        "name": "golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64",
        "digest": { "dirHash": "ff208ceea550bbab186147b0437f6bb53b5131830775b3fda0d8e0a7e94457dc" },
    });
    assert!(
        dependencies.as_array().unwrap().contains(&module),
        "{dependencies:#}"
    );
    // The modules that Go vendors are those of its own modules.txt.
    let cdx = document(&sandbox.path("plain/go-1.26.5-x86_64.cdx.json"));
    let names = cdx["components"].as_array().unwrap().iter();
    let mut found: Vec<String> = names
        .map(|one| format!("{}@{}", one["name"], one["version"]).replace('"', ""))
        .collect();
    found.sort();
    let tree = sandbox.checkout(name, "tree");
    let mut expected: Vec<String> = ["src/vendor/modules.txt", "src/cmd/vendor/modules.txt"]
        .iter()
        .flat_map(|path| {
            let path = tree.join("usr/lib/sdk/go-1.26").join(path);
            let text = fs::read_to_string(path).unwrap();
            let modules = text.lines().filter_map(|line| line.strip_prefix("# "));
            let modules = modules.map(|line| line.replacen(' ', "@", 1));
            modules.collect::<Vec<String>>()
        })
        .collect();
    expected.sort();
    expected.dedup();
    assert_eq!(found, expected);
}

#[test]
fn the_same_release_gives_the_same_bytes() {
    let sandbox = keyed();
    let sign = ["--sign-from-file", "secret"];
    for more in [&[][..], &sign[..]] {
        let write = |folder: &str| {
            let _ = fs::remove_dir_all(sandbox.path(folder));
            let args = [&["1.99.1", "--output", folder], more].concat();
            attest(&sandbox, args).ok();
            all(&sandbox.path(folder))
        };
        let (first, second) = (write("first"), write("second"));
        assert_eq!(first.len(), 6);
        assert_eq!(first, second);
    }
    // The same documents, one by one.
    let stdout = attest(&sandbox, [REF, "--slsa"]).ok().stdout;
    attest(&sandbox, [REF, "--slsa", "--output", "one.json"]).ok();
    assert_eq!(
        fs::read_to_string(sandbox.path("one.json")).unwrap(),
        stdout
    );
    let folder = ["--arch", "x86_64", "--output", "plain"];
    attest(&sandbox, ["1.99.1"].into_iter().chain(folder)).ok();
    let written = fs::read_to_string(sandbox.path("plain/go-1.99.1-x86_64.slsa.json"));
    assert_eq!(written.unwrap(), stdout);
}

#[test]
fn attestations_are_verified_and_forgeries_refused() {
    let sandbox = keyed();
    let files = attest(
        &sandbox,
        ["1.99.1", "--sign-from-file", "secret", "--output", "."],
    );
    assert_snapshot!(files.ok().stdout, @"
    ./go-1.99.1-x86_64.slsa.dsse.json
    ./go-1.99.1-x86_64.spdx.dsse.json
    ./go-1.99.1-x86_64.cdx.dsse.json
    ./go-1.99.1-aarch64.slsa.dsse.json
    ./go-1.99.1-aarch64.spdx.dsse.json
    ./go-1.99.1-aarch64.cdx.dsse.json
    ");
    let path = "go-1.99.1-x86_64.slsa.dsse.json";
    let verify = |path: &str, more: &[&str]| {
        let args = ["verify", REF, "--attestation", path];
        sandbox.run([&args[..], more].concat())
    };
    let keys = ["--attestation-keys", "public"];
    assert_snapshot!(masked(&sandbox, &verify(path, &keys).ok().stdout), @"attested  https://slsa.dev/provenance/v1 in go-1.99.1-x86_64.slsa.dsse.json, signed by 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let out = verify(path, &[&keys[..], &["--format", "json"]].concat()).ok();
    let found: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(undocumented("verify", &found), [""; 0]);
    assert_eq!(found["attestations"][0]["signatures"][0]["status"], "valid");
    assert_eq!(
        found["attestations"][0]["subjects"][0]["sha256"],
        *sandbox.rev(REF).unwrap()
    );

    let said = |path: &str, key: &str, code: i32| {
        let out = verify(path, &["--attestation-keys", key]).exits(code);
        assert_eq!(out.stdout, "");
        masked(&sandbox, &out.stderr)
    };
    assert_snapshot!(said(path, "stranger", 3), @"
    error: go-1.99.1-x86_64.slsa.dsse.json is no valid attestation
      the envelope has no valid signature by a trusted key: ed25519 made by an unknown key
    ");
    assert_snapshot!(said("go-1.99.1-aarch64.slsa.dsse.json", "public", 3), @"
    error: go-1.99.1-aarch64.slsa.dsse.json is no valid attestation
      the statement is about `go-sdk/aarch64/1.99.1` with the SHA-256 74df723726f4b04ffea4d895fffaacd21fdc2899182c17197ef712e0c53e7994, expected commit [commit]
    hint: a channel and its release are different commits: name the one that was attested
    ");
    assert_snapshot!(said("missing.json", "public", 1), @"
    error: missing.json is no valid attestation
      cannot read missing.json: No such file or directory (os error 2)
    ");
    attest(&sandbox, [REF, "--slsa", "--output", "plain.json"]).ok();
    assert_snapshot!(said("plain.json", "public", 1), @"
    error: plain.json is no valid attestation
      the document is not a DSSE envelope: missing field `payload` at line 80 column 1
    hint: a document that was written without a key has no envelope, and cannot be verified
    ");
    sandbox.write("text.json", "not JSON");
    assert_snapshot!(said("text.json", "public", 1), @"
    error: text.json is no valid attestation
      the document is not a DSSE envelope: it is not a JSON object
    hint: a document that was written without a key has no envelope, and cannot be verified
    ");
    let honest = fs::read_to_string(sandbox.path(path)).unwrap();
    sandbox.write("cut.json", &honest[..honest.len() / 2]);
    assert_snapshot!(said("cut.json", "public", 1), @"
    error: cut.json is no valid attestation
      the document is not a DSSE envelope: EOF while parsing a string at line 1 column 1066
    hint: a document that was written without a key has no envelope, and cannot be verified
    ");
    let change = |change: &dyn Fn(&mut Value)| {
        let mut json: Value = serde_json::from_str(&honest).unwrap();
        change(&mut json);
        sandbox.write("changed.json", &json.to_string());
    };
    // Another statement under the same signature.
    let other = fs::read_to_string(sandbox.path("go-1.99.1-aarch64.slsa.dsse.json")).unwrap();
    let other: Value = serde_json::from_str(&other).unwrap();
    change(&|json| json["payload"] = other["payload"].clone());
    assert_snapshot!(said("changed.json", "public", 3), @"
    error: changed.json is no valid attestation
      the envelope has no valid signature by a trusted key: ed25519 made by an unknown key
    ");
    // The type of the payload is signed as well.
    change(&|json| json["payloadType"] = "application/json".into());
    assert_snapshot!(said("changed.json", "public", 3), @"
    error: changed.json is no valid attestation
      the envelope has no valid signature by a trusted key: ed25519 made by an unknown key
    ");
    change(&|json| json["signatures"] = json!([]));
    assert_snapshot!(said("changed.json", "public", 3), @"
    error: changed.json is no valid attestation
      the envelope is not signed
    hint: `ostree-go export attest --sign-from-file FILE` signs it
    ");
    let out = verify(path, &[]).exits(2);
    assert_snapshot!(out.stderr, @"
    error: an attestation can only be verified with Ed25519 public keys
    hint: name a file with --attestation-keys or --ed25519-keys
    ");
}

#[test]
fn releases_and_options_that_cannot_be_used() {
    let sandbox = keyed();
    let said = |args: &[&str], code: i32| {
        let out = attest(&sandbox, args.iter().copied()).exits(code);
        assert_eq!(out.stdout, "");
        masked(&sandbox, &out.stderr)
    };
    assert_snapshot!(said(&["1.99.1"], 2), @"
    error: 6 documents need a folder
    hint: name one with --output, or choose one document with --slsa, --spdx or --cyclonedx, and --arch
    ");
    assert_snapshot!(said(&["1.99.9", "--output", "x"], 1), @"
    error: no ref or commit `1.99.9` in repository [dir]/repo
    hint: did you mean `go-sdk/x86_64/1.99.1`?
    ");
    let layer = sandbox
        .refs()
        .into_iter()
        .find(|name| name.contains("/layer/"));
    let layer = layer.unwrap();
    let out = said(&[&layer, "--slsa"], 1);
    assert!(
        out.contains("is of the kind `layer`, expected a release or a channel"),
        "{out}"
    );
    sandbox.write("gpg", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n");
    let out = said(&[REF, "--slsa", "--sign-from-file", "gpg"], 1);
    assert!(out.starts_with("error: "), "{out}");
    assert_snapshot!(said(&[REF, "--oci-referrer", "oci:missing"], 1), @"
    error: there is no image oci:missing
    hint: write the image with `ostree-go export oci` first
    ");
    assert_snapshot!(said(&[REF, "--oci-referrer", "oci-archive:img.tar"], 1), @"error: nothing can be attached to oci-archive:img.tar, expected a directory or a registry");
    sandbox.run(["export", "oci", "1.99", "oci:img"]).ok();
    assert_snapshot!(said(&[REF, "--oci-referrer", "oci:img"], 1), @"
    error: there is no image oci:img
    hint: write the image with `ostree-go export oci` first
    ");
    assert_snapshot!(said(&[REF, "--oci-referrer", "oci:img:1.99"], 3), @"
    error: image oci:img:1.99 does not contain commit [commit]
    hint: name the release that was exported; a channel and its release are different commits
    ");
}

/// Returns the manifests of the artifacts that the index of referrers of an image lists.
fn listed(layout: &Path, subject: &str) -> Vec<Value> {
    let index = document(&layout.join("index.json"));
    let tag = subject.replace(':', "-");
    let entries = index["manifests"].as_array().unwrap();
    let of_tag = entries
        .iter()
        .find(|one| one["annotations"]["org.opencontainers.image.ref.name"] == tag);
    let index = document(&blob(layout, &of_tag.expect("the tag")["digest"]));
    let listed = index["manifests"].as_array().unwrap().iter();
    listed
        .map(|one| {
            let manifest = document(&blob(layout, &one["digest"]));
            assert_eq!(manifest["subject"]["digest"], subject);
            assert_eq!(manifest["artifactType"], one["artifactType"]);
            manifest
        })
        .collect()
}

#[test]
fn attestations_refer_to_an_image_in_a_layout() {
    let sandbox = keyed();
    sandbox.run(["export", "oci", "1.99.1", "oci:img"]).ok();
    let args = ["1.99.1", "--oci-referrer", "oci:img", "--format", "json"];
    let sign = ["--sign-from-file", "secret"];
    let args = [&args[..], &sign].concat();
    let out = attest(&sandbox, args.clone()).ok();
    let found: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(undocumented("export", &found), [""; 0]);
    let before = all(&sandbox.path("img"));
    let layout = sandbox.path("img");
    let made = found["attestations"].as_array().unwrap();
    assert_eq!(made.len(), 6);
    for (one, two) in [(0, 3), (3, 6)] {
        let subject = made[one]["referrer"]["subject"].as_str().unwrap();
        let manifests = listed(&layout, subject);
        assert_eq!(manifests.len(), 3);
        for (made, manifest) in made[one..two].iter().zip(&manifests) {
            assert_eq!(made["referrer"]["subject"], subject);
            let content = fs::read(blob(&layout, &manifest["layers"][0]["digest"])).unwrap();
            assert_eq!(made["bytes"], content.len());
            // It is about the commit and about the image.
            let commit = made["commit"].as_str().unwrap();
            let release = if one == 0 {
                "go-sdk/x86_64/1.99.1"
            } else {
                "go-sdk/aarch64/1.99.1"
            };
            assert_eq!(sandbox.rev(release).as_deref(), Some(commit));
            sandbox.write(
                "attached.json",
                std::str::from_utf8(&content).expect("UTF-8"),
            );
            let keys = ["--attestation-keys", "public", "--format", "json"];
            let verify = ["verify", release, "--attestation", "attached.json"];
            let out = sandbox.run([&verify[..], &keys].concat()).ok();
            let found: Value = serde_json::from_str(&out.stdout).unwrap();
            let subjects = found["attestations"][0]["subjects"].as_array().unwrap();
            let digests: Vec<String> = subjects
                .iter()
                .map(|one| format!("sha256:{}", one["sha256"].as_str().unwrap()))
                .collect();
            assert_eq!(digests, [format!("sha256:{commit}"), subject.to_owned()]);
        }
    }
    // Again, and nothing changes; the image is the same.
    attest(&sandbox, args).ok();
    assert_eq!(all(&layout), before);
    let skopeo = ostree_go_tests::containers::skopeo(["inspect", "--raw", "oci:img:1.99.1"]);
    if let Some(mut skopeo) = skopeo {
        run(skopeo.current_dir(sandbox.path(""))).ok();
    }
}

/// Returns the body of a document of a registry.
fn get(registry: &str, path: &str) -> Value {
    let url = format!("http://{registry}/v2/acme/go-sdk/{path}");
    let accept = "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
    let mut curl = Command::new("curl");
    let out = run(curl.args(["--silent", "--fail", "-L", "-H", accept, &url])).ok();
    serde_json::from_str(&out.stdout).unwrap()
}

#[test]
fn attestations_refer_to_an_image_in_a_registry() {
    let Some(registry) = ostree_go_tests::containers::Registry::start() else {
        return;
    };
    let host = registry.host();
    let sandbox = keyed();
    let image = format!("docker://{host}/acme/go-sdk:1.99.1");
    sandbox
        .run(["export", "oci", "1.99.1", &image, "--tls-verify=false"])
        .ok();
    let args = [
        REF,
        "--oci-referrer",
        &image,
        "--tls-verify=false",
        "--format",
        "json",
    ];
    let first: Value = serde_json::from_str(&attest(&sandbox, args).ok().stdout).unwrap();
    let subject = first["attestations"][0]["referrer"]["subject"].as_str();
    // Debian's registry has no interface for referrers, so that the index is at the tag.
    let tag = subject.unwrap().replace(':', "-");
    let index = get(&host, &format!("manifests/{tag}"));
    let listed = index["manifests"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    for (made, entry) in first["attestations"].as_array().unwrap().iter().zip(listed) {
        assert_eq!(made["referrer"]["digest"], entry["digest"]);
        let digest = entry["digest"].as_str().unwrap();
        let manifest = get(&host, &format!("manifests/{digest}"));
        assert_eq!(manifest["subject"]["digest"], subject.unwrap());
        assert_eq!(manifest["artifactType"], made["media_type"]);
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        assert_eq!(
            layer,
            format!("sha256:{}", made["sha256"].as_str().unwrap())
        );
    }
    // Those of others are kept, and ours are there once.
    let signed = [&args[..], &["--sign-from-file", "secret"]].concat();
    attest(&sandbox, signed).ok();
    attest(&sandbox, args).ok();
    let index = get(&host, &format!("manifests/{tag}"));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 6);
}

/// Returns the files of a folder.
fn names(folder: &Path) -> Vec<PathBuf> {
    all(folder).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn podman_and_skopeo_accept_signed_images_only() {
    let Some(registry) = ostree_go_tests::containers::Registry::start() else {
        return;
    };
    let host = registry.host();
    let sandbox = keyed();
    let gpg = ostree_go_tests::gpg::Gpg::new();
    let (key, foreign) = (gpg.key("publisher"), gpg.key("foreign"));
    let home = gpg.home().to_str().unwrap().to_owned();
    let image = format!("docker://{host}/acme/go-sdk:1.99.1");
    let export = |more: &[&str]| {
        let args = ["export", "oci", "1.99.1", &image, "--tls-verify=false"];
        sandbox.run([&args[..], more].concat())
    };
    let lookaside = sandbox.path("lookaside").display().to_string();
    let sign = |key: &str, folder: &str| {
        let args = ["--sign-lookaside", folder, "--gpg-sign", key];
        export(&[&args[..], &["--gpg-homedir", &home]].concat())
    };
    let policy = json!({
        "default": [{ "type": "reject" }],
        "transports": { "docker": { &host: [{
            "type": "signedBy",
            "keyType": "GPGKeys",
            "keyPath": gpg.export(&key),
        }] } },
    });
    sandbox.write("policy.json", &policy.to_string());
    let pull = |folder: &str| {
        let settings = format!("docker:\n  {host}:\n    lookaside: file://{folder}\n");
        sandbox.write("registries.d/test.yaml", &settings);
        let _ = fs::remove_dir_all(sandbox.path("pulled"));
        let mut command = ostree_go_tests::containers::skopeo([
            "--policy",
            "policy.json",
            "--registries.d",
            "registries.d",
            "copy",
            "--all",
            "--src-tls-verify=false",
            "--remove-signatures",
            &image,
            "dir:pulled",
        ])?;
        Some(run(command.current_dir(sandbox.path(""))))
    };
    export(&[]).ok();
    let Some(out) = pull(&lookaside) else { return };
    assert!(
        out.exits(1).stderr.contains("A signature was required"),
        "unsigned"
    );
    sign(&key, "lookaside").ok();
    pull(&lookaside).unwrap().ok();
    // The second export adds nothing.
    let before = names(&sandbox.path("lookaside"));
    assert_eq!(before.len(), 3, "{before:?}");
    sign(&key, "lookaside").ok();
    assert_eq!(names(&sandbox.path("lookaside")), before);

    // Signed by a key that the policy does not name.
    sign(&foreign, "foreign").ok();
    let folder = sandbox.path("foreign").display().to_string();
    let out = pull(&folder).unwrap().exits(1);
    assert!(out.stderr.contains("key"), "{out}");
    // A second signature beside it is enough.
    sign(&key, "foreign").ok();
    assert_eq!(names(&sandbox.path("foreign")).len(), 6);
    pull(&folder).unwrap().ok();

    // The same by podman, which reads the settings of a user.
    if let Some(containers) = ostree_go_tests::containers::Containers::new() {
        let config = "home/.config/containers";
        sandbox.write(&format!("{config}/policy.json"), &policy.to_string());
        let pull = |folder: &str| {
            let settings = format!("docker:\n  {host}:\n    lookaside: file://{folder}\n");
            sandbox.write(&format!("{config}/registries.d/test.yaml"), &settings);
            let mut command = containers.podman(["pull", "--quiet", "--tls-verify=false"]);
            command.arg(image.trim_start_matches("docker://"));
            run(command.env("HOME", sandbox.path("home")))
        };
        let unsigned = sandbox.path("unsigned").display().to_string();
        let out = pull(&unsigned).exits(125);
        assert!(out.stderr.contains("A signature was required"), "{out}");
        pull(&lookaside).ok();
    }
}

#[test]
fn lookaside_signatures_that_cannot_be_made() {
    let sandbox = keyed();
    let said = |args: &[&str], code: i32| {
        let export = ["export", "oci", "1.99.1", "oci:img"];
        let out = sandbox.run([&export[..], args].concat()).exits(code);
        masked(&sandbox, &out.stderr)
    };
    let sign = ["--sign-lookaside", "signatures"];
    assert_snapshot!(said(&sign, 2), @"
    error: the following required arguments were not provided: --gpg-sign <KEY-ID>
    hint: usage: ostree-go export oci --sign-lookaside <DIR> --gpg-sign <KEY-ID> --repo <PATH> <RELEASE>... <IMAGE>
    ");
    let key = ["--gpg-sign", "nobody", "--gpg-homedir", "."];
    assert_snapshot!(said(&[&sign[..], &key].concat(), 2), @"
    error: the signatures of oci:img need the name that the image will have in a registry
    hint: name the image with --sign-identity REGISTRY/NAME:TAG
    ");
    let untagged = ["--sign-identity", "registry.example/acme/go-sdk"];
    assert_snapshot!(said(&[&sign[..], &key, &untagged].concat(), 2), @"
    error: `registry.example/acme/go-sdk` has no tag, and a signature needs one
    hint: name the image with --sign-identity REGISTRY/NAME:TAG
    ");
    let tagged = ["--sign-identity", "registry.example/acme/go-sdk:1"];
    let out = said(&[&sign[..], &key, &tagged].concat(), 1);
    assert!(
        out.starts_with("error: cannot sign the image registry.example/acme/go-sdk:1"),
        "{out}"
    );
}
