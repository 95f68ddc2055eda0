//! Malicious registries: only content that the publisher has signed is accepted, and no ref moves otherwise.

use ostree_go_tests::cli::Output;
use ostree_go_tests::registry_fixture::RegistryFixture;
use ostree_go_tests::webserver::Fault;
use serde_json::json;
use tar::{Builder, EntryType, Header};

const REF: &str = "go-sdk/x86_64/1.99";

/// Asserts that a pull of `1.99` ends with an exit code and moves no ref, and returns its message.
#[track_caller]
fn fails(fixture: &RegistryFixture, args: &[&str], code: i32) -> String {
    let before = fixture.host.refs();
    let out: Output = fixture.pull(&[&[REF], args].concat()).exits(code);
    assert_eq!(fixture.host.refs(), before);
    fixture.host.fsck();
    fixture.masked(&out.stderr)
}

#[track_caller]
fn refused(fixture: &RegistryFixture) -> String {
    fails(fixture, &[], 3)
}

/// Returns the header of an entry.
fn header(kind: EntryType, name: &str, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    header
}

/// Returns an archive with an additional entry at its end, or before another entry.
fn with(archive: &[u8], entry: &[u8]) -> Vec<u8> {
    let end = archive.len() - 1024;
    [&archive[..end], entry, &archive[end..]].concat()
}

fn entry(kind: EntryType, name: &str, mode: u32, content: &str) -> Vec<u8> {
    let header = header(kind, name, mode, content.len() as u64);
    let mut builder = Builder::new(Vec::new());
    builder
        .append(&header, content.as_bytes())
        .expect("an entry");
    let mut bytes = builder.into_inner().expect("an archive");
    bytes.truncate(bytes.len() - 1024);
    bytes
}

fn link(kind: EntryType, name: &str, target: &str) -> Vec<u8> {
    let mut header = header(kind, name, 0o777, 0);
    header.set_link_name(target).expect("a target");
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn layers_that_differ_from_the_signed_ones() {
    let fixture = RegistryFixture::new();
    let site = fixture.archive("1.99", "site");
    let zeros = vec![0; 1024];
    let bigger = site.len() + 512;
    use EntryType::{Char, Directory, Link, Regular, Symlink};
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "an extra file",
            with(&site, &entry(Regular, "usr/z", 0o644, "evil")),
        ),
        ("nothing", zeros.clone()),
        ("no archive", vec![7; 2048]),
        (
            "a path that escapes",
            with(&site, &entry(Regular, "usr/../../x", 0o644, "")),
        ),
        (
            "an absolute path",
            with(&site, &entry(Regular, "/x", 0o644, "")),
        ),
        (
            "a file through a symlink",
            with(
                &site,
                &[
                    link(Symlink, "usr/y", "/etc"),
                    entry(Regular, "usr/y/passwd", 0o644, ""),
                ]
                .concat(),
            ),
        ),
        (
            "a file where a directory is",
            with(&site, &entry(Regular, "usr", 0o644, "")),
        ),
        ("a device", with(&site, &entry(Char, "usr/z", 0o644, ""))),
        (
            "a hard link",
            with(&site, &link(Link, "usr/z", "usr/bin/go")),
        ),
        (
            "a whiteout",
            with(&site, &entry(Regular, "usr/zz/.wh.go", 0o644, "")),
        ),
        (
            "a whiteout in a folder",
            with(
                &site,
                &[
                    entry(Directory, "usr/z/", 0o755, ""),
                    entry(Regular, "usr/z/.wh.go", 0o644, ""),
                ]
                .concat(),
            ),
        ),
        ("setuid", with(&site, &entry(Regular, "usr/z", 0o4755, ""))),
        (
            "the same twice",
            with(
                &site,
                &[
                    entry(Regular, "usr/z", 0o644, ""),
                    entry(Regular, "usr/z", 0o644, ""),
                ]
                .concat(),
            ),
        ),
        (
            "bytes behind the end",
            [&site[..], &zeros, b"evil"].concat(),
        ),
        ("half of it", site[..site.len() / 2].to_vec()),
    ];
    let mut said = String::new();
    for (what, archive) in cases {
        fixture.show("1.99");
        fixture.replace("1.99", "site", &archive);
        let stderr = refused(&fixture);
        said += &format!("{what}: {}\n", stderr.lines().next().unwrap_or_default());
    }
    // What an archive becomes is as large as it says, not a byte more or less.
    for (what, size) in [("a bomb", site.len() - 512), ("less than it says", bigger)] {
        fixture.show("1.99");
        fixture.edit("1.99", |manifest| {
            let layers = manifest["layers"].as_array_mut().expect("layers");
            for layer in layers {
                if layer["annotations"]["io.github.ostree-go.layer"] == "site" {
                    layer["annotations"]["io.github.ostree-go.layer.size"] =
                        size.to_string().into();
                }
            }
        });
        let stderr = refused(&fixture);
        said += &format!("{what}: {}\n", stderr.lines().next().unwrap_or_default());
    }
    insta::assert_snapshot!(said);
    // What was refused once harms nothing later.
    fixture.show("1.99");
    fixture.pull(&[REF]).ok();
    fixture.host.fsck();
}

