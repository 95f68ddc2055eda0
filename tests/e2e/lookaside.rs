//! `export oci --sign-lookaside`: what a signature binds, according to podman and skopeo.

use crate::attest::{keyed, masked};
use crate::json::undocumented;
use insta::assert_snapshot;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::containers::{Containers, Registry, skopeo};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::images::{all, sandbox as toys};
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::tools;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const PLAIN: &str = "--tls-verify=false";

/// A publisher with a registry and a GPG key, and a policy that demands signatures by this key.
struct World {
    sandbox: Sandbox,
    registry: Registry,
    gpg: Gpg,
    key: String,
}

impl World {
    fn new() -> Option<Self> {
        tools::require("skopeo")?;
        let registry = Registry::start()?;
        let (sandbox, gpg) = (toys("archive"), Gpg::new());
        let key = gpg.key("publisher");
        let policy = json!({
            "default": [{ "type": "reject" }],
            "transports": { "docker": { registry.host(): [{
                "type": "signedBy",
                "keyType": "GPGKeys",
                "keyPath": gpg.export(&key),
            }] } },
        });
        sandbox.write("policy.json", &policy.to_string());
        let world = Self {
            sandbox,
            registry,
            gpg,
            key,
        };
        world.serve("lookaside");
        Some(world)
    }

    /// Makes a folder the one in which signatures are looked for.
    fn serve(&self, folder: &str) {
        let folder = self.sandbox.path(folder);
        let host = self.registry.host();
        let settings = format!(
            "docker:\n  {host}:\n    lookaside: file://{}\n",
            folder.display()
        );
        self.sandbox.write("registries.d/test.yaml", &settings);
    }

    /// Returns the location of an image with this tag, `:TAG` or `@DIGEST`.
    fn image(&self, tag: &str) -> String {
        format!("docker://{}/acme/go-sdk{tag}", self.registry.host())
    }

    /// Exports a version, signed by a key, and returns the JSON document.
    #[track_caller]
    fn export(&self, version: &str, to: &str, more: &[&str]) -> Value {
        let args = ["export", "oci", version, to, PLAIN, "--format", "json"];
        let home = self.gpg.home().to_str().unwrap();
        let sign = ["--sign-lookaside", "lookaside", "--gpg-homedir", home];
        let out = self.sandbox.run([&args[..], &sign, more].concat()).ok();
        serde_json::from_str(&out.stdout).unwrap()
    }

    /// Copies an image from the registry with skopeo.
    fn pull(&self, tag: &str) -> Output {
        let _ = fs::remove_dir_all(self.sandbox.path("pulled"));
        let image = self.image(tag);
        let policy = ["--policy", "policy.json", "--registries.d", "registries.d"];
        let copy = ["copy", "--src-tls-verify=false", "--remove-signatures"];
        let args = [&policy[..], &copy, &[&image, "dir:pulled"]].concat();
        let mut command = skopeo(args).expect("skopeo");
        run(command.current_dir(self.sandbox.path("")))
    }

    /// Copies an image into the registry with skopeo, without signatures.
    fn push(&self, from: &str, tag: &str) {
        let to = self.image(tag);
        let copy = ["--insecure-policy", "copy", "--all", "--preserve-digests"];
        let tls = ["--src-tls-verify=false", "--dest-tls-verify=false"];
        let mut command = skopeo([&copy[..], &tls, &[from, &to]].concat()).expect("skopeo");
        run(command.current_dir(self.sandbox.path(""))).ok();
    }

    /// Returns the files with signatures.
    fn signatures(&self) -> Vec<PathBuf> {
        let folder = self.sandbox.path("lookaside");
        let files = all(&folder).into_iter();
        files.map(|(path, _)| folder.join(path)).collect()
    }
}

