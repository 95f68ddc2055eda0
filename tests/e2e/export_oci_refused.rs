//! `export oci`: errors, after which no partial image remains.

use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::containers::Registry;
use ostree_go_tests::images::{all, masked, sandbox, sh};
use ostree_go_tests::tmpfs::Tmpfs;
use std::fs;
use std::process::Command;

#[test]
fn refusals_of_a_registry_are_reported() {
    let Some(registry) = Registry::guarded() else {
        return;
    };
    let sandbox = sandbox("archive");
    let image = format!("docker://{}/acme/go-sdk:1", registry.host());
    let push = |more: &[&str]| {
        let args = ["export", "oci", "1.99.1", &image, "--tls-verify=false"];
        sandbox.run(args.iter().chain(more).copied())
    };
    let hidden = |out: Output| out.stderr.replace(&registry.host(), "HOST");
    insta::assert_snapshot!(hidden(push(&[]).exits(1)), @"
    error: cannot push HOST/acme/go-sdk:1: the registry answered with status 401
    hint: log in with `podman login`, or name a credentials file with --authfile
    ");
    let auth = |secret: &str| {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let auth = BASE64_STANDARD.encode(format!("builder:{secret}"));
        format!(
            "{{\"auths\": {{\"{}\": {{\"auth\": \"{auth}\"}}}}}}",
            registry.host()
        )
    };
    sandbox.write("auth.json", &auth("wrong"));
    insta::assert_snapshot!(hidden(push(&["--authfile", "auth.json"]).exits(1)), @"
    error: cannot push HOST/acme/go-sdk:1: the registry answered with status 401
    hint: log in with `podman login`, or name a credentials file with --authfile
    ");
    sandbox.write("auth.json", "{");
    insta::assert_snapshot!(hidden(push(&["--authfile", "auth.json"]).exits(1)), @"
    error: cannot read auth.json
      EOF while parsing an object at line 1 column 1
    ");
    insta::assert_snapshot!(hidden(push(&["--authfile", "none.json"]).exits(1)), @"
    error: cannot read none.json
      No such file or directory (os error 2)
    ");
    sandbox.write("auth.json", &auth("secret"));
    push(&["--authfile", "auth.json"]).ok();
    let mut from_env = sandbox.ostree_go(["export", "oci", "1.99.1", &image, "--tls-verify=false"]);
    run(from_env.env("REGISTRY_AUTH_FILE", sandbox.path("auth.json"))).ok();
    // Encryption is asked for, and there is none.
    let out = sandbox.run(["export", "oci", "1.99.1", &image]).exits(75);
    insta::assert_snapshot!(hidden(out), @"
    error: cannot push HOST/acme/go-sdk:1: no answer from https://HOST/v2/
      the server's answer is not encrypted, expected TLS
    hint: check the address; use --tls-verify=false for a registry without encryption
    ");
}

#[test]
fn errors_name_the_cause() {
    let sandbox = sandbox("archive");
    let failed = |args: &str, code| {
        let args = ["export", "oci"].into_iter().chain(args.split(' '));
        let out = sandbox.run(args).exits(code);
        let text = out
            .stderr
            .replace(&sandbox.path("").display().to_string(), "FOLDER/");
        masked(&text)
    };
    insta::assert_snapshot!(failed("1.98 oci:img", 1), @"
    error: no ref or commit `1.98` in repository FOLDER/repo
    hint: did you mean `go-sdk/x86_64/1.99`?
    ");
    insta::assert_snapshot!(failed("1.99.1 dir:img", 2), @"error: `dir:img` is not the location of an image, expected oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker://REGISTRY/NAME[:TAG]");
    insta::assert_snapshot!(failed("1.99.1 oci:img:-", 2), @"error: `-` cannot be the tag of an image");
    insta::assert_snapshot!(failed("1.99.1 docker://r.example/A", 2), @"error: `r.example/A` names no image, expected REGISTRY/NAME[:TAG] or REGISTRY/NAME@sha256:DIGEST");
    insta::assert_snapshot!(failed("1.99.1 1.99 oci:img", 1), @"
    error: two releases are for x86_64: SHA256 and SHA256
    hint: an image can contain only one release for each architecture
    ");
    insta::assert_snapshot!(failed("1.99.1 oci:no/such/img", 1), @"
    error: cannot write no/such/img
      No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(failed("1.99.1 docker://127.0.0.1:1/a:1", 75), @"
    error: cannot push 127.0.0.1:1/a:1: no answer from https://127.0.0.1:1/v2/
      io: Connection refused (os error 111)
    hint: check the address; use --tls-verify=false for a registry without encryption
    ");
    let layer = sandbox
        .refs()
        .into_iter()
        .find(|name| name.contains("layer/common"))
        .unwrap();
    insta::assert_snapshot!(failed(&format!("{layer} oci:img"), 1), @"
    error: commit SHA256 is a layer, expected a release or a channel
    hint: `ostree-go list` shows releases and channels
    ");
    assert!(!sandbox.path("img").exists());

    sandbox.write("folder/file", "");
    insta::assert_snapshot!(failed("1.99.1 oci:folder", 1), @"
    error: folder is not an OCI image layout: it has no `oci-layout`
    hint: use a directory that is empty or does not exist
    ");
    sandbox.run(["export", "oci", "1.99.1", "oci:img"]).ok();
    let before = all(&sandbox.path("img"));
    sandbox.write("img/index.json", "{");
    insta::assert_snapshot!(failed("1.99 oci:img", 1), @"
    error: img is not an OCI image layout: its `index.json` is damaged
    hint: use a directory that is empty or does not exist
    ");
    sandbox.write("img/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}");
    insta::assert_snapshot!(failed("1.99 oci:img", 1), @r#"
    error: img is not an OCI image layout: its version is "2.0.0", expected 1.0.0
    hint: use a directory that is empty or does not exist
    "#);
    assert_eq!(all(&sandbox.path("img")).len(), before.len());
}

#[test]
fn a_full_disk_leaves_no_partial_image() {
    let sandbox = sandbox("archive");
    sandbox.run(["export", "oci", "1.99.1", "oci:old"]).ok();
    let Some(tmpfs) = Tmpfs::mount(256 << 10) else {
        return;
    };
    let place = tmpfs.path().display().to_string();
    sh(&sandbox, &format!("cp -r old {place}/layout")).ok();
    let before = all(&tmpfs.path().join("layout"));
    let filler = tmpfs.fill();
    for image in [
        format!("oci:{place}/layout:new"),
        format!("oci:{place}/new"),
        format!("oci-archive:{place}/new.tar"),
    ] {
        let out = sandbox.run(["export", "oci", "1.99", &image]).exits(75);
        assert!(
            out.stderr.contains("No space left on device"),
            "{}",
            out.stderr
        );
        assert!(out.stderr.contains("hint: free space"), "{}", out.stderr);
    }
    fs::remove_file(filler).unwrap();
    assert!(all(&tmpfs.path().join("layout")) == before);
    assert_eq!(fs::read_dir(tmpfs.path()).unwrap().count(), 1);

    let remount = ["-o", "remount,ro", &place];
    run(Command::new("mount").args(remount)).ok();
    let out = sandbox
        .run(["export", "oci", "1.99", &format!("oci:{place}/layout:new")])
        .exits(1);
    insta::assert_snapshot!(out.stderr.replace(&place, "FOLDER"), @"
    error: cannot write FOLDER/layout
      Read-only file system (os error 30)
    hint: check the owner and mode of the path, and the mount options
    ");
}

#[test]
fn a_damaged_object_is_never_exported() {
    let sandbox = sandbox("bare-user");
    let linked = sandbox.checkout("go-sdk/x86_64/1.99.1", "linked");
    let path = linked.join("usr/lib/sdk/go-1.99/src/fmt/print.go");
    let objects = run(Command::new("find")
        .arg(sandbox.repo().join("objects"))
        .args(["-name", "*.file", "-size", "12c"]))
    .ok();
    let same = |object: &&str| fs::read(object).unwrap() == fs::read(&path).unwrap();
    let object = objects.stdout.lines().find(same).unwrap().to_owned();
    fs::write(object, "package fm!\n").unwrap();
    let out = sandbox.run(["export", "oci", "1.99.1", "oci:img"]).exits(1);
    insta::assert_snapshot!(masked(&out.stderr), @"error: /usr/lib/sdk/go-1.99/src/fmt/print.go is damaged in the repository: its object is SHA256, expected SHA256");
    assert!(!sandbox.path("img").exists());
    assert!(
        !fs::read_dir(sandbox.path(""))
            .unwrap()
            .flatten()
            .any(|e| e.file_name().as_encoded_bytes().starts_with(b".ostree"))
    );
}