#[test]
fn manifests_that_differ_from_the_signed_ones() {
    let fixture = RegistryFixture::new();
    let other = fixture.manifest("1.99.1");
    let mut said = String::new();
    let mut case = |what: &str, change: &dyn Fn(&mut serde_json::Value)| {
        fixture.show("1.99");
        fixture.edit("1.99", change);
        let stderr = refused(&fixture);
        // Nothing but manifests was asked for.
        assert!(
            !fixture
                .server
                .requests()
                .iter()
                .any(|path| path.contains("/blobs/")),
            "{what}"
        );
        said += &format!("{what}: {stderr}\n");
    };
    let commit = "io.github.ostree-go.commit";
    let meta = "io.github.ostree-go.commitmeta";
    case("another release", &|manifest| *manifest = other.clone());
    case("no signature", &|manifest| {
        manifest["annotations"]
            .as_object_mut()
            .expect("a map")
            .remove(meta);
    });
    case("another's signature", &|manifest| {
        manifest["annotations"][meta] = other["annotations"][meta].clone();
    });
    case("another commit", &|manifest| {
        manifest["annotations"][commit] = other["annotations"][commit].clone();
    });
    case("no commit", &|manifest| manifest["annotations"] = json!({}));
    case("no base64", &|manifest| {
        manifest["annotations"][commit] = "%".into();
    });
    case("a layer less", &|manifest| {
        manifest["layers"].as_array_mut().expect("layers").pop();
    });
    case("layers in another order", &|manifest| {
        manifest["layers"].as_array_mut().expect("layers").reverse();
    });
    case("another media type", &|manifest| {
        manifest["layers"][0]["mediaType"] = "text/plain".into();
    });
    case("another digest", &|manifest| {
        manifest["layers"][0]["digest"] = "md5:00".into();
    });
    case("a bomb by its own word", &|manifest| {
        manifest["layers"][0]["annotations"]["io.github.ostree-go.layer.size"] =
            "99999999999".into();
    });
    case("a great blob", &|manifest| {
        manifest["layers"][0]["size"] = json!(99_999_999_999_u64);
    });
    case("an index in an index", &|manifest| {
        *manifest = json!({"manifests": [], "layers": []});
    });
    insta::assert_snapshot!(said);
}

#[test]
fn missing_signatures_and_signatures_by_other_keys() {
    let fixture = RegistryFixture::new();
    fixture.release_by(None, "1.99.2", 1_771_000_000, |toy| toy);
    insta::assert_snapshot!(refused(&fixture));
    let mallory = fixture.gpg.key("mallory");
    fixture.release_by(Some(&mallory), "1.99.3", 1_772_000_000, |toy| toy);
    let said = refused(&fixture);
    assert!(said.contains("made by an unknown key"), "{said}");
    assert!(
        !fixture
            .server
            .requests()
            .iter()
            .any(|path| path.contains("/blobs/"))
    );
}