#[test]
fn a_signature_is_for_one_name_and_one_image() {
    let Some(world) = World::new() else {
        return;
    };
    let sign = ["--gpg-sign", &world.key];
    let made = world.export("1.99.1", &world.image(":1.99.1"), &sign);
    assert_eq!(undocumented("export", &made), [""; 0]);
    world.pull(":1.99.1").ok();
    // Each manifest and the index is signed, so that an image can be named by any digest.
    let digests = made["images"].as_array().unwrap().iter().chain([&made]);
    let digests: Vec<&str> = digests.map(|one| one["digest"].as_str().unwrap()).collect();
    let signed = made["signatures"].as_array().unwrap().iter();
    let signed: Vec<&str> = signed.map(|one| one["digest"].as_str().unwrap()).collect();
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(sorted(digests.clone()), sorted(signed));
    for digest in &digests {
        world.pull(&format!("@{digest}")).ok();
    }
    // The same image under another name.
    world.push(&world.image(":1.99.1"), ":other");
    let out = world.pull(":other").exits(1);
    assert!(out.stderr.contains("Signature for identity"), "{out}");
    world.export("1.99.1", &world.image(":other"), &sign);
    world.pull(":other").ok();
    world.pull(":1.99.1").ok();

    // A signature of another image, in the place of its own.
    let other = ["export", "oci", "1.99", &world.image(":1.99"), PLAIN];
    let args = [&other[..], &["--format", "json"]].concat();
    let out = world.sandbox.run(args).ok();
    let unsigned: Value = serde_json::from_str(&out.stdout).unwrap();
    let place = |made: &Value, digest: &Value| {
        assert_ne!(made["digest"], Value::Null);
        let name = format!("acme/go-sdk@{}", digest.as_str().unwrap());
        let folder = name.replace("sha256:", "sha256=");
        world.sandbox.path("lookaside").join(folder)
    };
    let (from, to) = (
        place(&made, &made["images"][0]["digest"]),
        place(&unsigned, &unsigned["images"][0]["digest"]),
    );
    fs::create_dir(&to).unwrap();
    fs::copy(from.join("signature-1"), to.join("signature-1")).unwrap();
    let out = world.pull(":1.99").exits(1);
    assert!(
        out.stderr.contains("is for a different") || out.stderr.contains("digest"),
        "{out}"
    );
}

#[test]
fn changed_signatures_are_refused() {
    let Some(world) = World::new() else {
        return;
    };
    let sign = ["--gpg-sign", &world.key];
    world.export("1.99.1", &world.image(":1"), &sign);
    world.pull(":1").ok();
    let files = world.signatures();
    assert_eq!(files.len(), 3);
    let change = |change: &dyn Fn(&mut Vec<u8>)| {
        for path in &files {
            let mut bytes = fs::read(path).unwrap();
            change(&mut bytes);
            fs::write(path, bytes).unwrap();
        }
    };
    let honest: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    // In the document, in the signature, and at the end of the file.
    for (name, changes) in [
        (
            "document",
            &(|bytes: &mut Vec<u8>| {
                let half = bytes.len() / 2;
                bytes[half] ^= 1;
            }) as &dyn Fn(&mut Vec<u8>),
        ),
        ("signature", &|bytes: &mut Vec<u8>| {
            *bytes.last_mut().unwrap() ^= 1;
        }),
        ("end", &|bytes: &mut Vec<u8>| {
            bytes.truncate(bytes.len() - 20);
        }),
        ("nothing", &|bytes: &mut Vec<u8>| bytes.clear()),
    ] {
        change(changes);
        let out = world.pull(":1");
        assert_eq!(out.code(), Some(1), "{name}: {out}");
        // A signature that is damaged is not taken for one that is there already, if its document is.
        for (path, bytes) in files.iter().zip(&honest) {
            fs::write(path, bytes).unwrap();
        }
        world.pull(":1").ok();
    }
}

#[test]
fn an_image_in_a_folder_or_archive_is_signed_for_its_later_name() {
    let Some(world) = World::new() else {
        return;
    };
    let host = world.registry.host();
    for (tag, to) in [
        ("folder", "oci:img:a"),
        ("archive", "oci-archive:img.tar:a"),
    ] {
        let identity = format!("{host}/acme/go-sdk:{tag}");
        let sign = ["--gpg-sign", &world.key, "--sign-identity", &identity];
        let made = world.export("1.99.1", to, &sign);
        assert_eq!(made["signatures"].as_array().unwrap().len(), 3);
        world.push(to, &format!(":{tag}"));
        world.pull(&format!(":{tag}")).ok();
        let again = world.export("1.99.1", to, &sign);
        assert_eq!(again["signatures"][0]["new"], false);
        assert_eq!(
            again["signatures"][0]["path"],
            made["signatures"][0]["path"]
        );
    }
    // The images are the same, so that the second name has a second signature.
    assert_eq!(world.signatures().len(), 6);
}

