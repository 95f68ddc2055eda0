//! Key transitions between Ed25519 keys.

use std::fs;

use ostree_go_tests::cli::workspace;
use ostree_go_tests::ostree;
use ostree_go_tests::rotation::{Rotation, utf8};

/// The Ed25519 keys of a remote verify static deltas.
#[test]
fn ed25519_keys_are_followed() {
    let rotation = Rotation::new();
    let sandbox = &rotation.host.sandbox;
    for name in ["a", "b"] {
        rotation
            .host
            .run(["key", "generate", "--output-dir", name, "--type", "ed25519"])
            .ok();
    }
    let read = |path: &str| {
        fs::read_to_string(sandbox.path(path))
            .unwrap()
            .trim()
            .to_owned()
    };
    let (a, b) = (read("a/public.ed25519"), read("b/public.ed25519"));
    rotation.join("root", &["--follow-keys"]);
    let repo = sandbox.path("root/repo");
    ostree::ostree(
        &repo,
        [
            "config",
            "set",
            "remote \"acme\".verification-ed25519-key",
            &a,
        ],
    );
    let url = rotation.server.url();
    let keys = [
        "--sign-from-file",
        "a/secret.ed25519",
        "--sign-from-file",
        "b/secret.ed25519",
    ];
    let make = [
        "key",
        "transition",
        "a/public.ed25519",
        "b/public.ed25519",
        "--url",
        &url,
    ];
    rotation.host.run([&make[..], &keys].concat()).ok();
    // The delta is signed with the new key only.
    let signing = rotation.signing(&[&rotation.old]);
    let mut publish = vec![
        "publish",
        "--sign-deltas",
        "--sign-from-file",
        "b/secret.ed25519",
    ];
    publish.extend(signing.iter().map(String::as_str));
    rotation.host.run(publish).ok();
    let out = rotation.on("root", &["install", "1.99"]).ok();
    assert!(
        out.stderr.contains(&format!(
            "remote acme trusts key {b} from now on, because key {a} introduced it"
        )),
        "{out}"
    );
    assert_eq!(
        read("root/repo/acme.trustedkeys.ed25519"),
        format!("{a}\n{b}")
    );
    let config = read("root/repo/config");
    assert!(!config.contains("verification-ed25519-key"), "{config}");
    assert!(config.contains("verification-ed25519-file="), "{config}");
    // The new key withdraws the old one.
    let make = [
        "key",
        "transition",
        "b/public.ed25519",
        "--remove",
        &a,
        "--url",
        &url,
    ];
    rotation
        .host
        .run([&make[..], &["--sign-from-file", "b/secret.ed25519"]].concat())
        .ok();
    rotation.on("root", &["upgrade"]).ok();
    assert_eq!(read("root/repo/acme.trustedkeys.ed25519"), b);
}

/// The example in the description of the format is a real one: a host with its old key accepts it.
#[test]
fn the_documented_file_is_accepted() {
    let rotation = Rotation::new();
    let page = workspace().join("docs/src/formats.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Key transitions\n").unwrap();
    let (_, block) = section.split_once("```json\n").unwrap();
    let (example, _) = block.split_once("```\n").unwrap();
    let file = rotation.host.sandbox.write("example.json", example);
    let key = utf8(&rotation.public(&rotation.old));
    let url = "https://sdk.example.com/repo/";
    let add = ["remote", "add", "acme", url, "--gpg-import", &key];
    rotation.on("root", &add).ok();
    let old = "NP9RBbphC+i5et+Wad+TWcx6t5ee7cCp/jdWmXGymFA=";
    let option = "remote \"acme\".verification-ed25519-key";
    let repo = rotation.host.sandbox.path("root/repo");
    ostree::ostree(&repo, ["config", "set", option, old]);
    let file = utf8(&file);
    let import = ["remote", "import-key", "acme", "--transition", &file];
    let out = rotation.on("root", &import).ok();
    let new = "Xt5/LipMNOazyltbr94zq+Nb7ZGf5+I3yQfGRLjTYbs=";
    let trusts =
        format!("remote acme trusts key {new} from now on, because key {old} introduced it\n");
    assert_eq!(out.stderr, trusts);
}
