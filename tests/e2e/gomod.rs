//! `gomod sync`: the Go that a project asks for.

use insta::assert_snapshot;
use ostree_go_tests::cli::Output;
use ostree_go_tests::host::{Host, read};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A host with two toy SDKs; 1.99.2 is active.
fn host() -> Host {
    let host = Host::new();
    for (version, seconds) in [("1.99.1", 100), ("1.99.2", 200)] {
        host.release(version, seconds);
        host.install(version).ok();
    }
    host
}

/// Returns what a command prints, without the paths of the test.
fn printed(host: &Host, out: &Output) -> String {
    let text = format!("{}{}", out.stdout, out.stderr);
    let folder = host.sandbox.path("").canonicalize().unwrap();
    let text = text.replace(&format!("{}/", folder.display()), "[dir]/");
    text.trim_end().to_owned()
}

#[test]
fn the_toolchain_line_is_set_to_the_active_sdk() {
    let host = host();
    let file = host
        .sandbox
        .write("p/go.mod", "// Ours.\nmodule a\r\n\r\ngo 1.98 // old\r\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    let out = host.run(["gomod", "sync", "p"]).ok();
    assert_snapshot!(printed(&host, &out), @"[dir]/p/go.mod: `toolchain go1.99.2` (new)");
    assert_eq!(
        read(&file),
        "// Ours.\nmodule a\r\n\r\ngo 1.98 // old\r\n\r\ntoolchain go1.99.2\r\n"
    );
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o664);
    // `which` follows it.
    let out = host.run(["which", "p"]).ok();
    assert!(out.stdout.contains("sdk/go-1.99.2/"), "{out}");
    let out = host
        .run(["gomod", "sync", "p", "--unchanged-exit-77"])
        .exits(77);
    assert_snapshot!(printed(&host, &out), @"[dir]/p/go.mod is up to date");
    let out = host.run(["gomod", "sync", "p", "--sdk", "1.99.1"]).ok();
    assert_snapshot!(printed(&host, &out), @"[dir]/p/go.mod: `toolchain go1.99.1` (was go1.99.2)");
    let out = host
        .run(["gomod", "sync", "p", "--go", "--unchanged-exit-77"])
        .ok();
    assert_snapshot!(printed(&host, &out), @"[dir]/p/go.mod: `go 1.99.2` (was 1.98), no toolchain line (was `toolchain go1.99.1`)");
    assert_eq!(
        read(&file),
        "// Ours.\nmodule a\r\n\r\ngo 1.99.2 // old\r\n"
    );
}

#[test]
fn a_dry_run_shows_a_diff_and_writes_nothing() {
    let host = host();
    let work = "go 1.98\n\nuse ./m\n";
    host.sandbox.write("p/go.work", work);
    let module = host
        .sandbox
        .write("p/m/go.mod", "module m\n\ngo 1.97\n\nrequire a v1.0.0\n");
    let out = host.run(["gomod", "sync", "--go", "--dry-run", "p/m"]).ok();
    let diff = printed(&host, &out).replace("\n \n", "\n\n");
    assert_snapshot!(diff, @r"
    --- [dir]/p/go.work
    +++ [dir]/p/go.work
    @@ -1,3 +1,3 @@
    -go 1.98
    +go 1.99.2

     use ./m
    --- [dir]/p/m/go.mod
    +++ [dir]/p/m/go.mod
    @@ -1,5 +1,5 @@
     module m

    -go 1.97
    +go 1.99.2

     require a v1.0.0
    ");
    assert_eq!(read(&host.sandbox.path("p/go.work")), work);
    let json = host.json(["gomod", "sync", "--dry-run", "p/m"]);
    assert_eq!(
        (json["dry_run"].clone(), json["unchanged"].clone()),
        (true.into(), false.into())
    );
    assert_eq!(json["version"], "1.99.2");
    let files = json["files"].as_array().unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0]["changed"], true);
    assert_eq!(
        files[0]["toolchain"],
        serde_json::json!({"old": null, "new": "go1.99.2"})
    );
    assert_eq!(
        files[0]["go"],
        serde_json::json!({"old": "1.98", "new": "1.98"})
    );
    host.run(["gomod", "sync", "--go", "p"]).ok();
    assert_eq!(read(&module), "module m\n\ngo 1.99.2\n\nrequire a v1.0.0\n");
    let json = host.json(["gomod", "sync", "--go", "p"]);
    assert_eq!(json["unchanged"], true);
}

#[test]
fn a_link_is_followed_and_stays() {
    let host = host();
    let file = host.sandbox.write("real/mod", "go 1.98\n");
    fs::create_dir(host.sandbox.path("p")).unwrap();
    symlink("../real/mod", host.sandbox.path("p/go.mod")).unwrap();
    host.run(["gomod", "sync", "p"]).ok();
    assert!(host.sandbox.path("p/go.mod").is_symlink());
    assert_eq!(read(&file), "go 1.98\n\ntoolchain go1.99.2\n");
}

#[test]
fn what_cannot_be_synced_is_an_error_and_nothing_is_written() {
    let host = host();
    let good = host.sandbox.write("good/go.mod", "go 1.98\n");
    host.sandbox.write("new/go.mod", "go 1.100\n");
    host.sandbox.write("bad/go.mod", "go 1.98 x\n");
    fs::create_dir(host.sandbox.path("empty")).unwrap();
    let said = |args: &[&str], code| {
        let args = [&["gomod", "sync"], args].concat();
        printed(&host, &host.run(args).exits(code))
    };
    assert_snapshot!(said(&["good", "new"], 1), @r"
    error: [dir]/new/go.mod requires go >= 1.100 (running go 1.99.2)
    hint: `ostree-go install --for [dir]/new` installs an SDK that is new enough, and `--sdk` selects an installed one
    ");
    assert_snapshot!(said(&["good", "bad"], 1), @r"
    error: [dir]/bad/go.mod is malformed
      line 1: `go` has 2 arguments, expected one
    ");
    assert_snapshot!(said(&["good", "empty"], 1), @r"
    error: [dir]/empty has no go.mod and no go.work, and neither have the directories above it
    hint: `go mod init` creates a go.mod
    ");
    assert!(said(&["good", "none"], 1).starts_with("error: cannot look at [dir]/none\n"));
    assert!(
        said(&["good", "--sdk", "1.97.1"], 1)
            .starts_with("error: go 1.97.1 is not installed under ")
    );
    assert_eq!(read(&good), "go 1.98\n");
    let none = Host::new();
    none.release("1.99.1", 100);
    none.run(["install", "1.99.1", "--from-repo", "repo", "--no-activate"])
        .ok();
    none.sandbox.write("p/go.mod", "go 1.98\n");
    none.run(["gomod", "sync", "p"]).exits(1);
}
