//! `export tar`: the unpacked archive is identical to a checkout by the stock command.

use ostree_go_tests::cli::run;
use ostree_go_tests::host::read;
use ostree_go_tests::pull_fixture::files;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::toy::Toy;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

const REF: &str = "go-sdk/x86_64/1.99.1";
const LONG: &str = "src/a/quite/long/path/that/has/more/than/one/hundred/bytes/so/that/it/does/not/fit/into/the/name/field/x.go";

fn sandbox(mode: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    Toy::new(ostree_go_sdk::Arch::X86_64)
        .with(LONG, "package x\n")
        .tar_gz(&sandbox.path("toy-amd64.tar.gz"));
    sandbox.treefile("1.99.1", &format!("arches: [x86_64]\n{TOY_SOURCE}"));
    sandbox.run(["init", "--mode", mode]).ok();
    sandbox.compose([]);
    sandbox
}

#[test]
fn the_archive_contains_the_tree_of_the_commit() {
    let sandbox = sandbox("archive");
    let stock = sandbox.checkout(REF, "stock");
    for (name, flag) in [
        ("a.tar", "-xf"),
        ("a.tar.gz", "-xzf"),
        ("a.tar.zst", "--zstd -xf"),
    ] {
        let out = sandbox
            .run(["export", "tar", REF, name, "--format", "json"])
            .ok();
        let json: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
        let sha256 = run(Command::new("sha256sum").arg(sandbox.path(name))).ok();
        assert_eq!(json["sha256"], sha256.stdout[..64]);
        assert_eq!(json["bytes"], sandbox.path(name).metadata().unwrap().len());
        let dest = sandbox.path(&format!("{name}.d"));
        fs::create_dir(&dest).unwrap();
        let tar = format!("tar -p {flag} '{}'", sandbox.path(name).display());
        run(Command::new("sh").args(["-c", &tar]).current_dir(&dest)).ok();
        run(Command::new("diff")
            .args(["-r", "--no-dereference"])
            .args([&stock, &dest]))
        .ok();
        assert_eq!(json["files"], files(&dest).len());
        for ours in files(&dest) {
            let file = ours.strip_prefix(&dest).unwrap();
            let theirs = stock.join(file);
            let mode = |path: &std::path::Path| path.symlink_metadata().unwrap().mode();
            assert_eq!(mode(&ours), mode(&theirs), "{}", file.display());
            let time = ours.symlink_metadata().unwrap().mtime();
            assert_eq!(time, 1_767_323_045, "the time of the release");
        }
    }
}

#[test]
fn the_same_release_gives_the_same_bytes() {
    let [one, other] = ["archive", "bare-user"].map(sandbox);
    for sandbox in [&one, &other] {
        sandbox.run(["export", "tar", REF, "a.tar.gz"]).ok();
        let piped = format!(
            "'{}' --repo repo export tar {REF} - > b.tar",
            sandbox.ostree_go([]).get_program().display()
        );
        run(Command::new("sh")
            .args(["-c", &piped])
            .current_dir(sandbox.path("")))
        .ok();
        sandbox.run(["export", "tar", REF, "c.tar"]).ok();
        assert_eq!(
            fs::read(sandbox.path("b.tar")).unwrap(),
            fs::read(sandbox.path("c.tar")).unwrap()
        );
    }
    let bytes = |sandbox: &Sandbox| fs::read(sandbox.path("a.tar.gz")).unwrap();
    assert!(bytes(&one) == bytes(&other));
}

#[test]
fn a_damaged_object_keeps_the_existing_archive() {
    let sandbox = sandbox("bare-user");
    sandbox.write("a.tar", "old");
    let linked = sandbox.checkout(REF, "linked");
    let path = linked.join("usr/lib/sdk/go-1.99/src/fmt/print.go");
    let object = run(Command::new("find")
        .arg(sandbox.repo().join("objects"))
        .args(["-name", "*.file", "-size", "12c"]))
    .ok();
    let object = object
        .stdout
        .lines()
        .find(|object| fs::read(object).unwrap() == fs::read(&path).unwrap())
        .unwrap();
    fs::write(object, "package fm!\n").unwrap();
    let out = sandbox.run(["export", "tar", REF, "a.tar"]).exits(1);
    insta::with_settings!({filters => [("[0-9a-f]{64}", "SHA256")]}, {
        insta::assert_snapshot!(out.stderr, @"error: /usr/lib/sdk/go-1.99/src/fmt/print.go is damaged in the repository: its object is SHA256, expected SHA256");
    });
    assert_eq!(read(&sandbox.path("a.tar")), "old");
    let names = fs::read_dir(sandbox.path("")).unwrap();
    assert!(
        !names
            .flatten()
            .any(|entry| entry.file_name().as_encoded_bytes().starts_with(b".ostree"))
    );
    let out = sandbox.run(["export", "tar", "1.98", "b.tar"]).exits(1);
    insta::assert_snapshot!(out.stderr.replace(&sandbox.repo().display().to_string(), "REPO"), @"
    error: no ref or commit `1.98` in repository REPO
    hint: did you mean `go-sdk/x86_64/1.99.1`?
    ");
    let out = sandbox
        .run(["export", "tar", REF, "-", "--format", "json"])
        .exits(2);
    insta::assert_snapshot!(out.stdout, @r#"
    {
      "schema": 1,
      "error": {
        "kind": "invalid-input",
        "message": "a file and a JSON document cannot both be written to standard output",
        "cause": null,
        "hint": null
      }
    }
    "#);
    let out = sandbox
        .run(["export", "tar", REF, "no/such/b.tar"])
        .exits(1);
    insta::assert_snapshot!(out.stderr, @"
    error: cannot write no/such/b.tar
      No such file or directory (os error 2)
    ");
}