#[test]
fn replay_of_an_old_image_and_a_wrong_pin() {
    let fixture = RegistryFixture::new();
    let old = fixture.digest("1.99");
    fixture.release("1.99.2", 1_771_000_000, |toy| toy);
    fixture.pull(&[REF]).ok();
    let new = fixture.digest("1.99");
    fixture.point("1.99", &old);
    let said = refused(&fixture);
    assert!(said.contains("older than"), "{said}");
    fixture.pull(&[REF, "--allow-downgrade"]).ok();
    // A pin takes what it names, whatever the tag is.
    let pinned = format!("{REF}@{new}");
    fixture.pull(&[&pinned]).ok();
    // The registry has other bytes under the digest.
    fixture
        .server
        .fault(&format!("/manifests/{new}"), Fault::Flip);
    let out = fixture.pull(&[&pinned]).exits(3);
    insta::assert_snapshot!(fixture.masked(&out.stderr));
    // No such image, no digest, and no registry at all.
    fixture.server.reset();
    let absent = format!("{REF}@sha256:{}", "0".repeat(64));
    let out = fixture.pull(&[&absent]).exits(1);
    insta::assert_snapshot!(fixture.masked(&out.stderr));
    let out = fixture.pull(&[&format!("{REF}@sha256:00")]).exits(2);
    insta::assert_snapshot!(out.stderr);
    let url = fixture.server.url();
    fixture
        .host
        .run(["remote", "add", "web", &url, "--no-gpg-verify"])
        .ok();
    let out = fixture.host.run(["pull", "web", &pinned]).exits(1);
    insta::assert_snapshot!(fixture.masked(&out.stderr));
}

#[test]
fn servers_with_faults() {
    let fixture = RegistryFixture::new();
    let blob = fixture.blob("1.99", "common");
    let at = format!("/blobs/{blob}");
    let mut said = String::new();
    for (what, path, fault, code) in [
        ("a flipped bit", at.as_str(), Fault::Flip, 3),
        ("a truncated blob", &at, Fault::Truncate, 75),
        ("silence", &at, Fault::StallHalfway, 75),
        ("no blob", &at, Fault::Status(404), 1),
        ("a server's error", &at, Fault::Status(500), 75),
        (
            "a manifest that is none",
            "/manifests/1.99",
            Fault::Instead(b"{]".to_vec()),
            3,
        ),
        (
            "a web page",
            "/manifests/1.99",
            Fault::Instead(b"<html>".to_vec()),
            75,
        ),
        ("no such tag", "/manifests/1.99", Fault::Status(404), 1),
        ("not for us", "/manifests/1.99", Fault::Status(401), 1),
        ("forbidden", "/manifests/1.99", Fault::Status(403), 1),
        (
            "a great manifest",
            "/manifests/1.99",
            Fault::Instead(vec![b' '; 17 << 20]),
            1,
        ),
    ] {
        fixture.server.reset();
        fixture.server.fault(path, fault);
        said += &format!("{what}: {}\n", fails(&fixture, &[], code));
    }
    fixture.server.reset();
    said += &format!("a limit: {}\n", fails(&fixture, &["--max-bytes", "100"], 1));
    insta::assert_snapshot!(said);
    // What breaks off once and then goes on is no trouble.
    for fault in [Fault::Truncate, Fault::Reset, Fault::Status(503)] {
        fixture.server.reset();
        fixture.server.fault_times(&at, fault, 1);
        let pulled = fixture.pull(&["go-sdk/x86_64/1.99"]).ok();
        drop(pulled);
        ostree_go_tests::ostree::ostree(&fixture.host.repo(), ["refs", "--delete", "acme"]);
        ostree_go_tests::ostree::ostree(&fixture.host.repo(), ["prune", "--refs-only"]);
    }
}

#[test]
fn invalid_refs_and_remotes_for_images() {
    let fixture = RegistryFixture::new();
    let mut said = String::new();
    for args in [
        &["pull", "acme", "go-sdk/layer/common/00"][..],
        &["pull", "acme", "go-sdk/x86_64/1.98"],
        &["pull", "acme", REF, "--subpath", "/usr"],
        &[
            "remote",
            "add",
            "b",
            "oci+https://registry.example/Acme",
            "--no-gpg-verify",
        ],
        &[
            "remote",
            "add",
            "b",
            "oci+https://registry.example/acme:1.26",
            "--no-gpg-verify",
        ],
        &["remote", "add", "b", "oci:images", "--no-gpg-verify"],
    ] {
        let out = fixture.host.run(args.iter().copied());
        assert_ne!(out.code(), Some(0), "{args:?}");
        said += &format!("{}\n", fixture.masked(&out.stderr));
    }
    // An image for another machine only.
    fixture.show("1.99");
    let mut top = fixture.document("1.99");
    let all = top["manifests"].as_array_mut().expect("an index");
    all.retain(|entry| entry["platform"]["architecture"] == "arm64");
    let digest = fixture.put(&top);
    fixture.point("1.99", &digest);
    said += &fails(&fixture, &[], 1);
    insta::assert_snapshot!(said);
}