#[test]
fn podman_refuses_a_foreign_signature() {
    let (Some(world), Some(containers)) = (World::new(), Containers::new()) else {
        return;
    };
    let foreign = world.gpg.key("foreign");
    let config = world.sandbox.path("home/.config/containers");
    fs::create_dir_all(&config).unwrap();
    for name in ["policy.json", "registries.d"] {
        std::os::unix::fs::symlink(world.sandbox.path(name), config.join(name)).unwrap();
    }
    let pull = || {
        let mut command = containers.podman(["pull", "--quiet", PLAIN]);
        command.arg(world.image(":1").trim_start_matches("docker://"));
        run(command.env("HOME", world.sandbox.path("home")))
    };
    world.export("1.99.1", &world.image(":1"), &["--gpg-sign", &foreign]);
    let out = pull().exits(125);
    assert!(!out.stderr.contains("A signature was required"), "{out}");
    // Two keys at once; the first signature is there already.
    let sign = ["--gpg-sign", &foreign, "--gpg-sign", &world.key];
    let made = world.export("1.99.1", &world.image(":1"), &sign);
    let new = made["signatures"].as_array().unwrap().iter();
    let new: Vec<bool> = new.map(|one| one["new"].as_bool().unwrap()).collect();
    assert_eq!(new, [false, true, false, true, false, true]);
    pull().ok();
}

/// Returns whether there is an image or a signature.
fn is_written(sandbox: &Sandbox) -> bool {
    let is_there = |name: &str| Path::exists(&sandbox.path(name));
    is_there("img") || is_there("signatures")
}

#[test]
fn an_image_that_cannot_be_signed_is_not_exported() {
    let sandbox = keyed();
    let gpg = Gpg::new();
    let key = gpg.key("publisher");
    let expired = gpg.key("expired");
    gpg.expire(&expired);
    let home = gpg.home().to_str().unwrap();
    let said = |args: &[&str], code: i32| {
        let export = ["export", "oci", "1.99.1", "oci:img"];
        let out = sandbox.run([&export[..], args].concat()).exits(code);
        let text = masked(&sandbox, &out.stderr);
        let text = text.replace(home, "[home]").replace(&expired, "[expired]");
        text.replace(&key, "[key]")
    };
    let name = ["--sign-identity", "registry.example/acme/go-sdk:1"];
    let to = ["--sign-lookaside", "signatures"];
    let nobody = |more: &[&str], code| {
        let sign = ["--gpg-sign", "nobody", "--gpg-homedir", home];
        said(&[&to[..], &sign, more].concat(), code)
    };
    assert_snapshot!(nobody(&name, 1), @"
    error: cannot sign the image registry.example/acme/go-sdk:1
      cannot use GnuPG: `gpg` failed: gpg: error reading key: No secret key
    ");
    let args = ["--gpg-sign", &expired, "--gpg-homedir", home];
    assert_snapshot!(said(&[&to[..], &args, &name].concat(), 1), @"
    error: cannot sign the image registry.example/acme/go-sdk:1
      cannot use GnuPG: `gpg` failed: gpg: signing failed: Unusable secret key
    ");
    let digest = format!("registry.example/a:1@sha256:{}", "0".repeat(64));
    assert_snapshot!(nobody(&["--sign-identity", &digest], 2), @"
    error: `registry.example/a:1@sha256:0000000000000000000000000000000000000000000000000000000000000000` has a digest, and a signature names the image by its tag
    hint: name the image with --sign-identity REGISTRY/NAME:TAG
    ");
    assert_snapshot!(said(&["--gpg-sign", &key], 2), @"
    error: the following required arguments were not provided: --sign-lookaside <DIR>
    hint: usage: ostree-go export oci --gpg-sign <KEY-ID> --sign-lookaside <DIR> --repo <PATH> <RELEASE>... <IMAGE>
    ");
    assert_snapshot!(said(&name, 2), @"
    error: the following required arguments were not provided: --gpg-sign <KEY-ID> --sign-lookaside <DIR>
    hint: usage: ostree-go export oci --gpg-sign <KEY-ID> --sign-lookaside <DIR> --sign-identity <REFERENCE> --repo <PATH> <RELEASE>... <IMAGE>
    ");
    assert!(!is_written(&sandbox));
    // The image is complete, and the message says what is missing.
    sandbox.write("file", "");
    let args = ["--gpg-sign", &key, "--gpg-homedir", home];
    let to = ["--sign-lookaside", "file"];
    assert_snapshot!(said(&[&to[..], &args, &name].concat(), 1), @"
    error: cannot create directory file/acme/go-sdk@sha256=00df31aaeb88a8744450cd222411807922bd8fe0226863e108ad5127bf1e4888
      Not a directory (os error 20)
    ");
    assert!(sandbox.path("img").exists());
}
